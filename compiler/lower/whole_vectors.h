// Every n-th element, taken from vectors as they were written.
#pragma once
#include <Halide.h>

namespace netc::lower {

/// A lowering pass for loads of every n-th element: Halide reads the vectors that begin at the first of them and keeps
/// the n-th elements. Where they begin in the middle of what was just written as whole vectors (the odd columns of sums
/// that a pooling reads), the processor waits for its stores, and sums leave registers. The vectors that begin at a
/// multiple of n have the same elements.
class WholeVectors : public Halide::Internal::IRMutator {
  using IRMutator::visit;
  Halide::Expr visit(const Halide::Internal::Shuffle*) override;
};

}  // namespace netc::lower
