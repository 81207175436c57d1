// Passes as text: golden/NAME.txt names the pass, has the graph before it and the graph that is expected after it.
// NETC_UPDATE_GOLDEN=1 writes the expected half.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "compiler/ir/graph.h"
#include "compiler/ops/ops.h"
#include "compiler/passes/passes.h"

using namespace netc;
using namespace netc::ir;
namespace fs = std::filesystem;

namespace {

const std::string kFolder = std::string(NETC_SOURCE_DIR) + "/tests/passes/golden";
const std::string kExpected = "---- expected\n";

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// Gradients of the output "loss" in every trainable weight, as outputs.
Graph with_gradients(Graph g) {
  const auto loss =
      std::find_if(g.outputs.begin(), g.outputs.end(), [](const Output& o) { return o.kind == OutputKind::loss; });
  REQUIRE(loss != g.outputs.end());
  for (const auto& [variable, value] : passes::add_gradients(g, ops::registry(), loss->value))
    g.outputs.push_back({g.variables[static_cast<size_t>(variable)].name, value, OutputKind::gradient});
  return g;
}

const std::map<std::string, std::function<Graph(Graph)>>& all_passes() {
  const Registry& r = ops::registry();
  static const std::map<std::string, std::function<Graph(Graph)>> table = {
      {"autodiff", with_gradients},
      {"constant_fold", passes::fold_constants},
      {"copy_inputs", [&r](Graph g) { return passes::copy_inputs(std::move(g), r); }},
      {"cse", passes::merge_common},
      {"dce", [](const Graph& g) { return passes::remove_dead(g); }},
      {"fold_batch_norm", [&r](Graph g) { return passes::fold_affine(std::move(g), r); }},
      {"inference", passes::to_inference},
      {"pool_first", passes::pool_first},
      {"round_products", [&r](Graph g) { return passes::round_products(std::move(g), r); }},
  };
  return table;
}

}  // namespace

TEST_CASE("golden passes") {
  std::map<std::string, int> seen;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() != ".txt") continue;
    const std::string text = read(entry.path());
    INFO(entry.path().filename().string());
    const size_t line = text.find('\n'), middle = text.find(kExpected);
    REQUIRE((text.rfind("pass ", 0) == 0 && line != std::string::npos));
    const std::string pass = text.substr(5, line - 5), before = text.substr(line + 1, middle - line - 1);
    REQUIRE_MESSAGE(all_passes().count(pass) == 1, pass);
    ++seen[pass];
    std::string error;
    std::optional<Graph> g = parse(before, ops::registry().ops, error);
    REQUIRE_MESSAGE(g, error);
    for (const std::string& e : verify(*g)) FAIL_CHECK("before: " << e);
    const Graph after = all_passes().at(pass)(std::move(*g));
    for (const std::string& e : verify(after)) FAIL_CHECK("after: " << e);
    if (std::getenv("NETC_UPDATE_GOLDEN"))
      std::ofstream(entry.path(), std::ios::binary) << text.substr(0, line + 1) << before << kExpected << print(after);
    CHECK(read(entry.path()).substr(read(entry.path()).find(kExpected) + kExpected.size()) == print(after));
  }
  for (const auto& [pass, run] : all_passes()) CHECK_MESSAGE(seen[pass] > 0, pass << " has no golden file");
}
