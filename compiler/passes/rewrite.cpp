#include "compiler/passes/rewrite.h"

#include <algorithm>
#include <functional>

namespace netc::passes {

using namespace ir;

void replace_uses(Graph& g, ValueId from, ValueId to, const std::vector<NodeId>& except) {
  for (NodeId n = 0; n < static_cast<NodeId>(g.nodes.size()); ++n) {
    if (std::find(except.begin(), except.end(), n) != except.end()) continue;
    std::replace(g.nodes[n].inputs.begin(), g.nodes[n].inputs.end(), from, to);
  }
  for (Output& o : g.outputs) o.value = o.value == from ? to : o.value;
  for (Update& u : g.updates) u.value = u.value == from ? to : u.value;
  for (Layer& l : g.layers) l.output = l.output == from ? to : l.output;
}

void replace_all(Graph& g, std::vector<ValueId> map) {
  auto end_of = [&](ValueId v) {
    while (v != kNone && v < static_cast<ValueId>(map.size()) && map[v] != v) v = map[v];
    return v;
  };
  for (Node& n : g.nodes) {
    for (ValueId& v : n.inputs) v = end_of(v);
  }
  for (Output& o : g.outputs) o.value = end_of(o.value);
  for (Update& u : g.updates) u.value = end_of(u.value);
  for (Layer& l : g.layers) l.output = end_of(l.output);
}

void restore_order(Graph& g) {
  std::vector<NodeId> order;
  std::vector<bool> placed(g.nodes.size(), false);
  std::function<void(NodeId)> place = [&](NodeId n) {
    if (placed[n]) return;
    placed[n] = true;
    for (ValueId v : g.nodes[n].inputs) {
      if (g.values[v].def != kNone) place(g.values[v].def);
    }
    order.push_back(n);
  };
  for (NodeId n = 0; n < static_cast<NodeId>(g.nodes.size()); ++n) place(n);
  std::vector<Node> nodes;
  for (NodeId n : order) {
    for (ValueId v : g.nodes[n].results) g.values[v].def = static_cast<NodeId>(nodes.size());
    nodes.push_back(std::move(g.nodes[n]));
  }
  g.nodes = std::move(nodes);
}

void drop_unread(Graph& g) {
  std::vector<int> uses = count_uses(g);
  std::vector<Node> kept;
  for (auto n = g.nodes.rbegin(); n != g.nodes.rend(); ++n) {
    if (std::any_of(n->results.begin(), n->results.end(), [&](ValueId v) { return uses[v] > 0; })) {
      kept.push_back(std::move(*n));
      continue;
    }
    for (ValueId v : n->inputs) --uses[v];
    for (ValueId v : n->results) g.values[v].def = kNone;
  }
  std::reverse(kept.begin(), kept.end());
  g.nodes = std::move(kept);
  for (NodeId n = 0; n < static_cast<NodeId>(g.nodes.size()); ++n)
    for (ValueId v : g.nodes[n].results) g.values[v].def = n;
}

std::vector<int> count_uses(const Graph& g) {
  std::vector<int> uses(g.values.size(), 0);
  for (const Node& n : g.nodes) {
    for (ValueId v : n.inputs) ++uses[v];
  }
  for (const Output& o : g.outputs) ++uses[o.value];
  for (const Update& u : g.updates) ++uses[u.value];
  return uses;
}

}  // namespace netc::passes
