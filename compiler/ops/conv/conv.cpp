// Convolution (cross-correlation, as all frameworks mean it), in groups of channels and dilated too, and its two
// gradients. The gradient in the image is the transposed convolution as well, so it has gradients of its own: a
// convolution, and the gradient in the weights with image and result exchanged.
#include "compiler/ops/conv/conv.h"

#include <numeric>

#include "compiler/ops/forms/pack.h"
#include "compiler/ops/forms/winograd.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {

namespace {

int64_t extent(int64_t in, int64_t before, int64_t after, int64_t k, int64_t stride, int64_t dilation) {
  const int64_t room = in + before + after - (k - 1) * dilation - 1;
  return room < 0 ? 0 : room / stride + 1;
}

}  // namespace

bool convolved(const Type& x, const Type& w, const ConvGeometry& g, Type& y, std::string& error, const char* name) {
  const int64_t oh = extent(x.dims[0], g.top, g.bottom, w.dims[0], g.sh, g.dh),
                ow = extent(x.dims[1], g.left, g.right, w.dims[1], g.sw, g.dw);
  if (oh <= 0 || ow <= 0) {
    error = fmt::format("{}: the kernel {} is larger than the image {}", name, to_string(w), to_string(x));
    return false;
  }
  y = f32({oh, ow, w.dims[3]}, true);
  return true;
}

bool convolved_from(const Type& y, const Type& w, int64_t channels, const Attrs& a, Type& x, std::string& error,
                    const char* name) {
  Type back;
  x = f32({a.i("in_h"), a.i("in_w"), channels}, true);
  if (!convolved(x, w, ConvGeometry(a), back, error, name)) return false;
  if (back.dims != y.dims)
    error = fmt::format("{}: {} under {} gives {}, not {}", name, to_string(x), to_string(w), to_string(back),
                        to_string(y));
  return back.dims == y.dims;
}

bool convolved_with(const Type& x, const Type& y, int64_t c, int64_t k, const Attrs& a, Type& w, std::string& error,
                    const char* name) {
  Type back;
  w = f32({a.i("kh"), a.i("kw"), c, k}, false);
  if (!convolved(x, w, ConvGeometry(a), back, error, name)) return false;
  if (back.dims != y.dims)
    error = fmt::format("{}: {} under {} gives {}, not {}", name, to_string(x), to_string(w), to_string(back),
                        to_string(y));
  return back.dims == y.dims;
}

Func zero_padded(const Func& f, const Type& t, const std::string& name, bool by_row) {
  Var c("c"), x("x"), y("y"), n("n");
  Func p(name);
  const int h = static_cast<int>(t.dims[0]), w = static_cast<int>(t.dims[1]);
  const auto inside = [](const Expr& at, int extent) { return clamp(Halide::likely(at), 0, extent - 1); };
  if (by_row) {
    RDom column(0, w, "column");
    p(c, x, y, n) = cast(f.type(), 0.0f);
    p(c, column, y, n) = select(Halide::likely(y >= 0 && y < h), f(c, column, inside(y, h), n), cast(f.type(), 0.0f));
    return p;
  }
  p(c, x, y, n) = select(Halide::likely(x >= 0 && x < w && y >= 0 && y < h), f(c, inside(x, w), inside(y, h), n),
                         cast(f.type(), 0.0f));
  return p;
}

Tensors ref_conv(const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
  RefTensor y = ref_zeros(g.type(n.results[0]), batch);
  each_product(ConvGeometry(n.attrs), in[0].dims, in[1].dims, y.dims,
               [&](int64_t x, int64_t w, int64_t o) { y.data[o] += in[0].data[x] * in[1].data[w]; });
  return {y};
}

Tensors ref_conv_data_grad(const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
  RefTensor dx = ref_zeros(g.type(n.results[0]), batch);
  each_product(ConvGeometry(n.attrs), dx.dims, in[1].dims, in[0].dims,
               [&](int64_t x, int64_t w, int64_t o) { dx.data[x] += in[0].data[o] * in[1].data[w]; });
  return {dx};
}

Tensors ref_conv_weight_grad(const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
  RefTensor dw = ref_zeros(g.type(n.results[0]), batch);
  each_product(ConvGeometry(n.attrs), in[0].dims, dw.dims, in[1].dims,
               [&](int64_t x, int64_t w, int64_t o) { dw.data[w] += in[0].data[x] * in[1].data[o]; });
  return {dw};
}

Attrs conv_attrs(const Attrs& a, std::initializer_list<std::pair<const char*, int64_t>> more) {
  Attrs r;
  for (const char* name :
       {"stride_h", "stride_w", "pad_top", "pad_bottom", "pad_left", "pad_right", "dilation_h", "dilation_w", "groups"})
    if (a.has(name)) r.set(name, a.i(name));
  for (const auto& [name, value] : more) r.set(name, value);
  return r;
}

namespace {

OpDef conv() {
  OpDef d;
  d.name = "conv";
  d.doc =
      "Convolution: y[n,oy,ox,k] = sum_{c,ky,kx} x[n, oy*stride_h + ky*dilation_h - pad_top, ox*stride_w + "
      "kx*dilation_w - pad_left, g*C/groups + c] "
      "* w[ky,kx,c,k], zero outside, where k is of group g.";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.scales_input = 1;
  d.windows = [](const Node& n, const Graph& g) {
    const ConvGeometry at(n.attrs);
    const Type& w = g.type(n.inputs[1]);
    return std::vector<WindowSteps>{{0, (w.dims[0] - 1) * at.dh + 1, at.sh, at.top},
                                    {1, (w.dims[1] - 1) * at.dw + 1, at.sw, at.left}};
  };
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const int64_t groups = ConvGeometry(a).groups;
    if (!is_image(in[0]) || !is_kernel(in[1]) || in[0].dims[2] != in[1].dims[2] * groups ||
        in[1].dims[3] % groups != 0) {
      error = fmt::format("conv needs f32[N, H, W, C] and f32[KH, KW, C/groups, K] with groups = {}, not {}", groups,
                          list_types(in));
      return false;
    }
    out.resize(1);
    return convolved(in[0], in[1], ConvGeometry(a), out[0], error, "conv");
  };
  d.cost = [](const Node& n, const Graph& g) {
    const double m = conv_macs(g.type(n.inputs[1]), g.type(n.results[0]));
    return Cost{m, 2 * m};
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const ConvGeometry g(ctx.node.attrs);
    const Type &x = ctx.in_type(0), &w = ctx.in_type(1);
    const int channels = static_cast<int>(w.dims[2]), filters = static_cast<int>(w.dims[3]) / g.groups;  // of a group
    Lowered l;
    Func in = ctx.in[0];
    if (g.padded()) {
      in = zero_padded(in, x, "conv_padded", ctx.demands.planes);
      l.padded = {in};
    }
    Var k("k"), ox("x"), oy("y"), n("n");
    Func y("conv");
    RDom r(0, channels, 0, static_cast<int>(w.dims[1]), 0, static_cast<int>(w.dims[0]), "r");
    const Expr c = g.groups == 1 ? Expr(r.x) : (k / filters) * channels + r.x;
    y(k, ox, oy, n) = 0.0f;
    y(k, ox, oy, n) += product(in(c, ox * g.sw + tap(r.y, g.dw) - g.left, oy * g.sh + tap(r.z, g.dh) - g.top, n),
                               ctx.in[1](k, r.x, r.y, r.z));
    l.funcs = {y};
    l.anchor = y;
    l.r = r;
    return l;
  };
  d.reference = ref_conv;
  d.forms = {packed_form({0, 1}),        winograd_form(6, 3, false), winograd_form(4, 3, false),
             winograd_form(2, 3, false), winograd_form(4, 5, false), winograd_form(2, 5, false)};
  d.gradient = [](const GradContext& g) {
    std::vector<ValueId> r(2, kNone);
    const Type x = g.graph.type(g.in(0)), w = g.graph.type(g.in(1));
    const Attrs a = g.n().attrs;  // emit moves the nodes
    if (g.wanted[0])
      r[0] = g.emit("conv_data_grad", {g.grads_out[0], g.in(1)},
                    conv_attrs(a, {{"in_h", x.dims[0]}, {"in_w", x.dims[1]}}));
    if (g.wanted[1])
      r[1] =
          g.emit("conv_weight_grad", {g.in(0), g.grads_out[0]}, conv_attrs(a, {{"kh", w.dims[0]}, {"kw", w.dims[1]}}));
    return r;
  };
  return d;
}

/// The taps k = first, first + step, ... of one phase, and where they read: pixel x / stride + at - i * back for tap i.
struct Taps {
  int first = 0, step, count = 0, at = 0, back;
  Taps(int offset, int taps, int stride, int dilation)
      : step(stride / std::gcd(stride, dilation)),
        back(step * dilation / stride) {
    while (first < taps && (offset - first * dilation) % stride != 0) ++first;
    if (first < taps) count = (taps - first + step - 1) / step, at = (offset - first * dilation) / stride;
  }
};

/// The same of any pixel, as expressions: where phases are too many to be written out one by one. `exists`: tap i is
/// one.
struct TapsOfPixel {
  Expr tap, place, exists;
  TapsOfPixel(const Expr& pixel, const Expr& i, int taps, int stride, int dilation) {
    const int common = std::gcd(stride, dilation), step = stride / common;
    int inverse = 1;  // of dilation / common, modulo step
    while (step > 1 && inverse * (dilation / common) % step != 1) ++inverse;
    tap = pixel / common % step * inverse % step + i * step;
    place = (pixel - tap * dilation) / stride;
    exists = pixel % common == 0 && tap < taps;
  }
};
int most_taps(int taps, int stride, int dilation) { return (taps * std::gcd(stride, dilation) + stride - 1) / stride; }

constexpr int kPhasesApart = 64;  // more would take as many loop nests
bool many_phases(const ConvGeometry& g) { return g.sh * g.sw > kPhasesApart; }

OpDef conv_data_grad() {
  OpDef d;
  d.name = "conv_data_grad";
  d.doc =
      "Gradient of conv in its image, and transposed convolution: dx[n,y,x,c] = sum_{k,ky,kx} dy[n, (y + pad_top - "
      "ky*dilation_h)/stride_h, "
      "(x + pad_left - kx*dilation_w)/stride_w, k] * w[ky,kx,c,k] where the divisions are exact, over the k of c's "
      "group.";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const int64_t groups = ConvGeometry(a).groups;
    if (!is_image(in[0]) || !is_kernel(in[1]) || in[0].dims[2] != in[1].dims[3] || in[1].dims[3] % groups != 0) {
      error = fmt::format("conv_data_grad needs f32[N, H, W, K] and f32[KH, KW, C/groups, K] with groups = {}, not {}",
                          groups, list_types(in));
      return false;
    }
    out.resize(1);
    return convolved_from(in[0], in[1], in[1].dims[2] * groups, a, out[0], error, "conv_data_grad");
  };
  d.cost = [](const Node& n, const Graph& g) {
    const double m = conv_macs(g.type(n.inputs[1]), g.type(n.inputs[0]));
    return Cost{m, 2 * m};
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const ConvGeometry g(ctx.node.attrs);
    const Type &dy = ctx.in_type(0), &w = ctx.in_type(1);
    const int channels = static_cast<int>(w.dims[2]), filters = static_cast<int>(w.dims[3]) / g.groups;  // of a group
    const bool pointwise = w.dims[0] == 1 && w.dims[1] == 1 && !g.strided() && !g.padded();
    Lowered l;
    Func in = ctx.in[0];
    if (!pointwise && !many_phases(g)) {
      in = zero_padded(in, dy, "conv_data_grad_padded", ctx.demands.planes);
      l.padded = {in};
    }
    Var c("c"), x("x"), y("y"), n("n");
    Func dx("conv_data_grad");
    Expr k = 0;
    const auto weight = [&, w_in = ctx.in[1]](const Expr& r, const Expr& kx, const Expr& ky) {
      if (g.groups == 1) return w_in(r, c, kx, ky);
      return l.padded.back()(c, r, kx, ky);
    };
    if (g.groups > 1) {
      Func turned("conv_data_grad_weights");  // by input channels, so that the lanes of a result read them side by side
      turned(c, x, y, n) = ctx.in[1]((c / channels) * filters + x, c % channels, y, n);
      l.padded.push_back(turned);
      k = (c / channels) * filters;
    }
    if (!g.strided()) {
      RDom r(0, filters, 0, static_cast<int>(w.dims[1]), 0, static_cast<int>(w.dims[0]), "r");
      const Expr row = y + g.top - tap(r.z, g.dh);
      const Expr column = x + g.left - tap(r.y, g.dw);
      if (ctx.demands.by_row) r.where(row >= 0 && row < static_cast<int>(dy.dims[0]));
      if (ctx.demands.whole_rows) r.where(column >= 0 && column < static_cast<int>(dy.dims[1]));
      dx(c, x, y, n) = 0.0f;
      dx(c, x, y, n) += product(in(k + r.x, column, row, n), weight(r.x, r.y, r.z));
      l.funcs = {dx};
      l.anchor = dx;
      l.r = r;
      return l;
    }
    if (many_phases(g)) {
      const int kw = static_cast<int>(w.dims[1]), kh = static_cast<int>(w.dims[0]);
      RDom r(0, filters, 0, most_taps(kw, g.sw, g.dw), 0, most_taps(kh, g.sh, g.dh), "r");
      const TapsOfPixel tx(x + g.left, r.y, kw, g.sw, g.dw), ty(y + g.top, r.z, kh, g.sh, g.dh);
      const Expr inside = tx.exists && ty.exists && tx.place >= 0 && tx.place < static_cast<int>(dy.dims[1]) &&
                          ty.place >= 0 && ty.place < static_cast<int>(dy.dims[0]);
      const Expr of_image = in(k + r.x, clamp(tx.place, 0, static_cast<int>(dy.dims[1]) - 1),
                               clamp(ty.place, 0, static_cast<int>(dy.dims[0]) - 1), n);
      dx(c, x, y, n) = 0.0f;
      dx(c, x, y, n) +=
          product(select(inside, cast<float>(of_image), 0.0f), weight(r.x, min(tx.tap, kw - 1), min(ty.tap, kh - 1)));
      l.funcs = {dx};
      l.anchor = dx;
      l.r = r;
      return l;
    }
    // Pixel x meets the taps along a row for which x + left - kx * dilation is a multiple of the stride. Pixels of one
    // remainder, a phase, meet the same.
    Exprs phases;
    halide::PhaseParts parts;
    for (int py = 0; py < g.sh; ++py)
      for (int px = 0; px < g.sw; ++px) {
        const Taps tx(px + g.left, static_cast<int>(w.dims[1]), g.sw, g.dw),
            ty(py + g.top, static_cast<int>(w.dims[0]), g.sh, g.dh);
        if (tx.count == 0 || ty.count == 0) {
          phases.push_back(0.0f);
          continue;
        }
        Func phase("conv_data_grad_phase");
        RDom r(0, filters, 0, tx.count, 0, ty.count, "r");
        phase(c, x, y, n) = 0.0f;
        const Expr of_weights = weight(r.x, tx.first + r.y * tx.step, ty.first + r.z * ty.step);
        phase(c, x, y, n) += product(in(k + r.x, x + tx.at - r.y * tx.back, y + ty.at - r.z * ty.back, n), of_weights);
        phases.push_back(phase(c, x / g.sw, y / g.sh, n));
        parts.phases.push_back(phase);
        l.anchor = phase;
        l.r = r;
      }
    dx(c, x, y, n) = Halide::mux((y % g.sh) * g.sw + x % g.sw, phases);
    l.funcs = {dx};
    l.parts = parts;
    return l;
  };
  d.dot = true;
  d.phases = [](const Attrs& a) {
    const ConvGeometry g(a);
    return many_phases(g) ? std::pair<int, int>{1, 1} : std::pair<int, int>{g.sh, g.sw};
  };
  d.reference = ref_conv_data_grad;
  d.forms = {packed_form({1, 0}, [](const Node& n, const Graph&) { return ConvGeometry(n.attrs).groups == 1; }),
             winograd_form(6, 3, true),
             winograd_form(4, 3, true),
             winograd_form(2, 3, true),
             winograd_form(4, 5, true),
             winograd_form(2, 5, true)};
  d.gradient = [](const GradContext& g) {
    std::vector<ValueId> r(2, kNone);
    const Type w = g.graph.type(g.in(1));
    const Attrs a = g.n().attrs;  // emit moves the nodes
    if (g.wanted[0]) r[0] = g.emit("conv", {g.grads_out[0], g.in(1)}, conv_attrs(a));
    if (g.wanted[1])
      r[1] =
          g.emit("conv_weight_grad", {g.grads_out[0], g.in(0)}, conv_attrs(a, {{"kh", w.dims[0]}, {"kw", w.dims[1]}}));
    return r;
  };
  return d;
}

OpDef conv_weight_grad() {
  OpDef d;
  d.name = "conv_weight_grad";
  d.doc =
      "Gradient of conv in its weights: dw[ky,kx,c,k] = sum_{n,oy,ox} x[n, oy*stride_h + ky*dilation_h - pad_top, "
      "ox*stride_w + kx*dilation_w - pad_left, "
      "g*C/groups + c] * dy[n,oy,ox,k], where k is of group g.";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const int64_t groups = ConvGeometry(a).groups;
    if (!is_image(in[0]) || !is_image(in[1]) || in[0].dims[2] % groups != 0 || in[1].dims[2] % groups != 0) {
      error = fmt::format("conv_weight_grad needs f32[N, H, W, C] and f32[N, OH, OW, K] with groups = {}, not {}",
                          groups, list_types(in));
      return false;
    }
    out.resize(1);
    return convolved_with(in[0], in[1], in[0].dims[2] / groups, in[1].dims[2], a, out[0], error, "conv_weight_grad");
  };
  d.cost = [](const Node& n, const Graph& g) {
    const double m = conv_macs(g.type(n.results[0]), g.type(n.inputs[1]));
    return Cost{m, 2 * m};
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const ConvGeometry g(ctx.node.attrs);
    const Type &x = ctx.in_type(0), &dy = ctx.in_type(1);
    // of a group
    const int channels = static_cast<int>(x.dims[2]) / g.groups, filters = static_cast<int>(dy.dims[2]) / g.groups;
    const int columns = static_cast<int>(dy.dims[1]),
              all = (columns + ctx.demands.row_multiple - 1) / ctx.demands.row_multiple * ctx.demands.row_multiple;
    Lowered l;
    Func in = ctx.in[0], grad = ctx.in[1];
    if (g.padded() || all > columns)
      l.padded.push_back(in = zero_padded(in, x, "conv_weight_grad_padded", ctx.demands.planes));
    if (all > columns) l.padded.push_back(grad = zero_padded(grad, dy, "conv_weight_grad_rows", ctx.demands.planes));
    Var k("k"), c("c"), kx("kx"), ky("ky");
    Func dw("conv_weight_grad");
    RDom r(0, all, 0, static_cast<int>(dy.dims[0]), 0, ctx.batch, "r");
    const Expr channel = g.groups == 1 ? Expr(c) : (k / filters) * channels + c;
    dw(k, c, kx, ky) = 0.0f;
    dw(k, c, kx, ky) +=
        product(in(channel, r.x * g.sw + tap(kx, g.dw) - g.left, r.y * g.sh + tap(ky, g.dh) - g.top, r.z),
                grad(k, r.x, r.y, r.z));
    l.funcs = {dw};
    l.anchor = dw;
    l.r = r;
    return l;
  };
  d.reference = ref_conv_weight_grad;
  d.forms = {winograd_gradient_form(4, 3), winograd_gradient_form(2, 3), winograd_gradient_form(4, 5),
             winograd_gradient_form(2, 5)};
  return d;
}

}  // namespace

void add_conv(Registry& r) {
  static const OpDef ops[] = {conv(), conv_data_grad(), conv_weight_grad()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
}

}  // namespace netc::ops
