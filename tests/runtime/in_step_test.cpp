// Kernels in step: which task runs when.
#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <vector>

#include "runtime/kernel_support.h"

using namespace netc;

// as kernels see it
extern "C" int halide_do_par_for(void* context, int (*f)(void*, int, uint8_t*), int min, int size, uint8_t* closure);

namespace {

constexpr int kTasks = 50;

/// Three kernels: the loops of `before` write, those of the next read what the same task wrote, and may overwrite it.
struct Trial {
  void* context = nullptr;
  int sizes[3] = {kTasks, kTasks, kTasks};
  int fails = -1;  // a task of the second kernel
  std::vector<int> value = std::vector<int>(kTasks, 0);
  std::vector<std::atomic<int>> runs = std::vector<std::atomic<int>>(kTasks);
  int most_ahead = 0;  // tasks of the first kernel that were done before the third had begun one
  std::atomic<int> begun{0};
  int total = -1;

  static Trial& of(uint8_t* closure) { return *reinterpret_cast<Trial*>(closure); }
  static int first(void*, int task, uint8_t* closure) {
    Trial& t = of(closure);
    t.value[task] = t.value[task] == 0 ? 1 : -1;
    if (t.begun == 0) ++t.most_ahead;
    return 0;
  }
  static int second(void*, int task, uint8_t* closure) {
    Trial& t = of(closure);
    t.value[task] = t.value[task] == 1 ? 2 : -2;
    return task == t.fails ? 7 : 0;
  }
  static int third(void*, int task, uint8_t* closure) {
    Trial& t = of(closure);
    ++t.begun;
    t.value[task] = t.value[task] == 2 ? 3 : -3;
    ++t.runs[task];
    return 0;
  }
  int kernel(int i) {
    constexpr int (*bodies[])(void*, int, uint8_t*) = {first, second, third};
    const int failed = halide_do_par_for(context, bodies[i], 0, sizes[i], reinterpret_cast<uint8_t*>(this));
    if (i != 1 || failed) return failed;
    total = 0;  // what follows the loop has all of its results
    for (int task = 0; task < sizes[1]; ++task) total += value[task] >= 2;
    return halide_do_par_for(context, [](void*, int, uint8_t*) { return 0; }, 0, 3, nullptr);
  }
  int run() {
    return rt::in_step(context, [&] { return kernel(0); }, [&] { return kernel(1); }, [&] { return kernel(2); });
  }
};

}  // namespace

TEST_CASE("kernels in step run task by task, each after those before it") {
  for (const int threads : {1, 2, 3}) {
    std::string error;
    auto context = rt::Context::create(threads, 4096, error);
    REQUIRE(context);
    Trial t;
    t.context = context.get();
    CHECK(t.run() == 0);
    for (int task = 0; task < kTasks; ++task) {
      CHECK(t.value[task] == 3);
      CHECK(t.runs[task] == 1);
    }
    CHECK(t.total == kTasks);
    if (threads == 1) CHECK(t.most_ahead == 1);
    Trial again;  // the context is as it was
    again.context = context.get();
    CHECK(again.run() == 0);
    CHECK(again.total == kTasks);
  }
}

TEST_CASE("kernels in step whose loops have other lengths run one after another") {
  std::string error;
  auto context = rt::Context::create(2, 4096, error);
  REQUIRE(context);
  Trial t;
  t.context = context.get();
  t.sizes[1] = kTasks - 1;
  CHECK(t.run() == 0);
  CHECK(t.most_ahead == kTasks);
  for (int task = 0; task < kTasks; ++task) CHECK(t.value[task] == (task < kTasks - 1 ? 3 : -3));
}

TEST_CASE("an error of one of the kernels in step is that of all") {
  std::string error;
  auto context = rt::Context::create(1, 4096, error);
  REQUIRE(context);
  Trial t;
  t.context = context.get();
  t.fails = 4;
  CHECK(t.run() == 7);
  CHECK(t.value[4] == 2);
  CHECK(t.value[5] == 0);
}
