#include "compiler/passes/passes.h"

namespace netc::passes {

using namespace ir;

namespace {

/// Whether no kernel of the step writes the bytes of `v`.
bool is_given(const Graph& g, ValueId v) {
  while (g.values[v].def != kNone && g.nodes[g.values[v].def].op->kind == Kind::view)
    v = g.nodes[g.values[v].def].inputs[0];
  return g.values[v].def == kNone || g.nodes[g.values[v].def].op->kind == Kind::ingest;
}

}  // namespace

Graph copy_inputs(Graph g, const Registry& registry) {
  for (size_t i = 0; i < g.outputs.size(); ++i) {
    const ValueId v = g.outputs[i].value;
    if (is_given(g, v) && g.type(v).dtype == DType::f32 && !g.type(v).has_any_extent())
      g.outputs[i].value = g.add(*registry.copy, {v});
  }
  return g;
}

}  // namespace netc::passes
