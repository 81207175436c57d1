// Broken text: a message, never a crash. 200 mutations of the models and the golden files, and texts made to be deep or endless.
#include <doctest/doctest.h>

#include <filesystem>
#include <random>

#include "tests/frontend/support.h"

using namespace netc;
using namespace netc::frontend;

namespace {

std::string repeat(const std::string& s, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += s;
  return out;
}

std::string net(const std::string& expression) { return "net A {\n  input x: f32[4]\n  let v = " + expression + "\n  output y = x -> Dense(v)\n}\n"; }

}  // namespace

TEST_CASE("mutated files never crash") {
  std::vector<std::string> seeds;
  for (const char* folder : {"/models", "/tests/frontend/golden"})
    for (const auto& e : std::filesystem::directory_iterator(std::string(NETC_SOURCE_DIR) + folder))
      if (e.path().extension() == ".net") seeds.push_back(read(e.path().string()));
  REQUIRE(seeds.size() >= 4);
  std::mt19937 random(7);
  const std::vector<std::string> pieces{"(", ")", "{", "}", "->", "=", "-", "9999999999", "0", "*", "..", "\"", ",", "[", "]", "1e308", "if", "for i in 0..99999 {",
                                        "x", "Conv(", "\xff\xfe", "/", "^", "let ", "input ", "output ", "not "};
  for (int k = 0; k < 200; ++k) {
    std::string text = seeds[random() % seeds.size()];
    for (int edits = 1 + static_cast<int>(random() % 4); edits > 0; --edits) {
      const size_t at = random() % (text.size() + 1);
      switch (random() % 5) {
        case 0: text.insert(at, pieces[random() % pieces.size()]); break;
        case 1: text.erase(at, 1 + random() % 12); break;
        case 2: if (at < text.size()) text[at] = static_cast<char>(random()); break;
        case 3: text.resize(at); break;
        default: text.insert(at, text.substr(random() % (text.size() + 1), random() % 60)); break;
      }
      if (text.empty()) text = "net";
    }
    const Result r = analyse_text(text);
    CHECK((r.model.has_value() || !r.text.empty()));
  }
}

TEST_CASE("deep and endless texts end with a message") {
  const std::vector<std::string> texts{
      net(repeat("(", 100000)), net(repeat("(", 200) + "1" + repeat(")", 200)), net(repeat("-", 100000) + "1"), net(repeat("not ", 50000) + "true"),
      net("1" + repeat("^1", 50000)), net("1" + repeat("+1", 50000)), net(repeat("if true then 1 else ", 5000) + "1"), net("[" + repeat("[", 5000)),
      net("x" + repeat(" -> ReLU", 20000)), net("0..9000000000000"), net("2^62 * 2"), net("9223372036854775807 + 1"), net("1 % 0"), net("x" + repeat(".x", 20000)),
      net("len" + repeat("(", 300) + repeat(")", 300)), repeat("net A { block B { ", 2000), repeat("{", 100000), repeat("\"", 9999), std::string(5000, '\0'),
      "net A { input x: f32[4] block B { B } output y = x -> B }", "net A { input x: f32[4] output y = x -> A }",
      "net A { input x: f32[4] var z = x for i in 0..90000 { for j in 0..90000 { z = z -> ReLU } } output y = z }",
      "net A { input x: f32[4] var l = [1] for i in 0..60 { l = l + l } output y = x -> Dense(len(l)) }",
      "net A { input x: f32[1048576, 1048576, 4] output y = x -> ReLU }", "net A { input x: f32[4] output y = x -> Dense(1000000) -> Dense(1000000000000) }"};
  for (const std::string& text : texts) {
    INFO(text.substr(0, 80));
    const Result r = analyse_text(text);
    CHECK((r.model.has_value() || !r.text.empty()));
  }
}
