// A kernel as Halide functions: the algorithm, before any loop is chosen.
#pragma once
#include <Halide.h>

#include <memory>
#include <vector>

#include "compiler/schedule/plan.h"

namespace netc::lower {

struct Built {
  std::vector<Halide::ImageParam> params;  // kernel.inputs, in order
  /// the results, a Tuple when there are several; coordinates innermost language dim first, the batch last
  Halide::Func out;
  std::vector<Halide::Var> vars;  // out's
  Halide::Expr batch;             // run-time batch extent; undefined when nothing is batched
  bool has_anchor = false;
  ir::Lowered anchor;  // its Funcs are read by `out` (through inlined element-wise ones)
  /// strategies with "many": that the batch has so many samples, else `few` is read in place of `anchor`
  Halide::Expr many;
  ir::Lowered few;
  std::vector<std::unique_ptr<Halide::Internal::IRMutator>> passes;  // over the loops, when Halide has made them
};

Built build(const schedule::Plan&, const schedule::Kernel&);

}  // namespace netc::lower
