#include "compiler/schedule/forms.h"

#include "compiler/passes/rewrite.h"

namespace netc::schedule {

ir::Graph choose_forms(ir::Graph g, const Machine& m, const std::set<ir::ValueId>& as_they_are) {
  const ir::Target target{m.vector_floats, m.vector_registers};
  const ir::NodeId nodes = static_cast<ir::NodeId>(g.nodes.size());
  for (ir::NodeId n = 0; n < nodes; ++n) {
    if (as_they_are.count(g.nodes[n].results.front())) continue;
    const ir::Form* best = nullptr;
    double least = 0;
    for (const ir::Form& form : g.nodes[n].op->forms)
      if (const auto cost = form.cost(g.nodes[n], g, target); cost && (best == nullptr || *cost < least)) best = &form, least = *cost;
    if (best != nullptr) best->rewrite(g, n, target);
  }
  passes::restore_order(g);
  return g;
}

}  // namespace netc::schedule
