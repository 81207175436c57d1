// Carries out a strategy: the loops of one kernel.
#pragma once
#include "compiler/halide/built.h"
#include "compiler/plan/plan.h"

namespace netc::lower {

/// Throws std::logic_error where the strategy is none of a nest's, or its loops break a rule: a bug, which lower()
/// reports.
void apply(const plan::Plan&, const plan::Kernel&, halide::Built&);

}  // namespace netc::lower
