// Forms of a convolution and its gradients that multiply transformed tiles.
#pragma once
#include "compiler/ops/conv.h"

namespace netc::ops {

using Matrix = std::vector<std::vector<double>>;
/// B', G and A' of tiles of m x m results, m = 2, 4 or 6.
struct Transforms { Matrix bt, g, at; };
const Transforms& transforms(int64_t m);
/// The row of a matrix that `which` selects, times what `at` gives.
Expr row_times(const Matrix& a, const Expr& which, std::function<Expr(int)> at);
/// A convolution of 3 x 3 taps, all next to each other and of all channels, and stride 1.
inline bool has_tiles(const ConvGeometry& g, int64_t kh, int64_t kw) { return kh == 3 && kw == 3 && !g.strided() && g.dh == 1 && g.dw == 1 && g.groups == 1; }
/// Tiles of m that cover an extent.
inline int64_t tiles(int64_t extent, int64_t m) { return (extent + m - 1) / m; }

/// Of conv, or, `turned`, of conv_data_grad, which convolves with turned kernels.
Form winograd_form(int64_t m, bool turned);
/// Of conv_weight_grad.
Form winograd_gradient_form(int64_t m);

}  // namespace netc::ops
