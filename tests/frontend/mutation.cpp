// Broken text: a message, never a crash, and what is accepted goes through every pass. Mutations of the models and the
// golden files by a fixed seed, and texts made to be deep or endless. NETC_MUTATIONS=10000 takes so many mutated files
// of each kind instead of few, for the sanitizers' build by hand.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "compiler/passes/pipeline.h"
#include "tests/frontend/support.h"

using namespace netc;
using namespace netc::frontend;

namespace {

std::string repeat(const std::string& s, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += s;
  return out;
}

std::string net(const std::string& expression) {
  return "net A {\n  input x: f32[4]\n  let v = " + expression + "\n  output y = x -> Dense(v)\n}\n";
}

int mutations(int few) {
  const char* many = std::getenv("NETC_MUTATIONS");
  return many ? std::atoi(many) : few;
}

/// Every .net file in and below these folders, sorted, so that the seed gives the same mutations everywhere.
std::vector<std::string> texts_of(const std::vector<std::string>& folders) {
  std::vector<std::filesystem::path> paths;
  for (const std::string& folder : folders)
    for (const auto& e : std::filesystem::recursive_directory_iterator(std::string(NETC_SOURCE_DIR) + folder))
      if (e.path().extension() == ".net") paths.push_back(e.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> out;
  for (const auto& p : paths) out.push_back(read(p.string()));
  return out;
}

/// All that chains do not have, for the mutations: a text that is a model.
const char* const kWholeLanguage = R"(
import "tests/frontend/golden/parts/blocks.net"
op Twice(x, by = 2.0) = by * x + -x - mean(x, channel)
fn halved(n: int(1..), d = 2) = if n < d then 1 else halved(n / d) + max(1, floor(n / 3))
block Pair(n: one_of(3, 4) = 3) {
  input a
  input b
  output sum = a -> Add(b) -> Dense(n)
  output same = a
}
net Base(k: (int, float(0..1)) = (2, 0.5)) {
  input x: f32[8]
  output y = x -> Dense(k[0] * 4) -> BatchNorm -> Dropout(k[1])
}
net Whole(sizes: [int(1..64)] = [8, 8], init = he_normal, rate: float(0..1) = 0.25) {
  input x: f32[8]
  default Dense(init = init, bias_init = constant(0.1), constraint = max_norm(3))
  let base = Base((2, rate)) from "base.safetensors" frozen
  let (_, same) = x -> base -> Pair(x, n = 4)
  var v = same
  for (i, (n, _)) in enumerate(zip(sizes, reversed(sizes))) {
    let stage = Dense(n, init = truncated(0.02)) -> Twice
    v = v -> stage -> Twice(by = 1 + i)
  }
  let towers = [Dense(k) for k in range(3, 5) if k != halved(3)]
  let all = [v -> t for t in towers]
  let p = v -> Pair(same)
  output y = Twice(v) -> Add(2 * same, v - p.same) -> Wide(4) -> Tail(twice(1)) -> Dense(2, constraint = non_neg) -> Softmax
  output z = all[-1] + all[-1] -> Dense(1, init = orthogonal) frozen
}
train { loss = categorical_crossentropy(y, label) + 0.1 * mse(z, height)  optimizer = sgd(lr = 0.1) }
)";

/// Words, numbers, blanks and single characters: what put together again is the text.
std::vector<std::string> tokens(const std::string& text) {
  std::vector<std::string> out;
  const auto kind = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' ? 1
           : std::isspace(static_cast<unsigned char>(c))           ? 2
                                                                   : 0;
  };
  for (const char c : text) {
    if (!out.empty() && kind(c) != 0 && kind(out.back().back()) == kind(c)) out.back() += c;
    else out.emplace_back(1, c);
  }
  return out;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& p : parts) out += p;
  return out;
}

/// A message or a model; a model's training, evaluation and inference graphs can be made, and are sound after every
/// pass. True for a model.
bool survives(const std::string& text) {
  const Result r = analyse_text(text);
  CHECK((r.model.has_value() || !r.text.empty()));
  CHECK(r.model.has_value() == (r.text.find(": error: ") == std::string::npos));
  if (!r.model) return false;
  passes::PipelineOptions options;
  options.verify = true;
  const passes::Program program = passes::run_pipeline(*r.model, ops::registry(), options);
  CHECK(!program.inference.outputs.empty());
  return true;
}

}  // namespace

TEST_CASE("the text that mutations start from is a model") {
  const Result r = analyse_text(kWholeLanguage);
  CHECK_MESSAGE(r.text == "", r.text);
  CHECK(survives(kWholeLanguage));
}

TEST_CASE("mutated bytes never crash") {
  std::vector<std::string> seeds = texts_of({"/models", "/examples", "/tests/frontend/golden"});
  for (int k = 0; k < 20; ++k) seeds.push_back(kWholeLanguage);
  REQUIRE(seeds.size() >= 30);
  const std::vector<std::string> pieces{"(",
                                        ")",
                                        "{",
                                        "}",
                                        "->",
                                        "=",
                                        "-",
                                        "9999999999",
                                        "0",
                                        "*",
                                        "..",
                                        "\"",
                                        ",",
                                        "[",
                                        "]",
                                        "1e308",
                                        "if",
                                        "for i in 0..99999 {",
                                        "x",
                                        "Conv(",
                                        "\xff\xfe",
                                        "/",
                                        "^",
                                        "let ",
                                        "input ",
                                        "output ",
                                        "not ",
                                        "for i in [",
                                        " frozen",
                                        " from ",
                                        "op F(x) = ",
                                        "fn f(a) = f(a)",
                                        "import \"parts/blocks.net\"",
                                        "f(1)",
                                        "x -> F"};
  std::mt19937 random(7);
  for (int k = 0, n = mutations(200); k < n; ++k) {
    std::string text = seeds[random() % seeds.size()];
    for (int edits = 1 + static_cast<int>(random() % 4); edits > 0; --edits) {
      const size_t at = random() % (text.size() + 1);
      switch (random() % 6) {
        case 0: text.insert(at, pieces[random() % pieces.size()]); break;
        case 1: text.erase(at, 1 + random() % 12); break;
        case 2:
          if (at < text.size()) text[at] = static_cast<char>(random());
          break;
        case 3:
          if (at < text.size()) text[at] = static_cast<char>(text[at] ^ 1 << random() % 8);
          break;
        case 4: text.resize(at); break;
        default: text.insert(at, text.substr(random() % (text.size() + 1), random() % 60)); break;
      }
      if (text.empty()) text = "net";
    }
    INFO(text);
    survives(text);
  }
}

TEST_CASE("mutated words and numbers never crash, and nets that are still nets go through every pass") {
  std::vector<std::string> seeds = texts_of({"/models", "/examples"});
  for (int k = 0; k < 4; ++k) seeds.push_back(kWholeLanguage);
  const std::vector<std::string> numbers{
      "0",   "1",      "2",    "3", "7", "255", "1000000", "4294967296", "9223372036854775807", "99999999999999999999",
      "0.5", "1e-300", "1e308"};
  std::mt19937 random(11);
  int models = 0;
  const int n = mutations(300);
  for (int k = 0; k < n; ++k) {
    std::vector<std::string> parts = tokens(seeds[random() % seeds.size()]);
    for (int edits = 1 + static_cast<int>(random() % 2); edits > 0; --edits) {
      const size_t a = random() % parts.size(), b = random() % parts.size();
      switch (random() % 4) {
        case 0: std::swap(parts[a], parts[b]); break;
        case 1: parts[a] = parts[b]; break;
        case 2: parts.erase(parts.begin() + static_cast<long>(a)); break;
        default:  // the next number
          for (size_t i = a; i < parts.size(); ++i)
            if (std::isdigit(static_cast<unsigned char>(parts[i][0]))) {
              parts[i] = numbers[random() % numbers.size()];
              break;
            }
      }
    }
    const std::string text = joined(parts);
    INFO(text);
    models += survives(text);
  }
  CHECK(models >= n / 10);
}

TEST_CASE("values of -D put together at random are values, or one message") {
  const char* const params[] = {"k = 4",
                                "k = 0.5",
                                "k = true",
                                "k = \"a\"",
                                "k = [3, 4]",
                                "k: [int(1..9)] = [1]",
                                "k: (int, (float, string)) = (1, (2, \"a\"))",
                                "k: one_of(a, b) = \"a\"",
                                "k: one_of(1, 2)",
                                "k = gaussian(0.1)",
                                "k: float(0..1) = 0.5",
                                "k = -1"};
  const std::vector<std::string> pieces{"[",
                                        "]",
                                        "(",
                                        ")",
                                        ",",
                                        "\"",
                                        "1",
                                        "2",
                                        "e",
                                        "e999",
                                        "99999999999999999999",
                                        "-",
                                        "+",
                                        ".",
                                        "/",
                                        "%",
                                        "a",
                                        "_",
                                        " ",
                                        "true",
                                        "no",
                                        "0x",
                                        "nan",
                                        "inf",
                                        "\xff",
                                        "\n",
                                        "9223372036854775808",
                                        "[[[[[[[[[[[[[[[[[[",
                                        "'"};
  std::mt19937 random(13);
  for (int k = 0, n = mutations(1000); k < n; ++k) {
    std::string text;
    for (size_t parts = random() % 7; parts > 0; --parts) text += pieces[random() % pieces.size()];
    const std::string param = params[random() % std::size(params)];
    const Result r = analyse_text("net A(" + param + ") { input x: f32[4]  output y = x -> Dense(2) }", "test.net", "",
                                  {{"k", text}});
    INFO(param << " -D k=" << text << "\n" << r.text);
    CHECK(r.model.has_value() == r.text.empty());
    if (!r.model) CHECK(r.text.find("error: hyperparameter k must be ") != std::string::npos);
  }
}

TEST_CASE("every beginning of a model ends with a message") {
  std::vector<std::string> texts = texts_of({"/models"});
  texts.push_back(kWholeLanguage);
  for (const std::string& text : texts)
    for (int k = 0; k < 40; ++k) {
      const std::string cut = text.substr(0, text.size() * static_cast<size_t>(k) / 40);
      INFO(cut);
      survives(cut);
    }
}

TEST_CASE("deep and endless texts end with a message") {
  const std::vector<std::string> texts{
      net(repeat("(", 100000)),
      net(repeat("(", 200) + "1" + repeat(")", 200)),
      net(repeat("-", 100000) + "1"),
      net(repeat("not ", 50000) + "true"),
      net("1" + repeat("^1", 50000)),
      net("1" + repeat("+1", 50000)),
      net(repeat("if true then 1 else ", 5000) + "1"),
      net("[" + repeat("[", 5000)),
      net("x" + repeat(" -> ReLU", 20000)),
      net("0..9000000000000"),
      net("2^62 * 2"),
      net("9223372036854775807 + 1"),
      net("1 % 0"),
      net("x" + repeat(".x", 20000)),
      net("9223372036854775807 % 9223372036854775806"),
      net("(0 - 9223372036854775807) % 9223372036854775807"),
      net("5 % (0 - 1)"),
      net("9e18 / 1"),
      net("len" + repeat("(", 300) + repeat(")", 300)),
      repeat("net A { block B { ", 2000),
      repeat("{", 100000),
      repeat("\"", 9999),
      std::string(5000, '\0'),
      "net A { input x: f32[4] block B { B } output y = x -> B }",
      "net A { input x: f32[4] output y = x -> A }",
      "net A { input x: f32[4] var z = x for i in 0..90000 { for j in 0..90000 { z = z -> ReLU } } output y = z }",
      "net A { input x: f32[4] var l = [1] for i in 0..60 { l = l + l } output y = x -> Dense(len(l)) }",
      "net A { input x: f32[4] var s = \"aaaaaaaa\" for i in 0..60 { s = s + s } output y = x -> Dense(len(s)) }",
      "net A { input x: f32[4] var l = [1] for i in 0..60 { l = [l, l] } output y = x -> Dense(l == l) }",
      "net A { input x: f32[4] var l = [1] for i in 0..90000 { l = [l] } output y = x -> Dense(len(l)) }",
      "net A { input x: f32[4] var l = ReLU for i in 0..90000 { l = (l -> ReLU) } output y = x -> l }",
      "net A { input x: f32[4] block B(f) { f } var l = Dense(4) for i in 0..90000 { l = B(l) } output y = x -> l }",
      "net A { input x: f32[4] block B(f) { f } var l = Dense(4) for i in 0..90000 { l = [B(l)][0] } output y = x -> l "
      "}",
      net("[" + repeat("[1 for i in [", 300)),
      net("f(1)") + "fn f(n) = f(n + 1)",
      "fn f(n) = f(n - 1) + f(n - 2) net A { input x: f32[4] output y = x -> Dense(f(9)) }",
      "op F(x) = F(x) net A { input x: f32[4] output y = x -> F }",
      "op F(x) = x -> G op G(x) = F(x) + x net A { input x: f32[4] output y = F(x) }",
      "fn f(n) = [f(i) for i in 0..n] net A { input x: f32[4] output y = x -> Dense(len(f(60))) }",
      "fn f(n) = if n < 2 then 1 else f(n - 1) + f(n - 2) net A { input x: f32[4] output y = x -> Dense(f(60)) }",
      "net A { input x: f32[4] let v = [[x for i in 0..1000] for j in 0..1000] output y = x -> Dense(len(v)) }",
      "net A { input x: f32[4] var v = x for i in 0..90000 { for j in 0..90000 { v = v + 1 } } output y = v }",
      net("range(0, 1e18)"),
      net("range(9223372036854775807)"),
      net("range(0, 9223372036854775807, 9223372036854775807)"),
      net("zip" + repeat("([1], ", 200)),
      net("int(1e308)"),
      net("str(" + repeat("[", 60) + repeat("]", 60) + ")"),
      "net A(n: " + repeat("[", 300) + "int" + repeat("]", 300) + " = 3) { input x: f32[4] output y = x -> Dense(2) }",
      "net A { input x: f32[4] let " + repeat("(a, ", 300) + "b" + repeat(")", 300) + " = 3 output y = x -> Dense(2) }",
      "net A { input x: f32[4] let a = Dense(4)" + repeat(" frozen", 5000) + " output y = x -> a }",
      "net A { input x: f32[1000000000, 1000000000] output y = x }",
      "net A { input x: f32[1048576, 900] output y = x -> Flatten -> Dense(1000000000) -> Dense(1000000000) }",
      "net A { input x: f32[1048576, 1048576, 4] output y = x -> ReLU }",
      "net A { input x: f32[4] output y = x -> Dense(1000000) -> Dense(1000000000000) }",
      "net A { input x: f32[8, 8, 3] output y = x -> Conv(4, 9223372036854775807) }",
      "net A { input x: f32[8, 8, 3] output y = x -> Conv(4, 3, padding = 9223372036854775807) }",
      "net A { input x: f32[8, 8, 3] output y = x -> Conv(9223372036854775807, 3) }",
      "net A { input x: f32[8, 8, 3] output y = x -> MaxPool(9223372036854775807) }",
      "net A { input x: f32[8, 8, 3] output y = x -> Conv(4, 3, stride = 9223372036854775807, padding = 1000000000) }",
      "net A { input x: f32[*, *, 3] output y = x -> Resize(9223372036854775807, 9223372036854775807) }"};
  for (const std::string& text : texts) {
    INFO(text.substr(0, 80));
    const Result r = analyse_text(text);
    CHECK((r.model.has_value() || !r.text.empty()));
  }
}
