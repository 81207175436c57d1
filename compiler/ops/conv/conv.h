// What convolutions share: the types of images and kernels, the geometry as attributes, shape rules, padding, and the
// loop that all references run. Images are f32[N, H, W, C], weights f32[KH, KW, C/groups, K]; in Halide (c, x, y, n)
// and w(k, c, kx, ky).
#pragma once
#include "compiler/ops/algorithm.h"

namespace netc::ops {

inline bool is_image(const Type& t) { return is_real(t.dtype) && t.batched && t.rank() == 3 && !t.has_any_extent(); }
inline bool is_kernel(const Type& t) { return is_real(t.dtype) && !t.batched && t.rank() == 4; }

/// Attributes stride_h ... pad_right, and, where they are not 1, dilation_h, dilation_w and groups.
struct ConvGeometry {
  int sh, sw, top, left, bottom, right, dh, dw, groups;
  explicit ConvGeometry(const Attrs& a)
      : sh(static_cast<int>(a.i("stride_h"))),
        sw(static_cast<int>(a.i("stride_w"))),
        top(static_cast<int>(a.i("pad_top"))),
        left(static_cast<int>(a.i("pad_left"))),
        bottom(static_cast<int>(a.i("pad_bottom"))),
        right(static_cast<int>(a.i("pad_right"))),
        dh(or_one(a, "dilation_h")),
        dw(or_one(a, "dilation_w")),
        groups(or_one(a, "groups")) {}
  bool padded() const { return top || left || bottom || right; }
  bool strided() const { return sh != 1 || sw != 1; }

 private:
  static int or_one(const Attrs& a, const char* name) { return a.has(name) ? static_cast<int>(a.i(name)) : 1; }
};

/// The offset of a tap of a dilated kernel.
inline Expr tap(const Expr& k, int dilation) { return dilation == 1 ? k : k * dilation; }

/// The result of convolving image x with kernel w; `name` is the operator's in the error. Channels are the caller's to
/// check.
bool convolved(const Type& x, const Type& w, const ConvGeometry& g, Type& y, std::string& error, const char* name);
/// f32[in_h, in_w, channels] by the attributes, if its convolution with w has the extents of y.
bool convolved_from(const Type& y, const Type& w, int64_t channels, const Attrs& a, Type& x, std::string& error,
                    const char* name);
/// f32[kh, kw, c, k] by the attributes, if x convolved with it has the extents of y.
bool convolved_with(const Type& x, const Type& y, int64_t c, int64_t k, const Attrs& a, Type& w, std::string& error,
                    const char* name);

/// `f`, of f32 or bf16, with zeros outside its height and width. Reads stay inside the type's extents. `by_row`: an
/// update writes the columns inside, so that lanes along a row read what lies side by side.
Func zero_padded(const Func& f, const Type& t, const std::string& name, bool by_row = false);

/// Products of a convolution: the weights times the outputs' pixels.
inline double conv_macs(const Type& w, const Type& y) {
  return static_cast<double>(w.elements()) * static_cast<double>(y.dims[0] * y.dims[1]);
}

/// Calls f(x index, w index, y index) for each product of the convolution over one batch; the references differ in what
/// they sum into.
template <class F>
void each_product(const ConvGeometry& g, const std::vector<int64_t>& x, const std::vector<int64_t>& w,
                  const std::vector<int64_t>& y, F f) {
  const int64_t filters = w[3] / (x[3] / w[2]);  // of a group
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t oy = 0; oy < y[1]; ++oy)
      for (int64_t ox = 0; ox < y[2]; ++ox)
        for (int64_t ky = 0; ky < w[0]; ++ky)
          for (int64_t kx = 0; kx < w[1]; ++kx) {
            const int64_t iy = oy * g.sh + ky * g.dh - g.top, ix = ox * g.sw + kx * g.dw - g.left;
            if (iy < 0 || iy >= x[1] || ix < 0 || ix >= x[2]) continue;
            for (int64_t c = 0; c < w[2]; ++c)
              for (int64_t k = 0; k < w[3]; ++k)
                f(((n * x[1] + iy) * x[2] + ix) * x[3] + k / filters * w[2] + c,
                  ((ky * w[1] + kx) * w[2] + c) * w[3] + k, ((n * y[1] + oy) * y[2] + ox) * y[3] + k);
          }
}

/// The three references: what each product adds to the image, the kernel or the result.
Tensors ref_conv(const Node& n, const Graph& g, const Tensors& in, int64_t batch);
Tensors ref_conv_data_grad(const Node& n, const Graph& g, const Tensors& in, int64_t batch);
Tensors ref_conv_weight_grad(const Node& n, const Graph& g, const Tensors& in, int64_t batch);

/// The attributes of `a` that say where a convolution's windows lie, with `more`.
Attrs conv_attrs(const Attrs& a, std::initializer_list<std::pair<const char*, int64_t>> more = {});

}  // namespace netc::ops
