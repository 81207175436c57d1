// Constants: a node that reads constants only is computed here, by its reference, when its result is small.
#include "compiler/passes/passes.h"
#include "compiler/ir/rewrite.h"

namespace netc::passes {

using namespace ir;

namespace {

constexpr int64_t kMaxElements = 4096;  // a larger constant costs more in the weights than the node costs at load

const Variable* constant(const Graph& g, ValueId v) {
  if (g.values[v].def != kNone) return nullptr;
  const Variable& var = g.variables[g.values[v].variable];
  return var.role == Role::constant ? &var : nullptr;
}

bool foldable(const Graph& g, const Node& n) {
  if (!n.op->reference || n.op->random || n.op->kind == Kind::ingest || !n.op->updates_in_place.empty()) return false;
  for (ValueId v : n.inputs) {
    if (constant(g, v) == nullptr) return false;
  }
  for (ValueId v : n.results) {
    const Type& t = g.type(v);
    if (t.batched || t.dtype != DType::f32 || t.has_any_extent() || t.elements() > kMaxElements) return false;
  }
  return true;
}

RefTensor literal(const Graph& g, ValueId v) {
  return {g.type(v).dims, {constant(g, v)->literal.begin(), constant(g, v)->literal.end()}};
}

}  // namespace

Graph fold_constants(Graph g) {
  Readers readers(g);
  for (NodeId id = 0; id < static_cast<NodeId>(g.nodes.size()); ++id) {
    if (!foldable(g, g.nodes[id])) continue;
    const Node n = g.nodes[id];
    std::vector<RefTensor> in;
    for (ValueId v : n.inputs) in.push_back(literal(g, v));
    const std::vector<RefTensor> out = n.op->reference(n, g, in, 1);
    for (size_t i = 0; i < n.results.size(); ++i) {
      Variable v;
      v.name = g.unique_name(g.values[n.results[i]].name + ".constant");
      v.role = Role::constant;
      v.literal.assign(out[i].data.begin(), out[i].data.end());
      readers.replace(n.results[i], g.add_variable(v, g.type(n.results[i])));
    }
  }
  return remove_dead(g);
}

}  // namespace netc::passes
