// A kernel as Halide functions: the algorithm, and the loops that a nest gives it.
#pragma once
#include <memory>
#include <vector>

#include "compiler/halide/lowering.h"

namespace netc::halide {

struct Built {
  std::vector<Halide::ImageParam> params;  // kernel.inputs, in order
  /// The results, a Tuple when there are several; coordinates innermost language dim first, the batch last.
  Halide::Func out;
  std::vector<Halide::Var> vars;  // out's
  Halide::Expr batch;             // run-time batch extent; undefined when nothing is batched
  bool has_anchor = false;
  Lowered anchor;  // its Funcs are read by `out` (through inlined element-wise ones)
  /// With Demands::many: that the batch has so many samples, else `few` is read in place of `anchor`.
  Halide::Expr many;
  Lowered few;
  std::vector<std::unique_ptr<Halide::Internal::IRMutator>> passes;  // over the loops, when Halide has made them
};

}  // namespace netc::halide
