// The temporary memory that a kernel asks of halide_malloc, bounded before it ever runs: so that a product can set it
// aside at start.
#pragma once
#include "compiler/lower/build.h"

namespace netc::lower {

struct Scratch {
  int64_t bytes = 0;  // of one call, per thread: the most that is held at once, with the runtime's header of each block
  bool by_batch = false;  // it holds for batches up to the plan's only
};

/// Looks at the loops that a pipeline became, and leaves them as they are. Sizes that depend on the batch are bounded
/// at the plan's largest. A size that nothing bounds (images of any size) counts as nothing: the heap is asked for it.
class ScratchPass final : public Halide::Internal::IRMutator {
 public:
  ScratchPass(const plan::Plan& p, const plan::Kernel& k, const halide::Built& b) : p_(p), k_(k), b_(b) {}
  Halide::Internal::Stmt mutate(const Halide::Internal::Stmt&) override;
  const Scratch& found() const { return found_; }

 private:
  const plan::Plan& p_;
  const plan::Kernel& k_;
  const halide::Built& b_;
  Scratch found_;
};

}  // namespace netc::lower
