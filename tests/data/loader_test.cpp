#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <numeric>
#include <set>

#include "runtime/data/augment.h"
#include "tests/data/support.h"

using namespace netc::rt;
using namespace netc::rt::test;

namespace {

struct Seen {
  std::vector<size_t> indices;
  std::vector<int> labels, sizes;
  std::vector<uint64_t> numbers;
  Bytes inputs;
  bool operator==(const Seen&) const = default;
};

/// Runs an epoch to its end, or `most` batches of it.
Seen run(Loader& loader, const ModelInfo& info, uint64_t epoch, uint64_t first = 0, size_t most = SIZE_MAX) {
  Seen seen;
  Batch b;
  loader.start_epoch(epoch, first);
  for (size_t i = 0; i < most && loader.next(b); ++i) {
    const auto* input = static_cast<const uint8_t*>(b.inputs[0]);
    const auto* labels = static_cast<const int32_t*>(b.labels[0]);
    CHECK(reinterpret_cast<uintptr_t>(input) % 64 == 0);
    seen.inputs.insert(seen.inputs.end(), input, input + static_cast<size_t>(b.n) * info.ingested[0].bytes());
    seen.indices.insert(seen.indices.end(), b.indices.begin(), b.indices.end());
    seen.labels.insert(seen.labels.end(), labels, labels + b.n);
    seen.sizes.push_back(b.n);
    seen.numbers.push_back(b.number);
  }
  return seen;
}

std::unique_ptr<Loader> make(const Source& source, const Model& model, const LoaderOptions& options) {
  auto r = Loader::create(source, model, options);
  INFO((r ? "" : r.error()));
  REQUIRE(r);
  return std::move(*r);
}

const AugmentInfo kAugment[] = {{"flip", "horizontal", {}}, {"rotate", "", {.1}},   {"shift", "", {.1}},
                                {"zoom", "", {.2}},         {"contrast", "", {.3}}, {"brightness", "", {.2}}};

/// n PNGs of several sizes in two classes; those in `damaged` are cut off.
void write_folder(const TempFolder& t, int n, const std::set<int>& damaged) {
  for (int i = 0; i < n; ++i) {
    const int h = 6 + i % 5, w = 5 + i % 7;
    Bytes b = png(pattern(h, w, 3, static_cast<uint32_t>(i)), h, w, Png::rgb);
    if (damaged.count(i)) b.resize(b.size() / 2);
    std::string name = std::to_string(100 + i);
    t.write((i < n / 2 ? "a/" : "b/") + name + ".png", b);
  }
}

}  // namespace

TEST_CASE("the same batches for any number of threads, from memory and from files") {
  ModelInfo grey = info_for(28, 28, 1), colour = info_for(-1, -1, 3);
  grey.augment = colour.augment = kAugment;
  TempFolder t;
  write_folder(t, 43, {3, 11, 12, 40});
  const auto digits = opened("synthetic:digits:500", grey), files = opened(t.path(), colour);
  for (const bool from_files : {false, true}) {
    const ModelInfo& info = from_files ? colour : grey;
    const FakeModel model(info);
    const Source& source = from_files ? *files : *digits;
    std::vector<Seen> runs;
    for (const int threads : {1, 2, 4}) {
      for (const int epoch : {3, 4}) {
        auto loader = make(source, model, {8, threads, 42, true, true});
        runs.push_back(run(*loader, info, static_cast<uint64_t>(epoch)));
      }
    }
    CHECK(runs[0] == runs[2]);
    CHECK(runs[0] == runs[4]);
    CHECK(runs[1] == runs[3]);
    CHECK(runs[1] == runs[5]);
    CHECK(runs[0].indices != runs[1].indices);
    CHECK(runs[0].indices.size() == (from_files ? 39 : 500));
    const std::set<size_t> each(runs[0].indices.begin(), runs[0].indices.end());
    CHECK(each.size() == runs[0].indices.size());
    CHECK(std::accumulate(runs[0].sizes.begin(), runs[0].sizes.end(), size_t{0}) == runs[0].indices.size());
  }
}

TEST_CASE("contents, order, the last batch, seeds and epochs") {
  const ModelInfo info = info_for(28, 28, 1);
  const FakeModel model(info);
  const auto source = opened("synthetic:digits:100", info);
  auto plain = make(*source, model, {32, 2, 1, false, false});
  CHECK(plain->batches() == 4);
  CHECK(plain->samples() == 100);
  Batch b;
  CHECK_FALSE(plain->next(b));  // no epoch begun
  const Seen seen = run(*plain, info, 0);
  CHECK(seen.sizes == std::vector<int>{32, 32, 32, 4});
  Sample x;
  for (size_t i = 0; i < 100; ++i) {
    CHECK(seen.indices[i] == i);
    REQUIRE(source->read(i, x));
    CHECK(seen.labels[i] == label_of(x));
    CHECK(std::memcmp(seen.inputs.data() + i * 784, x.inputs[0].data.data(), 784) == 0);
  }
  CHECK_FALSE(plain->next(b));
  auto one = make(*source, model, {32, 2, 1, true, false}), same = make(*source, model, {32, 1, 1, true, false}),
       other = make(*source, model, {32, 2, 2, true, false});
  const Seen first = run(*one, info, 0);
  CHECK(first.indices != seen.indices);
  CHECK(run(*one, info, 1).indices != first.indices);
  CHECK(run(*same, info, 0) == first);
  CHECK(run(*other, info, 0).indices != first.indices);
  CHECK(run(*one, info, 0) == first);
}

TEST_CASE("resuming in the middle of an epoch, and leaving one early") {
  ModelInfo info = info_for(-1, -1, 3);
  info.augment = kAugment;
  TempFolder t;
  write_folder(t, 40, {5, 21});
  const auto source = opened(t.path(), info);
  const FakeModel model(info);
  auto loader = make(*source, model, {4, 3, 9, true, true});
  const Seen whole = run(*loader, info, 2);
  for (const uint64_t first : {1, 4, 9, 10, 11}) {
    // dropped half-way
    for (int i = 0; i < 20; ++i) run(*loader, info, static_cast<uint64_t>(i), 0, static_cast<size_t>(i % 4));
    const Seen rest = run(*loader, info, 2, first);
    CHECK(rest.numbers.size() == (first >= 10 ? 0 : 10 - first));
    CHECK(std::equal(rest.inputs.begin(), rest.inputs.end(),
                     whole.inputs.end() - static_cast<std::ptrdiff_t>(rest.inputs.size())));
    if (!rest.numbers.empty()) CHECK(rest.numbers.front() == first);
  }
}

TEST_CASE("skipped samples are counted once and named; whole batches of them are left out") {
  const ModelInfo info = info_for(-1, -1, 3);
  const FakeModel model(info);
  TempFolder t;
  std::set<int> damaged{1, 17};
  for (int i = 8; i < 12; ++i) damaged.insert(i);
  write_folder(t, 24, damaged);
  const auto source = opened(t.path(), info);
  auto loader = make(*source, model, {4, 2, 0, false, false});
  const Seen seen = run(*loader, info, 0);
  CHECK(seen.sizes == std::vector<int>{3, 4, 4, 3, 4});
  CHECK(seen.numbers == std::vector<uint64_t>{0, 1, 3, 4, 5});
  run(*loader, info, 1);
  CHECK(loader->skipped() == 6);
  const auto names = loader->skipped_names();
  REQUIRE(names.size() == 6);
  CHECK(names[0].rfind(t.path() + "/a/101.png: is a damaged PNG", 0) == 0);
  CHECK(names[5].rfind(t.path() + "/b/117.png: ", 0) == 0);
  TempFolder all;
  std::set<int> every;
  for (int i = 0; i < 24; ++i) every.insert(i);
  write_folder(all, 24, every);
  const auto bad = opened(all.path(), info);
  const auto none = Loader::create(*bad, model, {});
  REQUIRE_FALSE(none);
  CHECK(none.error().find("none of the first samples can be read") != std::string::npos);
}

TEST_CASE("samples and nets that do not belong together are errors with a remedy") {
  const auto error = [](const Source& s, const ModelInfo& info, LoaderOptions o = {}) {
    const FakeModel model(info);
    const auto r = Loader::create(s, model, o);
    return r ? std::string() : r.error();
  };
  const ModelInfo grey = info_for(28, 28, 1), colour = info_for(-1, -1, 3);
  const auto digits = opened("synthetic:digits:20", grey), shapes = opened("synthetic:shapes:20", colour);
  CHECK(error(*shapes, info_for(64, 64, 3))
            .find("32 x 32 x 3 does not fit the net's input image, which is 64 x 64 x 3") != std::string::npos);
  CHECK(error(*shapes, info_for(64, 64, 3)).find("u8[*, *, 3] and begin the net with Resize(64, 64)") !=
        std::string::npos);
  CHECK(error(*digits, info_for(28, 28, 3)).find("declare the input as u8[*, *, 1]") != std::string::npos);
  CHECK(error(*digits, info_for(28, 28, 1, DType::u8, 3)).find("10 classes, but the net tells 3 apart") !=
        std::string::npos);
  CHECK(error(*digits, grey, {0, 1, 0, false, false}).find("batch of 0") != std::string::npos);
  CHECK(error(*digits, grey) == "");
  ModelInfo wrong = grey;
  static const AugmentInfo kWrong[] = {{"rotate", "", {}}};
  wrong.augment = kWrong;
  CHECK(error(*digits, wrong, {8, 1, 0, false, true}).find("rotate: needs an amount") != std::string::npos);
}

TEST_CASE("f32 inputs get the pixels' values, flat inputs the rows") {
  ModelInfo info = info_for(28, 28, 1, DType::f32);
  info.inputs = info.ingested = keep({{"x", DType::f32, 1, {784}}});
  const FakeModel model(info);
  const auto source = opened("synthetic:digits:10", info);
  auto loader = make(*source, model, {4, 1, 0, false, false});
  Batch b;
  loader->start_epoch(0);
  REQUIRE(loader->next(b));
  Sample x;
  REQUIRE(source->read(2, x));
  const auto* values = static_cast<const float*>(b.inputs[0]) + 2 * 784;
  for (size_t i = 0; i < 784; ++i) CHECK(values[i] == static_cast<float>(x.inputs[0].data[i]));
}

TEST_CASE("augmentation: shape kept, flips exact, small amounts change little") {
  const auto applied = [](const AugmentInfo& info, Field s, uint64_t seed) {
    auto a = Augmenter::create(std::span(&info, 1));
    REQUIRE(a);
    a->apply(s, CounterRandom(seed, 0));
    return s;
  };
  Field s;
  s.height = 6, s.width = 5, s.channels = 3;
  s.data = pattern(6, 5, 3);
  std::set<Bytes> flips;
  for (uint64_t seed = 0; seed < 40; ++seed) flips.insert(applied({"flip", "both", {}}, s, seed).data);
  CHECK(flips.size() == 4);
  for (const Bytes& f : flips) {
    Bytes a = f, b = s.data;
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    CHECK(a == b);
  }
  for (const char* mode : {"reflect", "constant", "nearest", "wrap"}) {
    for (const AugmentInfo& info : {AugmentInfo{"rotate", mode, {.5}},
                                    {"shift", mode, {1, .5}},
                                    {"zoom", mode, {.9}},
                                    {"contrast", mode, {1}},
                                    {"brightness", mode, {1}}}) {
      for (uint64_t seed = 0; seed < 30; ++seed) {
        const Field x = applied(info, s, seed);
        CHECK(x.data.size() == s.data.size());
        CHECK((x.height == 6 && x.width == 5));
      }
    }
  }
  int most = 0;
  Field smooth;
  smooth.height = smooth.width = 32, smooth.channels = 1;
  for (int i = 0; i < 1024; ++i) smooth.data.push_back(static_cast<uint8_t>(2 * (i % 32) + 3 * (i / 32)));
  const Field x = applied({"rotate", "", {.001}}, smooth, 3);
  for (size_t i = 0; i < 1024; ++i) most = std::max(most, std::abs(x.data[i] - smooth.data[i]));
  CHECK(most <= 2);
  for (const AugmentInfo& bad : {AugmentInfo{"spin", "", {}},
                                 {"flip", "round", {}},
                                 {"zoom", "", {1}},
                                 {"shift", "", {-.1}},
                                 {"rotate", "mirror", {.1}}})
    CHECK_FALSE(Augmenter::create(std::span(&bad, 1)));
  Field dot;  // one pixel
  dot.height = dot.width = dot.channels = 1;
  dot.data = {9};
  CHECK(applied({"rotate", "", {.5}}, dot, 1).data == Bytes{9});
}
