// The end of a training step: each weight and its slots take the contents the optimiser computes, a constrained weight
// the nearest that it may have.
#include <cstdio>
#include <cstdlib>

#include "compiler/passes/passes.h"

namespace netc::passes {

using namespace ir;

namespace {

ValueId scalar(Graph& g, const char* name, DType type) {
  const int32_t there = g.find_variable(name);
  if (there != kNone) return g.variables[there].value;
  Variable v;
  v.name = name;
  v.role = Role::scalar;
  return g.add_variable(v, Type{type, false, {}});
}

}  // namespace

void add_updates(Graph& g, const Registry& registry, const OptimizerDef& optimizer, const std::vector<ArgValue>& args,
                 std::map<int32_t, ValueId>& gradients) {
  const ValueId lr = scalar(g, "lr", DType::f32), step = scalar(g, "step", DType::u32);
  const std::vector<std::string> names = optimizer.slots(args);
  const int32_t variables = static_cast<int32_t>(g.variables.size());
  for (int32_t i = 0; i < variables; ++i) {
    const Variable w = g.variables[i];
    if (w.role != Role::weight || !w.trainable) continue;
    auto found = gradients.find(i);
    const bool penalised = w.l1 != 0 || w.l2 != 0;
    if (found == gradients.end() && !penalised) continue;  // the loss does not depend on it
    const int32_t layer = found == gradients.end() || g.values[found->second].def == kNone
                              ? kNone
                              : g.nodes[g.values[found->second].def].layer;
    if (found == gradients.end())
      found = gradients.emplace(i, g.add(*registry.seed_gradient, {w.value}, {{"value", 0.0}})).first;
    if (penalised)
      found->second = g.add(*registry.penalty_grad, {w.value, found->second}, {{"l1", w.l1}, {"l2", w.l2}}, layer);
    const Type type = g.type(w.value);
    std::vector<ValueId> slots;
    std::vector<int32_t> targets{i};
    for (const std::string& name : names) {
      Variable slot;
      slot.name = w.name + "." + name;
      slot.role = Role::slot;
      slot.of = w.name;
      targets.push_back(static_cast<int32_t>(g.variables.size()));
      slots.push_back(g.add_variable(slot, type));
    }
    const size_t first = g.nodes.size();
    std::vector<ValueId> contents = optimizer.build(g, registry.ops, w.value, found->second, slots, lr, step, args);
    if (!w.constraint.kind.empty() && !contents.empty())
      contents[0] = registry.constrain(g, contents[0], w.constraint, layer);
    for (size_t n = first; n < g.nodes.size(); ++n) g.nodes[n].layer = layer;
    if (contents.size() != targets.size()) {
      std::fprintf(stderr, "netc: internal error: optimiser %s gives %zu contents for %zu variables\n",
                   optimizer.name.c_str(), contents.size(), targets.size());
      std::abort();
    }
    for (size_t k = 0; k < targets.size(); ++k) g.updates.push_back({targets[k], contents[k]});
  }
}

}  // namespace netc::passes
