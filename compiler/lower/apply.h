// Carries out a strategy: the loops of one kernel.
#pragma once
#include "compiler/lower/build.h"

namespace netc::lower {

void apply(const schedule::Plan&, const schedule::Kernel&, Built&);

}  // namespace netc::lower
