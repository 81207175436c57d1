// What an operator of the IR is: everything the stages need to know, in one record. One file per operator (or family)
// in compiler/ops/.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/machine/machine.h"

namespace netc::halide {
struct Lowering;  // compiler/halide/lowering.h
}

namespace netc::ir {

enum class Kind : uint8_t {
  // out[i] depends on in[i] only; an input broadcasts along dims where its extent is 1, an unbatched one of lower rank
  // along the leading
  elementwise,
  contraction,  // sum of products over a reduction domain: the anchor of a kernel
  reduction,    // folds dims (batch included) away
  window,       // reads a small neighbourhood per output element: pooling and its gradient
  // each result element is an element of some operand, elsewhere, or a constant: concatenation, slices, permutation,
  // padding
  gather,
  // adds elements to places that another operand names: an embedding's gradient. Its reduction runs in order, so sums
  // are the same each time
  scatter,
  view,    // same bytes, other shape: never a kernel
  ingest,  // works per sample on '*' extents, run by the data loader
};

/// Dense tensors in double, for the reference interpreter. Batched tensors have the batch first.
struct RefTensor {
  std::vector<int64_t> dims;
  std::vector<double> data;
};

/// What the values of a tensor mean, where an operator or a loss knows it.
enum class Meaning : uint8_t {
  any,
  distribution,  // a row sums to 1: probabilities of classes of which one is true
  probability,   // each value for itself, from 0 to 1
  scores,        // unbounded: what a distribution or probability is computed from
  quantity,      // measurements, compared by their difference
};

/// Windows that move along dim `dim` of operand 0: each of `extent` elements with the gaps of a dilation, `stride`
/// apart, the first `before` elements outside.
struct WindowSteps {
  int dim = 0;
  int64_t extent = 1, stride = 1, before = 0;
};

/// per sample for batched results; for unbatched ones also per sample of the batch reduced over
/// contraction: a product with what a softmax makes of another product, for each head.
struct AttentionHeads {
  int64_t heads = 1;
};
/// contraction: tiles of an image, `tile` x `tile` results each, are transformed to `side` x `side` elements, which are
/// multiplied one by one and transformed back.
struct ImageTiles {
  int64_t tile = 1, side = 1;
};
/// window: a tile is transformed to `side` x `side` elements, or these back to taps.
struct TileTransform {
  int64_t side = 1;
};
/// gather: all elements of dim 0 are made of the same operands.
struct TransformedWeights {};
/// contraction: products of sums of blocks of its operands.
struct BlockProducts {};
using Structure =
    std::variant<std::monostate, AttentionHeads, ImageTiles, TileTransform, TransformedWeights, BlockProducts>;

struct Cost {
  double macs = 0, flops = 0;
};

struct GradContext {
  Graph& graph;
  NodeId node;
  std::vector<ValueId> grads_out;  // gradient of each result, kNone where none flows
  std::vector<bool> wanted;        // which inputs need a gradient
  const struct OpTable& ops;
  const Node& n() const { return graph.nodes[node]; }
  ValueId in(int i) const { return graph.nodes[node].inputs[i]; }
  ValueId out(int i = 0) const { return graph.nodes[node].results[i]; }
  ValueId emit(const std::string& op, std::vector<ValueId> inputs, Attrs attrs = {}) const;
};

/// Another way to compute a node's results, as the schedule may want it: other operators, or operands stored otherwise.
struct Form {
  std::string name;
  /// Operations of a sample, weighed by how well they run, to compare the forms of a node by. Nothing where the form
  /// does not fit.
  std::function<std::optional<double>(const Node&, const Graph&, const Machine&)> cost;
  /// Replaces the node's operands, or its operator; what it adds is appended.
  std::function<void(Graph&, NodeId, const Machine&)> rewrite;
};

struct OpDef {
  std::string name;  // lower_snake: "conv", "conv_data_grad"
  std::string doc;
  Kind kind = Kind::elementwise;
  int inputs = 1, results = 1;  // inputs -1: any number, at least one
  bool takes(size_t operands) const { return inputs < 0 ? operands >= 1 : operands == static_cast<size_t>(inputs); }
  /// Types of the results, or an error text with the shapes in it.
  std::function<bool(std::span<const Type> in, const Attrs&, std::vector<Type>& out, std::string& error)> shape;
  /// one per input, kNone where none; null: no_gradient says why
  std::function<std::vector<ValueId>(const GradContext&)> gradient;
  std::string no_gradient;
  std::shared_ptr<halide::Lowering> lowering;  // how it computes; null for a view
  std::function<std::vector<RefTensor>(const Node&, const Graph&, const std::vector<RefTensor>&, int64_t batch)>
      reference;
  std::function<Cost(const Node&, const Graph&)> cost;
  /// What the method loses in float32 beyond the rounding of operands and results: a bound, relative to the result's
  /// largest element. Null: nothing.
  std::function<double(const Attrs&)> error;
  /// How large the terms are of which a result is the difference, at most: float32 rounds in their last place. Null: no
  /// larger than results and operands tell.
  std::function<double(const Node&, const std::vector<RefTensor>& operands)> terms;
  /// elementwise, of one operand: the largest errors in units in the last place; -1: not stated
  double ulps = -1, gradient_ulps = -1;
  /// The inference form: values that replace the results (inputs or newly added nodes' values). Null: the op itself.
  std::function<std::vector<ValueId>(Graph&, NodeId)> inference;
  bool in_place = false;  // result 0 may share input 0's storage (same type, element i read before it is written)
  std::vector<std::pair<int, int>> updates_in_place;  // result i is the new contents of input j (optimisers)
  /// Affine absorption: result(x) = op(x, w) commutes with a per-channel scale of its last dim, by scaling input
  /// `scales_input`'s last dim. -1: no.
  int scales_input = -1;
  /// elementwise: y = x * a[c] + b[c] with a, b functions of the unbatched operands: batch-norm folding reads it.
  /// scale kNone: 1. Null: not affine.
  std::function<bool(Graph&, NodeId, ValueId& scale, ValueId& shift)> affine;
  /// window: windows share elements, so a cheap producer must not be recomputed inside. Null: they do not.
  std::function<bool(const Attrs&)> overlapping;
  bool overlaps(const Attrs& a) const { return overlapping && overlapping(a); }
  /// contraction: both operands are contiguous along r[0], the result's innermost dim is not a vector of either: lanes
  /// go along the reduction.
  bool dot = false;
  /// contraction: how many phases the rows and columns of its result have: those of one phase are sums over the same
  /// taps, each a Func of its own. Null: one.
  std::function<std::pair<int, int>(const Attrs&)> phases;
  /// What its algorithm is made of beside one sum, where loops have to know. Null: nothing.
  std::function<Structure(const Attrs&)> structure;
  template <class S>
  std::optional<S> made_of(const Attrs& attrs) const {
    const Structure all = structure ? structure(attrs) : Structure();
    const S* s = std::get_if<S>(&all);
    return s ? std::optional<S>(*s) : std::nullopt;
  }
  Meaning meaning = Meaning::any;  // of result 0
  std::vector<Form> forms;         // besides the node as it is
  /// The result is stored in blocks of attribute "block" along its dim "dim" (0: the innermost), of pairs along dim
  /// "pairs" if it has that.
  bool stores_blocks = false;
  /// How windows move over operand 0, so that one can see what they never read. Null: there are none.
  std::function<std::vector<WindowSteps>(const Node&, const Graph&)> windows;
  bool random = false;  // depends on the seed and step scalars: never merged by CSE, never folded
};

struct OpTable {
  std::vector<const OpDef*> ops;
  const OpDef* find(const std::string& name) const;
  const OpDef& at(const std::string& name) const;  // aborts with the name when missing: a bug here
};

}  // namespace netc::ir
