// Forms of a convolution and its gradients that multiply transformed tiles.
#pragma once
#include "compiler/ops/conv/conv.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {

using Matrix = std::vector<std::vector<double>>;
/// B', G and A' of tiles of m x m results and kernels of r x r taps, in tiles of m + r - 1 of the image: m = 2, 4 or 6
/// for r = 3, 2 or 4 for r = 5.
struct Transforms {
  Matrix bt, g, at;
};
const Transforms& transforms(int64_t m, int64_t r);
/// Attributes "tile" and "side" of an operator on tiles: m, and the m + r - 1 of a transformed tile.
struct TileSize {
  int64_t m, side;
  explicit TileSize(const Attrs& a) : m(a.i("tile")), side(a.i("side")) {}
  int64_t taps() const { return side - m + 1; }
  int64_t elements() const { return side * side; }
  bool known() const { return (taps() == 3 && (m == 2 || m == 4 || m == 6)) || (taps() == 5 && (m == 2 || m == 4)); }
  const Transforms& by() const { return transforms(m, taps()); }
};
/// OpDef::error of what is transformed in tiles: measured by tests/ops/forms_test.cpp, which holds it.
inline double tile_error(const Attrs& a) {
  const int64_t side = a.i("side");
  return side == 4 ? 2e-6 : side == 6 ? 2e-5 : 2e-4;
}
/// The row of a matrix that `which` selects, times what `at` gives.
Expr row_times(const Matrix& a, const Expr& which, std::function<Expr(int)> at);
/// A convolution of r x r taps, all next to each other, and stride 1.
inline bool has_tiles(const ConvGeometry& g, int64_t kh, int64_t kw, int64_t r) {
  return kh == r && kw == r && !g.strided() && g.dh == 1 && g.dw == 1;
}
/// Tiles of m that cover an extent.
inline int64_t tiles(int64_t extent, int64_t m) { return (extent + m - 1) / m; }

/// Of conv, or, `turned`, of conv_data_grad, which convolves with turned kernels.
Form winograd_form(int64_t m, int64_t r, bool turned);
/// Of conv_weight_grad.
Form winograd_gradient_form(int64_t m, int64_t r);

}  // namespace netc::ops
