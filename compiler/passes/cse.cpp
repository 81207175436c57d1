// Common subexpressions. Two nodes are the same when operator, operands and attributes are; a random operator or one
// that updates a variable never is.
#include <unordered_map>

#include <fmt/format.h>

#include "compiler/ir/print.h"
#include "compiler/passes/passes.h"

namespace netc::passes {

using namespace ir;

Graph merge_common(Graph g) {
  std::vector<ValueId> same(g.values.size());
  for (ValueId v = 0; v < static_cast<ValueId>(same.size()); ++v) same[v] = v;
  std::unordered_map<std::string, NodeId> seen;
  for (NodeId id = 0; id < static_cast<NodeId>(g.nodes.size()); ++id) {
    Node& n = g.nodes[id];
    for (ValueId& v : n.inputs) v = same[v];
    if (n.op->random || !n.op->updates_in_place.empty()) continue;
    const auto [first, fresh] =
        seen.emplace(fmt::format("{}({}){}", n.op->name, fmt::join(n.inputs, ","), to_string(n.attrs)), id);
    if (fresh) continue;
    for (size_t i = 0; i < n.results.size(); ++i) same[n.results[i]] = g.nodes[first->second].results[i];
  }
  for (Output& o : g.outputs) o.value = same[o.value];
  for (Update& u : g.updates) u.value = same[u.value];
  for (Layer& l : g.layers) l.output = l.output == kNone ? kNone : same[l.output];
  return remove_dead(g);
}

}  // namespace netc::passes
