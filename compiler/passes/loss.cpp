// The loss: what the net's outputs cost against their targets, and what the weights' regularisers add.
#include <fmt/format.h>

#include "compiler/passes/passes.h"

namespace netc::passes {

using namespace ir;

namespace {

ValueId output_of(const Graph& g, const std::string& name) {
  for (const Output& o : g.outputs)
    if (o.name == name) return o.value;
  return kNone;
}

/// An input, an output, or the label of that name, which is added where it is met first.
ValueId target_of(Graph& g, const sema::LossTerm& term, ValueId output) {
  const int32_t variable = g.find_variable(term.label);
  if (variable != kNone) return g.variables[variable].value;
  if (const ValueId other = output_of(g, term.label); other != kNone) return other;
  Variable label;
  label.name = term.label;
  label.role = Role::label;
  return g.add_variable(label, term.loss->label_type(g.type(output)));
}

ValueId times(Graph& g, const Registry& registry, ValueId loss, double factor) {
  if (factor == 1) return loss;
  Variable weight;
  weight.name = g.unique_name("loss.weight");  // with a dot, which no label has
  weight.role = Role::constant;
  weight.literal = {static_cast<float>(factor)};
  const ValueId constant = g.add_variable(weight, g.type(loss));
  return g.add(*registry.multiply, {loss, constant}, {}, kNone, "weighted_loss");
}

}  // namespace

Loss add_loss(Graph& g, const Registry& registry, const std::vector<sema::LossTerm>& terms) {
  Loss result;
  std::vector<Output> means;
  for (const sema::LossTerm& term : terms) {
    const ValueId output = output_of(g, term.output);
    const ValueId mean = term.loss->build(g, registry.ops, output, target_of(g, term, output), term.args);
    means.push_back({fmt::format("loss:{}", means.size()), mean, OutputKind::term});
    const ValueId weighted = times(g, registry, mean, term.weight);
    result.data = result.data == kNone
                      ? weighted
                      : g.add(*registry.accumulate, {result.data, weighted}, {}, kNone, "loss_of_data");
  }
  result.total = result.data;
  const size_t variables = g.variables.size();
  for (size_t i = 0; i < variables; ++i) {
    const Variable v = g.variables[i];
    if (v.role != Role::weight || !v.trainable || (v.l1 == 0 && v.l2 == 0)) continue;
    const ValueId p = g.add(*registry.penalty, {v.value}, {{"l1", v.l1}, {"l2", v.l2}}, kNone, "penalty_of_" + v.name);
    result.total = g.add(*registry.accumulate, {result.total, p}, {}, kNone, "loss");
  }
  if (terms.size() > 1) g.outputs.insert(g.outputs.end(), means.begin(), means.end());
  g.outputs.push_back({"loss", result.total, OutputKind::loss});
  return result;
}

}  // namespace netc::passes
