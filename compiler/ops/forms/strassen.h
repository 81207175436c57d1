// A form of a matrix product that multiplies fewer blocks.
#pragma once
#include "compiler/ops/support.h"

namespace netc::ops {

/// Of matmul, or, `turned`, of matmul_data_grad, where a sample has many rows.
Form strassen_form(bool turned);

}  // namespace netc::ops
