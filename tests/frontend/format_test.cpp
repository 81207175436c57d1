// The formatter: golden files (format/NAME.net laid out is NAME.expected; NETC_UPDATE_GOLDEN=1 writes them), and what
// holds for every file: nothing is lost, twice is once.
#include "compiler/parse/format.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "compiler/parse/tokens.h"
#include "tests/frontend/support.h"

using namespace netc;
using namespace netc::frontend;
namespace fs = std::filesystem;

namespace {

std::optional<std::string> laid_out(const std::string& text) {
  const SourceFile file("test.net", text);
  Diagnostics diagnostics(file);
  return format(file, diagnostics);
}

std::vector<fs::path> files(const std::string& folder) {
  std::vector<fs::path> out;
  for (const auto& e : fs::recursive_directory_iterator(std::string(NETC_SOURCE_DIR) + folder))
    if (e.path().extension() == ".net") out.push_back(e.path());
  std::sort(out.begin(), out.end());
  return out;
}

/// The tokens but comments, in order; and the comments, sorted.
std::pair<std::vector<std::string>, std::vector<std::string>> contents(const std::string& text) {
  const SourceFile file("test.net", text);
  std::pair<std::vector<std::string>, std::vector<std::string>> out;
  for (const Token& t : tokenise(file)) {
    std::string s(t.text);
    s.erase(s.find_last_not_of(" \t") + 1);
    (t.kind == TokenKind::comment ? out.second : out.first).push_back(s);
  }
  std::sort(out.second.begin(), out.second.end());
  return out;
}

void sound(const std::string& text) {
  const std::optional<std::string> once = laid_out(text);
  if (!once) return;
  CHECK(laid_out(*once) == once);
  CHECK(contents(*once) == contents(text));
  CHECK(once->find(" \n") == std::string::npos);
  CHECK(once->find("\n\n\n") == std::string::npos);
  CHECK(once->find('\t') == std::string::npos);
  CHECK((once->empty() || (once->back() == '\n' && (*once)[0] != '\n')));
}

/// Like the text, with other blanks and line ends between its tokens: comments keep their line ends.
std::string scattered(const std::string& text, unsigned seed) {
  const SourceFile file("test.net", text);
  std::string out;
  for (const Token& t : tokenise(file)) {
    seed = seed * 1664525 + 1013904223;
    const char* between[] = {" ", "\n", "  ", "\n\n\n", "\r\n", " \t "};
    out += std::string(t.text) + (t.kind == TokenKind::comment ? "\n" : between[(seed >> 16) % 6]);
  }
  return out;
}

}  // namespace

TEST_CASE("layout: golden files") {
  for (const fs::path& path : files("/tests/frontend/format")) {
    INFO(path.filename().string());
    const std::optional<std::string> text = laid_out(read(path.string()));
    REQUIRE(text);
    fs::path expected = path;
    expected.replace_extension(".expected");
    if (std::getenv("NETC_UPDATE_GOLDEN")) std::ofstream(expected, std::ios::binary) << *text;
    CHECK(*text == read(expected.string()));
  }
}

TEST_CASE("layout: the models have it") {
  for (const fs::path& path : files("/models")) {
    INFO(path.filename().string());
    const std::string text = read(path.string());
    CHECK(laid_out(text) == text);
  }
}

TEST_CASE("layout: the same tokens and comments, and twice is once, however a file is written") {
  for (const char* folder : {"/models", "/tests/frontend/golden", "/tests/frontend/format"})
    for (const fs::path& path : files(folder)) {
      INFO(path.filename().string());
      const std::string text = read(path.string());
      sound(text);
      for (unsigned seed = 1; seed <= 5; ++seed) {
        const std::string other = scattered(text, seed);
        INFO(other);
        sound(other);
      }
    }
}

TEST_CASE("layout: a file with syntax errors is refused, odd ones are kept") {
  CHECK(!laid_out("net A { let = 3 }"));
  CHECK(!laid_out("net A {"));
  CHECK(laid_out("") == "");
  CHECK(laid_out("\n\n// alone") == "// alone\n");
  CHECK(laid_out("\xEF\xBB\xBFtrain { }") == "train {}\n");
  CHECK(laid_out("train{seed=1}") == "train { seed = 1 }\n");
  CHECK(laid_out("train{seed=1 batch=2}") == "train {\n  seed  = 1\n  batch = 2\n}\n");
  CHECK(laid_out("data { train = \"a  b\\\"c\" } // \xC3\xA4") ==
        "data { train = \"a  b\\\"c\" }                       // \xC3\xA4\n");
}

TEST_CASE("layout: endless lines are broken in time") {
  std::string chain = "net A {\n  input x: f32[4]\n  output y = x", list = "net A {\n  let l = [0",
              nested = "net A {\n  let l = ";
  for (int i = 0; i < 4000; ++i) chain += " -> ReLU", list += ", " + std::to_string(i);
  for (int i = 0; i < 100; ++i) nested += "[123456789, ";
  const std::string ends[] = {chain + "\n}", list + "]\n}", nested + "1" + std::string(100, ']') + "\n}"};
  for (const std::string& text : ends) {
    const std::optional<std::string> once = laid_out(text);
    REQUIRE(once);
    CHECK(laid_out(*once) == once);
    std::istringstream lines(*once);
    size_t widest = 0;
    for (std::string line; std::getline(lines, line);) widest = std::max(widest, line.size());
    CHECK(widest <= 240);  // a hundred levels of brackets are 200 blanks
  }
}
