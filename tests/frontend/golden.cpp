// Every diagnostic against its golden file: golden/NAME.net, the messages in NAME.expected. NETC_UPDATE_GOLDEN=1 writes
// them. The first line may hold options: // --net NAME -D name=value
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/frontend/support.h"

using namespace netc;
using namespace netc::frontend;
namespace fs = std::filesystem;

namespace {

const std::string kFolder = std::string(NETC_SOURCE_DIR) + "/tests/frontend/golden";

std::vector<fs::path> cases() {
  std::vector<fs::path> out;
  for (const auto& e : fs::directory_iterator(kFolder))
    if (e.path().extension() == ".net") out.push_back(e.path());
  std::sort(out.begin(), out.end());
  return out;
}

Result analyse_golden(const fs::path& path) {
  std::istringstream first(read(path.string()).substr(0, 200));
  std::string line, word, net;
  std::getline(first, line);
  std::vector<std::pair<std::string, std::string>> defines;
  std::istringstream words(line);
  while (words >> word) {
    if (word == "--net") words >> net;
    if (word == "-D" && words >> word)
      defines.push_back({word.substr(0, word.find('=')), word.substr(word.find('=') + 1)});
  }
  const fs::path before = fs::current_path();
  fs::current_path(kFolder);  // imports are shown relative to the file
  Result r = analyse_file(path.string(), net, defines);
  fs::current_path(before);
  return r;
}

}  // namespace

TEST_CASE("golden diagnostics") {
  for (const fs::path& path : cases()) {
    const Result r = analyse_golden(path);
    fs::path expected = path;
    expected.replace_extension(".expected");
    if (std::getenv("NETC_UPDATE_GOLDEN")) std::ofstream(expected, std::ios::binary) << r.text;
    INFO(path.filename().string());
    CHECK(r.text == read(expected.string()));
    CHECK(r.model.has_value() == (r.text.find(": error: ") == std::string::npos));
  }
}

TEST_CASE("every id of the table has a golden test") {
  std::set<std::string> seen;
  for (const fs::path& path : cases()) {
    for (const auto& d : nlohmann::json::parse(analyse_golden(path).json)) {
      seen.insert(d["id"]);
      CHECK(d["line"].get<int>() >= 1);
    }
  }
#define DIAG(id, severity, text) CHECK_MESSAGE(seen.count(#id), #id " has no golden test");
#include "compiler/base/diagnostics.def"
#undef DIAG
}

TEST_CASE("every id of the table has an explanation, and nothing else has") {
  std::multiset<std::string> explained;
#define EXPLAIN(id, meaning, wrong, right) explained.insert(#id);
#include "compiler/base/explanations.def"
#undef EXPLAIN
  size_t ids = 0;
#define DIAG(id, severity, text) \
  ++ids;                         \
  CHECK_MESSAGE(explained.count(#id) == 1, #id " has no explanation, or two");
#include "compiler/base/diagnostics.def"
#undef DIAG
  CHECK(explained.size() == ids);
}

TEST_CASE("nearest name") {
  CHECK(nearest_name("Danse", {"Conv", "Dense"}) == "Dense");
  CHECK(nearest_name("relu", {"ReLU", "Dense"}) == "ReLU");
  CHECK(nearest_name("fliters", {"filters", "dropout"}) == "filters");
  CHECK(nearest_name("Zebra", {"Conv", "Dense"}) == "");
}
