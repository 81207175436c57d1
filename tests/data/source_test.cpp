#include <doctest/doctest.h>

#include <array>
#include <set>

#include "tests/data/support.h"

using namespace netc::rt;
using namespace netc::rt::test;

namespace {

ModelInfo with_classes(ModelInfo info, std::span<const char* const> classes) {
  info.classes = classes;
  info.outputs = keep({{"class", DType::f32, 1, {static_cast<int64_t>(classes.size())}}});
  return info;
}

const ModelInfo kColour = info_for(-1, -1, 3), kGrey = info_for(28, 28, 1);

void write_mnist(const TempFolder& t, const char* joint, bool zip, uint32_t n = 20) {
  Bytes labels;
  for (uint32_t i = 0; i < n; ++i) labels.push_back(static_cast<uint8_t>(i % 10));
  for (const char* half : {"train", "t10k"}) {
    const Bytes images = idx({n, 28, 28}, pattern(static_cast<int>(n * 28), 28, 1)), marks = idx({n}, labels);
    t.write(std::string(half) + "-images" + joint + "idx3-ubyte" + (zip ? ".gz" : ""), zip ? gzip(images) : images);
    t.write(std::string(half) + "-labels" + joint + "idx1-ubyte" + (zip ? ".gz" : ""), zip ? gzip(marks) : marks);
  }
}

}  // namespace

TEST_CASE("a folder: classes, order, other files") {
  TempFolder t;
  t.write("b/2.JPG", jpeg(pattern(9, 7, 3, 2), 9, 7, 3));
  t.write("b/1.png", png(pattern(9, 7, 3, 1), 9, 7, Png::rgb));
  t.write("a/deep/er.jpeg", jpeg(pattern(5, 5, 1), 5, 5, 1));
  t.write("a/notes.txt", {1});
  t.write("a/.hidden.png", {1});
  const auto s = open_source(t.path(), Split::train, kColour);
  REQUIRE(s);
  CHECK((*s)->size() == 3);
  CHECK((*s)->classes() == std::vector<std::string>{"a", "b"});
  CHECK((*s)->name(0) == t.path() + "/a/deep/er.jpeg");
  CHECK((*s)->name(1) == t.path() + "/b/1.png");
  CHECK(has((*s)->describe(), "3 images, 2 classes, 1 other file ignored"));
  Sample x;
  REQUIRE((*s)->read(1, x));
  CHECK(x.inputs[0].data == pattern(9, 7, 3, 1));
  CHECK(label_of(x) == 1);
  CHECK(x.path == t.path() + "/b/1.png");

  static constexpr std::array<const char*, 3> kNet{"c", "b", "a"};
  const auto mapped = open_source(t.path() + "/", Split::test, with_classes(kColour, kNet));
  REQUIRE(mapped);
  CHECK((*mapped)->name(0) == t.path() + "/b/1.png");
  REQUIRE((*mapped)->read(0, x));
  CHECK(label_of(x) == 1);
  CHECK(has((*mapped)->describe(), "none of c"));
  static constexpr std::array<const char*, 2> kOther{"a", "z"};
  CHECK(
      has(error_of(t.path(), with_classes(kColour, kOther)), "the net's classes are [a, z], but the data has [a, b]"));

  const auto list = list_images(t.path());
  REQUIRE(list);
  CHECK(list->size() == 3);
  CHECK(list_images(t.path() + "/b/1.png")->size() == 1);
  CHECK_FALSE(list_images(t.path() + "/none"));
}

TEST_CASE("folders that cannot be used say why") {
  {
    TempFolder named;
    named.write("caf\xe9/a.png", png(pattern(4, 4, 1), 4, 4, Png::grey));
    CHECK(has(error_of(named.path(), kGrey), "is not text in UTF-8"));
  }
  TempFolder t;
  CHECK(has(error_of(t.path(), kColour), "is empty"));
  CHECK(has(error_of(t.path() + "/none", kColour), "no such folder"));
  t.write("x.png", png(pattern(4, 4, 1), 4, 4, Png::grey));
  CHECK(has(error_of(t.path(), kColour), "but no subfolders"));
  CHECK(has(error_of(t.path() + "/x.png", kColour), "is not a folder"));
  t.write("a/x.png", png(pattern(4, 4, 1), 4, 4, Png::grey));
  CHECK(has(error_of(t.path(), kColour), "one class only (a)"));
  t.write("b/readme", {1});
  CHECK(has(error_of(t.path(), kColour), "b: has no images"));
  TempFolder halves;
  for (const char* name : {"train/a/x.png", "train/b/x.png", "test/a/x.png", "test/b/x.png"})
    halves.write(name, png(pattern(4, 4, 1), 4, 4, Png::grey));
  CHECK(has(error_of(halves.path(), kColour), "give one of them"));
  CHECK(has(error_of(halves.path(), info_for(4, 4, 7)), "neither 1 nor 3 channels"));
}

TEST_CASE("specs") {
  CHECK(has(error_of("", kGrey), "no data is given"));
  CHECK(has(error_of("mnits:x", kGrey), "did you mean mnist:?"));
  CHECK(has(error_of("sql:x", kGrey), "no data kind 'sql'"));
  TempFolder t;
  const std::string table = t.write("t.csv", {'a', '\n', '1', '\n'});
  CHECK(has(error_of(table, kGrey), "csv:" + table + ": has 0 columns for the net's input image"));
  CHECK(holds_out(table));
  const std::string dotted = t.path() + "/./t.csv";
  struct Pair {
    std::string a, b;
    Common common;
  };
  for (const Pair& p : {Pair{table, table, Common::all},
                        {table, "csv:" + table, Common::all},
                        {table, dotted, Common::all},
                        {table, dotted + "?missing=drop", Common::file},
                        {table + "?missing=drop", dotted + "?missing=drop", Common::all},
                        {table, t.path() + "/other.csv", Common::nothing},
                        {"synthetic:xor", "synthetic:xor", Common::nothing},
                        {"text:" + table, "csv:" + table, Common::nothing},
                        {table, "", Common::nothing}}) {
    CAPTURE(p.b);
    CHECK(in_common(p.a, p.b) == p.common);
  }
  CHECK(has(error_of("synthetic:letters", kGrey), "synthetic:digits and synthetic:shapes"));
  CHECK(has(error_of("synthetic:digits:0", kGrey), "'0' is not a number"));
  CHECK(has(error_of("synthetic:digits:12x", kGrey), "not a number"));
  CHECK(has(error_of("synthetic:digits:99999999999999999999", kGrey), "not a number"));
  CHECK(has(error_of("mnist:/nonexistent", kGrey), "four MNIST files"));
}

TEST_CASE("MNIST in both namings, plain and gzip") {
  for (const char* joint : {"-", "."}) {
    for (const bool zip : {false, true}) {
      TempFolder t;
      write_mnist(t, joint, zip);
      for (const Split split : {Split::train, Split::test}) {
        const auto s = open_source("mnist:" + t.path(), split, kGrey);
        INFO((s ? "" : s.error()));
        REQUIRE(s);
        CHECK((*s)->size() == 20);
        CHECK((*s)->classes().size() == 10);
        Sample x;
        REQUIRE((*s)->read(13, x));
        CHECK(label_of(x) == 3);
        const Bytes all = pattern(20 * 28, 28, 1);
        CHECK(x.inputs[0].data == Bytes(all.begin() + 13 * 784, all.begin() + 14 * 784));
      }
    }
  }
}

TEST_CASE("damaged IDX files are errors with their name, never crashes") {
  const Bytes images = idx({20, 28, 28}, pattern(20 * 28, 28, 1));
  for (const bool zip : {false, true}) {
    TempFolder t;
    write_mnist(t, "-", zip);
    const std::string name = std::string("train-images-idx3-ubyte") + (zip ? ".gz" : "");
    int refused = 0;
    damage(zip ? gzip(images) : images, 200, [&](const Bytes& b) {
      t.write(name, b);
      const std::string error = error_of("mnist:" + t.path(), kGrey);
      if (b.size() < (zip ? gzip(images) : images).size()) CHECK_FALSE(error.empty());
      if (!error.empty()) CHECK(has(error, t.path()));
      refused += !error.empty();
    });
    CHECK(refused >= 200);
  }
  TempFolder t;
  write_mnist(t, "-", false);
  t.write("train-images-idx3-ubyte", idx({0xffffffff, 4096, 4096}, {1, 2, 3}));
  CHECK(has(error_of("mnist:" + t.path(), kGrey), "announces"));
  t.write("train-images-idx3-ubyte", idx({19, 28, 28}, pattern(19 * 28, 28, 1)));
  CHECK(has(error_of("mnist:" + t.path(), kGrey), "20 labels for the 19 images"));
}

TEST_CASE("synthetic data: sizes, classes, the same each time") {
  const auto digits = open_source("synthetic:digits", Split::train, kGrey),
             test = open_source("synthetic:digits", Split::test, kGrey);
  REQUIRE(digits);
  REQUIRE(test);
  CHECK((*digits)->size() == 10000);
  CHECK((*test)->size() == 2000);
  const auto few = open_source("synthetic:digits:50", Split::train, kGrey);
  REQUIRE(few);
  Sample a, b, c;
  for (size_t i = 0; i < 50; ++i) {
    REQUIRE((*digits)->read(i, a));
    REQUIRE((*few)->read(i, b));
    REQUIRE((*test)->read(i, c));
    CHECK(a.inputs[0].data == b.inputs[0].data);
    CHECK(label_of(a) == label_of(b));
    CHECK(a.inputs[0].data != c.inputs[0].data);
    CHECK(label_of(a) == static_cast<int>(i % 10));
  }
  const auto shapes = open_source("synthetic:shapes:10", Split::train, kColour);
  REQUIRE(shapes);
  CHECK((*shapes)->classes().size() == 5);
  REQUIRE((*shapes)->read(3, a));
  CHECK((a.inputs[0].height == 32 && a.inputs[0].width == 32 && a.inputs[0].channels == 3));

  static constexpr std::array<const char*, 3> kFaces{"angry", "happy", "sad"};
  const auto three = open_source("synthetic:shapes:9", Split::train, with_classes(kColour, kFaces));
  REQUIRE(three);
  CHECK((*three)->classes() == std::vector<std::string>{"angry", "happy", "sad"});
  CHECK(has((*three)->describe(), "drawn as circle, square, triangle"));
  static constexpr std::array<const char*, 2> kTwo{"star", "circle"};
  const auto two = open_source("synthetic:shapes:4", Split::train, with_classes(kColour, kTwo));
  REQUIRE(two);
  REQUIRE((*two)->read(0, b));
  CHECK(label_of(b) == 0);
  CHECK_FALSE(has((*two)->describe(), "drawn as"));
  CHECK(has(error_of("synthetic:digits", info_for(4, 4, 1)), "from 8 x 8"));
  const auto large = open_source("synthetic:shapes:4000", Split::train, info_for(224, 224, 3));  // drawn when read
  REQUIRE(large);
  CHECK_FALSE((*large)->in_memory());
  REQUIRE((*large)->read(3999, a));
  REQUIRE((*large)->read(3999, b));
  CHECK(a.inputs[0].data == b.inputs[0].data);
}

TEST_CASE("the project's real data") {
  const std::string mnist = shared_data("mnist"), faces = shared_data("faces/train");
  if (mnist.empty() || faces.empty()) {
    MESSAGE("skipped: ../shared/data is not there");
    return;
  }
  const auto m = open_source("mnist:" + mnist, Split::test, kGrey);
  REQUIRE(m);
  CHECK((*m)->size() == 10000);
  static constexpr std::array<const char*, 3> kFaces{"angry", "happy", "sad"};
  const auto f = open_source(faces, Split::train, with_classes(kColour, kFaces));
  REQUIRE(f);
  CHECK((*f)->size() == 737);
  Sample x;
  std::vector<std::string> errors;  // one of the files is a WebP image with the wrong ending
  for (size_t i = 0; i < (*f)->size(); ++i)
    if (const auto r = (*f)->read(i, x); !r) errors.push_back(r.error());
  REQUIRE(errors.size() == 1);
  CHECK(has(errors[0], "is WebP, not what its name says: rename or convert it"));
}
