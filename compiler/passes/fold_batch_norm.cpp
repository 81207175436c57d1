// Affine maps in an inference graph: y = x * a[c] + b[c], with a and b known when the weights are.
//   contraction(x, w) * a + b      ->  contraction(x, w * a) + b
//   (contraction(x, w) + c) * a + b  ->  contraction(x, w * a) + (c * a + b)
// w * a and c * a + b read weights and state only, so they are computed once at load. It is right because the
// contraction is linear in w and a scales the last dimension of both (OpDef::scales_input); and only when nobody else
// reads what is between, else the contraction would run twice. After anything else (a ReLU, a pooling) the map stays
// where it is, but as x * a + b: the root and the division go to load time.
#include <algorithm>

#include "compiler/passes/passes.h"
#include "compiler/ir/rewrite.h"

namespace netc::passes {

using namespace ir;

namespace {

struct Affine {
  ValueId scale = kNone, shift = kNone;
};  // kNone: 1 and 0

class Folder {
 public:
  Folder(Graph g, const Registry& registry) : g_(std::move(g)), registry_(registry) {}

  Graph run() {
    const NodeId nodes = static_cast<NodeId>(g_.nodes.size());
    for (NodeId id = 0; id < nodes; ++id) {
      if (!g_.nodes[id].op->affine || !g_.type(g_.nodes[id].results[0]).batched) continue;
      Affine map;
      // a mere offset: fusion takes it
      if (!g_.nodes[id].op->affine(g_, id, map.scale, map.shift) || map.scale == kNone) continue;
      if (!into_weights(id, map)) as_multiply_add(id, map);
    }
    restore_order(g_);
    return remove_dead(g_);
  }

 private:
  /// The node that defines v when it has one reader; kNone else.
  NodeId sole_producer(ValueId v) {
    return g_.values[v].def != kNone && readers_.count(v) == 1 ? g_.values[v].def : kNone;
  }

  /// The operand that varies; the others are unbatched (OpDef::affine).
  ValueId data(const Node& n) const { return n.inputs[0]; }

  ValueId times(ValueId a, ValueId b, int32_t layer, const std::string& name) {
    return g_.add(*registry_.multiply, {a, b}, {}, layer, name);
  }
  ValueId plus(ValueId a, ValueId b, int32_t layer, const std::string& name) {
    return g_.add(*registry_.accumulate, {a, b}, {}, layer, name);
  }

  bool into_weights(NodeId id, const Affine& map) {
    ValueId x = data(g_.nodes[id]);
    NodeId offset = kNone, at = sole_producer(x);
    Affine before;
    if (at != kNone && g_.nodes[at].op->affine) {
      if (!g_.nodes[at].op->affine(g_, at, before.scale, before.shift) || before.scale != kNone) return false;
      offset = at;
      at = sole_producer(data(g_.nodes[at]));
    }
    if (at == kNone || g_.nodes[at].op->scales_input < 0) return false;
    const Node contraction = g_.nodes[at];
    const int32_t layer = g_.nodes[id].layer;
    const ValueId w = contraction.inputs[contraction.op->scales_input];
    if (g_.type(w).batched) return false;
    std::vector<ValueId> inputs = contraction.inputs;
    inputs[contraction.op->scales_input] = times(w, map.scale, layer, g_.values[w].name + ".folded");
    const ValueId y =
        g_.add(*contraction.op, inputs, contraction.attrs, contraction.layer, g_.values[contraction.results[0]].name);
    ValueId shift = map.shift;
    if (before.shift != kNone) {
      const ValueId scaled = times(before.shift, map.scale, layer, g_.values[before.shift].name + ".scaled");
      shift = map.shift == kNone ? scaled : plus(scaled, map.shift, layer, g_.values[before.shift].name + ".folded");
    }
    readers_.replace(g_.nodes[id].results[0], with_offset(offset, before.shift, y, shift, layer));
    return true;
  }

  /// y + shift: as the offset's node writes it, if there was one, else by the operator of sums.
  ValueId with_offset(NodeId offset, ValueId old_shift, ValueId y, ValueId shift, int32_t layer) {
    if (shift == kNone) return y;
    if (offset == kNone) return plus(y, shift, layer, "shifted");
    const Node n = g_.nodes[offset];
    std::vector<ValueId> inputs = n.inputs;
    inputs[0] = y;
    std::replace(inputs.begin() + 1, inputs.end(), old_shift, shift);
    return g_.add(*n.op, inputs, n.attrs, n.layer, g_.values[n.results[0]].name);
  }

  void as_multiply_add(NodeId id, const Affine& map) {
    const Node n = g_.nodes[id];
    const std::string name = g_.values[n.results[0]].name;
    ValueId y = times(data(n), map.scale, n.layer, name + ".scaled");
    if (map.shift != kNone) y = plus(y, map.shift, n.layer, name);
    readers_.replace(n.results[0], y);
  }

  Graph g_;
  const Registry& registry_;
  Readers readers_{g_};
};

}  // namespace

Graph fold_affine(Graph g, const Registry& registry) { return Folder(std::move(g), registry).run(); }

}  // namespace netc::passes
