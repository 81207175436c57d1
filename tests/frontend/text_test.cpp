// What a file of text may be: encodings, characters that look like others, brackets left open, many errors; and names
// of other frameworks.
#include <doctest/doctest.h>

#include <chrono>

#include <fmt/format.h>

#include "tests/frontend/support.h"

using namespace netc;
using namespace netc::frontend;

namespace {

bool has(const Result& r, const std::string& what) { return r.text.find(what) != std::string::npos; }

int count(const std::string& text, const std::string& what) {
  int n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

const std::string kNet = "net A {\n  input x: f32[4]\n  output y = x -> Dense(2)\n}\n";

std::string wide(const std::string& text, int bytes, bool big, const std::string& mark) {
  std::string out = mark;
  for (const char c : text)
    for (int k = 0; k < bytes; ++k) out += k == (big ? bytes - 1 : 0) ? c : '\0';
  return out;
}

}  // namespace

TEST_CASE("a file that is not UTF-8 is one error with the encoding") {
  using namespace std::string_literals;
  struct Row {
    std::string text, name;
  };
  const Row rows[] = {{wide(kNet, 2, false, "\xFF\xFE"), "UTF-16, little-endian"},
                      {wide(kNet, 2, true, "\xFE\xFF"), "UTF-16, big-endian"},
                      {wide(kNet, 2, false, ""), "UTF-16, little-endian"},
                      {wide(kNet, 2, true, ""), "UTF-16, big-endian"},
                      {wide(kNet, 4, false, "\xFF\xFE\0\0"s), "UTF-32"},
                      {wide(kNet, 4, true, "\0\0\xFE\xFF"s), "UTF-32"},
                      {wide(kNet, 4, false, ""), "UTF-32"},
                      {"// caf\xE9\n" + kNet, "Windows-1252"},
                      {"// \x93quoted\x94\n" + kNet, "Windows-1252"},
                      {kNet + "\0"s, "zero byte"},
                      {"\x7F"s + "ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0>\0\1\0\0\0"s, "zero byte"}};
  for (const Row& row : rows) {
    const Result r = analyse_text(row.text);
    INFO(r.text);
    CHECK(count(r.text, "error:") == 1);
    CHECK(has(r, "[bad_encoding]"));
    CHECK(has(r, row.name));
    CHECK(r.text.find('\0') == std::string::npos);
    CHECK(has(r, "UTF-8"));
  }
  CHECK(analyse_text("\xEF\xBB\xBF" + kNet).text == "");
  CHECK(analyse_text("// caf\xC3\xA9 \xE2\x80\x9C\xF0\x9F\x99\x82\n" + kNet).text == "");
}

TEST_CASE("characters that look like others are shown with their numbers") {
  struct Row {
    const char *text, *number, *like;
  };
  for (const Row& row :
       {Row{"let n = 2 \u00D7 3", "'\u00D7' (U+00D7)", "looks like *"},
        Row{"let n = 3 \u2212 1", "U+2212", "looks like -"}, Row{"let n = \u201Ca\u201D", "U+201C", "looks like \""},
        Row{"let n = x \u2192 ReLU", "U+2192", "looks like ->"},
        Row{"let n\u00A0= 3", "character U+00A0", "looks like a blank"},
        Row{"let n\u200B = 3", "character U+200B", "looks like a blank"},
        Row{"let \u0430 = 3", "U+0430", "looks like a"}, Row{"let n = max\uFF081, 2\uFF09", "U+FF08", "looks like ("},
        Row{"let n = [1\uFF0C 2]", "U+FF0C", "looks like ,"}, Row{"let n = 3\uFF1B", "U+FF1B", "looks like ;"},
        Row{"let n = 3 \u20AC", "U+20AC", ""}, Row{"let n = 3 \u202E", "character U+202E", ""},
        Row{"let n = 3 \x07", "character U+0007", ""}, Row{"let n = 3 $", "'$'", ""}}) {
    const Result r =
        analyse_text("net A {\n  input x: f32[4]\n  " + std::string(row.text) + "\n  output y = x -> Dense(2)\n}\n");
    INFO(r.text);
    CHECK(has(r, "[bad_character]"));
    CHECK(has(r, row.number));
    CHECK(has(r, row.like));
    CHECK(r.text.find('\x07') == std::string::npos);
    CHECK(!has(r, "\u202E"));
  }
}

TEST_CASE("a bracket that is left open is named") {
  struct Row {
    const char* text;
    int line;
    const char* bracket;
  };
  for (const Row& row :
       {Row{"net A {\n  input x: f32[4]\n  output y = x -> Dense(2)\n", 1, "{"},
        Row{"net A {\n  input x: f32[4]\n  block B {\n    ReLU\n  output y = x -> B\n}\n", 3, "{"},
        Row{"net A {\n  input x: f32[4]\n  for i in 0..3 {\n    let v = i\n\n  output y = x -> ReLU\n}\ntrain { loss = "
            "mse(y, t) }\n",
            3, "{"},
        Row{"net A {\n  input x: f32[4]\n  output y = x -> ReLU\n\ntrain {\n  loss = mse(y, t)\n}\n", 1, "{"},
        Row{"net A {\n  input x: f32[4]\n  output y = x -> Dense(2\n}\n", 3, "("},
        Row{"net A {\n  input x: f32[4\n  output y = x -> Dense(2)\n}\n", 2, "["}}) {
    const Result r = analyse_text(row.text);
    INFO(row.text << r.text);
    CHECK(has(r, fmt::format("test.net:{}:", row.line)));
    CHECK(has(r, fmt::format("note: this {} is not closed", row.bracket)));
  }
  CHECK(!has(analyse_text("net A {\n  input x: f32[4]\n  let = 3\n  output y = x -> ReLU\n}\n"), "not closed"));
}

TEST_CASE("a word of the language as a name is said to be one") {
  for (const char* word : {"assert", "for", "net", "true", "from"}) {
    const Result r = analyse_text(fmt::format("net A {{\n  input x: f32[4]\n  let {} = 3\n  output y = x\n}}\n", word));
    INFO(r.text);
    CHECK(has(r, fmt::format("{} is a word of the language", word)));
  }
}

TEST_CASE("at most a hundred errors are shown, and how many more; their number costs no more than itself") {
  const auto errors = [](int n) {
    std::string text = "net A {\n input x: f32[1]\n";
    for (int i = 0; i < n; ++i) text += fmt::format(" let a{} = zz{}\n", i, i);
    return text + " output y = x\n}\n";
  };
  CHECK(count(analyse_text(errors(100)).text, ": error: ") == 100);
  const Result one = analyse_text(errors(101)), many = analyse_text(errors(8000));
  CHECK(has(one, "error: 1 more is not shown [more_messages]"));
  CHECK(has(many, "error: 7900 more are not shown [more_messages]"));
  CHECK(count(many.text, ": error: ") == 101);
  using Clock = std::chrono::steady_clock;
  const auto seconds = [&](const std::string& text) {
    const auto start = Clock::now();
    analyse_text(text);
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  CHECK(seconds(errors(16000)) < 12 * seconds(errors(4000)) + 1);
  std::string marks, tokens = "net A {\n";
  for (int i = 0; i < 3000; ++i) marks += "@ ", tokens += " let = 3\n";
  for (const std::string& text : {marks, tokens}) CHECK(count(analyse_text(text).text, ": error: ") <= 101);
  std::string warnings = "net A {\n input x: f32[4]\n";
  for (int i = 0; i < 150; ++i) warnings += fmt::format(" let a{} = {}\n", i, i);
  const Result warned = analyse_text(warnings + " output y = x -> Dense(2)\n}\n");
  CHECK(warned.model.has_value());
  CHECK(has(warned, "warning: 50 more are not shown"));
}

TEST_CASE("very long expressions end soon") {
  std::string sum = "1", chain = "x";
  for (int i = 0; i < 200000; ++i) sum += "+1";
  for (int i = 0; i < 50000; ++i) chain += "*2";
  for (const std::string& e : {sum, chain}) {
    const auto start = std::chrono::steady_clock::now();
    const Result r = analyse_text("net A {\n input x: f32[4]\n let v = " + e + "\n output y = x\n}\n");
    CHECK(count(r.text, ": error: ") == 1);
    CHECK(has(r, "[too_deep]"));
    CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < 20);
  }
}

TEST_CASE("names of other frameworks are known") {
  struct Row {
    const char *body, *help;
  };
  for (const Row& row :
       {Row{"x -> MaxPooling2D(2)", "MaxPooling2D is called MaxPool here"},
        Row{"x -> GlobalAveragePooling2D", "is called GlobalAvgPool here"},
        Row{"x -> Linear(3)", "Linear is called Dense here"}, Row{"x -> BatchNorm2d", "is called BatchNorm here"},
        Row{"x -> nn.Linear(3)", "no prefix"}, Row{"x -> Conv2D(4, 3)", "is called Conv here"},
        Row{"x -> relu", "ReLU"}, Row{"x -> Activation(\"relu\")", "-> ReLU"},
        Row{"x -> Flatten -> Dense(3, activation = relu)", "-> ReLU"},
        Row{"x -> Conv(4, kernel_size = 3)", "is called kernel here"},
        Row{"x -> Conv(4, 3, strides = 2)", "is called stride here"},
        Row{"x -> Conv(4, 3, in_channels = 3)", "follows from the input"},
        Row{"x -> Conv(4, 3, use_bias = false)", "is called bias here"},
        Row{"x -> Dropout(p = 0.5)", "is called rate here"}, Row{"x -> Conv(4, 3, bias = False)", "write false"},
        Row{"x -> Conv(4, 3, padding = \"SAME\")", "did you mean same?"}}) {
    const Result r = analyse_text("net A {\n  input x: f32[8, 8, 4]\n  output y = " + std::string(row.body) + "\n}\n");
    INFO(r.text);
    CHECK(!r.model.has_value());
    CHECK(has(r, row.help));
  }
  CHECK(analyse_text("net A {\n  input x: f32[8, 8, 4]\n  output y = x -> Conv(4, 3, padding = \"same\")\n}\n").text ==
        "");
  for (const Row& row : {Row{"optimizer = adam(learning_rate = 1e-3)", "is called lr here"},
                         Row{"optimizer = Adam()", "adam"}, Row{"optimizer = rmsprop()", "there are sgd, adam"},
                         Row{"optimizer = adam() batch_size = 3", "is called batch here"},
                         Row{"optimizer = adam() learning_rate = 3", "adam(lr = 1e-3)"},
                         Row{"optimizer = adam() colour = 3", "there are loss, optimizer"},
                         Row{"optimizer = adam() metrics = [acc]", "is called accuracy here"},
                         Row{"optimizer = adam() callbacks = [EarlyStopping()]", "early_stopping"},
                         Row{"optimizer = adam() callbacks = [ModelCheckpoint()]", "is called checkpoint"}}) {
    const Result r = analyse_text(kNet + "train { loss = mse(y, t) " + row.body + " }");
    INFO(r.text);
    CHECK(!r.model.has_value());
    CHECK(has(r, row.help));
  }
  CHECK(has(analyse_text(kNet + "data { colour = 3 }"), "there are train, valid, test, augment"));
  CHECK(has(analyse_text(kNet + "train { loss = CrossEntropyLoss(y, t) optimizer = adam() }"),
            "is called categorical_crossentropy here"));
}
