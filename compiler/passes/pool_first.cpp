// Sums over windows, the same in all channels, change places with what is linear and looks at one pixel at a time:
//   pool(contraction(x, w))  ->  contraction(pool(x), w)
// A mean of 2 x 2 pixels leaves a quarter of a 1 x 1 convolution's products. Only where nobody else reads what is
// between, else the contraction would run twice.
#include "compiler/ir/by_pixel.h"
#include "compiler/passes/passes.h"
#include "compiler/ir/rewrite.h"

namespace netc::passes {

using namespace ir;

namespace {

double flops(const Graph& g, NodeId n) { return g.nodes[n].op->cost ? g.nodes[n].op->cost(g.nodes[n], g).flops : 0; }

ValueId again(Graph& g, NodeId of, ValueId x) {
  const Node n = g.nodes[of];
  std::vector<ValueId> inputs = n.inputs;
  inputs[0] = x;
  return g.add(*n.op, inputs, n.attrs, n.layer, g.values[n.results[0]].name);
}

void move_before(Graph& g, Readers& readers, NodeId pool, NodeId contraction) {
  const ValueId first = again(g, pool, g.nodes[contraction].inputs[0]), second = again(g, contraction, first);
  const double now = flops(g, pool) + flops(g, contraction),
               then = flops(g, g.values[first].def) + flops(g, g.values[second].def);
  // not where windows overlap, or the contraction leaves few channels
  if (then < now) readers.replace(g.nodes[pool].results[0], second);
}

}  // namespace

Graph pool_first(Graph g) {
  const std::vector<int> uses = count_uses(g);  // candidates that are given up count for nothing
  Readers readers(g);
  const NodeId nodes = static_cast<NodeId>(g.nodes.size());
  for (NodeId n = 0; n < nodes; ++n) {
    const Node& pool = g.nodes[n];
    if (pool.op->kind != Kind::window || pool.op->scales_input != 0) continue;
    const NodeId before = g.values[pool.inputs[0]].def;
    if (before != kNone && uses[pool.inputs[0]] == 1 && by_pixel(g.nodes[before], g))
      move_before(g, readers, n, before);
  }
  restore_order(g);
  return remove_dead(g);
}

}  // namespace netc::passes
