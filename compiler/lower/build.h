// A kernel as Halide functions: the algorithm, before any loop is chosen.
#pragma once
#include "compiler/halide/built.h"
#include "compiler/plan/plan.h"

namespace netc::lower {

halide::Built build(const plan::Plan&, const plan::Kernel&);

}  // namespace netc::lower
