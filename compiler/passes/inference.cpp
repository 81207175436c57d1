// From training semantics to inference: dropout is its operand, batch statistics are the running ones, nothing is
// updated.
#include "compiler/passes/passes.h"
#include "compiler/ir/rewrite.h"

namespace netc::passes {

using namespace ir;

Graph to_inference(Graph g) {
  g.updates.clear();
  const NodeId nodes = static_cast<NodeId>(g.nodes.size());
  Readers readers(g);
  for (NodeId n = 0; n < nodes; ++n) {
    if (!g.nodes[n].op->inference) continue;
    const NodeId first = static_cast<NodeId>(g.nodes.size());
    const std::vector<ValueId> instead = g.nodes[n].op->inference(g, n);
    const std::vector<ValueId> results = g.nodes[n].results;
    for (size_t i = 0; i < results.size() && i < instead.size(); ++i) {
      // what was added may read the result that it replaces
      if (instead[i] != kNone && instead[i] != results[i]) readers.replace(results[i], instead[i], first);
    }
  }
  restore_order(g);
  return remove_dead(g);
}

}  // namespace netc::passes
