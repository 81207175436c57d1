// Nothing is allocated after start: a step's kernels, threads and driver leave the heap alone.
#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "runtime/core/weights.h"
#include "tests/emit/support.h"

using namespace netc;

namespace {

std::atomic<bool> watching{false};
std::atomic<int> allocations{0};

void note() {
  if (watching.load(std::memory_order_relaxed)) allocations.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

// The C library's own names: every allocation of this process comes here first.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t bytes) { return note(), __libc_malloc(bytes); }
void* calloc(size_t n, size_t bytes) { return note(), __libc_calloc(n, bytes); }
void* realloc(void* p, size_t bytes) { return note(), __libc_realloc(p, bytes); }
void* memalign(size_t alignment, size_t bytes) { return note(), __libc_memalign(alignment, bytes); }
void* aligned_alloc(size_t alignment, size_t bytes) { return note(), __libc_memalign(alignment, bytes); }
int posix_memalign(void** p, size_t alignment, size_t bytes) {
  return note(), *p = __libc_memalign(alignment, bytes), *p ? 0 : ENOMEM;
}
}

namespace {

/// How often the heap was asked while `step` ran.
template <class Step>
int counted(Step&& step) {
  allocations.store(0);
  watching.store(true);
  step();
  watching.store(false);
  return allocations.load();
}

const char* kTextNet = R"(
net Text {
  input text: i32[9]
  output next = text -> Embedding(11, 8) -> LSTM(12) -> Dropout(0.1) -> Dense(5) -> Softmax
}
train { loss = sparse_categorical_crossentropy(next, label)  optimizer = adam(lr = 1e-2)  batch = 8  epochs = 2 }
)";

using Defines = std::vector<std::pair<std::string, std::string>>;

void check_steps(const std::string& name, const std::string& source, const Defines& defines = {}) {
  CAPTURE(name);
  const auto net = support::load(name, source, 8, true, nullptr, defines);
  const auto product = support::load_product(*net);
  std::string error;
  const auto m = product->create({.threads = 3, .training = true}, error);
  REQUIRE_MESSAGE(m, error);
  rt::initialise(*m, 3);  // inputs and labels stay 0: a class, a token and a pixel of everyone's
  for (const int batch : {8, 5, 1}) {
    CHECK(counted([&] {
            for (uint32_t step = 1; step < 4; ++step) m->train_step(batch, 0.01f, 9, step);
          }) == 0);
    CHECK(counted([&] { m->evaluate(batch); }) == 0);
    CHECK(counted([&] { m->infer(batch); }) == 0);
  }
}

}  // namespace

TEST_CASE("what watches for allocations sees one") {
  CHECK(counted([] { std::free(std::malloc(7)); }) == 1);
  CHECK(counted([] { std::free(std::aligned_alloc(64, 128)); }) == 1);
}

// that no model's kernels ask for more than their scratch memory, tests/support/kernel_runner.cpp sees wherever it runs
// them
TEST_CASE("no step allocates") {
  check_steps("lenet5", "models/lenet5.net");
  check_steps("resnet", "models/resnet.net", {{"depth", "18"}, {"size", "32"}, {"width", "8"}, {"classes", "4"}});
  check_steps("unet", "models/unet.net", {{"size", "16"}, {"width", "4"}});
  check_steps("text", kTextNet);
}
