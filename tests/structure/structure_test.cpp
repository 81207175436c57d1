// The rules of the tree that no compiler checks: who may include whom, where operators may be named, how long files
// are.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "compiler/ops/ops.h"

namespace fs = std::filesystem;
using namespace netc;

namespace {

const fs::path kRoot = NETC_SOURCE_DIR;
constexpr size_t kSoftLines = 400, kHardLines = 800;      // of a file
constexpr size_t kSoftColumns = 120, kHardColumns = 200;  // of a line: text that is emitted may be wider than code

struct File {
  std::string path;
  std::vector<std::string> lines;
};

std::vector<File> sources(const std::vector<std::string>& folders) {
  std::vector<File> files;
  for (const std::string& folder : folders)
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      const std::string extension = entry.path().extension().string();
      if (!entry.is_regular_file() || (extension != ".cpp" && extension != ".h" && extension != ".def")) continue;
      File f{fs::relative(entry.path(), kRoot).string(), {}};
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) f.lines.push_back(line);
      files.push_back(std::move(f));
    }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.path < b.path; });
  return files;
}

/// "compiler/ir/graph.h" -> "ir"; "runtime/data/image.h" -> "runtime/data"; "runtime/model.h" -> "runtime".
std::string room(const std::string& path) {
  std::smatch m;
  if (std::regex_search(path, m, std::regex("^compiler/([a-z]+)/"))) return m[1];
  if (std::regex_search(path, m, std::regex("^(runtime/[a-z]+)/"))) return m[1];
  return path.rfind("runtime/", 0) == 0 ? "runtime" : "";
}

/// Who may include whom; a room may always include itself. The order of the rows is the order of the stages.
const std::map<std::string, std::set<std::string>>& allowed() {
  static const std::map<std::string, std::set<std::string>> table = {
      {"base", {"runtime"}},
      {"machine", {"runtime"}},
      {"ast", {"base"}},
      {"ir", {"base", "machine"}},
      {"parse", {"base", "ast"}},
      {"halide", {"ir"}},
      {"ops", {"base", "machine", "ir", "halide"}},
      {"sema", {"base", "ast", "ir", "runtime/kinds"}},
      {"passes", {"base", "ir", "sema"}},
      {"plan", {"ir", "runtime"}},
      {"nests", {"machine", "ir", "halide", "plan"}},
      {"schedule", {"base", "machine", "ir", "passes", "plan", "nests", "runtime"}},
      {"picture", {"base", "ir", "sema", "plan"}},
      {"lower", {"base", "machine", "ir", "halide", "plan", "nests"}},
      {"report", {"base", "machine", "ir", "plan", "lower"}},
      {"emit", {"base", "machine", "ir", "sema", "plan", "lower"}},
      {"tune", {"base", "machine", "ir", "plan", "nests", "schedule", "lower", "emit", "runtime", "runtime/core"}},
      {"verify", {"base", "machine", "ir", "ops", "sema", "passes", "plan", "schedule", "lower", "emit", "runtime"}},
      {"tool",
       {"base", "machine", "ast", "ir", "parse", "ops", "sema", "passes", "plan", "schedule", "picture", "lower",
        "report", "emit", "tune", "verify", "runtime", "runtime/core", "runtime/cli"}},
      {"runtime/kinds", {}},
      {"runtime", {}},
      {"runtime/core", {"runtime"}},
      {"runtime/data", {"runtime", "runtime/core", "runtime/kinds"}},
      {"runtime/train", {"runtime", "runtime/core", "runtime/kinds", "runtime/data"}},
      {"runtime/cli", {"runtime", "runtime/core", "runtime/kinds", "runtime/data", "runtime/train"}},
  };
  return table;
}

/// The headers of packages that only some rooms know.
const std::vector<std::pair<std::string, std::set<std::string>>>& packages() {
  static const std::vector<std::pair<std::string, std::set<std::string>>> table = {
      {"antlr4", {"parse"}},
      {"CLI/", {"tool", "runtime/cli"}},
      {"Halide", {"machine", "halide", "ops", "nests", "lower", "tune", "verify"}},
      {"llvm", {"machine", "schedule", "lower", "report", "emit", "tool"}},
      {"png", {"runtime/data", "runtime/train"}},
      {"turbojpeg", {"runtime/data"}},
  };
  return table;
}

}  // namespace

TEST_CASE("packages are included only where they belong") {
  const std::regex include("^#include <([^>]+)>");
  for (const File& f : sources({"compiler", "runtime"}))
    for (size_t i = 0; i < f.lines.size(); ++i) {
      std::smatch m;
      if (!std::regex_search(f.lines[i], m, include)) continue;
      for (const auto& [package, rooms] : packages())
        if (m[1].str().rfind(package, 0) == 0)
          CHECK_MESSAGE(rooms.count(room(f.path)) == 1, fmt::format("{}:{}: includes <{}>", f.path, i + 1, m[1].str()));
    }
}

TEST_CASE("stages include only what comes before them, and the runtime nothing of the compiler") {
  const std::regex include("^#include \"([^\"]+)\"");
  size_t seen = 0;
  for (const File& f : sources({"compiler", "runtime"})) {
    const std::string here = room(f.path);
    REQUIRE_MESSAGE(allowed().count(here) == 1, f.path << " lies in no room of the table");
    // below lies text that is generated
    for (size_t i = 0; i < f.lines.size() && f.lines[i].rfind("namespace ", 0) != 0; ++i) {
      std::smatch m;
      if (!std::regex_search(f.lines[i], m, include)) continue;
      const std::string there = room(m[1]);
      if (there.empty() || there == here) continue;
      ++seen;
      CHECK_MESSAGE(allowed().at(here).count(there) == 1,
                    fmt::format("{}:{}: {} may not include {}", f.path, i + 1, here, m[1].str()));
    }
  }
  CHECK(seen > 50);
}

TEST_CASE("no operator or layer is named outside compiler/ops") {
  std::set<std::string> names;
  for (const ir::OpDef* op : ops::registry().ops.ops) names.insert(op->name);
  for (const ir::LayerDef* layer : ops::registry().layers) names.insert(layer->name);
  REQUIRE(names.size() > 40);
  const std::regex literal("\"([A-Za-z_0-9]+)\"");
  for (const File& f : sources({"compiler", "runtime"})) {
    // functions of numbers are called like those of tensors
    if (room(f.path) == "ops" || f.path == "compiler/sema/function.cpp") continue;
    for (size_t i = 0; i < f.lines.size(); ++i) {
      const std::string code = f.lines[i].substr(0, f.lines[i].find("//"));
      for (std::sregex_iterator m(code.begin(), code.end(), literal), end; m != end; ++m)
        CHECK_MESSAGE(names.count((*m)[1]) == 0,
                      fmt::format("{}:{}: names the operator or layer \"{}\"", f.path, i + 1, (*m)[1].str()));
    }
  }
}

TEST_CASE("files are short") {
  for (const File& f : sources({"compiler", "runtime", "tests", "examples"})) {
    CHECK_MESSAGE(f.lines.size() <= kHardLines,
                  fmt::format("{} has {} lines; at most {}", f.path, f.lines.size(), kHardLines));
    if (f.lines.size() > kSoftLines)
      MESSAGE(f.path << " has " << f.lines.size() << " lines; split it before it grows past " << kHardLines);
  }
}

TEST_CASE("lines are short, and end where their text ends") {
  std::map<std::string, int> wide;
  for (const File& f : sources({"compiler", "runtime", "tests", "examples"}))
    for (size_t i = 0; i < f.lines.size(); ++i) {
      const std::string& line = f.lines[i];
      size_t columns = 0;
      for (const unsigned char c : line) columns += (c & 0xC0) != 0x80;
      CHECK_MESSAGE(columns <= kHardColumns,
                    fmt::format("{}:{} has {} columns; at most {}", f.path, i + 1, columns, kHardColumns));
      if (columns > kSoftColumns) ++wide[f.path];
      const bool trailing = !line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r');
      CHECK_MESSAGE(!trailing, fmt::format("{}:{} ends with a blank", f.path, i + 1));
      CHECK_MESSAGE(line.find('\t') == std::string::npos, fmt::format("{}:{} has a tab", f.path, i + 1));
    }
  for (const auto& [path, count] : wide)
    MESSAGE(path << " has " << count << " lines of more than " << kSoftColumns << " columns");
}

// That every operator of the table has cases is tests/ops/table_test.cpp's own test.
TEST_CASE(
    "every family of operators is in the table, every layer is tested, and so are the tests of operators themselves") {
  const std::vector<File> ops = sources({"compiler/ops"}), tests = sources({"tests"});
  const auto mentions = [](const std::vector<File>& files, const std::string& path, const std::string& text) {
    for (const File& f : files)
      if (path.empty() || f.path == path)
        for (const std::string& line : f.lines)
          if (line.find(text) != std::string::npos) return true;
    return false;
  };
  const std::regex family("^void (add_[a-z_]+)\\((ir::)?Registry");
  size_t families = 0;
  for (const File& f : ops)
    for (const std::string& line : f.lines) {
      std::smatch m;
      if (!std::regex_search(line, m, family) || f.path == "compiler/ops/ops.h") continue;
      ++families;
      CHECK_MESSAGE(mentions(ops, "compiler/ops/ops.h", "void " + m[1].str() + "("),
                    fmt::format("{}: {} is not declared in ops.h", f.path, m[1].str()));
      CHECK_MESSAGE(mentions(ops, "compiler/ops/table.cpp", m[1].str() + "("),
                    fmt::format("{}: {} is not called by table.cpp", f.path, m[1].str()));
    }
  CHECK(families >= 15);
  for (const ir::LayerDef* layer : ops::registry().layers)
    CHECK_MESSAGE((mentions(tests, "", layer->name)), fmt::format("layer {} is in no test", layer->name));
  CHECK(mentions(tests, "tests/ops/table_test.cpp", "CHECK(tested.count(op->name) == 1)"));
}

TEST_CASE("nothing is left to do later, and no file names a place of one machine") {
  const std::string later[] = {std::string("TO") + "DO", std::string("FIX") + "ME", std::string("XX") + "X"};
  const std::regex home("\"/(home|root|work|Users)/");
  for (const File& f : sources({"compiler", "runtime", "tests", "examples"}))
    for (size_t i = 0; i < f.lines.size(); ++i) {
      for (const std::string& word : later) {
        const size_t at = f.lines[i].find(word);
        const char after =
            at != std::string::npos && at + word.size() < f.lines[i].size() ? f.lines[i][at + word.size()] : ' ';
        const bool whole = at != std::string::npos && !std::isalnum(static_cast<unsigned char>(after));
        CHECK_MESSAGE(!whole, fmt::format("{}:{}: {}", f.path, i + 1, f.lines[i]));
      }
      CHECK_MESSAGE(!std::regex_search(f.lines[i], home), fmt::format("{}:{}: {}", f.path, i + 1, f.lines[i]));
    }
}
