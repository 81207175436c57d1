// Tables and arrays: csv: and npy:, whole and damaged.
#include <doctest/doctest.h>

#include <zlib.h>

#include <array>
#include <cstring>
#include <limits>
#include <set>

#include "runtime/data/csv_table.h"
#include "runtime/data/npy_file.h"
#include "tests/data/support.h"

using namespace netc::rt;
using namespace netc::rt::test;

namespace {

std::string csv_error(const std::string& text) {
  const auto t = CsvTable::parse(text, "t.csv");
  return t ? "" : t.error();
}

/// A .npy file.
Bytes npy(const std::string& descr, const std::string& shape, const Bytes& data, const char* order = "False") {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
  header.resize((header.size() + 10 + 64) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  Bytes out = bytes_of(std::string("\x93NUMPY\x01\x00", 8));
  out.push_back(static_cast<uint8_t>(header.size()));
  out.push_back(static_cast<uint8_t>(header.size() >> 8));
  out.insert(out.end(), header.begin(), header.end());
  out.insert(out.end(), data.begin(), data.end());
  return out;
}
template <class T>
Bytes raw(const std::vector<T>& v) {
  Bytes b(v.size() * sizeof(T));
  std::memcpy(b.data(), v.data(), b.size());
  return b;
}

void put(Bytes& out, uint64_t v, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<uint8_t>(v >> (8 * i)));
}
/// A ZIP archive as numpy.savez, or savez_compressed, writes it.
Bytes zip(const std::vector<std::pair<std::string, Bytes>>& files, bool packed, bool wide = false) {
  Bytes out, directory;
  for (const auto& [name, data] : files) {
    Bytes body = data;
    if (packed) {
      body.resize(compressBound(data.size()));
      z_stream z{};
      deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
      z.next_in = const_cast<uint8_t*>(data.data()), z.avail_in = static_cast<unsigned>(data.size());
      z.next_out = body.data(), z.avail_out = static_cast<unsigned>(body.size());
      deflate(&z, Z_FINISH);
      body.resize(z.total_out);
      deflateEnd(&z);
    }
    const uint64_t at = out.size(), crc = crc32(0, data.data(), static_cast<unsigned>(data.size())),
                   method = packed ? 8 : 0;
    put(out, 0x04034b50, 4), put(out, 45, 2), put(out, 0, 2), put(out, method, 2), put(out, 0, 4), put(out, crc, 4),
        put(out, body.size(), 4), put(out, data.size(), 4);
    put(out, name.size(), 2), put(out, 0, 2);
    out.insert(out.end(), name.begin(), name.end());
    out.insert(out.end(), body.begin(), body.end());
    const uint64_t none = 0xffffffff;
    put(directory, 0x02014b50, 4), put(directory, 45, 2), put(directory, 45, 2), put(directory, 0, 2),
        put(directory, method, 2), put(directory, 0, 4), put(directory, crc, 4);
    put(directory, wide ? none : body.size(), 4), put(directory, wide ? none : data.size(), 4),
        put(directory, name.size(), 2), put(directory, wide ? 28 : 0, 2);
    put(directory, 0, 2), put(directory, 0, 2), put(directory, 0, 2), put(directory, 0, 4),
        put(directory, wide ? none : at, 4);
    directory.insert(directory.end(), name.begin(), name.end());
    if (wide)
      put(directory, 1, 2), put(directory, 24, 2), put(directory, data.size(), 8), put(directory, body.size(), 8),
          put(directory, at, 8);
  }
  const uint64_t at = out.size();
  out.insert(out.end(), directory.begin(), directory.end());
  put(out, 0x06054b50, 4), put(out, 0, 4), put(out, files.size(), 2), put(out, files.size(), 2),
      put(out, directory.size(), 4), put(out, at, 4), put(out, 0, 2);
  return out;
}

}  // namespace

TEST_CASE("CSV as RFC 4180 has it") {
  const auto t = CsvTable::parse(
      "\xef\xbb\xbf"
      "a,\"b \"\"x\"\"\",c\r\n1,\"two,\nlines\",\r\n\n\"\",x y,3",
      "t.csv");
  REQUIRE(t);
  CHECK(t->names() == std::vector<std::string>{"a", "b \"x\"", "c"});
  REQUIRE(t->rows() == 2);
  CHECK(t->cell(0, 1) == "two,\nlines");
  CHECK(t->cell(0, 2).empty());
  CHECK(t->cell(1, 0).empty());
  CHECK(t->cell(1, 2) == "3");
  CHECK(t->line(1) == 5);
  CHECK(has(csv_error(""), "is empty"));
  CHECK(has(csv_error("a,b\n"), "no rows"));
  CHECK(has(csv_error("a,b\n1,2\n1,2,3\n"), "t.csv:3: has 3 cells, the header 2"));
  CHECK(has(csv_error("a,b\n1,\"2\n"), "t.csv:2: a quote is not closed"));
  CHECK(has(csv_error("a,b\n1,\"2\"x\n"), "after a closing quote"));
  CHECK(has(csv_error("a,a\n1,2\n"), "two columns are called 'a'"));
  const std::string good = "a,\"b\",c\r\n1,\"x\"\"y\",3\r\n4,\"5\n6\",7\r\n";
  damage(bytes_of(good), 400, [](const Bytes& b) { CsvTable::parse({b.begin(), b.end()}, "t.csv"); });
}

TEST_CASE("csv: classes by name, features in order, the label last or by its name") {
  TempFolder t;
  std::string text = "length,width,kind\n";
  for (int i = 0; i < 50; ++i)
    text += std::to_string(i) + "," + std::to_string(i) + ".5," +
            (i % 3 == 0   ? "rose"
             : i % 3 == 1 ? "iris"
                          : "\"lily\"") +
            "\n";
  const std::string path = t.write("flowers.csv", bytes_of(text)), spec = "csv:" + path;
  const ModelInfo info = info_of({f32("x", 2)}, {f32("y", 3)}, {index("label")});
  const auto s = opened(spec, info);
  CHECK(s->size() == 50);
  CHECK(s->classes() == std::vector<std::string>{"iris", "lily", "rose"});
  CHECK(has(s->describe(), "50 rows of 3 columns, 3 classes"));
  CHECK(s->name(3) == spec + " line 5");
  Sample x;
  REQUIRE(s->read(4, x));
  CHECK(values<float>(x.inputs[0]) == std::vector<float>{4, 4.5f});
  CHECK(label_of(x) == 0);
  CHECK(s->class_of(4) == 0);

  ModelInfo named = info;
  static constexpr std::array<const char*, 3> kNames{"rose", "lily", "iris"};
  named.classes = kNames;
  REQUIRE(opened(spec, named)->read(4, x));
  CHECK(label_of(x) == 2);
  static constexpr std::array<const char*, 2> kOther{"rose", "lily"};
  named.classes = kOther;
  CHECK(has(error_of(spec, named), "the net's classes are [rose, lily]"));

  const auto in = opened(spec, info, Split::held_in), out = opened(spec, info, Split::held_out);
  CHECK((in->size() == 40 && out->size() == 10));
  std::set<std::string> seen;
  for (size_t i = 0; i < 40; ++i) seen.insert(in->name(i));
  for (size_t i = 0; i < 10; ++i) CHECK(seen.insert(out->name(i)).second);
  CHECK(opened(spec, info, Split::test)->size() == 50);

  CHECK(opened(spec, info_of({f32("x", 2)}, {f32("y", 2)}, {}))->size() == 50);  // an autoencoder of the features
  CHECK(has(error_of(spec, info_of({f32("x", 5)}, {f32("y", 3)}, {index("label")})),
            "2 columns for the net's input x (length, width), which is f32[5]"));
  CHECK(has(error_of(spec, info_of({{"photo", DType::u8, 3, {-1, -1, 3}}}, {f32("y", 3)}, {index("label")})),
            "is a table"));
  CHECK(has(error_of(spec, info_of({f32("x", 2)}, {f32("y", 1)}, {f32("label", 1)})),
            "'rose' in column kind is no number"));
  CHECK(has(error_of("csv:" + t.path() + "/none.csv", info), "cannot open"));
}

TEST_CASE("csv: several inputs and labels by name, integers, numbers that are none") {
  TempFolder t;
  const std::string path =
      t.write("many.csv", bytes_of("b_1,a,b_2,price,class,id\n1,2,3,4.5,1,77\n-1,0,1e2,+5,0,78\n"));
  const ModelInfo info =
      info_of({f32("b", 2), {"a", DType::i32, 0, {}}}, {f32("y", 2), f32("z", 1)}, {index("class"), f32("price", 1)});
  const auto s = opened("csv:" + path, info);
  CHECK(s->classes() == std::vector<std::string>{"0", "1"});
  CHECK(has(s->describe(), "1 column not used"));
  Sample x;
  REQUIRE(s->read(1, x));
  CHECK(values<float>(x.inputs[0]) == std::vector<float>{-1, 100});
  CHECK(values<int32_t>(x.inputs[1]) == std::vector<int32_t>{0});
  CHECK(values<int32_t>(x.labels[0]) == std::vector<int32_t>{0});
  CHECK(values<float>(x.labels[1]) == std::vector<float>{5});
  CHECK(has(error_of("csv:" + path, info_of({f32("p", 1), f32("q", 1)}, {f32("y", 2)}, {})),
            "no columns of the names of the net's inputs p, q"));
  for (const char* bad : {"", "x", "1e999", "nan", "1,5"}) {
    const std::string text = "a,label\n1,0\n" +
                             (bad[0] == '1' && bad[1] == ',' ? "\"" + std::string(bad) + "\"" : std::string(bad)) +
                             ",1\n";
    CHECK(has(
        error_of("csv:" + t.write("bad.csv", bytes_of(text)), info_of({f32("x", 1)}, {f32("y", 2)}, {index("label")})),
        "bad.csv:3: "));
  }
  CHECK(has(error_of("csv:" + t.write("big.csv", bytes_of("a,label\n3000000000,0\n1,1\n")),
                     info_of({{"x", DType::i32, 1, {1}}}, {f32("y", 2)}, {index("label")})),
            "integer in range"));
  CHECK(has(error_of("csv:" + t.write("gap.csv", bytes_of("a,label\n3,\n1,1\n")),
                     info_of({f32("x", 1)}, {f32("y", 2)}, {index("label")})),
            "the class in column label is missing"));
}

TEST_CASE("csv: what people's tables are like") {
  TempFolder t;
  const ModelInfo info = info_of({f32("x", 2)}, {f32("y", 2)}, {index("label")});
  const std::string utf16(
      "\xff\xfe"
      "a\0,\0b\0\n\0",
      10);
  struct Variant {
    const char* what;
    std::string text;
    const char* options;
    const char* says;
    std::vector<float> second;
  };
  const Variant variants[] = {
      {"tabs", "a\tb\tlabel\n1\t2\t0\n3\t4\t1\n", "", "", {3, 4}},
      {"semicolons", "a;b;label\r\n1;2;0\r\n3;4;1\r\n", "", "", {3, 4}},
      {"a mark in front, spaces",
       "\xef\xbb\xbf"
       "a, b, label\n1, 2, 0\n 3 , 4 , 1\n",
       "",
       "",
       {3, 4}},
      {"decimal commas", "a;b;label\n1;2,5;0\n3;4;1\n", "", "with a point", {}},
      {"UTF-16", utf16, "", "UTF-16", {}},
      {"UTF-16 without a mark", utf16.substr(2), "", "UTF-16", {}},
      {"no header", "1,2,0\n3,4,1\n", "", "there is no header", {}},
      {"no header, classes by name", "1.5,2,red\n3,4,blue\n", "", "there is no header", {}},
      {"no header, said", "1,2,0\n3,4,1\n", "?header=no", "", {3, 4}},
      {"a header of numbers, said", "2019,2020,2021\n1,2,0\n3,4,1\n", "?header=yes", "", {3, 4}},
      {"a column too many", "id,a,b,label\n7,1,2,0\n8,3,4,1\n", "", "3 columns for the net's input x (id, a, b)", {}},
      {"left out", "id,a,b,label\n7,1,2,0\n8,3,4,1\n", "?ignore=id", "", {3, 4}},
      {"left out, but not there", "a,b,label\n1,2,0\n3,4,1\n", "?ignore=id", "no column 'id' to ignore", {}},
      {"missing", "a,b,label\n1,2,0\n3,,1\n", "", "t.csv:3: the value in column b is missing", {}},
      {"missing, by name", "a,b,label\n1,2,0\n3,NA,1\n", "", "the value in column b is missing", {}},
      {"missing, mean", "a,b,label\n1,2,0\n3,NA,1\n5,6,1\n", "?missing=mean", "", {3, 4}},
      {"missing, zero", "a,b,label\n1,2,0\n3,?,1\n", "?missing=zero", "", {3, 0}},
      {"missing, drop", "a,b,label\n1,2,0\n3,,1\n5,6,1\n", "?missing=drop", "", {5, 6}},
      {"two options", "id;a;b;label\n7;1;2;0\n8;3;;1\n", "?ignore=id&missing=zero", "", {3, 0}},
      {"a class that is missing",
       "a,b,label\n1,2,0\n3,4,NA\n",
       "",
       "t.csv:3: the class in column label is missing",
       {}},
      {"a class that is missing, drop", "a,b,label\n1,2,0\n3,4,NA\n5,6,1\n", "?missing=drop", "", {5, 6}},
      {"an option twice", "a,b,label\n1,2,0\n3,,1\n", "?missing=mean&missing=zero", "missing= is given twice", {}},
      {"Latin-1", "a,b,label\n1,2,gr\xfcn\n3,4,rot\n", "", "t.csv:2: is not text in UTF-8", {}},
      {"Latin-1 in the header",
       "gr\xf6\xdf"
       "e,b,label\n1,2,0\n3,4,1\n",
       "",
       "t.csv:1: is not text in UTF-8",
       {}},
      {"no option", "a,b,label\n1,2,0\n3,4,1\n", "?missing=guess", "'missing=guess' is no option of a table", {}},
  };
  for (const Variant& v : variants) {
    CAPTURE(v.what);
    const std::string spec = "csv:" + t.write("t.csv", bytes_of(v.text)) + v.options;
    if (*v.says) {
      CHECK(has(error_of(spec, info), v.says));
      continue;
    }
    const auto s = opened(spec, info);
    Sample x;
    REQUIRE(s->read(1, x));
    CHECK(values<float>(x.inputs[0]) == v.second);
  }
}

TEST_CASE("csv: later tables are read by the names of the columns that the net was trained on") {
  TempFolder t;
  const ModelInfo info = info_of({f32("x", 2)}, {f32("y", 2)}, {index("label")});
  const auto trained = opened(
      "csv:" + t.write("train.csv", bytes_of("key,a,b,label\n9,1,2,0\n8,3,,1\n7,5,6,1\n")) + "?ignore=key&missing=mean",
      info);
  REQUIRE(trained->columns());
  CHECK(trained->columns()->inputs == std::vector<std::string>{"a", "b"});
  CHECK(trained->columns()->labels == std::vector<std::string>{"label"});
  CHECK(trained->columns()->fills == std::vector<double>{3, 4});
  ModelInfo known = info, answering = info;
  known.columns = answering.columns = trained->columns();
  answering.labels = {}, answering.losses = {};
  struct Variant {
    const char *text, *options, *says;
    bool labelled;
  };
  const Variant variants[] = {
      {"label,b,a\n1,20,10\n", "", "", true},
      {"b,a\n20,10\n", "", "", false},
      {"b,label,a\n20,1,10\n", "", "", false},       // a label is of no use, and does not matter
      {"key,b,label,a\n5,20,1,10\n", "", "", true},  // training had it, and left it out
      {"id,b,a\n5,20,10\n", "", "a column that the net was not trained on: id; leave it out: 'csv:", false},
      {"id,b,a\n5,20,10\n", "?ignore=id", "", false},
      {"b,c,label\n1,2,0\n", "", "lacks the column a that the net was trained on; its columns are b, c, label", true},
      {"a,b\n10,20\n", "", "lacks the column label", true},
      {"B,A\n1,2\n", "", "lacks the columns a, b", false},
      {"a,b\n10,\n", "?missing=zero", "missing=zero is not what the net was trained with", false},
  };
  for (const Variant& v : variants) {
    CAPTURE(v.text);
    const std::string spec = "csv:" + t.write("new.csv", bytes_of(v.text)) + v.options;
    const ModelInfo& net = v.labelled ? known : answering;
    if (*v.says) {
      CHECK(has(error_of(spec, net, Split::test), v.says));
      continue;
    }
    Sample x;
    REQUIRE(opened(spec, net, Split::test)->read(0, x));
    CHECK(values<float>(x.inputs[0]) == std::vector<float>{10, 20});
  }
  Sample x;  // what was missing is what training put there
  REQUIRE(opened("csv:" + t.write("new.csv", bytes_of("b,a\n,10\n")), answering, Split::test)->read(0, x));
  CHECK(values<float>(x.inputs[0]) == std::vector<float>{10, 4});
}

TEST_CASE("a second label of classes takes indices that its output tells apart") {
  TempFolder t;
  const ModelInfo info = info_of({f32("x", 1)}, {f32("y", 3), f32("z", 2)}, {index("kind"), index("size")});
  const auto spec = [&](const char* size) {
    return "csv:" + t.write("t.csv", bytes_of(std::string("x,kind,size\n1,rose,0\n2,lily,1\n3,iris,") + size + "\n"));
  };
  const auto s = opened(spec("1"), info);
  CHECK(s->classes() == std::vector<std::string>{"iris", "lily", "rose"});
  CHECK(Loader::create(*s, FakeModel(info), {2, 1, 0, false, false}));
  CHECK(has(error_of(spec("2"), info), "t.csv:4: 2 in column size is none of the 2 classes"));
  CHECK(has(error_of(spec("big"), info), "'big' in column size is no integer"));
  t.write("d/x.npy", npy("<f4", "(2,)", raw(std::vector<float>{1, 2})));
  t.write("d/kind.npy", npy("<i4", "(2,)", raw(std::vector<int32_t>{0, 1})));
  t.write("d/size.npy", npy("<i4", "(2,)", raw(std::vector<int32_t>{1, 2})));
  CHECK(has(error_of("npy:" + t.path() + "/d", info), "2 in size, sample 1, is none of the 2 classes"));
}

TEST_CASE("npy: arrays by name, from a folder and from archives") {
  const std::vector<float> x{1, 2, 3, 4, 5, 6};
  const Bytes xs = npy("<f4", "(3, 2)", raw(x)), ys = npy("<i8", "(3,)", raw(std::vector<int64_t>{2, 0, 1}));
  const Bytes image = npy("|u1", "(3, 4, 5)", Bytes(60, 7));
  const ModelInfo info = info_of({f32("point", 2)}, {f32("y", 3)}, {index("label")});
  TempFolder t;
  t.write("folder/point.npy", xs);
  t.write("folder/label.npy", ys);
  t.write("folder/other.npy", {1, 2, 3});  // nobody asks for it
  std::vector<std::string> specs{"npy:" + t.path() + "/folder"};
  for (const bool packed : {false, true})
    for (const bool wide : {false, true}) {
      const std::string name = std::string("a") + (packed ? "p" : "") + (wide ? "w" : "") + ".npz";
      specs.push_back("npy:" + t.write(name, zip({{"x.npy", xs}, {"y.npy", ys}, {"image.npy", image}}, packed, wide)));
    }
  for (const std::string& spec : specs) {
    CAPTURE(spec);
    const auto s = opened(spec, info);
    REQUIRE(s->size() == 3);
    Sample sample;
    REQUIRE(s->read(1, sample));
    CHECK(values<float>(sample.inputs[0]) == std::vector<float>{3, 4});
    CHECK(label_of(sample) == 0);
    CHECK(s->classes().size() == 3);
  }
  const auto pictures =
      opened(specs[1], info_of({{"image", DType::u8, 3, {-1, -1, 1}}}, {f32("y", 3)}, {index("label")}));
  Sample sample;
  REQUIRE(pictures->read(2, sample));
  CHECK((sample.inputs[0].height == 4 && sample.inputs[0].width == 5 && sample.inputs[0].channels == 1));
  CHECK(has(error_of(specs[1], info_of({f32("a", 2), f32("b", 2)}, {f32("y", 3)}, {})),
            "has no array a; it has image, x, y"));
  CHECK(has(error_of(specs[1], info_of({f32("x", 3)}, {f32("y", 3)}, {})),
            "a sample is f32[2], but the net's x is f32[3]"));
  CHECK(has(error_of(specs[1], info_of({{"x", DType::i32, 1, {2}}}, {f32("y", 3)}, {})), "holds float32"));
}

TEST_CASE("npy: float32 images of any size") {
  TempFolder t;
  std::vector<float> x(2 * 4 * 5 * 3);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i) / 2;
  const ModelInfo floats = info_of({{"image", DType::f32, 3, {-1, -1, 3}}}, {f32("y", 3)}, {}),
                  bytes = info_of({{"image", DType::u8, 3, {-1, -1, 3}}}, {f32("y", 3)}, {});
  t.write("d/x.npy", npy("<f4", "(2, 4, 5, 3)", raw(x)));
  const std::string spec = "npy:" + t.path() + "/d";
  const auto s = opened(spec, floats);
  Sample sample;
  REQUIRE(s->read(1, sample));
  const Field& image = sample.inputs[0];
  CHECK((image.height == 4 && image.width == 5 && image.channels == 3 && image.floats && !image.image()));
  CHECK(values<float>(image) == std::vector<float>(x.begin() + 60, x.end()));
  CHECK(has(error_of(spec, bytes), "a sample is f32[4, 5, 3], but the net's image is u8[*, *, 3]"));
  CHECK(has(error_of(spec, info_of({{"image", DType::f32, 3, {8, 8, 3}}}, {f32("y", 3)}, {})),
            "a sample is f32[4, 5, 3], but the net's image is f32[8, 8, 3]"));
  x[7] = std::numeric_limits<float>::infinity();
  t.write("d/x.npy", npy("<f4", "(2, 4, 5, 3)", raw(x)));
  CHECK(has(error_of(spec, floats), "element 7 is not finite"));
}

TEST_CASE("npy: what cannot be is an error") {
  TempFolder t;
  const ModelInfo info = info_of({f32("x", 2)}, {f32("y", 3)}, {index("label")});
  const Bytes good = npy("<f4", "(3, 2)", raw(std::vector<float>(6)));
  const auto error = [&](const Bytes& x, const Bytes& y) {
    t.write("d/x.npy", x);
    t.write("d/label.npy", y);
    return error_of("npy:" + t.path() + "/d", info);
  };
  const Bytes labels = npy("<i4", "(3,)", raw(std::vector<int32_t>{0, 1, 2}));
  CHECK(error(good, labels).empty());
  CHECK(has(error(npy("<f8", "(3, 2)", Bytes(48)), labels), "has elements of type '<f8'"));
  CHECK(has(error(npy(">f4", "(3, 2)", Bytes(24)), labels), "has elements of type '>f4'"));
  CHECK(has(error(npy("<f4", "(3, 2)", Bytes(24), "True"), labels), "Fortran order"));
  CHECK(has(error(npy("<f4", "(3, 2)", Bytes(20)), labels), "24 bytes, 20 are there"));
  CHECK(has(error(npy("<f4", "(999999999999, 999999999)", Bytes(24)), labels), "too large"));
  CHECK(has(error(npy("<f4", "()", Bytes(4)), labels), "has no samples"));
  CHECK(has(error(good, npy("<i4", "(2,)", Bytes(8))), "has 2 samples, the arrays before it 3"));
  CHECK(has(error(good, npy("<i8", "(3,)", raw(std::vector<int64_t>{0, int64_t{1} << 40, 2}))),
            "element 1 is not in the range"));
  CHECK(has(error(good, npy("<i4", "(3,)", raw(std::vector<int32_t>{0, -1, 2}))), "-1 is no class index"));
  CHECK(has(error(npy("<f4", "(3, 2)", raw(std::vector<float>{1, 2, 3, 1.f / 0.f, 5, 6})), labels),
            "element 3 is not finite"));
  // As many elements are not enough: only flat samples, and extents of 1, may have another shape.
  struct Shape {
    const char *shape, *says;
  };
  const ModelInfo grid = info_of({{"x", DType::f32, 2, {2, 3}}}, {f32("y", 3)}, {index("label")});
  for (const Shape& s : {Shape{"(3, 2, 3)", ""},
                         {"(3, 6)", ""},
                         {"(3, 2, 1, 3)", ""},
                         {"(3, 1, 2, 3, 1)", ""},
                         {"(3, 3, 2)", "is f32[3, 2], but the net's x is f32[2, 3]: bring"},
                         {"(3, 1, 3, 2)", "bring its dimensions in that order"},
                         {"(3, 2, 2)", "a sample is f32[2, 2], but the net's x is f32[2, 3]"}}) {
    CAPTURE(s.shape);
    t.write("g/x.npy", npy("<f4", s.shape, Bytes(std::string(s.shape) == "(3, 2, 2)" ? 48 : 72)));
    t.write("g/label.npy", labels);
    const std::string e = error_of("npy:" + t.path() + "/g", grid);
    CHECK_MESSAGE((*s.says ? has(e, s.says) : e.empty()), e);
  }
  damage(good, 300, [&](const Bytes& b) { error(b, labels); });
  for (const bool packed : {false, true}) {
    const Bytes archive = zip({{"x.npy", good}, {"label.npy", labels}}, packed);
    int refused = 0;
    damage(archive, 400, [&](const Bytes& b) {
      const std::string e = error_of("npy:" + t.write("a.npz", b), info);
      refused += !e.empty();
      if (b.size() < archive.size()) CHECK_FALSE(e.empty());
    });
    CHECK(refused > 400);
  }
  const Bytes bomb = zip({{"x.npy", Bytes(1 << 20)}}, true);
  CHECK(read_zip(bomb, "bomb"));
  CHECK_FALSE(read_zip({}, "empty"));
}
