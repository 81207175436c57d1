// What max and average pooling share: the window's geometry as attributes, its shape rule, and its layer's arguments.
#pragma once
#include "compiler/ops/support.h"

namespace netc::ops {

struct PoolGeometry {
  int kh, kw, sh, sw, top, left, bottom, right;
  /// padding whose pixels count, as zeros, in a mean: these, top and left; -1: none does
  int counted_bottom, counted_right;
  explicit PoolGeometry(const Attrs& a)
      : kh(static_cast<int>(a.i("kernel_h"))),
        kw(static_cast<int>(a.i("kernel_w"))),
        sh(static_cast<int>(a.i("stride_h"))),
        sw(static_cast<int>(a.i("stride_w"))),
        top(static_cast<int>(a.i("pad_top"))),
        left(static_cast<int>(a.i("pad_left"))),
        bottom(static_cast<int>(a.i("pad_bottom"))),
        right(static_cast<int>(a.i("pad_right"))),
        counted_bottom(a.has("counted_bottom") ? static_cast<int>(a.i("counted_bottom")) : -1),
        counted_right(a.has("counted_right") ? static_cast<int>(a.i("counted_right")) : -1) {}
  bool counts_padding() const { return counted_bottom >= 0; }
  // a padded window clamps what it reads: that is no plain tile of its producer either
  bool overlaps() const { return kh > sh || kw > sw || padded(); }
  bool padded() const { return top || left || bottom || right; }
  bool small() const { return kh * kw <= 16; }           // small enough to be written out without a reduction domain
  int covering_h() const { return (kh + sh - 1) / sh; }  // how many windows cover one row
  int covering_w() const { return (kw + sw - 1) / sw; }
};

/// OpDef::windows of pooling.
inline std::vector<WindowSteps> pool_windows(const Node& n, const Graph&) {
  const PoolGeometry g(n.attrs);
  return {{0, g.kh, g.sh, g.top}, {1, g.kw, g.sw, g.left}};
}

/// The output of pooling x.
bool pool_type(const Type& x, const Attrs& a, Type& out, std::string& error, const std::string& name);
/// Calls f(input index, output index) for each pixel of each window, windows and pixels in row-major order.
template <class F>
void each_pooled(const PoolGeometry& g, const std::vector<int64_t>& x, const std::vector<int64_t>& y, F f) {
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t oy = 0; oy < y[1]; ++oy)
      for (int64_t ox = 0; ox < y[2]; ++ox)
        for (int64_t c = 0; c < y[3]; ++c)
          for (int64_t ky = 0; ky < g.kh; ++ky)
            for (int64_t kx = 0; kx < g.kw; ++kx) {
              const int64_t iy = oy * g.sh + ky - g.top, ix = ox * g.sw + kx - g.left;
              if (iy < 0 || iy >= x[1] || ix < 0 || ix >= x[2]) continue;
              f(((n * x[1] + iy) * x[2] + ix) * x[3] + c, ((n * y[1] + oy) * y[2] + ox) * y[3] + c);
            }
}
/// Fusion's question whether windows share elements.
inline bool pools_overlap(const Attrs& a) { return PoolGeometry(a).overlaps(); }
/// A layer of arguments size, stride = size, padding = valid, ceil = false that emits `op`; `mean`: it has
/// count_padding = false too.
LayerDef pool_layer(const char* name, const char* op, const char* doc, bool mean);

}  // namespace netc::ops
