// Recomputation: what a step computes again in its backward pass need not live until then (Chen et al. 2016, "Training
// deep nets with sublinear memory cost"). Nothing happens twice that may happen once only: updates read the first
// results, and random numbers are functions of a counter that copies share.
#include "compiler/passes/passes.h"

namespace netc::passes {

using namespace ir;

namespace {

class Recomputer {
 public:
  Recomputer(Graph g, const std::vector<Fate>& fates)
      : g_(std::move(g)),
        fates_(fates),
        copy_(g_.values.size(), kNone),
        stale_(g_.values.size(), false) {}

  Graph run() {
    for (const Output& o : g_.outputs)
      if (o.kind == OutputKind::loss) forward_ = g_.values[o.value].def + 1;
    nodes_ = std::move(g_.nodes);
    for (const Value& v : g_.values) def_.push_back(v.def);
    for (NodeId n = 0; n < static_cast<NodeId>(nodes_.size()); ++n) {
      Node node = nodes_[n];
      if (n < forward_) look(node);
      else
        for (ValueId& v : node.inputs) v = stale_[v] ? again(v) : v;
      place(std::move(node));
    }
    return std::move(g_);
  }

 private:
  /// Stale: dropped, or inlined in its readers from what is. The backward pass reads its copy.
  void look(const Node& n) {
    bool any = false;
    for (const ValueId v : n.inputs) any = any || stale_[v];
    for (const ValueId v : n.results) stale_[v] = fates_[v] == Fate::dropped || (fates_[v] == Fate::inlined && any);
  }

  /// v from what is kept. Each node is copied once, before the copy's first reader.
  ValueId again(ValueId v) {
    const NodeId def = def_[v];
    if (def == kNone || fates_[v] == Fate::kept) return v;
    if (copy_[v] != kNone) return copy_[v];
    Node node = nodes_[def];
    for (ValueId& i : node.inputs) i = again(i);
    for (ValueId& r : node.results) {
      Value value = g_.values[r];
      value.name = g_.unique_name(value.name + "_again");
      copy_[r] = static_cast<ValueId>(g_.values.size());
      r = copy_[r];
      g_.values.push_back(std::move(value));
    }
    place(std::move(node));
    return copy_[v];
  }

  void place(Node n) {
    for (const ValueId r : n.results) g_.values[r].def = static_cast<NodeId>(g_.nodes.size());
    g_.nodes.push_back(std::move(n));
  }

  Graph g_;
  const std::vector<Fate>& fates_;
  std::vector<ValueId> copy_;  // by value
  std::vector<bool> stale_;
  std::vector<Node> nodes_;  // as they were
  std::vector<NodeId> def_;
  NodeId forward_ = 0;  // the first node of the backward pass
};

}  // namespace

Graph recompute(Graph g, const std::vector<Fate>& fates) { return Recomputer(std::move(g), fates).run(); }

}  // namespace netc::passes
