// What an operator of the IR is: everything the stages need to know, in one record. One file per operator (or family)
// in compiler/ops/.
#pragma once
#include <Halide.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/ir/graph.h"

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

/// What lower() may use. Halide dims are innermost first: for f32[N, H, W, C] a Func is f(c, x, y, n); unbatched f32[K,
/// U] is f(u, k).
struct LowerContext {
  const Node& node;
  const Graph& graph;
  std::vector<Halide::Func> in;  // defined on all coordinates their type covers, no boundary condition
  Halide::Expr batch;            // the run-time batch extent, int32
  /// of in[0], innermost first, for an ingest op whose type has '*'; may be empty otherwise
  std::vector<Halide::Expr> extents;
  /// the loops take one row of the result at a time: terms outside the image may be left out of its sums
  bool by_row = false;
  bool whole_rows = false;  // ... and all pixels of a row together: so may terms beside the image
  /// the loops go along the result: an operand that lies along the reduction is to be copied the other way
  bool turned = false;
  bool planes = false;   // lanes go along rows of the padded copies
  int row_multiple = 1;  // a reduction along rows of an image may go on to such a multiple: terms beyond are zero
  const Type& in_type(int i) const { return graph.type(node.inputs[i]); }
  const Type& out_type(int i = 0) const { return graph.type(node.results[i]); }
};

/// The algorithm only; loops are chosen in schedule/. For contraction, reduction, window: `funcs[i]` is result i, and
/// `anchor` the Func that holds the update definition(s) over `r` (often funcs[0] itself). `padded`: a Func holding a
/// zero-padded or transposed copy of an input, which the schedule may compute where it pays. gather: `funcs` alone.
struct Lowered {
  std::vector<Halide::Func> funcs;
  Halide::Func anchor;
  Halide::RDom r;
  std::vector<Halide::Func> padded;
  /// per-row folds that funcs read (softmax's maximum, then sum): compute them per sample, in this order
  std::vector<Halide::Func> helpers;
  /// of the result's coordinates (c, x, y, …): a row of the result reads theirs; computed for each
  std::vector<Halide::Func> by_row = {};
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

/// What forms look at of the machine that a graph is planned for.
struct Target {
  int lanes = 8, registers = 16;
  bool bf16_dot = false;   // one instruction adds two products of bf16 to a float32
  int64_t l2 = 512 << 10;  // bytes of a core's second cache
};

/// Another way to compute a node's results, as the schedule may want it: other operators, or operands stored otherwise.
struct Form {
  std::string name;
  /// Operations of a sample, weighed by how well they run, to compare the forms of a node by. Nothing where the form
  /// does not fit.
  std::function<std::optional<double>(const Node&, const Graph&, const Target&)> cost;
  /// Replaces the node's operands, or its operator; what it adds is appended.
  std::function<void(Graph&, NodeId, const Target&)> rewrite;
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
  /// elementwise: scalar expression(s) of the inputs at one point; `coords` are that point's (c, x, y, ..., n). Else
  /// null.
  std::function<std::vector<Halide::Expr>(const LowerContext&, const std::vector<Halide::Expr>& in,
                                          const std::vector<Halide::Expr>& coords)>
      scalar;
  std::function<Lowered(const LowerContext&)> lower;  // all kinds but elementwise and view
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
  /// taps, each a Func of (c, x, y, n) among the helpers. Null: one.
  std::function<std::pair<int, int>(const Attrs&)> phases;
  /// Tiles of an image, attribute "tile" x "tile" results each, are transformed, to "side" x "side" elements.
  /// contraction: helpers are half, tiles, products, back (ops/winograd.cpp); window: half (ops/winograd_gradient.cpp).
  bool transforms_tiles = false;
  /// contraction: a product with what a softmax makes of another product; padded are keys and values, helpers sums,
  /// scores, maximum, share, total (ops/attend.cpp).
  bool attends = false;
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
