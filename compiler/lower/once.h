// A kernel that overwrites what it reads must visit each element once: a second visit would read what the first one
// wrote.
#pragma once
#include <string>

#include "compiler/lower/build.h"

namespace netc::lower {

/// "", or why the loops chosen for b.out may visit an element of a kernel that overwrites an operand
/// (plan::overwrites_operand) more than once.
std::string visits_twice(const plan::Plan&, const plan::Kernel&, const halide::Built& b);

}  // namespace netc::lower
