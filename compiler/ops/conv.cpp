// Convolution (cross-correlation, as all frameworks mean it) and its two gradients.
// Images are f32[N, H, W, C], weights f32[KH, KW, Cin, Cout]; in Halide (c, x, y, n) and w(k, c, kx, ky).
#include "compiler/ops/support.h"

namespace netc::ops {
namespace {

bool image(const Type& t) { return t.dtype == DType::f32 && t.batched && t.rank() == 3 && !t.has_any_extent(); }
bool kernel(const Type& t) { return t.dtype == DType::f32 && !t.batched && t.rank() == 4; }

struct Geometry {
  int sh, sw, top, left, bottom, right;
  explicit Geometry(const Attrs& a)
      : sh(static_cast<int>(a.i("stride_h"))), sw(static_cast<int>(a.i("stride_w"))), top(static_cast<int>(a.i("pad_top"))),
        left(static_cast<int>(a.i("pad_left"))), bottom(static_cast<int>(a.i("pad_bottom"))), right(static_cast<int>(a.i("pad_right"))) {}
  bool padded() const { return top || left || bottom || right; }
};

/// `f` with zeros outside its height and width. Reads stay inside the type's extents.
Func zero_padded(const Func& f, const Type& t, const std::string& name) {
  Var c("c"), x("x"), y("y"), n("n");
  Func p(name);
  const int h = static_cast<int>(t.dims[0]), w = static_cast<int>(t.dims[1]);
  p(c, x, y, n) = select(x >= 0 && x < w && y >= 0 && y < h, f(c, clamp(x, 0, w - 1), clamp(y, 0, h - 1), n), 0.0f);
  return p;
}

int64_t extent(int64_t in, int64_t before, int64_t after, int64_t k, int64_t stride) {
  const int64_t room = in + before + after - k;
  return room < 0 ? 0 : room / stride + 1;
}

/// Products of a convolution: the weights times the outputs' pixels.
double macs(const Type& w, const Type& y) {
  return static_cast<double>(w.elements()) * static_cast<double>(y.dims[0] * y.dims[1]);
}

/// Calls f(x index, w index, y index) for each product of the convolution over one batch; the three ops' references differ in what they sum into.
template <class F>
void each_product(const Geometry& g, const std::vector<int64_t>& x, const std::vector<int64_t>& w, const std::vector<int64_t>& y, F f) {
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t oy = 0; oy < y[1]; ++oy)
      for (int64_t ox = 0; ox < y[2]; ++ox)
        for (int64_t ky = 0; ky < w[0]; ++ky)
          for (int64_t kx = 0; kx < w[1]; ++kx) {
            const int64_t iy = oy * g.sh + ky - g.top, ix = ox * g.sw + kx - g.left;
            if (iy < 0 || iy >= x[1] || ix < 0 || ix >= x[2]) continue;
            for (int64_t c = 0; c < w[2]; ++c)
              for (int64_t k = 0; k < w[3]; ++k)
                f(((n * x[1] + iy) * x[2] + ix) * x[3] + c, ((ky * w[1] + kx) * w[2] + c) * w[3] + k, ((n * y[1] + oy) * y[2] + ox) * y[3] + k);
          }
}

OpDef conv() {
  OpDef d;
  d.name = "conv";
  d.doc = "Convolution: y[n,oy,ox,k] = sum_{c,ky,kx} x[n, oy*stride_h + ky - pad_top, ox*stride_w + kx - pad_left, c] * w[ky,kx,c,k], zero outside.";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.scales_input = 1;
  d.windows = [](const Node& n, const Graph& g) {
    const Geometry at(n.attrs);
    const Type& w = g.type(n.inputs[1]);
    return std::vector<WindowSteps>{{0, w.dims[0], at.sh, at.top}, {1, w.dims[1], at.sw, at.left}};
  };
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (!image(in[0]) || !kernel(in[1]) || in[0].dims[2] != in[1].dims[2]) {
      error = fmt::format("conv needs f32[N, H, W, C] and f32[KH, KW, C, K], not {}", list_types(in));
      return false;
    }
    const Geometry g(a);
    const int64_t h = extent(in[0].dims[0], g.top, g.bottom, in[1].dims[0], g.sh), w = extent(in[0].dims[1], g.left, g.right, in[1].dims[1], g.sw);
    if (h <= 0 || w <= 0) {
      error = fmt::format("conv: the kernel {} is larger than the image {}", to_string(in[1]), to_string(in[0]));
      return false;
    }
    out = {f32({h, w, in[1].dims[3]}, true)};
    return true;
  };
  d.cost = [](const Node& n, const Graph& g) {
    const double m = macs(g.type(n.inputs[1]), g.type(n.results[0]));
    return Cost{m, 2 * m};
  };
  d.lower = [](const LowerContext& ctx) {
    const Geometry g(ctx.node.attrs);
    const Type &x = ctx.in_type(0), &w = ctx.in_type(1);
    Lowered l;
    Func in = ctx.in[0];
    if (g.padded()) {
      in = zero_padded(in, x, "conv_padded");
      l.padded = {in};
    }
    Var k("k"), ox("x"), oy("y"), n("n");
    Func y("conv");
    RDom r(0, static_cast<int>(w.dims[2]), 0, static_cast<int>(w.dims[1]), 0, static_cast<int>(w.dims[0]), "r");
    y(k, ox, oy, n) = 0.0f;
    y(k, ox, oy, n) += in(r.x, ox * g.sw + r.y - g.left, oy * g.sh + r.z - g.top, n) * ctx.in[1](k, r.x, r.y, r.z);
    l.funcs = {y};
    l.anchor = y;
    l.r = r;
    return l;
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    each_product(Geometry(n.attrs), in[0].dims, in[1].dims, y.dims, [&](int64_t x, int64_t w, int64_t o) { y.data[o] += in[0].data[x] * in[1].data[w]; });
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    std::vector<ValueId> r(2, kNone);
    const Type x = g.graph.type(g.in(0)), w = g.graph.type(g.in(1));
    if (g.wanted[0]) {
      Attrs a = g.n().attrs;
      a.set("in_h", x.dims[0]);
      a.set("in_w", x.dims[1]);
      r[0] = g.emit("conv_data_grad", {g.grads_out[0], g.in(1)}, a);
    }
    if (g.wanted[1]) {
      Attrs a = g.n().attrs;
      a.set("kh", w.dims[0]);
      a.set("kw", w.dims[1]);
      r[1] = g.emit("conv_weight_grad", {g.in(0), g.grads_out[0]}, a);
    }
    return r;
  };
  return d;
}

OpDef conv_data_grad() {
  OpDef d;
  d.name = "conv_data_grad";
  d.doc = "Gradient of conv in its image: dx[n,y,x,c] = sum_{k,ky,kx} dy[n, (y + pad_top - ky)/stride_h, (x + pad_left - kx)/stride_w, k] * w[ky,kx,c,k] "
          "where the divisions are exact.";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (!image(in[0]) || !kernel(in[1]) || in[0].dims[2] != in[1].dims[3]) {
      error = fmt::format("conv_data_grad needs f32[N, H, W, K] and f32[KH, KW, C, K], not {}", list_types(in));
      return false;
    }
    out = {f32({a.i("in_h"), a.i("in_w"), in[1].dims[2]}, true)};
    return true;
  };
  d.cost = [](const Node& n, const Graph& g) {
    const double m = macs(g.type(n.inputs[1]), g.type(n.inputs[0]));
    return Cost{m, 2 * m};
  };
  d.lower = [](const LowerContext& ctx) {
    const Geometry g(ctx.node.attrs);
    const Type &dy = ctx.in_type(0), &w = ctx.in_type(1);
    const bool pointwise = w.dims[0] == 1 && w.dims[1] == 1 && g.sh == 1 && g.sw == 1 && !g.padded();
    Lowered l;
    Func in = ctx.in[0];
    if (!pointwise) {
      in = zero_padded(in, dy, "conv_data_grad_padded");
      l.padded = {in};
    }
    Var c("c"), x("x"), y("y"), n("n");
    Func dx("conv_data_grad");
    RDom r(0, static_cast<int>(w.dims[3]), 0, static_cast<int>(w.dims[1]), 0, static_cast<int>(w.dims[0]), "r");
    const Expr px = x + g.left - r.y, py = y + g.top - r.z;
    dx(c, x, y, n) = 0.0f;
    if (g.sh == 1 && g.sw == 1) {
      dx(c, x, y, n) += in(r.x, px, py, n) * ctx.in[1](r.x, c, r.y, r.z);
    } else {
      const Expr v = in(r.x, px / g.sw, py / g.sh, n);  // Halide's division rounds down, its remainder is never negative
      dx(c, x, y, n) += select(px % g.sw == 0 && py % g.sh == 0, v, 0.0f) * ctx.in[1](r.x, c, r.y, r.z);
    }
    l.funcs = {dx};
    l.anchor = dx;
    l.r = r;
    return l;
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor dx = ref_zeros(g.type(n.results[0]), batch);
    each_product(Geometry(n.attrs), dx.dims, in[1].dims, in[0].dims, [&](int64_t x, int64_t w, int64_t o) { dx.data[x] += in[0].data[o] * in[1].data[w]; });
    return Tensors{dx};
  };
  return d;
}

OpDef conv_weight_grad() {
  OpDef d;
  d.name = "conv_weight_grad";
  d.doc = "Gradient of conv in its weights: dw[ky,kx,c,k] = sum_{n,oy,ox} x[n, oy*stride_h + ky - pad_top, ox*stride_w + kx - pad_left, c] * dy[n,oy,ox,k].";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (!image(in[0]) || !image(in[1])) {
      error = fmt::format("conv_weight_grad needs f32[N, H, W, C] and f32[N, OH, OW, K], not {}", list_types(in));
      return false;
    }
    out = {f32({a.i("kh"), a.i("kw"), in[0].dims[2], in[1].dims[2]}, false)};
    return true;
  };
  d.cost = [](const Node& n, const Graph& g) {
    const double m = macs(g.type(n.results[0]), g.type(n.inputs[1]));
    return Cost{m, 2 * m};
  };
  d.lower = [](const LowerContext& ctx) {
    const Geometry g(ctx.node.attrs);
    const Type& dy = ctx.in_type(1);
    Lowered l;
    Func in = ctx.in[0];
    if (g.padded()) {
      in = zero_padded(in, ctx.in_type(0), "conv_weight_grad_padded");
      l.padded = {in};
    }
    Var k("k"), c("c"), kx("kx"), ky("ky");
    Func dw("conv_weight_grad");
    RDom r(0, static_cast<int>(dy.dims[1]), 0, static_cast<int>(dy.dims[0]), 0, ctx.batch, "r");
    dw(k, c, kx, ky) = 0.0f;
    dw(k, c, kx, ky) += in(c, r.x * g.sw + kx - g.left, r.y * g.sh + ky - g.top, r.z) * ctx.in[1](k, r.x, r.y, r.z);
    l.funcs = {dw};
    l.anchor = dw;
    l.r = r;
    return l;
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor dw = ref_zeros(g.type(n.results[0]), batch);
    each_product(Geometry(n.attrs), in[0].dims, dw.dims, in[1].dims, [&](int64_t x, int64_t w, int64_t o) { dw.data[w] += in[0].data[x] * in[1].data[o]; });
    return Tensors{dw};
  };
  return d;
}

LayerDef conv_layer() {
  LayerDef l;
  l.name = "Conv";
  l.doc = "2-D convolution. y[oy, ox, k] = sum_{c,ky,kx} x[oy*stride + ky - pad, ox*stride + kx - pad, c] * weight[ky, kx, c, k] + bias[k]";
  l.section = "Convolution";
  l.weight_prefix = "conv";
  l.args = {{"filters", ArgType::integer, std::nullopt, 1, 1e6, {}, "number of output channels"},
            {"kernel", ArgType::integer_or_pair, std::nullopt, 1, 1e4, {}, "height and width of the window"},
            {"stride", ArgType::integer_or_pair, ArgValue{int64_t{1}}, 1, 1e4, {}, "step of the window, down and across"},
            {"padding", ArgType::padding, ArgValue{std::string("valid")}, 0, 1e4, {},
             "valid: none; same: output extent = ceil(input / stride); or pixels of zeros"},
            {"bias", ArgType::boolean, ArgValue{true}, 0, 1, {}, "adds a trained bias per channel"}};
  add_weight_args(l.args);
  l.build = [](LayerBuilder& b) -> ValueId {
    const int64_t filters = b.i("filters");
    const std::vector<int64_t> k = b.pair("kernel"), stride = b.pair("stride");
    const std::string me = k[0] == k[1] ? fmt::format("Conv({}, {})", filters, k[0]) : fmt::format("Conv({}, ({}, {}))", filters, k[0], k[1]);
    if (!check_operand(b, me.c_str(), 3)) return kNone;
    const Type t = b.in_type();
    const Window h = window_of(t.dims[0], k[0], stride[0], b.s("padding")), w = window_of(t.dims[1], k[1], stride[1], b.s("padding"));
    if (h.out <= 0 || w.out <= 0) {
      return b.error(fmt::format("{}'s window of {} x {} does not fit into its input {}", me, k[0], k[1], shape_for_user(t)),
                     "use a smaller kernel, padding = same, or fewer poolings before it");
    }
    const int64_t c = t.dims[2], area = k[0] * k[1];
    const Initializer init = weight_init(b, area * c, area * filters);
    const ValueId weight = b.variable("weight", f32({k[0], k[1], c, filters}, false), init, Role::weight, b.f("l1"), b.f("l2"));
    const ValueId y = b.emit("conv", {b.in()[0], weight}, window_attrs(h, w, stride));
    if (!b.b("bias")) return y;
    return b.emit("bias_add", {y, b.variable("bias", f32({filters}, false), {})});
  };
  return l;
}

}  // namespace

void add_conv(Registry& r) {
  static const OpDef ops[] = {conv(), conv_data_grad(), conv_weight_grad()};
  static const LayerDef layer = conv_layer();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
