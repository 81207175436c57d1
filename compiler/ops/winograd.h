// Forms of a convolution, or of its gradient in the image, that multiply transformed tiles.
#pragma once
#include "compiler/ops/conv.h"

namespace netc::ops {

/// In tiles of m x m results, m = 2, 4 or 6. `turned`: of conv_data_grad, which convolves with turned kernels.
Form winograd_form(int64_t m, bool turned);

}  // namespace netc::ops
