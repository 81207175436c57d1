// Contractions that look at one pixel at a time.
#pragma once
#include "compiler/ir/op_def.h"

namespace netc::ir {

/// Each pixel of the result is made of operand 0's pixel at the same place alone, by the same weights: a 1 x 1
/// convolution of stride 1.
bool by_pixel(const Node&, const Graph&);

}  // namespace netc::ir
