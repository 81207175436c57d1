// What the nests share when they loop: tasks, tiles in registers, padded and transposed copies, prefetches.
//
// Two rules of Halide shape the code. A reduction keeps its accumulators in registers only if its Func has constant
// size and is computed inside the loop over tiles; so a contraction is always a Func of its own (`acc`), computed at a
// tile of the output. And what is split must stay inside its bounds: fixed extents are tiled by shifting the last tile
// inwards, except where the kernel overwrites an operand (`last`, and lower/once.h checks it), and the batch by a
// guard.
#pragma once
#include <optional>

#include "compiler/halide/built.h"
#include "compiler/nests/prefetch.h"
#include "compiler/nests/nest_of.h"

namespace netc::nests {

using Halide::Expr;
using Halide::Func;
using Halide::RVar;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

/// The dims of a tile in registers, and the loops of f's reduction around it.
std::vector<VarOrRVar> inner_to_reduction(Func f, std::vector<Var> tile);

/// One kernel whose loops are being made.
struct Loops {
  const plan::Plan& p;
  const plan::Kernel& k;
  halide::Built& b;
  const plan::Strategy& s = k.strategy;
  const plan::Buffer& out = p.buffers[k.outputs[0]];
  /// Of a dim whose extent tiles need not divide.
  const TailStrategy last = overwrites_operand(p, k) ? TailStrategy::GuardWithIf : TailStrategy::ShiftInwards;
  Var xo{"xo"}, xi{"xi"}, co{"co"}, ci{"ci"}, yo{"yo"}, yi{"yi"}, no{"no"}, ni{"ni"}, task{"task"}, t{"t"}, l{"l"};

  /// Of the output, innermost dim first.
  int extent(int dim) const { return static_cast<int>(out.type.dims[out.type.rank() - 1 - dim]); }
  Var n() const { return b.vars.back(); }
  const ir::Node& node() const { return p.graph->nodes[k.anchor]; }
  const ir::Type& result() const { return p.graph->type(node().results[0]); }
  const ir::Type& operand(size_t i) const { return p.graph->type(node().inputs[i]); }
  /// The algorithm's parts, which an operator of this nest's structure has handed over.
  template <class Parts>
  const Parts& parts() const {
    return std::get<Parts>(b.anchor.parts);
  }

  /// Splits the outermost image dim and the batch into tasks and runs them on all threads. Returns the loop inside
  /// which one task lies. `rows`: out's loop over rows, already the last but the batch; empty when the type has no such
  /// dim. `lines`: rows of one step of it.
  VarOrRVar tasks(Stage st, std::optional<Var> rows, const Tasks& of, TailStrategy tail, int64_t lines = 1);
  VarOrRVar tasks_of_samples(Stage st, int64_t samples);
  /// Zero-padded copies, made once per task.
  void stage_padding(Func at, VarOrRVar level, bool planes = false);
  /// The columns of a padded copy that are inside the image.
  void fill_rows(Func pad);
  /// A copy whose first two dims change places: square tiles of it, so that the lines of memory that its vectors are
  /// gathered from are read once.
  void transpose(Func copy);
  /// What a tile in registers adds up: lanes along its first dim. Weights in pairs: each lane adds two products at a
  /// time, all lanes of the tile at once, which is the shape in which Halide knows the instruction.
  Stage accumulate(Func f, std::vector<Var> tile, bool pairs = false);
  /// Prefetches the panel of an operand that the sums read after this one.
  void prefetch(Func sums, size_t operand, Prefetch::Panel panel, std::vector<Prefetch::Round> rounds);
  /// Prefetches operands as large as the result that the sums `f` of a tile are combined with.
  void prefetch_operands(Func f);
  /// Vectors of doubles are a power of two wide: Halide cuts a masked store into the machine's vectors, and fails where
  /// one number is left over.
  int lanes_of(const Func& f) const;
  /// What each lane folds of a row, whose lanes f joins at the end: to be computed where f is, or nearer.
  Func lanes_along_row(Func f, RVar row);
  /// What a row of the result is summed of: made for each, lanes along its columns, in planes.
  void by_row(const Var& row);
  /// A panel of products at `level`, of transformed weights and of what `transformed` holds: k along lanes, q
  /// along `rows` of a tile, then the elements that are multiplied one by one. Room is for `held` q. Weights and the
  /// next rows are prefetched.
  void multiply_transformed(Func products, Func transformed, Var level, int rows, int held);
};

}  // namespace netc::nests
