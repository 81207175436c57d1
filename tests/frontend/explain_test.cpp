// What `netc explain` shows is true: the wrong example of each id is reported with that id, the right one compiles.
#include <doctest/doctest.h>

#include <regex>

#include <nlohmann/json.hpp>

#include "tests/frontend/support.h"

using namespace netc;
using namespace netc::frontend;

namespace {

const std::string kNet = "net A(filters = 6) {\n  input x: f32[4]\n  output y = x -> Dense(filters) -> Softmax\n}\n";

bool starts(const std::string& s, const std::string& with) { return s.rfind(with, 0) == 0; }

std::string replaced(std::string s, const std::string& what, const std::string& by) {
  for (size_t at = s.find(what); at != std::string::npos; at = s.find(what, at + by.size()))
    s.replace(at, what.size(), by);
  return s;
}

/// An example as a whole file, or the options of netc.
Result analyse_example(std::string example) {
  example = replaced(replaced(example, "(…", std::string(300, '(')), "…)", std::string(300, ')'));
  if (starts(example, "netc ")) {
    std::istringstream words(example);
    std::string word, file, net;
    std::vector<std::pair<std::string, std::string>> defines;
    words >> word >> file;
    while (words >> word) {
      if (word == "--net") words >> net;
      if (word == "-D" && words >> word)
        defines.push_back({word.substr(0, word.find('=')), word.substr(word.find('=') + 1)});
    }
    const std::string two = replaced(kNet, "net A", "net First") + replaced(kNet, "net A", "net Second");
    return analyse_text(file == "two.net" ? two : kNet, file, net, defines);
  }
  if (starts(example, "import ")) return analyse_text(example + "\n" + kNet, NETC_SOURCE_DIR "/models/example.net");
  if (starts(example, "net ") || starts(example, "//")) return analyse_text(example);
  if (starts(example, "train {") || starts(example, "data {")) return analyse_text(kNet + example);
  std::smatch m;
  if (std::regex_search(example, m, std::regex("^(train|valid|test|augment) = ")))
    return analyse_text(kNet + "data { " + example + " }");
  if (std::regex_search(example, m, std::regex("^(loss|optimizer|metrics|callbacks|batch|epochs|seed) = "))) {
    std::string train = "train { " + example;
    if (m[1] != "loss") train += " loss = categorical_crossentropy(y, label)";
    if (m[1] != "optimizer") train += " optimizer = adam()";
    return analyse_text(kNet + train + " }");
  }
  return analyse_text(
      "net A(filters = 6) {\n  input image: f32[28, 28, 1]\n  input x: f32[4]\n  input a: f32[4]\n  input b: f32[5]\n" +
      example + "\n  output result = x -> Dense(2)\n}\n");
}

bool reported(const Result& r, const std::string& id) {
  for (const auto& d : nlohmann::json::parse(r.json))
    if (d["id"] == id) return true;
  return false;
}

}  // namespace

TEST_CASE("explain: wrong examples are reported, right ones compile") {
  struct Page {
    const char *id, *wrong, *right;
  };
  const Page pages[] = {
#define EXPLAIN(id, meaning, wrong, right) {#id, wrong, right},
#include "compiler/base/explanations.def"
#undef EXPLAIN
  };
  for (const Page& p : pages) {
    const std::string id = p.id;
    // take more than an example: golden/import_cycle.net and those like it
    if (id == "import_cycle" || id == "bad_encoding" || id == "more_messages") continue;
    INFO(p.id);
    const Result wrong = analyse_example(p.wrong), right = analyse_example(p.right);
    CHECK_MESSAGE(reported(wrong, p.id), std::string(p.wrong) << "\n" << wrong.text);
    CHECK_MESSAGE(right.model.has_value(), std::string(p.right) << "\n" << right.text);
    CHECK_MESSAGE(!reported(right, p.id), std::string(p.right) << "\n" << right.text);
  }
}
