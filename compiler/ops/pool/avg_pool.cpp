// Average pooling over windows (pixels outside the image count if they are padding that is said to) and over the whole
// image.
#include "compiler/ops/pool/pool.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

/// Pixels of window (x, y) that count.
Expr pixels(const PoolGeometry& g, const Type& t, const Expr& x, const Expr& y) {
  const bool all = g.counts_padding() ? g.counted_bottom >= g.bottom && g.counted_right >= g.right : !g.padded();
  if (all) return lit(g.kh * g.kw);
  const int h = static_cast<int>(t.dims[0]), w = static_cast<int>(t.dims[1]);
  const Expr x0 = x * g.sw - g.left, y0 = y * g.sh - g.top;
  if (g.counts_padding())
    return cast<float>((min(x0 + g.kw, w + g.counted_right) - x0) * (min(y0 + g.kh, h + g.counted_bottom) - y0));
  return cast<float>((min(x0 + g.kw, w) - max(x0, 0)) * (min(y0 + g.kh, h) - max(y0, 0)));
}

Expr pixel(const Func& f, const PoolGeometry& g, const Type& t, Expr c, Expr x, Expr y, Expr n) {
  if (!g.padded()) return f(c, x, y, n);
  const int h = static_cast<int>(t.dims[0]), w = static_cast<int>(t.dims[1]);
  return select(x >= 0 && x < w && y >= 0 && y < h, f(c, clamp(x, 0, w - 1), clamp(y, 0, h - 1), n), 0.0f);
}

/// Pixels that count of each output element, in row-major order.
std::vector<double> ref_pixels(PoolGeometry g, std::vector<int64_t> x, const RefTensor& y) {
  if (g.counts_padding()) {  // an image with its padding
    x[1] += g.top + g.counted_bottom;
    x[2] += g.left + g.counted_right;
    g.top = g.left = 0;
  }
  std::vector<double> count(y.data.size(), 0.0);
  each_pooled(g, x, y.dims, [&](int64_t, int64_t o) { count[o] += 1; });
  return count;
}

OpDef avg_pool() {
  OpDef d;
  d.name = "avg_pool";
  d.doc =
      "Mean of each window, per channel, over the pixels that lie in the image; with counted_bottom and counted_right "
      "also in its "
      "padding, whose values are 0.";
  d.kind = Kind::window;
  d.overlapping = pools_overlap;
  d.windows = pool_windows;
  d.scales_input = 0;
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    out.resize(1);
    return pool_type(in[0], a, out[0], error, "avg_pool");
  };
  d.cost = [](const Node& n, const Graph& g) {
    const PoolGeometry p(n.attrs);
    return Cost{0, elements(g.type(n.results[0])) * (p.kh * p.kw + 1)};
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const PoolGeometry g(ctx.node.attrs);
    const Type& t = ctx.in_type(0);
    Var c("c"), x("x"), y("y"), n("n");
    Func p("avg_pool");
    const Expr x0 = x * g.sw - g.left, y0 = y * g.sh - g.top;
    if (!g.small()) {
      RDom r(0, g.kw, 0, g.kh, "r");
      Func sum("avg_pool_sum");
      sum(c, x, y, n) = 0.0f;
      sum(c, x, y, n) += pixel(ctx.in[0], g, t, c, x0 + r.x, y0 + r.y, n);
      p(c, x, y, n) = sum(c, x, y, n) / pixels(g, t, x, y);
      return Lowered{{p}, sum, r};
    }
    Expr sum;
    for (int ky = 0; ky < g.kh; ++ky) {
      for (int kx = 0; kx < g.kw; ++kx) {
        const Expr v = pixel(ctx.in[0], g, t, c, x0 + kx, y0 + ky, n);
        sum = sum.defined() ? sum + v : v;
      }
    }
    p(c, x, y, n) = sum / pixels(g, t, x, y);
    return Lowered{{p}, p};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    const PoolGeometry p(n.attrs);
    each_pooled(p, in[0].dims, y.dims, [&](int64_t i, int64_t o) { y.data[o] += in[0].data[i]; });
    const std::vector<double> count = ref_pixels(p, in[0].dims, y);
    for (size_t i = 0; i < count.size(); ++i) y.data[i] /= count[i];
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    Attrs a = g.n().attrs;
    const Type x = g.graph.type(g.in(0));
    a.set("in_h", x.dims[0]);
    a.set("in_w", x.dims[1]);
    return std::vector<ValueId>{g.emit("avg_pool_grad", {g.grads_out[0]}, a)};
  };
  return d;
}

OpDef avg_pool_grad() {
  OpDef d;
  d.name = "avg_pool_grad";
  d.doc = "Gradient of avg_pool: each window's dy, divided by its pixels, goes to each of them.";
  d.kind = Kind::window;
  d.overlapping = pools_overlap;
  d.no_gradient = kNoSecond;
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    Type y;
    if (in[0].rank() != 3) {
      error = fmt::format("avg_pool_grad needs f32[N, H, W, C], not {}", to_string(in[0]));
      return false;
    }
    const Type x = f32({a.i("in_h"), a.i("in_w"), in[0].dims[2]}, true);
    if (!pool_type(x, a, y, error, "avg_pool_grad")) return false;
    if (in[0] != y) {
      error = fmt::format("avg_pool_grad: {} is not the pooled {}", to_string(in[0]), to_string(x));
      return false;
    }
    out = {x};
    return true;
  };
  d.cost = [](const Node& n, const Graph& g) {
    const PoolGeometry p(n.attrs);
    return Cost{0, elements(g.type(n.results[0])) * p.covering_h() * p.covering_w() * 2};
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const PoolGeometry g(ctx.node.attrs);
    const Type& t = ctx.in_type(0);
    const int oh = static_cast<int>(t.dims[0]), ow = static_cast<int>(t.dims[1]);
    Var c("c"), x("x"), y("y"), n("n");
    Func dx("avg_pool_grad");
    Expr sum;
    for (int a = 0; a < g.covering_h(); ++a) {
      for (int b = 0; b < g.covering_w(); ++b) {
        const Expr oy = (y + g.top) / g.sh - a, ox = (x + g.left) / g.sw - b;
        const Expr cy = clamp(oy, 0, oh - 1), cx = clamp(ox, 0, ow - 1);
        const Expr in =
            oy >= 0 && oy < oh && ox >= 0 && ox < ow && y + g.top - oy * g.sh < g.kh && x + g.left - ox * g.sw < g.kw;
        const Expr v = select(in, ctx.in[0](c, cx, cy, n) / pixels(g, ctx.out_type(), cx, cy), 0.0f);
        sum = sum.defined() ? sum + v : v;
      }
    }
    dx(c, x, y, n) = sum;
    return Lowered{{dx}, dx};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor dx = ref_zeros(g.type(n.results[0]), batch);
    const PoolGeometry p(n.attrs);
    const std::vector<double> count = ref_pixels(p, dx.dims, in[0]);
    each_pooled(p, dx.dims, in[0].dims, [&](int64_t i, int64_t o) { dx.data[i] += in[0].data[o] / count[o]; });
    return Tensors{dx};
  };
  return d;
}

OpDef mean_spatial() {
  OpDef d;
  d.name = "mean_spatial";
  d.doc = "Mean over the image: y[n,c] = sum_{y,x} x[n,y,x,c] / (H*W).";
  d.kind = Kind::reduction;
  d.cost = per_input_element(0, 1);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0].dtype != DType::f32 || !in[0].batched || in[0].rank() != 3 || in[0].has_any_extent()) {
      error = fmt::format("mean_spatial needs f32[N, H, W, C], not {}", to_string(in[0]));
      return false;
    }
    out = {f32({in[0].dims[2]}, true)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Type& t = ctx.in_type(0);
    Var c("c"), n("n");
    Func sum("mean_spatial_sum"), y("mean_spatial");
    RDom r(0, static_cast<int>(t.dims[1]), 0, static_cast<int>(t.dims[0]), "r");
    sum(c, n) = cast<double>(0);  // of thousands of pixels about the same, float32 would lose three digits
    sum(c, n) += cast<double>(ctx.in[0](c, r.x, r.y, n));
    y(c, n) = cast<float>(sum(c, n) * Expr(1.0 / static_cast<double>(spatial(t))));
    return Lowered{{y}, sum, r};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    const int64_t C = in[0].dims[3], pixels = in[0].dims[1] * in[0].dims[2];
    for (int64_t i = 0; i < static_cast<int64_t>(in[0].data.size()); ++i)
      y.data[i / (pixels * C) * C + i % C] += in[0].data[i] / static_cast<double>(pixels);
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    const Type x = g.graph.type(g.in(0));
    return std::vector<ValueId>{
        g.emit("mean_spatial_grad", {g.grads_out[0]}, {{"in_h", x.dims[0]}, {"in_w", x.dims[1]}})};
  };
  return d;
}

OpDef mean_spatial_grad() {
  OpDef d;
  d.name = "mean_spatial_grad";
  d.doc = "Gradient of mean_spatial: dx[n,y,x,c] = dy[n,c] / (H*W).";
  d.kind = Kind::window;
  d.no_gradient = kNoSecond;
  d.cost = per_element(1);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (in[0].dtype != DType::f32 || !in[0].batched || in[0].rank() != 1) {
      error = fmt::format("mean_spatial_grad needs f32[N, C], not {}", to_string(in[0]));
      return false;
    }
    out = {f32({a.i("in_h"), a.i("in_w"), in[0].dims[0]}, true)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    Var c("c"), x("x"), y("y"), n("n");
    Func dx("mean_spatial_grad");
    dx(c, x, y, n) = ctx.in[0](c, n) * lit(1.0 / static_cast<double>(spatial(ctx.out_type())));
    return Lowered{{dx}, dx};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor dx = ref_zeros(g.type(n.results[0]), batch);
    const int64_t C = dx.dims[3], pixels = dx.dims[1] * dx.dims[2];
    for (int64_t i = 0; i < static_cast<int64_t>(dx.data.size()); ++i)
      dx.data[i] = in[0].data[i / (pixels * C) * C + i % C] / static_cast<double>(pixels);
    return Tensors{dx};
  };
  return d;
}

LayerDef global_layer() {
  LayerDef l;
  l.name = "GlobalAvgPool";
  l.doc = "Mean over the whole image. y[c] = mean over y, x of x[y, x, c]";
  l.section = "Pooling";
  l.weight_prefix = "pool";
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "GlobalAvgPool", 3)) return kNone;
    return b.emit("mean_spatial", {b.in()[0]});
  };
  return l;
}

}  // namespace

void add_avg_pool(Registry& r) {
  static const OpDef ops[] = {avg_pool(), avg_pool_grad(), mean_spatial(), mean_spatial_grad()};
  static const LayerDef layers[] = {
      pool_layer("AvgPool", "avg_pool",
                 "Average pooling. y[oy, ox, c] = mean over the window of x[oy*stride + ky, ox*stride + kx, c]", true),
      global_layer()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
