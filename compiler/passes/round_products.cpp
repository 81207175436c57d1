// Products of bf16: the operands of contractions are rounded, what they add up and everything else stays in float32
// (docs/decisions/0012-bf16.md).
#include <algorithm>
#include <map>
#include <set>

#include "compiler/passes/passes.h"
#include "compiler/ir/rewrite.h"

namespace netc::passes {

using namespace ir;

namespace {

class Rounder {
 public:
  Rounder(Graph& g, const Registry& r) : g_(g), r_(r), readers_(g.values.size()), pinned_(g.values.size(), false) {
    for (NodeId n = 0; n < static_cast<NodeId>(g_.nodes.size()); ++n)
      for (ValueId v : std::set<ValueId>(g_.nodes[n].inputs.begin(), g_.nodes[n].inputs.end()))
        readers_[v].push_back(n);
    for (const Output& o : g_.outputs) pinned_[o.value] = true;
    for (const Update& u : g_.updates) pinned_[u.value] = true;
  }

  void run() {
    const NodeId nodes = static_cast<NodeId>(g_.nodes.size());
    for (NodeId n = 0; n < nodes; ++n)
      if (rounds(n))
        for (size_t i = 0; i < g_.nodes[n].inputs.size(); ++i) {
          const ValueId v = rounded(g_.nodes[n].inputs[i], g_.nodes[n].layer);
          g_.nodes[n].inputs[i] = v;  // not before: adding moves the nodes
        }
    for (auto it = of_.rbegin(); it != of_.rend(); ++it) share(it->first, it->second);  // views before what they are of
    restore_order(g_);
  }

 private:
  const Node* def(ValueId v) const { return g_.values[v].def == kNone ? nullptr : &g_.nodes[g_.values[v].def]; }

  // The net's input, as it is or scaled: a few channels of pixels, which are lost in bf16 and gain nothing by it.
  bool is_input(ValueId v) const {
    if (!def(v)) return g_.variables[g_.values[v].variable].role == Role::input;
    const Node& node = *def(v);
    if (node.op->kind != Kind::view && node.op->kind != Kind::elementwise) return node.op->kind == Kind::ingest;
    return std::all_of(node.inputs.begin(), node.inputs.end(),
                       [&](ValueId in) { return !g_.type(in).batched || is_input(in); }) &&
           g_.type(v).batched;
  }
  bool rounds(NodeId n) const {
    const Node& node = g_.nodes[n];
    return node.op->kind == Kind::contraction && std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) {
             return g_.type(v).dtype == DType::f32 && !is_input(v);
           });
  }

  // Views are of rounded values: where these are computed, rounding takes no kernel of its own.
  ValueId rounded(ValueId v, int32_t layer) {
    if (const auto known = of_.find(v); known != of_.end()) return known->second;
    ValueId narrow;
    if (def(v) && def(v)->op->kind == Kind::view) {
      const ValueId whole = rounded(def(v)->inputs[0], layer);
      const Node view = *def(v);
      narrow = g_.add(*view.op, {whole}, view.attrs, view.layer, g_.values[v].name + ".bf16");
    } else {
      narrow = g_.add(*r_.round, {v}, {}, def(v) ? def(v)->layer : layer, g_.values[v].name + ".bf16");
    }
    return of_[v] = narrow;
  }

  // What is stored rounded is not stored a second time for others that read one element after another: a residual sum,
  // an activation's gradient.
  void share(ValueId v, ValueId narrow) {
    if (!def(v) || !g_.type(v).batched || pinned_[v]) return;
    const auto fits = [&](NodeId n) {
      const Node& node = g_.nodes[n];
      if (node.op->kind == Kind::gather) return true;
      return node.op->kind == Kind::elementwise && g_.type(node.results[0]).dims == g_.type(v).dims &&
             g_.type(node.results[0]).batched;
    };
    std::vector<NodeId> others;
    for (NodeId n : readers_[v])
      if (!rounded_view(n) &&
          std::find(g_.nodes[n].inputs.begin(), g_.nodes[n].inputs.end(), v) != g_.nodes[n].inputs.end())
        others.push_back(n);
    if (!std::all_of(others.begin(), others.end(), fits)) return;
    for (NodeId n : others) {  // each its own: a value of many readers would be stored
      const ValueId wide = g_.add(*r_.widen, {narrow}, {}, g_.nodes[n].layer, g_.values[v].name);
      std::replace(g_.nodes[n].inputs.begin(), g_.nodes[n].inputs.end(), v, wide);
    }
  }
  // A view that only contractions read: they read the rounded one now.
  bool rounded_view(NodeId n) const {
    const ValueId result = g_.nodes[n].results[0];
    if (g_.nodes[n].op->kind != Kind::view || !of_.count(result) || pinned_[result]) return false;
    return std::none_of(readers_[result].begin(), readers_[result].end(), [&](NodeId reader) {
      const auto& in = g_.nodes[reader].inputs;
      return std::find(in.begin(), in.end(), result) != in.end();
    });
  }

  Graph& g_;
  const Registry& r_;
  std::vector<std::vector<NodeId>> readers_;
  std::vector<bool> pinned_;
  std::map<ValueId, ValueId> of_;  // values that contractions read, rounded
};

}  // namespace

Graph round_products(Graph g, const Registry& r) {
  Rounder(g, r).run();
  return remove_dead(g);
}

}  // namespace netc::passes
