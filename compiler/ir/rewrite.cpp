#include "compiler/ir/rewrite.h"

#include <algorithm>

namespace netc::ir {

Readers::Readers(Graph& g) : g_(g) {
  index_new_nodes();
  const auto all = [&](const auto& list, auto value, decltype(Reader::kind) kind) {
    for (size_t i = 0; i < list.size(); ++i)
      if (const ValueId v = list[i].*value; v != kNone) readers_[v].push_back({kind, static_cast<int32_t>(i)});
  };
  all(g.outputs, &Output::value, Reader::output);
  all(g.updates, &Update::value, Reader::update);
  all(g.layers, &Layer::output, Reader::layer);
}

void Readers::index_new_nodes() {
  readers_.resize(g_.values.size());
  for (; indexed_ < static_cast<NodeId>(g_.nodes.size()); ++indexed_)
    for (const ValueId v : g_.nodes[indexed_].inputs) readers_[v].push_back({Reader::node, indexed_});
}

int Readers::count(ValueId v) {
  index_new_nodes();
  return static_cast<int>(
      std::count_if(readers_[v].begin(), readers_[v].end(), [](const Reader& r) { return r.kind != Reader::layer; }));
}

void Readers::replace(ValueId from, ValueId to, NodeId first_kept) {
  index_new_nodes();
  if (from == to) return;
  std::vector<Reader> kept;
  for (const Reader& r : readers_[from]) {
    if (r.kind == Reader::node && r.index >= first_kept) {
      kept.push_back(r);
      continue;
    }
    if (r.kind == Reader::output) g_.outputs[r.index].value = to;
    else if (r.kind == Reader::update) g_.updates[r.index].value = to;
    else if (r.kind == Reader::layer) g_.layers[r.index].output = to;
    else std::replace(g_.nodes[r.index].inputs.begin(), g_.nodes[r.index].inputs.end(), from, to);
    readers_[to].push_back(r);
  }
  readers_[from] = std::move(kept);
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
  std::vector<NodeId> order, open;  // open: nodes that wait for those after them
  std::vector<bool> seen(g.nodes.size(), false), placed(g.nodes.size(), false);
  for (NodeId first = 0; first < static_cast<NodeId>(g.nodes.size()); ++first) {
    open.push_back(first);
    while (!open.empty()) {
      const NodeId n = open.back();
      if (seen[n]) {
        if (!placed[n]) order.push_back(n);
        placed[n] = true;
        open.pop_back();
        continue;
      }
      seen[n] = true;
      const std::vector<ValueId>& in = g.nodes[n].inputs;
      for (auto v = in.rbegin(); v != in.rend(); ++v)
        if (const NodeId def = g.values[*v].def; def != kNone && !seen[def]) open.push_back(def);
    }
  }
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

}  // namespace netc::ir
