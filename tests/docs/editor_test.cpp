// The editors' grammar knows every word of the language.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

namespace {

std::string read(const std::string& path) {
  std::ifstream in(std::string(NETC_SOURCE_DIR) + "/" + path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// The words of the alternatives `\b(a|b)\b` of every rule.
void words_of(const nlohmann::json& rule, std::set<std::string>& words) {
  if (rule.is_object() && rule.contains("match") && rule["match"].is_string()) {
    static const std::regex group(R"(^\\b\(([a-z|_0-9]+)\))"), word("[a-z_0-9]+");
    const std::string match = rule["match"];
    std::smatch m;
    if (std::regex_search(match, m, group)) {
      const std::string list = m[1];
      for (std::sregex_iterator it(list.begin(), list.end(), word), end; it != end; ++it) words.insert(it->str());
    }
  }
  if (rule.is_structured())
    for (const auto& inner : rule) words_of(inner, words);
}

}  // namespace

TEST_CASE("editors: every keyword of the grammar is coloured") {
  const nlohmann::json grammar = nlohmann::json::parse(read("editors/net.tmLanguage.json"));
  CHECK(grammar["scopeName"] == "source.net");
  CHECK(grammar["fileTypes"] == nlohmann::json::array({"net"}));
  std::set<std::string> words;
  words_of(grammar, words);
  const std::string g4 = read("grammar/Net.g4");
  static const std::regex keyword("'([a-z]+)'");
  size_t seen = 0;
  for (std::sregex_iterator it(g4.begin(), g4.end(), keyword), end; it != end; ++it, ++seen)
    CHECK_MESSAGE(words.count((*it)[1]) == 1, (*it)[1].str());
  CHECK(seen > 15);
  // Rules refer to rules that exist, and the extension to files that do.
  for (const auto& p : grammar["patterns"])
    CHECK(grammar["repository"].contains(p["include"].get<std::string>().substr(1)));
  const nlohmann::json package = nlohmann::json::parse(read("editors/package.json"));
  for (const auto& path :
       {package["contributes"]["grammars"][0]["path"], package["contributes"]["languages"][0]["configuration"]})
    CHECK(nlohmann::json::parse(read("editors/" + path.get<std::string>())).is_object());
}
