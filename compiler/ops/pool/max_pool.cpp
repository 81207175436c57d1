// Max pooling. The gradient goes to the first maximum of a window in row-major order, found again from x and y: no
// indices are stored.
#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/pool/pool.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {

bool pool_type(const Type& x, const Attrs& a, Type& out, std::string& error, const std::string& name) {
  const PoolGeometry g(a);
  if (x.dtype != DType::f32 || !x.batched || x.rank() != 3 || x.has_any_extent()) {
    error = fmt::format("{} needs f32[N, H, W, C], not {}", name, to_string(x));
    return false;
  }
  const int64_t h = x.dims[0] + g.top + g.bottom - g.kh, w = x.dims[1] + g.left + g.right - g.kw;
  if (h < 0 || w < 0) {
    error = fmt::format("{}: a window of {} x {} does not fit into {}", name, g.kh, g.kw, to_string(x));
    return false;
  }
  out = f32({h / g.sh + 1, w / g.sw + 1, x.dims[2]}, true);
  return true;
}

LayerDef pool_layer(const char* name, const char* op, const char* doc, bool mean) {
  LayerDef l;
  l.name = name;
  l.doc = doc;
  l.section = "Pooling";
  l.weight_prefix = "pool";
  l.args = {{"size", ArgType::integer_or_pair, ArgValue{int64_t{2}}, 1, 1e4, {}, "height and width of the window"},
            {"stride", ArgType::integer_or_pair, ArgValue{int64_t{0}}, 0, 1e4, {}, "step of the window; 0: its size"},
            {"padding",
             ArgType::padding,
             ArgValue{std::string("valid")},
             0,
             1e4,
             {},
             "valid: none; same: output extent = ceil(input / stride); or pixels: on all sides, [height, width] or "
             "[top, bottom, left, right]"},
            {"ceil",
             ArgType::boolean,
             ArgValue{false},
             0,
             1,
             {},
             "keeps a last window that lies partly outside, if it begins inside"}};
  if (mean)
    l.args.push_back({"count_padding",
                      ArgType::boolean,
                      ArgValue{false},
                      0,
                      1,
                      {},
                      "padding counts as pixels of value 0; else the mean is over the pixels that exist"});
  const std::string layer = name, op_name = op;
  l.build = [layer, op_name, mean](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, layer.c_str(), 3)) return kNone;
    const Type t = b.in_type();
    const std::vector<int64_t> k = b.pair("size");
    std::vector<int64_t> stride = b.pair("stride");
    for (int i = 0; i < 2; ++i) stride[i] = stride[i] == 0 ? k[i] : stride[i];
    const std::string padding = b.s("padding");
    const Window h = window_of(t.dims[0], k[0], stride[0], padding, 0, b.b("ceil")),
                 w = window_of(t.dims[1], k[1], stride[1], padding, 1, b.b("ceil"));
    if (std::max(h.before, h.after) >= k[0] || std::max(w.before, w.after) >= k[1]) {
      return b.error(fmt::format("{}'s padding must be less than its window of {} x {}", layer, k[0], k[1]),
                     "some windows would hold no pixel");
    }
    if (h.out <= 0 || w.out <= 0) {
      return b.error(
          fmt::format("{}'s window of {} x {} does not fit into its input {}", layer, k[0], k[1], shape_for_user(t)),
          "use a smaller window, padding = same, or fewer poolings before it");
    }
    Attrs a = window_attrs(h, w, stride);
    a.set("kernel_h", k[0]);
    a.set("kernel_w", k[1]);
    if (mean && b.b("count_padding")) {  // not what ceil adds: it is no padding
      a.set("counted_bottom", padding == "same" ? h.after : padding_of(padding, 0).second);
      a.set("counted_right", padding == "same" ? w.after : padding_of(padding, 1).second);
    }
    return b.emit(op_name, {b.in()[0]}, a);
  };
  return l;
}

namespace {

/// x at a pixel of a window; the lowest float outside the image.
Expr pixel(const LowerContext& ctx, int i, const PoolGeometry& g, Expr c, Expr x, Expr y, Expr n) {
  if (!g.padded()) return ctx.in[i](c, x, y, n);
  const Type& t = ctx.in_type(i);
  const int h = static_cast<int>(t.dims[0]), w = static_cast<int>(t.dims[1]);
  return select(x >= 0 && x < w && y >= 0 && y < h, ctx.in[i](c, clamp(x, 0, w - 1), clamp(y, 0, h - 1), n),
                exact::lowest());
}

OpDef max_pool() {
  OpDef d;
  d.name = "max_pool";
  d.doc = "Largest value of each window, per channel; pixels outside the image do not count.";
  d.kind = Kind::window;
  d.overlapping = pools_overlap;
  d.windows = pool_windows;
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    out.resize(1);
    return pool_type(in[0], a, out[0], error, "max_pool");
  };
  d.cost = [](const Node& n, const Graph& g) {
    const PoolGeometry p(n.attrs);
    return Cost{0, elements(g.type(n.results[0])) * p.kh * p.kw};
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const PoolGeometry g(ctx.node.attrs);
    Var c("c"), x("x"), y("y"), n("n");
    Func p("max_pool");
    const Expr x0 = x * g.sw - g.left, y0 = y * g.sh - g.top;
    if (!g.small()) {
      RDom r(0, g.kw, 0, g.kh, "r");
      p(c, x, y, n) = exact::lowest();
      p(c, x, y, n) = max(p(c, x, y, n), pixel(ctx, 0, g, c, x0 + r.x, y0 + r.y, n));
      return Lowered{{p}, p, r};
    }
    Expr best;
    for (int ky = 0; ky < g.kh; ++ky) {
      for (int kx = 0; kx < g.kw; ++kx) {
        const Expr v = pixel(ctx, 0, g, c, x0 + kx, y0 + ky, n);
        best = best.defined() ? max(best, v) : v;
      }
    }
    p(c, x, y, n) = best;
    return Lowered{{p}, p};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    std::fill(y.data.begin(), y.data.end(), -INFINITY);
    each_pooled(PoolGeometry(n.attrs), in[0].dims, y.dims,
                [&](int64_t i, int64_t o) { y.data[o] = std::max(y.data[o], in[0].data[i]); });
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.emit("max_pool_grad", {g.grads_out[0], g.in(0)}, g.n().attrs)};
  };
  return d;
}

OpDef max_pool_grad() {
  OpDef d;
  d.name = "max_pool_grad";
  d.doc =
      "Gradient of max_pool: dy goes to the first maximum of its window in row-major order. Operands dy, x: the "
      "maximum is found again, since x may be recomputed in "
      "this kernel and then differ in its last bit from the one that was pooled.";
  d.kind = Kind::window;
  d.overlapping = pools_overlap;
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    Type y;
    if (!pool_type(in[1], a, y, error, "max_pool_grad")) return false;
    if (in[0] != y) {
      error = fmt::format("max_pool_grad: {} do not fit together", list_types(in));
      return false;
    }
    out = {in[1]};
    return true;
  };
  d.cost = [](const Node& n, const Graph& g) {
    const PoolGeometry p(n.attrs);
    return Cost{0, elements(g.type(n.results[0])) * p.covering_h() * p.covering_w() * (p.kh * p.kw + 2)};
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const PoolGeometry g(ctx.node.attrs);
    const Type& t = ctx.in_type(0);
    const int oh = static_cast<int>(t.dims[0]), ow = static_cast<int>(t.dims[1]);
    Var c("c"), x("x"), y("y"), n("n");
    Func first("max_pool_first"), dx("max_pool_grad");  // first: the window's pixel that holds its maximum, row-major
    const Expr x0 = x * g.sw - g.left, y0 = y * g.sh - g.top;
    Func top("max_pool_top");
    if (g.small()) {
      Expr index = 0, best = pixel(ctx, 1, g, c, x0, y0, n);
      for (int i = 1; i < g.kh * g.kw; ++i) {
        const Expr v = pixel(ctx, 1, g, c, x0 + i % g.kw, y0 + i / g.kw, n);
        index = select(v > best, i, index);
        best = max(best, v);
      }
      first(c, x, y, n) = index;
    } else {
      RDom r(0, g.kw, 0, g.kh, "r"), q(0, g.kw, 0, g.kh, "q");
      top(c, x, y, n) = exact::lowest();
      top(c, x, y, n) = max(top(c, x, y, n), pixel(ctx, 1, g, c, x0 + q.x, y0 + q.y, n));
      first(c, x, y, n) = g.kh * g.kw;
      first(c, x, y, n) = min(first(c, x, y, n), select(pixel(ctx, 1, g, c, x0 + r.x, y0 + r.y, n) == top(c, x, y, n),
                                                        r.y * g.kw + r.x, g.kh * g.kw));
    }
    Expr sum;
    for (int a = 0; a < g.covering_h(); ++a) {
      for (int b = 0; b < g.covering_w(); ++b) {
        const Expr oy = (y + g.top) / g.sh - a, ox = (x + g.left) / g.sw - b;
        const Expr ky = y + g.top - oy * g.sh, kx = x + g.left - ox * g.sw;
        const Expr cy = clamp(oy, 0, oh - 1), cx = clamp(ox, 0, ow - 1);
        const Expr in = oy >= 0 && oy < oh && ox >= 0 && ox < ow && ky < g.kh && kx < g.kw;
        const Expr v = select(in && first(c, cx, cy, n) == ky * g.kw + kx, ctx.in[0](c, cx, cy, n), 0.0f);
        sum = sum.defined() ? sum + v : v;
      }
    }
    dx(c, x, y, n) = sum;
    Lowered l{{dx}, dx};
    if (!g.small()) l.folds = {top, first};
    return l;
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor dx = ref_zeros(g.type(n.results[0]), batch);
    const PoolGeometry p(n.attrs);
    std::vector<int64_t> first(in[0].data.size(), -1);
    each_pooled(p, dx.dims, in[0].dims, [&](int64_t i, int64_t o) {
      if (first[o] < 0 || in[1].data[i] > in[1].data[first[o]]) first[o] = i;
    });
    for (size_t o = 0; o < first.size(); ++o)
      if (first[o] >= 0) dx.data[first[o]] += in[0].data[o];
    return Tensors{dx};
  };
  return d;
}

LayerDef global_layer() {
  LayerDef l;
  l.name = "GlobalMaxPool";
  l.doc = "Largest value of the whole image. y[c] = max over y, x of x[y, x, c]";
  l.section = "Pooling";
  l.weight_prefix = "pool";
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "GlobalMaxPool", 3)) return kNone;
    const Type t = b.in_type();  // one window: the image
    Attrs a = window_attrs({1, 0, 0}, {1, 0, 0}, {t.dims[0], t.dims[1]});
    a.set("kernel_h", t.dims[0]);
    a.set("kernel_w", t.dims[1]);
    return b.emit("reshape", {b.emit("max_pool", {b.in()[0]}, a)}, {{"dims", std::vector<int64_t>{t.dims[2]}}});
  };
  return l;
}

}  // namespace

void add_max_pool(Registry& r) {
  static const OpDef ops[] = {max_pool(), max_pool_grad()};
  static const LayerDef layers[] = {
      pool_layer("MaxPool", "max_pool",
                 "Max pooling. y[oy, ox, c] = max over the window of x[oy*stride + ky, ox*stride + kx, c]", false),
      global_layer()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
