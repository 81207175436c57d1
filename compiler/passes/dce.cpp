// Dead code: what no output and no update needs.
#include "compiler/passes/passes.h"

namespace netc::passes {

using namespace ir;

namespace {

bool kept_unread(Role r) { return r == Role::input || r == Role::weight || r == Role::state || r == Role::slot; }

/// Values that an output or an update needs, and the variables that stay in any case.
std::vector<bool> live_values(const Graph& g) {
  std::vector<bool> live(g.values.size(), false);
  for (const Output& o : g.outputs) live[o.value] = true;
  for (const Update& u : g.updates) {
    live[u.value] = true;
    live[g.variables[u.variable].value] = true;
  }
  for (NodeId n = static_cast<NodeId>(g.nodes.size()) - 1; n >= 0; --n) {
    bool needed = false;
    for (ValueId v : g.nodes[n].results) needed = needed || live[v];
    if (!needed) continue;
    for (ValueId v : g.nodes[n].inputs) live[v] = true;
    for (ValueId v : g.nodes[n].results) live[v] = true;
  }
  for (const Variable& v : g.variables) live[v.value] = live[v.value] || kept_unread(v.role);
  return live;
}

}  // namespace

Graph remove_dead(const Graph& g) {
  const std::vector<bool> live = live_values(g);
  Graph out;
  out.name = g.name;
  out.training = g.training;
  out.layers = g.layers;
  std::vector<ValueId> at(g.values.size(), kNone);
  std::vector<int32_t> variable_at(g.variables.size(), kNone);
  for (size_t i = 0; i < g.variables.size(); ++i) {
    Variable v = g.variables[i];
    if (!live[v.value]) continue;
    Value value = g.values[v.value];
    variable_at[i] = value.variable = static_cast<int32_t>(out.variables.size());
    at[v.value] = static_cast<ValueId>(out.values.size());
    v.value = at[v.value];
    out.values.push_back(std::move(value));
    out.variables.push_back(std::move(v));
  }
  for (const Node& old : g.nodes) {
    if (!live[old.results.front()]) continue;
    Node n = old;
    for (ValueId& v : n.inputs) v = at[v];
    for (ValueId& r : n.results) {
      Value value = g.values[r];
      value.def = static_cast<NodeId>(out.nodes.size());
      at[r] = static_cast<ValueId>(out.values.size());
      r = at[r];
      out.values.push_back(std::move(value));
    }
    out.nodes.push_back(std::move(n));
  }
  for (const Output& o : g.outputs) out.outputs.push_back({o.name, at[o.value], o.kind});
  for (const Update& u : g.updates) out.updates.push_back({variable_at[u.variable], at[u.value]});
  for (Layer& l : out.layers) l.output = l.output == kNone ? kNone : at[l.output];
  return out;
}

}  // namespace netc::passes
