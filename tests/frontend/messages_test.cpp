// What messages say about a kind of mistake, by tables: values of -D, types of inputs, words without quotes, numbers of
// float32; and that what they advise compiles.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include "compiler/sema/product.h"
#include "tests/frontend/support.h"

using namespace netc;
using namespace netc::frontend;

namespace {

bool has(const std::string& text, const std::string& what) { return text.find(what) != std::string::npos; }

int errors(const std::string& text) {
  int n = 0;
  for (size_t at = text.find(": error: "); at != std::string::npos; at = text.find(": error: ", at + 1)) ++n;
  return n;
}

/// As a command does: with what a product asks for.
std::string checked(const std::string& text) {
  const SourceFile source("test.net", text);
  Diagnostics diagnostics(source);
  if (const auto file = load(source, {}, diagnostics))
    if (const auto model = sema::analyse(*file, {}, ops::registry(), diagnostics))
      sema::check_product(*file, *model, diagnostics);
  return diagnostics.render(false);
}

/// The text of `help:`, "" where there is none.
std::string help_of(const std::string& text) {
  const size_t at = text.find("help: ");
  return at == std::string::npos ? "" : text.substr(at + 6, text.find('\n', at) - at - 6);
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const size_t at = text.find(what);
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

}  // namespace

TEST_CASE("a value of -D that does not fit: the hyperparameter, its type, the text, and what to write") {
  struct Row {
    const char *param, *text, *wants, *is, *write;
  };
  const Row rows[] = {
      {"k = 4", "1e3", "an integer", "is 1e3", "-D k=1000"},
      {"k = 4", "2.0", "an integer", "is 2.0", "-D k=2"},
      {"k = 4", "1.5", "an integer", "is 1.5", "-D k=4"},
      {"k = 4", "1,000", "an integer", "is \"1,000\"", "-D k=1000"},
      {"k = 4", "1_000", "an integer", "is \"1_000\"", "-D k=1000"},
      {"k = 4", "0x10", "an integer", "is 0x10", "-D k=16"},
      {"k = 4", "many", "an integer", "is \"many\"", "-D k=4"},
      {"k = 4", "", "an integer", "is empty", "-D k=4"},
      {"k = 4", "99999999999999999999", "an integer", "is 99999999999999999999, which does not fit 64 bits", "-D k=4"},
      {"k = 4", "1e999", "an integer", "is 1e999, which is too large a number", "-D k=4"},
      {"k: int(1..9) = 3", "1e1", "an integer from 1 to 9", "is 1e1", "-D k=3"},
      {"k: int(2..9)", "x", "an integer from 2 to 9", "is \"x\"", "-D k=8"},
      {"k = 0.5", "yes", "a number", "is \"yes\"", "-D k=0.5"},
      {"k = 0.5", "0,01", "a number", "is \"0,01\"", "-D k=0.01"},
      {"k = 0.5", "1/4", "a number", "is \"1/4\"", "-D k=0.25"},
      {"k = 0.5", "20%", "a number", "is \"20%\"", "-D k=0.2"},
      {"k = 0.5", "nan", "a number", "is \"nan\"", "-D k=0.5"},
      {"k: float(0..1) = 0.5", "1e999", "a number from 0 to 1", "is 1e999, which is too large a number", "-D k=0.5"},
      {"k = true", "yes", "true or false", "is \"yes\"", "-D k=true"},
      {"k = true", "False", "true or false", "is \"False\"", "-D k=false"},
      {"k = true", "0", "true or false", "is 0", "-D k=false"},
      {"k = true", "", "true or false", "is empty", "-D k=true"},
      {"k = [3, 4]", "[3,4", "a list", "is \"[3,4\", whose [ is not closed", "-D 'k=[3, 4]'"},
      {"k = [3, 4]", "3,4]", "a list", "is \"3,4]\", where ] closes nothing", "-D 'k=[3, 4]'"},
      {"k = [3, 4]", "(3,4]", "a list", "is \"(3,4]\", where ] closes nothing", "-D 'k=[3, 4]'"},
      {"k = [3, 4]", "[3;4]", "a list", "is [3;4], where 3;4 is no number", "-D 'k=[3, 4]'"},
      {"k = [3, 4]", "3 4", "a list", "is 3 4, where 3 4 is no number", "-D 'k=[3, 4]'"},
      {"k = [3, 4]", "[3,,4]", "a list", "is [3,,4], where an element is empty", "-D 'k=[3, 4]'"},
      {"k = [3, 4]", "", "a list", "is empty", "-D 'k=[3, 4]'"},
      {"k = [\"a\"]", "[\"a]", "a list", "is [\"a], whose last quote is not closed", "-D 'k=[\"a\"]'"},
      {"k: [int] = [1]", "[1e3]", "a list whose element 0 is an integer", "is [1000]", "-D 'k=[1]'"},
      {"k: (int, float) = (1, 2)", "(1", "a tuple of 2", "is \"(1\", whose ( is not closed", "-D 'k=[1, 2]'"},
      {"k: one_of(relu, tanh) = \"relu\"", "Tanh", "one of \"relu\", \"tanh\"", "is \"Tanh\"", "-D k=tanh"},
      {"k: one_of(18, 34) = 18", "35", "one of 18, 34", "is 35", "-D k=34"},
      {"k: one_of(18, 34) = 18", "abc", "one of 18, 34", "is \"abc\"", "-D k=18"},
  };
  for (const Row& row : rows) {
    const Result r = analyse_text(fmt::format("net A({}) {{ input x: f32[4]  output y = x -> Dense(2) }}", row.param),
                                  "test.net", "", {{"k", row.text}});
    INFO(std::string(row.param) << "  -D k=" << row.text << "\n" << r.text);
    CHECK(errors(r.text) == 1);
    CHECK(has(r.text, fmt::format("hyperparameter k must be {}, but {}", row.wants, row.is)));
    CHECK(has(help_of(r.text), fmt::format("; write {}", row.write)));
  }
}

TEST_CASE("a value of -D that fits") {
  struct Row {
    const char *param, *text, *value;
  };
  const Row rows[] = {{"k = 4", " 7 ", "7"},
                      {"k = 4", "-7", "-7"},
                      {"k = 0.5", "7", "7"},
                      {"k = 0.5", "99999999999999999999", "1e+20"},
                      {"k = 0.5", ".5", "0.5"},
                      {"k = true", "false", "false"},
                      {"k = \"a\"", "", "\"\""},
                      {"k = \"a\"", "\"b c\"", "\"b c\""},
                      {"k = \"a\"", "1e3", "\"1e3\""},
                      {"k = [3, 4]", "[8, 1e3,]", "[8, 1000]"},
                      {"k = [3, 4]", "8, 16", "[8, 16]"},
                      {"k = [3, 4]", "[]", "[]"},
                      {"k = [3, 4]", "[(1, 2), [3]]", "[[1, 2], [3]]"},
                      {"k = [\"a\"]", "[\"b, c\", d]", "[\"b, c\", \"d\"]"},
                      {"k: one_of(a, b) = \"a\"", "\"b\"", "\"b\""},
                      {"k: one_of(\"1.0\", \"1.1\")", "1.1", "\"1.1\""},
                      {"k: one_of(18, 34)", "34", "34"}};
  for (const Row& row : rows) {
    const Result r = analyse_text(fmt::format("net A({}) {{ input x: f32[4]  output y = x -> Dense(2) }}", row.param),
                                  "test.net", "", {{"k", row.text}});
    INFO(std::string(row.param) << "  -D k=" << row.text << "\n" << r.text);
    REQUIRE(r.model.has_value());
    CHECK(r.model->hyperparameters.at(0).value == row.value);
  }
}

TEST_CASE("the remedy for a type is one that compiles") {
  const char* const types[] = {"u8[6]",        "u8[8, 8, 3]", "i32[6]",       "i32[6, 6]",    "i32[8, 8, 3]", "u32[6]",
                               "u32[8, 8, 3]", "u8[*, *, 3]", "i32[*, *, 3]", "f32[*, *, 3]", "i32[*]"};
  const char* const uses[] = {"%",
                              "% -> Flatten",
                              "% -> Dense(3)",
                              "% -> Conv(2, 3)",
                              "% -> DepthwiseConv(3)",
                              "% -> ReLU",
                              "% -> BatchNorm",
                              "% -> LayerNorm",
                              "% -> MaxPool",
                              "% -> Softmax",
                              "% -> Dropout(0.5)",
                              "% -> GlobalAvgPool",
                              "% -> Rescale(1/255)",
                              "% -> Normalise(mean = 0.5, stddev = 0.5)",
                              "% -> Resize(4, 4)",
                              "% -> GRU(4)",
                              "% -> MultiHeadAttention(1)",
                              "% -> Add(%)",
                              "2 * %",
                              "-%",
                              "exp(%)",
                              "mean(%)",
                              "% + %"};
  int remedies = 0;
  for (const std::string first : types)
    for (const std::string use : uses) {
      std::string type = first, operand = "x";
      for (int step = 0; step < 4; ++step) {
        const std::string text = fmt::format("net A {{ input x: {}  output y = {} }}", type,
                                             replaced(replaced(use, "%", operand), "%", operand));
        const std::string said = checked(text), help = help_of(said), error = said.substr(0, said.find('\n'));
        INFO(text << "\n" << said);
        REQUIRE(step < 3);
        CHECK(!has(error, "unknown_layer"));
        const bool of_type = has(error, "u8[") || has(error, "i32[") || has(error, "u32[") || has(error, "[*");
        if (!of_type || has(error, "needs an image")) break;  // no error, or one of shapes
        ++remedies;
        if (has(help, "declare the input as f32") || has(help, "the other extents"))
          type = has(type, "[*]") ? "f32[6]" : "f32" + type.substr(type.find('['));
        else if (has(help, "Resize(height, width)")) operand = fmt::format("({} -> Resize(8, 8))", operand);
        else if (has(help, "Rescale(1/255)")) operand = fmt::format("({} -> Rescale(1/255))", operand);
        else if (has(help, "Embedding(vocabulary, dim)")) operand = fmt::format("({} -> Embedding(9, 4))", operand);
        else FAIL_CHECK("no remedy is said");
      }
    }
  CHECK(remedies > 150);
}

TEST_CASE("what a mistake of each kind is told") {
  struct Row {
    const char *body, *says, *help;
  };
  const Row rows[] = {
      // an output that is none: at its place
      {"input z: u8[4]  output y = z",
       "1:53: error: the output y must be f32 of known extents, for each sample, but is u8[4]", "Rescale(1/255)"},
      {"input z: i32[4]  output y = z -> Flatten", "1:54: error: the output y must be f32",
       "Embedding(vocabulary, dim)"},
      {"input z: u32[4]  output y = x -> ReLU  if true { output w = z }", "the output w must be f32",
       "declare the input as f32"},
      // words
      {"block B(k: one_of(small, large) = \"small\") { Dense(3) }  output y = x -> B(small)", "nothing is called small",
       "write \"small\""},
      {"block B(k: one_of(small, large) = large) { Dense(3) }  output y = x -> B", "nothing is called large",
       "write \"large\""},
      // layers
      {"let i = In(3)  output y = x -> Dense(3)", "called In", "write: input image"},
      {"let i = Dense(3)  output y = x -> i(x)", "i is a layer and cannot be called", "x -> i applies it"},
      {"let i = x -> Dense(4)  output y = x -> i(x)", "i is a tensor and cannot be called", "x -> Add(i)"},
      {"let i = 3  output y = x -> i(x)", "i is an integer and cannot be called", "write i alone"},
      {"let i = [Dense(3)]  output y = x -> i(x)", "i is a list and cannot be called", "its elements are i[0]"},
      {"output y = x -> 3", "3 stands after -> but is an integer", "x -> Dense(3)"},
      {"let i = x -> Dense(4)  output y = x -> i", "i stands after -> but is a tensor", "x -> Add(i)"},
      {"output y = Dense(3)", "an output must be a tensor, but is a layer", "is -> missing before it?"},
      {"[Dense(3), ReLU]  output y = x -> Dense(3)", "never applied", "is -> missing before it?"},
      {"let c = Dense(4)  output y = x", "warning: the value of c is not used", "x -> c applies it"},
      {"let c = Dense(4) -> ReLU  output y = x", "warning: the value of c is not used", "x -> c applies it"},
      // numbers
      {"output y = 1e39 * x", "1e+39 is beyond float32, whose largest number is 3.4e+38", ""},
      {"output y = x -> Dense(2, init = constant(-1e39))", "-1e+39 is beyond float32", ""},
      {"output y = x + 1e-40",
       "warning: 1e-40 is smaller than float32's smallest normal number, 1.18e-38: few of its digits are kept", ""},
      {"output y = x + 1e-50",
       "warning: 1e-50 is smaller than float32's smallest normal number, 1.18e-38: it is 0 there", ""},
      {"output y = x -> Rescale(1e-40)", "warning: 1e-40 is smaller", ""},
      {"input z: f32[65536, 65536, 3]  output y = z -> Flatten",
       "a sample has at most 1,000,000,000 values, but f32[65536, 65536, 3] has 12,884,901,888", ""},
      {"input z: f32[1048576, 1048576, 1048576, 1048576]  output y = x", "has 1.20893e+24", ""},
      {"input z: f32[1, 2, 3, 4, 5]  output y = x", "a sample has at most 4 dimensions, but f32[1, 2, 3, 4, 5] has 5",
       ""},
      {"input z: f32[0]  output y = x", "an extent must be an integer from 1 to 1,048,576, or *, but is 0", ""},
      {"output y = x -> Dense(99999999999)", "from 1 to 1,000,000,000, but is 99999999999", ""},
      // numbers of things
      {"block B { Dense(3) }  output y = x -> B(3)", "B takes 0 arguments at most, but 1 is given", ""},
      {"block B(n) { Dense(n) }  output y = x -> B(3, 4)", "B takes 1 argument at most, but 2 are given", ""},
      {"block B { input a  output a -> ReLU }  output y = x -> B(x)", "B takes 1 input, but 2 are given", ""},
      {"block B { input a input b output a -> Add(b) }  output y = x -> B", "B takes more inputs, but 1 is given", ""},
      {"output y = mean(x, 3)", "3 is no axis of a tensor of 1 dimension ", ""},
      {"output y = x -> Dense(len())", "but is missing", ""},
  };
  for (const Row& row : rows) {
    const std::string said = checked(fmt::format("net A {{ input x: f32[4]  {} }}", row.body));
    INFO(std::string(row.body) << "\n" << said);
    CHECK(has(said, row.says));
    CHECK(has(said, row.help));
  }
}

TEST_CASE("a long sum names what adds many") {
  std::string sum = "x";
  for (int i = 0; i < 1000; ++i) sum += " + x";
  const std::string said = checked("net A { input x: f32[4]  output y = " + sum + " }");
  CHECK(errors(said) == 1);
  CHECK(has(help_of(said), "a -> Add([b, c])"));
  CHECK(checked("net A { input x: f32[4]  output y = x -> Add([x for i in 0..1000]) }") == "");
  CHECK(checked("net A { input x: f32[4]  output y = x -> Dense(sum([1 for i in 0..1000])) }") == "");
}

TEST_CASE("lists of metrics and monitors are those that fit") {
  const auto train = [](const std::string& output, const std::string& loss, const std::string& rest) {
    return checked(fmt::format(
        "net A {{ input x: f32[4]  output y = x -> {} }}\ntrain {{ loss = {}(y, label)  optimizer = adam  {} }}",
        output, loss, rest));
  };
  const std::string classes = train("Dense(3) -> Softmax", "categorical_crossentropy", "metrics = [auc]"),
                    values = train("Dense(3)", "mse", "metrics = [accuracy]");
  CHECK_MESSAGE(has(help_of(classes), "accuracy, top(k), precision, recall, f1, confusion_matrix, perplexity"),
                classes);
  CHECK_MESSAGE(has(help_of(values), "mae, mse, rmse, r2"), values);
  const std::string monitor =
      train("Dense(3) -> Softmax", "categorical_crossentropy", "callbacks = [early_stopping(val_perplexity)]");
  CHECK_MESSAGE(has(help_of(monitor), "metrics = [perplexity]"), monitor);
  CHECK(train("Dense(3) -> Softmax", "categorical_crossentropy",
              "metrics = [perplexity]  callbacks = [early_stopping(val_perplexity)]") == "");
}
