// Weight files: what is written is read back; what is damaged is refused with the file's name and the reason, never a
// crash.
#include "runtime/core/safetensors.h"

#include <cstdint>
#include <random>

#include "tests/runtime/support.h"

using namespace netc::rt;
using namespace netc::rt::test;

namespace {

struct Example {
  std::vector<float> a, b, scalar{2.5f}, none;
  std::vector<TensorView> views() const {
    return {{"odd", {3, 5}, b.data(), b.size()},
            {"blocks", {4, 4, 2}, a.data(), a.size()},
            {"scalar", {}, scalar.data(), 1},
            {"none", {0, 7}, none.data(), 0}};
  }
  Example() {
    for (int i = 0; i < 32; ++i) a.push_back(0.25f * static_cast<float>(i) - 3);
    for (int i = 0; i < 15; ++i) b.push_back(1e10f / static_cast<float>(1 + i));
  }
};

/// The reason why `bytes` is refused, without the path; "" when it is read.
std::string refused(const TempFolder& folder, const std::string& bytes) {
  const std::string path = folder / "x.safetensors";
  write(path, bytes);
  const auto file = WeightsFile::open(path);
  if (file) return "";
  CHECK(file.error().rfind(path + ": ", 0) == 0);
  return file.error().substr(path.size() + 2);
}

bool says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("safetensors: what is written is read back, aligned") {
  const TempFolder folder;
  const Example e;
  const std::string path = folder / "w.safetensors";
  REQUIRE(write_safetensors(path, e.views(), {{"net", "Toy \"quoted\""}, {"empty", ""}}));
  const auto file = WeightsFile::open(path);
  REQUIRE(file);
  CHECK((*file)->path() == path);
  CHECK((*file)->metadata().at("net") == "Toy \"quoted\"");
  CHECK((*file)->metadata().size() == 2);
  CHECK((*file)->tensors().size() == 4);
  for (const TensorView& want : e.views()) {
    CAPTURE(want.name);
    const TensorView* got = (*file)->find(want.name);
    REQUIRE(got != nullptr);
    CHECK(got->shape == want.shape);
    REQUIRE(got->elements == want.elements);
    CHECK((want.elements == 0 || std::memcmp(got->data, want.data, want.elements * sizeof(float)) == 0));
    CHECK(reinterpret_cast<uintptr_t>(got->data) % (want.elements > 0 && want.elements % 16 == 0 ? 64 : 4) == 0);
  }
  CHECK((*file)->find("nothing") == nullptr);
  // A second file from the same tensors has the same bytes.
  REQUIRE(write_safetensors(folder / "again", e.views(), {{"net", "Toy \"quoted\""}, {"empty", ""}}));
  CHECK(read(path) == read(folder / "again"));
}

TEST_CASE("safetensors: data that another writer left unaligned is read all the same") {
  const TempFolder folder;
  const float value[2] = {1.5f, -2};
  for (int blanks = 0; blanks < 5; ++blanks) {
    const std::string header = fmt::format("{{{}}}", entry("w", "F32", "2", "0", "8")) + std::string(blanks, ' ');
    write(folder / "u", file_of(header, std::string(reinterpret_cast<const char*>(value), 8)));
    const auto file = WeightsFile::open(folder / "u");
    REQUIRE(file);
    const TensorView* w = (*file)->find("w");
    CHECK(reinterpret_cast<uintptr_t>(w->data) % alignof(float) == 0);
    CHECK(w->data[0] == 1.5f);
    CHECK(w->data[1] == -2);
  }
}

TEST_CASE("safetensors: what is written must fit its shape, and names differ") {
  const TempFolder folder;
  const Example e;
  const auto error = [&](std::vector<TensorView> v) {
    return write_safetensors(folder / "bad", std::move(v), {}).error();
  };
  CHECK(says(error({{"w", {3, 5}, e.a.data(), 14}}), "'w' does not have the data its shape says"));
  CHECK(says(error({{"w", {1}, e.a.data(), 1}, {"w", {1}, e.a.data(), 1}}), "two tensors are named 'w'"));
  CHECK_FALSE(std::filesystem::exists(folder / "bad"));
}

TEST_CASE("safetensors: what a header may not say") {
  const TempFolder folder;
  const std::string eight(8, 'x');
  const auto with = [&](const std::string& entries, const std::string& data) {
    return refused(folder, file_of("{" + entries + "}", data));
  };
  CHECK(with(entry("w", "F32", "2", "0", "8"), eight) == "");
  CHECK(with("", "") == "");
  CHECK(says(with(entry("w", "F32", "2", "0", "8") + "," + entry("v", "F32", "1", "4", "8"), eight), "overlaps"));
  CHECK(says(with(entry("w", "F32", "1", "4", "8"), eight), "bytes 0 to 4 before 'w' belong to no tensor"));
  CHECK(says(with(entry("w", "F32", "1", "0", "4"), eight), "4 bytes at the end belong to no tensor"));
  CHECK(says(with(entry("w", "F32", "2", "0", "8") + "," + entry("w", "F32", "2", "0", "8"), eight),
             "two tensors are named 'w'"));
  CHECK(says(with(entry("w", "F32", "4", "0", "16"), eight), "the file is cut short"));
  CHECK(says(with(entry("w", "F32", "2", "8", "0"), eight), "no range"));
  CHECK(says(with(entry("w", "F16", "3", "0", "8"), eight), "has shape [3]"));
  CHECK(says(with(entry("w", "F32", "3", "0", "8"), eight), "has shape [3]"));
  // Products that wrap around to 8 bytes, or to none.
  CHECK(says(with(entry("w", "F32", "4611686018427387906", "0", "8"), eight), "does not fit"));
  CHECK(says(with(entry("w", "F32", "4294967296,4294967296", "0", "0"), ""), "does not fit"));
  CHECK(says(with(entry("w", "F32", "0,18446744073709551615", "0", "0"), ""), "does not fit"));
  CHECK(says(with(entry("w", "F32", "99999999999999999999999", "0", "8"), eight), "too large a number"));
  CHECK(says(with(entry("w", "F32", "-2", "0", "8"), eight), "negative"));
  CHECK(says(with(entry("w", "F32", "2.0", "0", "8"), eight), "fraction"));
  CHECK(says(with(entry("w", "F32", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2", "0", "8"), eight), "more than 16"));
  CHECK(says(with(R"("w":{"dtype":"F32","shape":[2]})", eight), "lacks"));
  CHECK(says(with(R"("w":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1})", eight), "unknown key 'x'"));
  CHECK(says(with(R"("w":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]})", eight), "twice"));
  CHECK(says(with(R"("w":[1])", eight), "where none belongs"));
  CHECK(says(with(R"("w":null)", eight), "where none belongs"));
  CHECK(says(with(R"("w":{"dtype":{"dtype":{}}})", eight), "where none belongs"));
  CHECK(says(with(R"("__metadata__":{"a":1})", ""), "where none belongs"));
  CHECK(says(with(R"("__metadata__":{"a":"1","a":"2"})", ""), "twice"));
  CHECK(with(R"("__metadata__":{"a":"1"},)" + entry("w", "F32", "2", "0", "8"), eight) == "");
}

TEST_CASE("safetensors: other types are converted, or of no account") {
  const TempFolder folder;
  const auto bytes = [](auto... v) {
    std::string s;
    (s.append(reinterpret_cast<const char*>(&v), sizeof v), ...);
    return s;
  };
  const float tiny = 0x1p-24f, most = 65504, third = 0x1.554p-2f;
  const std::string halves =
      bytes(uint16_t{0x3c00}, uint16_t{0xc000}, uint16_t{0x0001}, uint16_t{0x7bff}, uint16_t{0x3555}, uint16_t{0x8000});
  const std::string brains = bytes(uint16_t{0x3f80}, uint16_t{0xc000}), doubles = bytes(0.5, -3.0);
  struct Variant {
    const char* dtype;
    const char* shape;
    std::string data;
    std::vector<float> values;
  };
  const Variant variants[] = {
      {"F16", "6", halves, {1, -2, tiny, most, third, -0.f}},
      {"BF16", "2", brains, {1, -2}},
      {"F64", "2", doubles, {0.5f, -3}},
      {"F32", "1", bytes(2.5f), {2.5f}},
      {"I64", "", bytes(int64_t{7}), {}},
      {"BOOL", "3", "abc", {}},
      {"F8_E4M3", "2", "ab", {}},
      {"F4", "9", "abcde", {}},
  };
  for (const Variant& v : variants) {
    CAPTURE(v.dtype);
    const std::string end = std::to_string(v.data.size()),
                      header = "{" + entry("w", v.dtype, v.shape, "0", end) + "," +
                               entry("x", "F32", "1", end, std::to_string(v.data.size() + 4)) + "}";
    const std::string path = folder / "typed";
    write(path, file_of(header, v.data + bytes(4.f)));
    const auto file = WeightsFile::open(path);
    REQUIRE_MESSAGE(file, file.error());
    const TensorView* w = (*file)->find("w");
    REQUIRE(w);
    CHECK((w->data == nullptr) == v.values.empty());
    CHECK(std::vector<float>(w->data, w->data + w->elements) == v.values);
    CHECK((*file)->find("x")->data[0] == 4);  // whatever lies before it
  }
}

TEST_CASE("safetensors: headers that are none, or too long") {
  const TempFolder folder;
  CHECK(says(refused(folder, ""), "too short"));
  CHECK(says(refused(folder, "1234567"), "too short"));
  CHECK(says(refused(folder, file_of("{}", "", (100u << 20) + 1)), "longer than 100 MB"));
  CHECK(says(refused(folder, file_of("{}", "", UINT64_MAX - 7)), "longer than 100 MB"));
  CHECK(says(refused(folder, file_of("{}", "", 3)), "cut short"));
  CHECK(says(refused(folder, file_of("[]", "")), "not a JSON object"));
  CHECK(says(refused(folder, file_of("", "")), "not a JSON object"));
  CHECK(says(refused(folder, file_of("{\"w\"", "")), "not valid JSON"));
  CHECK(says(refused(folder, file_of("{} x", "")), "not valid JSON"));
  CHECK(says(refused(folder, file_of("{\"\xff\xfe\":{}}", "")), "not valid JSON"));
  std::string deep = "{\"w\":";
  for (int i = 0; i < 100000; ++i) deep += "[{\"w\":";
  CHECK(says(refused(folder, file_of(deep, "")), "where none belongs"));
  // A header that really is longer: a hole in a file costs no disk.
  const std::string path = folder / "long";
  write(path, file_of("{", "", (100u << 20) + 64));
  std::filesystem::resize_file(path, (100u << 20) + 4096);
  CHECK(says(WeightsFile::open(path).error(), "longer than 100 MB"));
  CHECK(says(WeightsFile::open(folder / "none").error(), "cannot open"));
  CHECK(says(WeightsFile::open(folder.path()).error(), "not a file"));
}

TEST_CASE("safetensors: 600 damaged files are refused or read whole, never a crash") {
  const TempFolder folder;
  const Example e;
  REQUIRE(write_safetensors(folder / "w", e.views(), {{"net", "Toy"}}));
  const std::string whole = read(folder / "w");
  std::mt19937 random(5);
  int read_whole = 0;
  const auto check = [&](const std::string& bytes) {
    const std::string path = folder / "m";
    write(path, bytes);
    const auto file = WeightsFile::open(path);
    if (!file) {
      CHECK(file.error().rfind(path + ": ", 0) == 0);
      return;
    }
    ++read_whole;
    double sum = 0;  // every element lies inside the mapping
    for (const TensorView& t : (*file)->tensors())
      for (size_t i = 0; i < t.elements; ++i) sum += t.data[i] == t.data[i] ? 1 : 0;
    CHECK(sum <= 48);
  };
  for (int k = 0; k < 300; ++k) {
    std::string bytes = whole;
    const size_t header = 8 + static_cast<unsigned char>(whole[8 - 8]) + 256 * static_cast<unsigned char>(whole[1]);
    for (int edits = 1 + static_cast<int>(random() % 3); edits > 0 && !bytes.empty(); --edits) {
      const size_t at = random() % (k % 2 ? bytes.size() : std::min(header, bytes.size()));
      switch (random() % 4) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes[at] = static_cast<char>('0' + random() % 10); break;
        case 2: bytes.erase(at, 1 + random() % 6); break;
        default: bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 40)); break;
      }
    }
    check(bytes);
  }
  for (int k = 0; k < 300; ++k) {
    const std::string cut = whole.substr(0, whole.size() * static_cast<size_t>(k) / 300);
    write(folder / "t", cut);
    CHECK_FALSE(WeightsFile::open(folder / "t"));
  }
  CHECK(read_whole < 200);
}

TEST_CASE("safetensors: an open file stays as it was, whatever happens to it") {
  const TempFolder folder;
  const std::string path = folder / "w", other = folder / "other";
  std::vector<float> values(1 << 16), others(1 << 16, 7);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const auto save = [&](const std::string& to, const std::vector<float>& v) {
    REQUIRE(write_safetensors(to, {{"a", {1 << 16}, v.data(), v.size()}}, {}));
  };
  save(other, others);
  struct Case {
    const char* what;
    void (*meet)(const std::string& path, const std::string& other);
    bool changes;
  };
  const Case cases[] = {
      {"nothing", [](const std::string&, const std::string&) {}, false},
      {"replaced by rename",
       [](const std::string& p, const std::string& o) {
         std::filesystem::copy_file(o, p + ".new"), std::filesystem::rename(p + ".new", p);
       },
       false},
      {"removed", [](const std::string& p, const std::string&) { std::filesystem::remove(p); }, false},
      {"overwritten in place", [](const std::string& p, const std::string& o) { write(p, read(o)); }, true},
      {"overwritten by half",
       [](const std::string& p, const std::string& o) {
         std::fstream(p, std::ios::in | std::ios::out | std::ios::binary) << read(o).substr(0, 1 << 17);
       },
       true},
      {"emptied", [](const std::string& p, const std::string&) { std::filesystem::resize_file(p, 0); }, true},
      {"cut", [](const std::string& p, const std::string&) { std::filesystem::resize_file(p, 100000); }, true},
      {"lengthened", [](const std::string& p, const std::string&) { std::ofstream(p, std::ios::app) << "more"; }, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    save(path, values);
    const auto file = WeightsFile::open(path);
    REQUIRE(file);
    const TensorView* a = (*file)->find("a");
    c.meet(path, other);
    CHECK(std::memcmp(a->data, values.data(), values.size() * sizeof(float)) == 0);
    CHECK((*file)->restore(a->data, a->elements * sizeof(float)));  // nothing was dropped
    (*file)->drop(a->data, a->elements * sizeof(float));
    CHECK((*file)->restore(a->data, a->elements * sizeof(float)) == !c.changes);
    CHECK((*file)->changed() == c.changes);
    if (!c.changes) CHECK(std::memcmp(a->data, values.data(), values.size() * sizeof(float)) == 0);
  }
}

TEST_CASE("safetensors: a file's bytes in memory are read as the file is") {
  const TempFolder folder;
  const Example e;
  REQUIRE(write_safetensors(folder / "w", e.views(), {{"net", "Toy"}}));
  alignas(64) static char bytes[4096];
  const std::string text = read(folder / "w");
  REQUIRE(text.size() <= sizeof bytes);
  std::memcpy(bytes, text.data(), text.size());
  const auto file = WeightsFile::of_memory({bytes, text.size()}, "the weights inside toy");
  REQUIRE(file);
  CHECK((*file)->metadata().at("net") == "Toy");
  CHECK((*file)->find("blocks")->data[1] == e.a[1]);
  const auto cut = WeightsFile::of_memory({bytes, text.size() - 1}, "the weights inside toy");
  REQUIRE_FALSE(cut);
  CHECK(cut.error().starts_with("the weights inside toy: "));
}

TEST_CASE("safetensors: a file without end is refused by its header, not read") {
  const TempFolder folder;
  for (const std::string& begin :
       {std::string(), file_of(fmt::format("{{{}}}", entry("w", "F32", "2", "0", "8")), "")}) {
    write(folder / "x", begin);
    std::filesystem::resize_file(folder / "x", uint64_t{1} << 42);
    const auto file = WeightsFile::open(folder / "x");
    REQUIRE_FALSE(file);
    INFO(file.error());
    CHECK(file.error().find("memory") == std::string::npos);
  }
}
