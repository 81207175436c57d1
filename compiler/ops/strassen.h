// A form of a matrix product that multiplies fewer blocks.
#pragma once
#include "compiler/ops/support.h"

namespace netc::ops {

/// Of matmul, where a sample has many rows.
Form strassen_form();

}  // namespace netc::ops
