// Programs, libraries, objects and C++ source as a user builds and uses them.
#include <doctest/doctest.h>

#include <sys/stat.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "runtime/core/weights.h"
#include "tests/emit/support.h"

using namespace netc;
namespace fs = std::filesystem;

namespace {

/// An application of two libraries, which must not clash. It counts allocations and address space: argv[1], argv[2] are
/// the bytes of an instance that trains and of one that infers, with one thread.
constexpr const char* kApplication = R"code(
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include <photo.h>
#include <tiny.h>

static std::atomic<long> allocations{0};
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void* malloc(size_t n) { ++allocations; return __libc_malloc(n); }
void* calloc(size_t n, size_t m) { ++allocations; return __libc_calloc(n, m); }
void* realloc(void* p, size_t n) { ++allocations; return __libc_realloc(p, n); }
void* aligned_alloc(size_t a, size_t n) { ++allocations; return __libc_memalign(a, n); }
int posix_memalign(void** p, size_t a, size_t n) { ++allocations; *p = __libc_memalign(a, n); return 0; }
}

static long address_space() {
  FILE* f = fopen("/proc/self/statm", "r");
  long pages = 0;
  if (fscanf(f, "%ld", &pages) != 1) abort();
  fclose(f);
  return pages * sysconf(_SC_PAGESIZE);
}
static void require(bool good, const char* what) {
  if (good) return;
  printf("not so: %s\n", what);
  exit(1);
}

static std::vector<float> train(int threads, pthread_barrier_t* barrier) {
  tiny::Options options;
  options.threads = threads;
  options.training = true;
  tiny::Tiny net(options);
  require(static_cast<bool>(net) && net.initialise(4), "an instance that trains");
  float sample[12], loss = 0;
  if (barrier) pthread_barrier_wait(barrier), pthread_barrier_wait(barrier);
  for (int step = 0; step < 60; ++step) {
    for (int i = 0; i < 8; ++i) {
      for (int k = 0; k < 12; ++k) sample[k] = (i * 7 + k * 3 + step) % 5 - (k % 3 == i % 3 ? 0.0f : 2.0f);
      require(net.set_sample(i, sample) && net.set_label(i, i % 3), "a sample");
    }
    require(net.train_step(8, 0.01f, loss), "a step");
    require(net.evaluate(8, loss), "an evaluation");
    require(net.predict(sample) != nullptr, "a prediction");
  }
  if (barrier) pthread_barrier_wait(barrier), pthread_barrier_wait(barrier);
  const float* out = net.predict(sample);
  return {out[0], out[1], out[2], loss};
}

int main(int, char** argv) {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  free(malloc(16 << 20));  // the heap does not grow below

  {  // The memory that netc printed is what an instance takes.
    photo::Options options;
    options.threads = 1;
    long before = address_space();
    photo::Photo inference(options);
    long took = address_space() - before, said = atol(argv[2]) - atol(argv[3]);  // weights would be mapped
    require(took >= said && took <= said + (64 << 10), ("inference takes " + std::to_string(took) + ", netc said " + std::to_string(said)).c_str());
    options.training = true;
    before = address_space();
    photo::Photo training(options);
    took = address_space() - before;
    said = atol(argv[1]);
    require(took >= said && took <= said + (64 << 10), ("training takes " + std::to_string(took) + ", netc said " + std::to_string(said)).c_str());
    require(training.initialise(1), "fresh weights");
    std::vector<unsigned char> image(50 * 40 * 3, 90);
    require(training.predict(image.data(), 50, 40) != nullptr, "a photo of any size");
    require(inference.predict(image.data(), 50, 40) == nullptr && !inference.error().empty(), "no prediction without weights");
    require(!training.predict(nullptr, 50, 40) && !training.predict(image.data(), 0, 40), "no prediction of nothing");
    require(training.save(argv[4]) && inference.load(argv[4]), "weights to a file and back");
    float a = training.predict(image.data(), 50, 40)[1], b = inference.predict(image.data(), 50, 40)[1];
    require(a == b, "the same from a mapped file");
    const long start = allocations, space = address_space() - (allocations - start) * 0;
    const long counted = allocations;
    for (int i = 0; i < 50; ++i) inference.predict(image.data(), 50 - i % 3, 40);
    require(allocations == counted, "no allocation while predicting");
    require(address_space() == space, "no mapping while predicting");
    photo::Photo moved(std::move(inference));
    require(!inference && moved.predict(image.data(), 50, 40)[1] == b, "a moved instance");
    require(!moved.load("/nowhere/x.safetensors") && moved.error().find("/nowhere/x.safetensors") != std::string::npos, "a missing file is named");
  }

  {  // Numbers that are none are refused, and never answered or kept.
    tiny::Options options;
    options.training = true;
    tiny::Tiny net(options);
    require(net.initialise(1), "fresh weights");
    float sample[12] = {1, 2, 3}, bad[12] = {}, loss = 0;
    for (float v : {NAN, INFINITY, -INFINITY}) {
      bad[7] = v;
      require(!net.set_sample(0, bad) && net.error().find("not finite") != std::string::npos, "a sample that is not finite is refused");
      require(!net.predict(bad), "and gets no answer");
      require(!net.train_step(1, v, loss) && net.error().find("learning rate") != std::string::npos, "a rate that is not finite is refused");
    }
    require(net.set_sample(0, sample) && net.set_label(0, 1) && net.predict(sample), "an answer");
    for (int i = 0; i < 4; ++i) net.set_sample(0, sample), net.train_step(1, 3e38f, loss);
    require(!net.predict(sample) && net.error().find("not finite") != std::string::npos, "broken weights give no answer");
    const std::string path = std::string(argv[4]) + ".broken";
    require(!net.save(path.c_str()) && net.error().find("not written") != std::string::npos && access(path.c_str(), F_OK) != 0, "and are not written");
  }

  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, nullptr, 3);
  std::vector<float> first, second;
  std::thread one([&] { first = train(2, &barrier); }), two([&] { second = train(1, &barrier); });
  pthread_barrier_wait(&barrier);
  const long before = allocations;
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  const long during = allocations - before;
  pthread_barrier_wait(&barrier);
  one.join();
  two.join();
  require(during == 0, ("no allocation in two instances' steps, not " + std::to_string(during)).c_str());
  require(first == second && first == train(2, nullptr), "the same bits with one thread or two, alone or beside another");
  require(first[3] < 0.9f, "it learns");
  puts("good");
}
)code";

emit::BuildOptions with_cache(const emit::TempFolder& folder) {
  emit::BuildOptions o = support::options();
  o.lower.cache_dir = folder.file("cache");
  return o;
}

}  // namespace

TEST_CASE("a program: built, replaced at once, not built over a folder") {
  emit::TempFolder folder;
  auto net = support::load("lenet5", "models/lenet5.net", 16);
  net->unit.with_main = true;
  emit::BuildOptions options = with_cache(folder);
  std::vector<std::pair<std::string, double>> timings;
  options.timings = &timings;
  emit::Built built;
  std::string error;
  const std::string program = folder.file("lenet5");
  REQUIRE_MESSAGE(emit::build_program(net->unit, options, program, built, error), error);
  CHECK(built.product_bytes == static_cast<int64_t>(fs::file_size(program)));
  CHECK(built.kernels == static_cast<int>(net->train.kernels.size() + net->infer.kernels.size()));
  CHECK(built.memory.weights >= 61706 * 4);
  CHECK(timings.size() == 3);
  CHECK_MESSAGE(emit::run_process({program, "info"}, error), error);
  CHECK(!emit::run_process({program, "nonsense"}, error));
  error.clear();

  emit::Built again;
  REQUIRE_MESSAGE(emit::build_program(net->unit, options, program, again, error), error);
  CHECK(again.from_cache > 0);
  CHECK(again.memory.scratch_per_thread == built.memory.scratch_per_thread);
  int others = 0;
  for (auto& e : fs::directory_iterator(folder.file("")))
    others += e.path().filename() != "lenet5" && e.path().filename() != "cache";
  CHECK(others == 0);

  fs::create_directory(folder.file("taken"));
  CHECK(!emit::build_program(net->unit, options, folder.file("taken"), again, error));
  CHECK(error.find("is a folder") != std::string::npos);
  CHECK(!emit::build_program(net->unit, options, folder.file("missing/lenet5"), again, error));
  CHECK(error.find("no folder") != std::string::npos);
}

TEST_CASE("what the host's compiler says reaches the user; nothing is left behind") {
  emit::TempFolder folder;
  auto net = support::load("tiny", support::kTinyNet, 4);
  emit::BuildOptions options = with_cache(folder);
  options.toolchain.library_dir = folder.file("nothing");
  emit::Built built;
  std::string error;
  CHECK(!emit::build_program(net->unit, options, folder.file("tiny"), built, error));
  CHECK(error.find("linking the program") != std::string::npos);
  CHECK(error.find("libnetc_runtime.a") != std::string::npos);
  CHECK(!fs::exists(folder.file("tiny")));
  options.toolchain.cxx = "no-such-compiler";
  error.clear();
  CHECK(!emit::build_program(net->unit, options, folder.file("tiny"), built, error));
  CHECK(error.find("no-such-compiler") != std::string::npos);
}

TEST_CASE("two libraries in one application: threads, no allocation, the memory that was said") {
  emit::TempFolder folder;
  emit::BuildOptions options = with_cache(folder);
  std::string error;
  emit::Built tiny, photo;
  REQUIRE_MESSAGE(
      emit::build_library(support::load("tiny", support::kTinyNet, 8)->unit, options, folder.file("lib"), tiny, error),
      error);
  REQUIRE_MESSAGE(emit::build_library(support::load("photo", support::kPhotoNet, 4)->unit, options, folder.file("lib"),
                                      photo, error),
                  error);
  for (const char* f : {"include/tiny.h", "include/tiny_c.h", "lib/libtiny.a", "lib/cmake/tiny/tinyConfig.cmake",
                        "README.md", "lib/libphoto.a"})
    CHECK_MESSAGE(fs::exists(folder.file("lib/") + f), f);
  REQUIRE(emit::write_file(folder.file("app.cpp"), kApplication, error));
  REQUIRE(emit::write_file(
      folder.file("c.c"),
      "#include <tiny_c.h>\n#include <photo_c.h>\nint main(void) { return tiny_class_name(0) != 0; }\n", error));
  const std::string lib = folder.file("lib");
  REQUIRE_MESSAGE(emit::run_process({options.toolchain.cxx, "-std=c++11", "-O1", "-Wall", "-Wextra", "-Werror",
                                     folder.file("app.cpp"), "-I" + lib + "/include", lib + "/lib/libtiny.a",
                                     lib + "/lib/libphoto.a", "-lpthread", "-o", folder.file("app")},
                                    error),
                  error);
  const std::string train = std::to_string(emit::training_bytes(photo.memory, 1)),
                    infer = std::to_string(emit::inference_bytes(photo.memory, 1));
  CHECK_MESSAGE(emit::run_process({folder.file("app"), train, infer, std::to_string(photo.memory.weights),
                                   folder.file("w.safetensors")},
                                  error),
                error);
  if (!emit::find_executable("cc").empty())
    CHECK_MESSAGE(emit::run_process({"cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-c",
                                     folder.file("c.c"), "-I" + lib + "/include", "-o", folder.file("c.o")},
                                    error),
                  error);
}

TEST_CASE("a library refuses token ids and classes of positions that are out of range, at any place") {
  emit::TempFolder folder;
  const emit::BuildOptions options = with_cache(folder);
  std::string error;
  emit::Built built;
  auto net = support::load(
      "tags",
      "net Tags {\n  input words: i32[5]\n  output tag = words -> Embedding(11, 4) -> Dense(3) -> Softmax\n}\n"
      "train { loss = categorical_crossentropy(tag, label)  optimizer = sgd }\n",
      4);
  REQUIRE_MESSAGE(emit::build_library(net->unit, options, folder.file("lib"), built, error), error);
  REQUIRE(emit::write_file(folder.file("app.cpp"), R"code(
#include <climits>
#include <cstdio>
#include <cstring>
#include <tags.h>
static int wrong = 0;
static void check(bool good, const char* what, int value, int place) { if (!good) wrong = printf("not so: %s, %d at %d\n", what, value, place); }
int main() {
  tags::Options options;
  options.training = true;
  tags::Tags net(options);
  check(net.initialise(1), "fresh weights", 0, 0);
  for (int place = 0; place < 5; ++place)
    for (int value : {INT_MIN, -1, 0, 2, 3, 10, 11, INT_MAX}) {
      int v[5] = {0, 1, 2, 1, 0};
      v[place] = value;
      const bool token = value >= 0 && value < 11, tag = value >= 0 && value < 3;
      check(net.set_sample(3, v) == token, "set_sample", value, place);
      check(token || strstr(net.error().c_str(), "is not one of 0 to 10"), "its message", value, place);
      check(net.set_target(3, v) == tag, "set_target", value, place);
      check(tag || strstr(net.error().c_str(), "is not one of the 3 classes"), "its message", value, place);
      check((net.predict(v) != nullptr) == token, "predict", value, place);
    }
  int v[5] = {};
  for (int index : {-1, 4, INT_MAX}) check(!net.set_sample(index, v) && !net.set_target(index, v), "no such place in the batch", index, 0);
  check(!net.set_sample(0, nullptr) && !net.set_target(0, nullptr), "nothing given", 0, 0);
  return wrong != 0;
}
)code",
                           error));
  const std::string lib = folder.file("lib");
  REQUIRE_MESSAGE(
      emit::run_process({options.toolchain.cxx, "-std=c++11", folder.file("app.cpp"), "-I" + lib + "/include",
                         lib + "/lib/libtags.a", "-lpthread", "-o", folder.file("app")},
                        error),
      error);
  CHECK_MESSAGE(emit::run_process({folder.file("app")}, error), error);
}

TEST_CASE("objects and the list of their symbols") {
  emit::TempFolder folder;
  auto net = support::load("tiny", support::kTinyNet, 4);
  emit::Built built;
  std::string error, list;
  REQUIRE_MESSAGE(emit::build_objects(net->unit, with_cache(folder), folder.file("out"), built, error), error);
  REQUIRE(emit::read_whole(folder.file("out/symbols.txt"), list, error));
  for (const lower::Object* o : emit::distinct(built)) {
    CHECK(list.find(o->symbol + ".o tiny_") != std::string::npos);
    CHECK(fs::file_size(folder.file("out/") + o->symbol + ".o") == o->object.size());
  }
}

TEST_CASE("kernels as C++ give the results of the objects, and build without Halide") {
  auto net = support::load("tiny", support::kTinyNet, 8);
  emit::TempFolder folder;
  emit::BuildOptions options = support::options();
  emit::Built built;
  std::string error;
  const std::string out = folder.file("cpp");
  fs::create_directories(out + "/kernels");
  REQUIRE(emit::write_file(out + "/kernels/mine.cpp", "not netc's", error));
  REQUIRE_MESSAGE(emit::build_cpp(net->unit, options, out, built, error), error);
  CHECK(fs::exists(out + "/kernels/mine.cpp"));
  for (const char* f : {"Makefile", "CMakeLists.txt", "README.md", "runtime/model.h", "runtime/kernel_support.cpp"})
    CHECK_MESSAGE(fs::exists(out + "/" + f), f);

  support::Loaded source;
  std::vector<std::string> files;
  for (const fs::path& p : {fs::path(out + "/driver.cpp"), fs::path(out + "/names.cpp")}) files.push_back(p);
  for (const lower::Object* o : emit::distinct(built))
    files.push_back(fmt::format("{}/kernels/{}.cpp", out, o->symbol));
  std::vector<std::string> objects;
  for (const std::string& f : files) {
    objects.push_back(source.folder.file(fs::path(f).stem().string() + ".o"));
    REQUIRE_MESSAGE(emit::run_process({options.toolchain.cxx, "-std=c++20", "-O1", "-march=native",
                                       "-ffp-contract=fast", "-fno-strict-aliasing", "-fPIC", "-w", "-Wno-psabi",
                                       "-I" + out, "-c", f, "-o", objects.back()},
                                      error),
                    error);
  }
  support::link_and_load(*net, objects, source);
  auto compiled = support::load_product(*net);
  std::vector<std::unique_ptr<rt::Model>> models;
  for (rt::CreateFn create : {source.create, compiled->create}) {
    models.push_back(create({.threads = 2, .training = true}, error));
    REQUIRE_MESSAGE(models.back(), error);
    rt::Model& m = *models.back();
    rt::initialise(m, 5);
    for (int i = 0; i < 8 * 12; ++i) static_cast<float*>(m.input())[i] = std::sin(static_cast<float>(i));
    for (int i = 0; i < 8; ++i) static_cast<int32_t*>(m.labels())[i] = i % 3;
  }
  for (uint32_t step = 1; step <= 5; ++step) {
    const float a = models[0]->train_step(8, 0.01f, 7, step), b = models[1]->train_step(8, 0.01f, 7, step);
    CHECK(a == doctest::Approx(b).epsilon(1e-4));
  }
  const float* a = models[0]->infer(5);
  const float* b = models[1]->infer(5);
  for (int i = 0; i < 15; ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-3));
}
