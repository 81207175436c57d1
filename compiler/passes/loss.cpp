// The loss: what the net's output costs against the label, and what the weights' regularisers add.
#include "compiler/passes/passes.h"

namespace netc::passes {

using namespace ir;

Loss add_loss(Graph& g, const Registry& registry, const LossDef& loss, ValueId output, const std::vector<ArgValue>& args) {
  Variable label;
  label.name = "label";
  label.role = Role::label;
  const ValueId target = g.add_variable(label, loss.label_type(g.type(output)));
  Loss result;
  result.data = result.total = loss.build(g, registry.ops, output, target, args);
  const size_t variables = g.variables.size();
  for (size_t i = 0; i < variables; ++i) {
    const Variable v = g.variables[i];
    if (v.role != Role::weight || !v.trainable || (v.l1 == 0 && v.l2 == 0)) continue;
    const ValueId p = g.add(*registry.penalty, {v.value}, {{"l1", v.l1}, {"l2", v.l2}}, kNone, "penalty_of_" + v.name);
    result.total = g.add(*registry.accumulate, {result.total, p}, {}, kNone, "loss");
  }
  g.outputs.push_back({"loss", result.total});
  return result;
}

}  // namespace netc::passes
