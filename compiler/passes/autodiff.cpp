// Reverse-mode differentiation on the graph: one walk backwards over the nodes, each operator's `gradient` writing the
// nodes of its gradient. Only what leads from a trainable weight to the loss gets a gradient: the data of a batch has
// none, so a first convolution has no data gradient.
#include <cstdio>
#include <cstdlib>

#include "compiler/passes/passes.h"

namespace netc::passes {

using namespace ir;

namespace {

/// Values that depend on a trainable weight through operators that have a gradient.
std::vector<bool> active_values(const Graph& g) {
  std::vector<bool> active(g.values.size(), false);
  for (const Variable& v : g.variables) active[v.value] = v.role == Role::weight && v.trainable;
  for (const Node& n : g.nodes) {
    bool any = false;
    for (ValueId v : n.inputs) any = any || active[v];
    if (!any || !n.op->gradient) continue;
    for (ValueId v : n.results) active[v] = g.type(v).dtype == DType::f32;
  }
  return active;
}

}  // namespace

std::map<int32_t, ValueId> add_gradients(Graph& g, const Registry& registry, ValueId loss) {
  const std::vector<bool> active = active_values(g);
  std::vector<ValueId> gradient(g.values.size(), kNone);  // of the forward values
  if (active[loss]) gradient[loss] = g.add(*registry.seed_gradient, {loss}, {{"value", 1.0}}, kNone, "d_loss");
  const NodeId forward = g.values[loss].def == kNone ? 0 : g.values[loss].def + 1;
  for (NodeId id = forward - 1; id >= 0; --id) {
    const OpDef& op = *g.nodes[id].op;
    if (!op.gradient) continue;
    GradContext context{g, id, {}, {}, registry.ops};
    bool flows = false, wanted = false;
    for (ValueId v : g.nodes[id].results) {
      context.grads_out.push_back(gradient[v]);
      flows = flows || gradient[v] != kNone;
    }
    for (ValueId v : g.nodes[id].inputs) {
      context.wanted.push_back(active[v]);
      wanted = wanted || active[v];
    }
    if (!flows || !wanted) continue;
    const std::vector<ValueId> inputs = g.nodes[id].inputs;
    const std::vector<ValueId> of_inputs = op.gradient(context);
    for (size_t i = 0; i < inputs.size() && i < of_inputs.size(); ++i) {
      const ValueId v = inputs[i], d = of_inputs[i];
      if (d == kNone || !active[v]) continue;
      if (g.type(d) != g.type(v)) {
        std::fprintf(stderr, "netc: internal error: %s: the gradient of operand %zu is %s, not %s\n", op.name.c_str(),
                     i, to_string(g.type(d)).c_str(), to_string(g.type(v)).c_str());
        std::abort();
      }
      gradient[v] = gradient[v] == kNone
                        ? d
                        : g.add(*registry.accumulate, {gradient[v], d}, {}, g.nodes[id].layer, "d_" + g.values[v].name);
    }
  }
  std::map<int32_t, ValueId> result;
  for (int32_t i = 0; i < static_cast<int32_t>(g.variables.size()); ++i) {
    const Variable& v = g.variables[i];
    if (v.role == Role::weight && v.trainable && v.value < static_cast<ValueId>(gradient.size()) &&
        gradient[v.value] != kNone)
      result[i] = gradient[v.value];
  }
  return result;
}

}  // namespace netc::passes
