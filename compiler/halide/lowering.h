// How an operator computes, as Halide functions: the algorithm alone. Loops are chosen in nests/.
#pragma once
#include <Halide.h>

#include <functional>
#include <variant>
#include <vector>

#include "compiler/ir/demands.h"
#include "compiler/ir/op_def.h"

namespace netc::halide {

/// What an algorithm is made from. Halide's dims are innermost first: for f32[N, H, W, C] a Func is f(c, x, y, n);
/// unbatched f32[K, U] is f(u, k).
struct LowerContext {
  const ir::Node& node;
  const ir::Graph& graph;
  std::vector<Halide::Func> in;  // defined on all coordinates their type covers, no boundary condition
  Halide::Expr batch;            // the run-time batch extent, int32
  /// Of in[0], innermost first, for an ingest op whose type has '*'; may be empty otherwise.
  std::vector<Halide::Expr> extents;
  ir::Demands demands = {};
  const ir::Type& in_type(int i) const { return graph.type(node.inputs[i]); }
  const ir::Type& out_type(int i = 0) const { return graph.type(node.results[i]); }
};

/// The Funcs of an algorithm with an ir::Structure, in the order in which they are computed. The anchor is its last
/// sum.
struct AttentionParts {
  Halide::Func keys, values;           // copies, the keys' transposed
  Halide::Func sums, scores;           // (s, t, h, n): products with the keys, and those masked
  Halide::Func maximum, share, total;  // of the softmax: (t, h, n), (s, t, h, n), (t, h, n)
};
struct ImageTileParts {
  Halide::Func half, tiles;     // (c, ex, i, q, n), (c, q, ex, ey, n): transformed along columns, then along rows
  Halide::Func products, back;  // (k, q, ex, ey, n), (k, i, ex, q, n)
};
struct TileParts {
  Halide::Func half;
};  // transformed along one side
/// Of an operator with OpDef::phases: (c, x, y, n) of each.
struct PhaseParts {
  std::vector<Halide::Func> phases;
};
struct BlockParts {
  Halide::Func blocks, products;
};  // (c, q, e, n), (k, q, e, n)
using Parts = std::variant<std::monostate, AttentionParts, ImageTileParts, TileParts, BlockParts, PhaseParts>;

/// contraction, reduction, window: `funcs[i]` is result i, and `anchor` the Func that holds the update definition(s)
/// over `r` (often funcs[0] itself). gather: `funcs` alone.
struct Lowered {
  std::vector<Halide::Func> funcs;
  Halide::Func anchor = {};
  Halide::RDom r = {};
  /// Zero-padded or transposed copies of inputs, which the nest may compute where it pays.
  std::vector<Halide::Func> padded = {};
  /// Per-row folds that funcs read (softmax's maximum, then its sum), to be computed in this order.
  std::vector<Halide::Func> folds = {};
  /// Of the result's coordinates (c, x, y, …): a row of the result reads theirs; computed for each.
  std::vector<Halide::Func> by_row = {};
  Parts parts = {};
};

/// An operator's algorithm. ir::OpDef knows that there is one, and nothing of it.
struct Lowering {
  /// elementwise: scalar expression(s) of the inputs at one point; `coords` are that point's (c, x, y, ..., n). Else
  /// null.
  std::function<std::vector<Halide::Expr>(const LowerContext&, const std::vector<Halide::Expr>& in,
                                          const std::vector<Halide::Expr>& coords)>
      scalar;
  std::function<Lowered(const LowerContext&)> algorithm;  // all kinds but elementwise and view
};

/// For an operator's file to define it. A copy of an OpDef has a lowering of its own.
inline Lowering& lowering(ir::OpDef& op) {
  op.lowering = op.lowering ? std::make_shared<Lowering>(*op.lowering) : std::make_shared<Lowering>();
  return *op.lowering;
}
inline const Lowering& lowering_of(const ir::OpDef& op) {
  static const Lowering none;
  return op.lowering ? *op.lowering : none;
}

}  // namespace netc::halide
