// The other kinds of data: cifar:, text:, pairs:, masks:, and what synthetic: gives besides images.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <set>

#include "runtime/data/augment.h"
#include "runtime/data/ports.h"
#include "tests/data/support.h"

using namespace netc::rt;
using namespace netc::rt::test;

namespace {

PortInfo photo(const char* name, int64_t channels = 3) { return {name, DType::u8, 3, {-1, -1, channels}}; }

/// Records of a label (two bytes for CIFAR-100) and planes.
Bytes cifar_records(int n, size_t labels, int classes) {
  Bytes out;
  for (int i = 0; i < n; ++i) {
    out.insert(out.end(), labels, static_cast<uint8_t>(i % classes));
    for (int k = 0; k < 3072; ++k) out.push_back(static_cast<uint8_t>(i + k / 1024 * 50));
  }
  return out;
}

}  // namespace

TEST_CASE("cifar: binary files of both versions, and a folder of the two halves") {
  TempFolder t;
  for (int i = 1; i <= 5; ++i)
    t.write("ten/cifar-10-batches-bin/data_batch_" + std::to_string(i) + ".bin", cifar_records(4, 1, 10));
  t.write("ten/cifar-10-batches-bin/test_batch.bin", cifar_records(3, 1, 10));
  t.write("ten/cifar-10-batches-bin/batches.meta.txt",
          bytes_of("plane\ncar\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n"));
  t.write("hundred/train.bin", cifar_records(6, 2, 100));
  t.write("hundred/test.bin", cifar_records(2, 2, 100));
  const ModelInfo info = info_for(32, 32, 3);
  const auto ten = opened("cifar:" + t.path() + "/ten", info),
             test = opened("cifar:" + t.path() + "/ten/", info, Split::held_out);
  CHECK((ten->size() == 20 && test->size() == 3));
  CHECK(ten->classes()[1] == "car");
  Sample x;
  REQUIRE(ten->read(6, x));
  CHECK(label_of(x) == 2);
  CHECK((x.inputs[0].height == 32 && x.inputs[0].channels == 3));
  CHECK((x.inputs[0].data[0] == 2 && x.inputs[0].data[1] == 52 && x.inputs[0].data[2] == 102));
  CHECK(opened("cifar:" + t.path() + "/hundred", info_for(32, 32, 1, DType::u8, 100))->classes().size() == 100);
  CHECK(has(error_of("cifar:" + t.path(), info), "there is no data_batch_1.bin"));
  for (const char* name : {"f/train/a/x.png", "f/train/b/x.png", "f/test/a/x.png", "f/test/b/x.png", "f/test/b/y.png"})
    t.write(name, png(pattern(4, 4, 3), 4, 4, Png::rgb));
  CHECK(opened("cifar:" + t.path() + "/f", info)->size() == 2);
  CHECK(opened("cifar:" + t.path() + "/f", info, Split::test)->size() == 3);
  damage(cifar_records(2, 1, 10), 60, [&](const Bytes& b) {
    t.write("bad/test_batch.bin", b);
    const std::string e = error_of("cifar:" + t.path() + "/bad", info, Split::test);
    if (b.size() % 3073 != 0) CHECK(has(e, "damaged or cut off"));
  });
}

TEST_CASE("text: characters and bytes, the next one as the label, the end held out") {
  TempFolder t;
  std::string text;
  for (int i = 0; i < 200; ++i) text += "abc\xc3\xa4";  // five bytes, four characters
  const std::string spec = "text:" + t.write("a.txt", bytes_of(text));
  const PortInfo in{"tokens", DType::i32, 1, {8}}, all{"next", DType::i32, 1, {8}};
  const ModelInfo info = info_of({in}, {{"y", DType::f32, 2, {8, 4}}}, {all});
  const auto s = opened(spec, info);
  CHECK(s->classes() == std::vector<std::string>{"a", "b", "c", "\xc3\xa4"});
  CHECK(s->size() == 99);  // of 800 characters, the last has nothing after it
  Sample x;
  REQUIRE(s->read(3, x));
  CHECK(values<int32_t>(x.inputs[0]) == std::vector<int32_t>{0, 1, 2, 3, 0, 1, 2, 3});
  CHECK(values<int32_t>(x.labels[0]) == std::vector<int32_t>{1, 2, 3, 0, 1, 2, 3, 0});
  CHECK(opened(spec, info, Split::held_in)->size() == 89);
  CHECK(opened(spec, info, Split::held_out)->size() == 9);
  const auto one = opened(spec, info_of({in}, {f32("y", 4)}, {index("next")}));
  CHECK(one->size() == 792);
  REQUIRE(one->read(1, x));
  CHECK(values<int32_t>(x.inputs[0])[0] == 1);
  CHECK(label_of(x) == 1);
  const auto bytes = opened(spec, info_of({in}, {{"y", DType::f32, 2, {8, 256}}}, {all}));
  CHECK(bytes->classes().empty());
  // to predict: bytes as well
  CHECK(opened(spec, info_of({in}, {{"y", DType::f32, 2, {8, 256}}}, {}))->classes().empty());
  REQUIRE(bytes->read(0, x));
  CHECK(values<int32_t>(x.inputs[0])[3] == 0xc3);

  CHECK(has(error_of(spec, info_of({in}, {{"y", DType::f32, 2, {8, 3}}}, {all})),
            "has 4 different characters, but the net tells 3 apart"));
  CHECK(has(error_of(spec, info_of({f32("x", 8)}, {f32("y", 4)}, {})), "the net takes x f32[8]"));
  CHECK(has(error_of(spec, info_of({in}, {f32("y", 4)}, {f32("next", 4)})), "label next is f32[4]"));
  CHECK(has(error_of("text:" + t.write("short.txt", bytes_of("abc")), info), "has 3 characters"));
  ModelInfo named = info;
  static constexpr std::array<const char*, 3> kLetters{"a", "b", "c"};
  named.classes = kLetters;
  CHECK(has(error_of(spec, named), "is none of those that the net knows"));
  CHECK(has(error_of("text:" + t.path(), info), "is a folder"));
}

TEST_CASE("pairs: half of one class, half of two, the same each time") {
  const ModelInfo info = info_of({photo("left", 1), photo("right", 1)}, {f32("same", 1)}, {index("label")});
  const ModelInfo one = info_for(-1, -1, 1);
  const auto pairs = opened("pairs:synthetic:digits:200", info), singles = opened("synthetic:digits:200", one);
  REQUIRE(pairs->size() == 200);
  CHECK(pairs->classes() == std::vector<std::string>{"different", "same"});
  std::set<Bytes> partners;
  Sample x, y, a;
  for (size_t i = 0; i < 200; ++i) {
    REQUIRE(pairs->read(i, x));
    REQUIRE(pairs->read(i, y));
    REQUIRE(singles->read(i, a));
    CHECK(x.inputs[0].data == a.inputs[0].data);
    CHECK(x.inputs[1].data == y.inputs[1].data);
    CHECK(x.inputs[0].data != x.inputs[1].data);
    CHECK(label_of(x) == (i % 2 == 0));
    size_t other = 0;
    while (singles->read(other, a), a.inputs[0].data != x.inputs[1].data) ++other;
    CHECK((singles->class_of(other) == singles->class_of(i)) == (label_of(x) == 1));
    partners.insert(x.inputs[1].data);
  }
  CHECK(partners.size() > 80);
  REQUIRE(opened("pairs:synthetic:digits:20", info_of({photo("l", 1), photo("r", 1)}, {f32("s", 1)}, {f32("t", 1)}))
              ->read(0, x));
  CHECK(values<float>(x.labels[0]) == std::vector<float>{1});
  CHECK(has(error_of("pairs:synthetic:digits", one), "gives two images, but the net takes 1 inputs"));
  CHECK(has(error_of("synthetic:digits", info), "pairs:synthetic:digits makes pairs"));
  CHECK(opened("pairs:synthetic:xor:40", info_of({f32("a", 2), f32("b", 2)}, {f32("s", 1)}, {index("t")}))->size() ==
        40);
  TempFolder t;
  t.write("a/x.png", png(pattern(4, 4, 1), 4, 4, Png::grey));
  t.write("b/x.png", png(pattern(4, 4, 1), 4, 4, Png::grey));
  const auto few = opened("pairs:" + t.path(), info);  // no class has two
  REQUIRE(few->read(0, x));
  CHECK(label_of(x) == 0);
  CHECK(holds_out("pairs:csv:x.csv"));
  CHECK_FALSE(holds_out("pairs:mnist:x"));
}

TEST_CASE("masks: palettes and greys as indices, resized to the label by the nearest pixel") {
  TempFolder t;
  Bytes mask(8 * 6, 0);
  for (int y = 4; y < 8; ++y)
    for (int x = 0; x < 6; ++x) mask[static_cast<size_t>(y * 6 + x)] = 2;
  for (int i = 0; i < 10; ++i) {
    t.write("images/" + std::to_string(i) + (i % 2 ? ".jpg" : ".png"),
            i % 2 ? jpeg(pattern(8, 6, 3), 8, 6, 3) : png(pattern(8, 6, 3), 8, 6, Png::rgb));
    t.write("masks/" + std::to_string(i) + ".png", png(mask, 8, 6, i % 3 ? Png::palette : Png::grey));
  }
  const ModelInfo info =
      info_of({photo("image")}, {{"y", DType::f32, 3, {4, 3, 3}}}, {{"mask", DType::i32, 2, {4, 3}}});
  const std::string spec = "masks:" + t.path();
  const auto s = opened(spec, info);
  REQUIRE(s->size() == 10);
  for (size_t i = 0; i < 10; ++i) {
    Sample x;
    REQUIRE(s->read(i, x));
    CHECK(x.labels[0].data == mask);
    std::vector<int32_t> out(12, -1);
    REQUIRE(put_label(info, 0, x.labels[0], "", out.data()));
    CHECK(out == std::vector<int32_t>{0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2});
  }
  CHECK((opened(spec, info, Split::held_in)->size() == 8 && opened(spec, info, Split::held_out)->size() == 2));
  PortInfo cut = photo("image");
  cut.stretched = false;
  CHECK(has(error_of(spec, info_of({cut}, {{"y", DType::f32, 3, {4, 3, 3}}}, {{"mask", DType::i32, 2, {4, 3}}})),
            "masks would no longer lie over them"));
  const ModelInfo two = info_of({photo("image")}, {{"y", DType::f32, 3, {4, 3, 2}}}, {{"mask", DType::i32, 2, {4, 3}}});
  Sample x;
  CHECK(has(opened(spec, two)->read(0, x).error(), "has a pixel of class 2, but the net tells 2 apart"));
  CHECK(has(error_of(spec, info_for(-1, -1, 3)), "but not the net's label label, i32[]"));
  t.write("masks/0.png", png(pattern(8, 6, 3), 8, 6, Png::rgb));
  CHECK(has(s->read(0, x).error(), "has colours"));
  t.write("masks/0.png", png(Bytes(8 * 6, 1), 8, 6, Png::grey16));
  CHECK(has(s->read(0, x).error(), "has 16 bits for each pixel"));
  t.write("masks/0.png", png(Bytes(12), 3, 4, Png::grey));
  CHECK(has(s->read(0, x).error(), "is 3 x 4, its image 8 x 6"));
  t.write("images/new.png", png(pattern(8, 6, 3), 8, 6, Png::rgb));
  CHECK(has(error_of(spec, info), "new.png: has no mask"));
  CHECK(has(error_of("masks:" + t.path() + "/images", info), "there is no folder"));
}

TEST_CASE("synthetic:shapes with boxes and masks") {
  const PortInfo box = f32("corner", 4), mask{"mask", DType::i32, 2, {32, 32}};
  const ModelInfo info =
      info_of({{"image", DType::u8, 3, {32, 32, 3}}},
              {f32("kind", 5), f32("place", 4), {"pixels", DType::f32, 3, {32, 32, 6}}}, {index("label"), box, mask});
  const auto s = opened("synthetic:shapes:40", info),
             plain = opened("synthetic:shapes:40", info_for(32, 32, 3, DType::u8, 5));
  CHECK(s->places());
  for (size_t i = 0; i < 40; ++i) {
    Sample x, y;
    REQUIRE(s->read(i, x));
    REQUIRE(plain->read(i, y));
    CHECK(x.inputs[0].data == y.inputs[0].data);
    CHECK(values<int32_t>(x.labels[0]) == values<int32_t>(y.labels[0]));
    const auto b = values<float>(x.labels[1]);
    CHECK((b[0] >= 0 && b[1] >= 0 && b[2] > 0.15f && b[3] > 0.15f && b[0] + b[2] <= 1 && b[1] + b[3] <= 1));
    std::set<uint8_t> seen(x.labels[2].data.begin(), x.labels[2].data.end());
    CHECK(seen == std::set<uint8_t>{0, static_cast<uint8_t>(1 + i % 5)});
    for (int k = 0; k < 32 * 32; ++k) {
      const float px = (static_cast<float>(k % 32) + .5f) / 32, py = (static_cast<float>(k / 32) + .5f) / 32;
      if (x.labels[2].data[static_cast<size_t>(k)])
        CHECK((px > b[0] && px < b[0] + b[2] && py > b[1] && py < b[1] + b[3]));
    }
  }
  ModelInfo moved = info;
  static const AugmentInfo kFlip[] = {{"flip", "horizontal", {}}}, kLight[] = {{"brightness", "", {.1}}};
  moved.augment = kFlip;
  CHECK(has(Loader::create(*s, FakeModel(moved), {8, 1, 0, false, true}).error(), "a label is a place in the image"));
  moved.augment = kLight;
  CHECK(Loader::create(*s, FakeModel(moved), {8, 1, 0, false, true}));
  CHECK(has(error_of("synthetic:shapes", info_of({{"image", DType::u8, 3, {32, 32, 3}}}, {f32("a", 4), f32("b", 4)},
                                                 {f32("x", 4), f32("y", 4)})),
            "x has it already"));
  CHECK(opened("synthetic:digits:4", info_of({f32("x", 784)}, {f32("y", 784)}, {}))->size() == 4);
}

TEST_CASE("synthetic:xor and synthetic:series") {
  const ModelInfo points = info_of({f32("x", 2)}, {f32("y", 1)}, {index("label")});
  const auto s = opened("synthetic:xor:500", points);
  CHECK(s->size() == 500);
  CHECK(opened("synthetic:xor:500", points, Split::test)->size() == 100);
  int ones = 0;
  Sample x;
  for (size_t i = 0; i < 500; ++i) {
    REQUIRE(s->read(i, x));
    const auto v = values<float>(x.inputs[0]);
    CHECK(label_of(x) == (v[0] * v[1] < 0));
    ones += label_of(x);
  }
  CHECK((ones > 200 && ones < 300));
  const auto series = opened("synthetic:series:20",
                             info_of({f32("x", 30)}, {f32("y", 3), f32("z", 2)}, {f32("next", 3), index("form")}));
  REQUIRE(series->read(7, x));
  CHECK(values<float>(x.labels[0]).size() == 3);
  for (const float v : values<float>(x.inputs[0])) CHECK(std::abs(v) < 1.1f);
  CHECK(has(error_of("synthetic:xor", info_of({f32("x", 3)}, {f32("y", 1)}, {index("label")})),
            "gives f32[2], but the net takes x f32[3]"));
  CHECK(has(error_of("synthetic:xor", info_of({f32("x", 2)}, {f32("y", 1)}, {f32("label", 1)})),
            "has nothing for the net's label label"));
}

TEST_CASE("images without labels; what a source does not give") {
  TempFolder t;
  t.write("only/x.png", png(pattern(4, 4, 3), 4, 4, Png::rgb));
  const auto s = opened(t.path(), info_of({photo("image")}, {f32("y", 4)}, {}));  // one class is enough then
  Sample x;
  REQUIRE(s->read(0, x));
  CHECK(x.labels.empty());
  CHECK(has(error_of("synthetic:digits", info_of({photo("image", 1)}, {f32("y", 7)}, {f32("target", 7)})),
            "gives a class (i32[]), a box (f32[4]) and a mask (i32[height, width]) to each image, but not the net's "
            "label target, f32[7]"));
  CHECK(has(error_of(t.path(), info_of({photo("image")}, {f32("y", 4)}, {f32("b", 4)})),
            "gives a class (i32[]) to each image, but not the net's label b"));
  CHECK(type_text(photo("x")) == "u8[*, *, 3]");
}

TEST_CASE("masks follow their image") {
  Field image, mask;
  image.height = mask.height = 12, image.width = mask.width = 10, image.channels = mask.channels = 1;
  for (int i = 0; i < 120; ++i) mask.data.push_back(i / 10 > 3 && i % 10 > 4 ? 1 : 0);
  for (const uint8_t m : mask.data) image.data.push_back(m ? 255 : 0);
  static const AugmentInfo kSteps[] = {{"flip", "both", {}},
                                       {"rotate", "", {.2}},
                                       {"shift", "", {.2}},
                                       {"zoom", "", {.2}}};
  for (const size_t n : {size_t{1}, size_t{4}}) {
    auto a = Augmenter::create(std::span(kSteps, n));
    REQUIRE(a);
    CHECK(a->moves());
    for (uint64_t seed = 0; seed < 30; ++seed) {
      Field i = image, m = mask;
      a->apply(i, CounterRandom(seed, 0));
      a->follow(m, CounterRandom(seed, 0));
      int apart = 0;
      for (size_t k = 0; k < 120; ++k)
        apart += (i.data[k] > 127) != (m.data[k] == 1) && (i.data[k] < 100 || i.data[k] > 155);
      CHECK(apart <= (n == 1 ? 0 : 3));
      for (const uint8_t v : m.data) CHECK(v <= 1);
    }
  }
}

TEST_CASE("rows and classes that the net does not have are refused") {
  const ModelInfo info =
      info_of({{"text", DType::i32, 1, {3}, 10}}, {{"next", DType::f32, 2, {3, 4}}}, {{"label", DType::i32, 1, {3}}});
  const FakeModel model(info);
  CHECK(indices_below(info, 0) == 4);
  int32_t out[3];
  struct Variant {
    int32_t values[3];
    bool token, label;
  };
  for (const Variant& v : {Variant{{0, 3, 1}, true, true},
                           {{0, 4, 1}, true, false},
                           {{9, 9, 9}, true, false},
                           {{10, 0, 0}, false, false},
                           {{0, 0, -1}, false, false}}) {
    Field f;
    std::copy_n(v.values, 3, f.values<int32_t>(3));
    CHECK(ingest_field(model, 0, f, "x", out).has_value() == v.token);
    CHECK(put_label(info, 0, f, "x", out).has_value() == v.label);
  }
  // no class for each row: any numbers
  const ModelInfo values = info_of({f32("x", 1)}, {f32("y", 4)}, {{"label", DType::i32, 1, {4}}});
  CHECK(indices_below(values, 0) == 0);
}
