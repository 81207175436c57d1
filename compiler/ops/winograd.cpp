// Convolution of 3 x 3 and stride 1 by products of transformed tiles: m x m results of a tile cost (m + 2)^2 multiplications instead of 9 m^2.
// Lavin and Gray: Fast Algorithms for Convolutional Neural Networks, 2015. The matrices are theirs, those of m = 6 from the points 0, 1, -1, 2, -2, 1/2, -1/2.
//
//   u = G w G'       winograd_weights, once for a step
//   v = B' d B       of each tile d of the image, m pixels apart, m + 2 wide
//   M = sum over c of v * u, for each of the (m + 2)^2 elements
//   y = A' M A
//
// Errors grow with m: against sums in double, relative to the largest result, they stay below 2e-6 for m = 2, 2e-5 for m = 4 and 2e-4 for m = 6 (tests/ops).
#include "compiler/ops/winograd.h"

#include "compiler/ops/pack.h"

namespace netc::ops {

const Transforms& transforms(int64_t m) {
  static const Transforms two = {{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
                                 {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}},
                                 {{1, 1, 1, 0}, {0, 1, -1, -1}}};
  static const Transforms four = {
      {{4, 0, -5, 0, 1, 0}, {0, -4, -4, 1, 1, 0}, {0, 4, -4, -1, 1, 0}, {0, -2, -1, 2, 1, 0}, {0, 2, -1, -2, 1, 0}, {0, 4, 0, -5, 0, 1}},
      {{1. / 4, 0, 0}, {-1. / 6, -1. / 6, -1. / 6}, {-1. / 6, 1. / 6, -1. / 6}, {1. / 24, 1. / 12, 1. / 6}, {1. / 24, -1. / 12, 1. / 6}, {0, 0, 1}},
      {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}}};
  static const Transforms six = {
      {{1, 0, -21. / 4, 0, 21. / 4, 0, -1, 0},
       {0, 1, 1, -17. / 4, -17. / 4, 1, 1, 0},
       {0, -1, 1, 17. / 4, -17. / 4, -1, 1, 0},
       {0, 1. / 2, 1. / 4, -5. / 2, -5. / 4, 2, 1, 0},
       {0, -1. / 2, 1. / 4, 5. / 2, -5. / 4, -2, 1, 0},
       {0, 2, 4, -5. / 2, -5, 1. / 2, 1, 0},
       {0, -2, 4, 5. / 2, -5, -1. / 2, 1, 0},
       {0, -1, 0, 21. / 4, 0, -21. / 4, 0, 1}},
      {{1, 0, 0}, {-2. / 9, -2. / 9, -2. / 9}, {-2. / 9, 2. / 9, -2. / 9}, {1. / 90, 1. / 45, 2. / 45}, {1. / 90, -1. / 45, 2. / 45},
       {32. / 45, 16. / 45, 8. / 45}, {32. / 45, -16. / 45, 8. / 45}, {0, 0, 1}},
      {{1, 1, 1, 1, 1, 1, 1, 0},
       {0, 1, -1, 2, -2, 1. / 2, -1. / 2, 0},
       {0, 1, 1, 4, 4, 1. / 4, 1. / 4, 0},
       {0, 1, -1, 8, -8, 1. / 8, -1. / 8, 0},
       {0, 1, 1, 16, 16, 1. / 16, 1. / 16, 0},
       {0, 1, -1, 32, -32, 1. / 32, -1. / 32, 1}}};
  return m == 2 ? two : m == 4 ? four : six;
}

namespace {

/// Sums of products that several rows have in common are written alike, so that they are computed once.
class Rows {
 public:
  Rows(const Matrix& a, std::function<Expr(int)> at) : a_(a), at_(std::move(at)), terms_(a[0].size()) {}

  Exprs exprs() {
    Exprs out(a_.size());
    for (size_t i = 0; i < a_.size(); ++i) {
      if (out[i].defined()) continue;
      if (i + 1 < a_.size() && mirrored(a_[i], a_[i + 1])) {  // what is the same in both, and what has the other sign
        const Expr same = sum(i, [&](size_t j) { return a_[i][j] == a_[i + 1][j]; }), other = sum(i, [&](size_t j) { return a_[i][j] != a_[i + 1][j]; });
        out[i] = same + other;
        out[i + 1] = same - other;
      } else {
        out[i] = paired_columns(i);
      }
    }
    return out;
  }

 private:
  static bool mirrored(const std::vector<double>& a, const std::vector<double>& b) {
    int same = 0, other = 0;
    for (size_t j = 0; j < a.size(); ++j) {
      if (a[j] != b[j] && a[j] != -b[j]) return false;
      if (a[j] != 0) ++(a[j] == b[j] ? same : other);
    }
    return same + other > 2 && same > 0 && other > 0;
  }
  /// Columns j and j + 1 have the same factors in all rows, but for their signs.
  bool paired(size_t j) const {
    return j + 1 < terms_ && std::all_of(a_.begin(), a_.end(), [&](const std::vector<double>& r) { return r[j] == r[j + 1] || r[j] == -r[j + 1]; });
  }
  Expr paired_columns(size_t i) const {
    Expr s;
    for (size_t j = 0; j < terms_; ++j) {
      const double factor = a_[i][j];
      if (factor == 0) continue;
      if (paired(j)) {
        const Expr both = a_[i][j] == a_[i][j + 1] ? at_(static_cast<int>(j)) + at_(static_cast<int>(j + 1)) : at_(static_cast<int>(j)) - at_(static_cast<int>(j + 1));
        s = added(s, factor, both);
        ++j;
      } else {
        s = added(s, factor, at_(static_cast<int>(j)));
      }
    }
    return s;
  }
  Expr sum(size_t i, const std::function<bool(size_t)>& which) const {
    Expr s;
    for (size_t j = 0; j < terms_; ++j)
      if (a_[i][j] != 0 && which(j)) s = added(s, a_[i][j], at_(static_cast<int>(j)));
    return s;
  }
  static Expr added(const Expr& s, double factor, const Expr& value) {
    const Expr term = factor == 1 ? value : lit(factor) * value;
    return s.defined() ? s + term : term;
  }

  const Matrix& a_;
  std::function<Expr(int)> at_;
  size_t terms_;
};

}  // namespace

Expr row_times(const Matrix& a, const Expr& which, std::function<Expr(int)> at) { return Halide::mux(which, Rows(a, std::move(at)).exprs()); }

namespace {

bool is_tile(int64_t m) { return m == 2 || m == 4 || m == 6; }

OpDef winograd_weights() {
  OpDef d;
  d.name = "winograd_weights";
  d.doc = "Weights f32[3, 3, C, K] as winograd_conv takes them: u[e, c, k] with G w G' of each c and k as its (tile + 2)^2 elements e. `turned`: of the "
          "gradient in the image, whose kernels are turned by half a turn and whose channels are exchanged, u[e, k, c].";
  d.kind = Kind::gather;
  d.inputs = 1;
  d.no_gradient = "it is put in after gradients are";
  d.cost = per_element(30);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const Type& w = in[0];
    const int64_t m = a.i("tile");
    if (w.dtype != DType::f32 || w.batched || w.rank() != 4 || w.dims[0] != 3 || w.dims[1] != 3 || !is_tile(m)) {
      error = fmt::format("winograd_weights needs f32[3, 3, C, K] and a tile of 2, 4 or 6, not {} and {}", list_types(in), m);
      return false;
    }
    const bool turned = a.b("turned");
    out = {f32({(m + 2) * (m + 2), w.dims[turned ? 3 : 2], w.dims[turned ? 2 : 3]}, false)};
    return true;
  };
  d.lower = [](const LowerContext& ctx) {
    const int64_t m = ctx.node.attrs.i("tile");
    const bool turned = ctx.node.attrs.b("turned");
    const int t = static_cast<int>(m + 2);
    Var k("k"), c("c"), e("e");
    Func u("winograd_weights");
    Lowered l;
    Func w = ctx.in[0];
    if (turned) {
      w = Func("winograd_turned");
      Var x("x"), y("y");
      w(k, c, x, y) = ctx.in[0](c, k, 2 - x, 2 - y);
      l.padded = {w};
    }
    const auto factor = [&](const Expr& row, int column) {  // of a matrix's element: e is an outer loop's
      Exprs all;
      for (const auto& r : transforms(m).g) all.push_back(lit(r[static_cast<size_t>(column)]));
      return Halide::mux(row, all);
    };
    Expr sum;
    for (int y = 0; y < 3; ++y) {
      Expr row;
      for (int x = 0; x < 3; ++x) {
        const Expr term = factor(e % t, x) * w(k, c, x, y);
        row = row.defined() ? row + term : term;
      }
      sum = sum.defined() ? sum + factor(e / t, y) * row : factor(e / t, y) * row;
    }
    u(k, c, e) = sum;
    l.funcs = {u};
    return l;
  };
  d.reference = [](const Node& n, const Graph& graph, const Tensors& in, int64_t) {
    const int64_t m = n.attrs.i("tile"), t = m + 2, C = in[0].dims[2], K = in[0].dims[3];
    const bool turned = n.attrs.b("turned");
    const Matrix& g = transforms(m).g;
    RefTensor u = ref_zeros(graph.type(n.results[0]), 1);
    for (int64_t e = 0; e < t * t; ++e)
      for (int64_t c = 0; c < C; ++c)
        for (int64_t k = 0; k < K; ++k)
          for (int64_t y = 0; y < 3; ++y)
            for (int64_t x = 0; x < 3; ++x) {
              const double w = in[0].data[((turned ? (2 - y) * 3 + 2 - x : y * 3 + x) * C + c) * K + k];
              u.data[e * C * K + (turned ? k * C + c : c * K + k)] += g[e / t][y] * g[e % t][x] * w;
            }
    return Tensors{u};
  };
  return d;
}

struct Geometry {
  int64_t m, t, tx, ty;
  Geometry(const Node& n, const Type& y) : m(n.attrs.i("tile")), t(m + 2), tx(tiles(y.dims[1], m)), ty(tiles(y.dims[0], m)) {}
};

Lowered lower_conv(const LowerContext& ctx) {
  const ConvGeometry pad(ctx.node.attrs);
  const Geometry geometry(ctx.node, ctx.out_type());
  const int m = static_cast<int>(geometry.m), t = static_cast<int>(geometry.t), columns = static_cast<int>(geometry.tx);
  const Transforms& a = transforms(geometry.m);
  Var c("c"), k("k"), x("x"), y("y"), n("n"), q("q"), ex("ex"), ey("ey"), i("i");
  Func in = zero_padded(ctx.in[0], ctx.in_type(0), "winograd_padded");
  // q counts tiles: row by row. Columns of a tile first, then its rows.
  Func half("winograd_half"), v("winograd_tiles"), sums("winograd_sums"), products("winograd_products"), back("winograd_back"), result("winograd_conv");
  half(c, ex, i, q, n) = row_times(a.bt, ex, [&](int j) { return in(c, (q % columns) * m + j - pad.left, (q / columns) * m + i - pad.top, n); });
  v(c, q, ex, ey, n) = row_times(a.bt, ey, [&](int j) { return half(c, ex, j, q, n); });
  RDom r(0, static_cast<int>(ctx.in_type(1).dims[1]), "r");
  sums(k, q, ex, ey, n) = 0.0f;
  sums(k, q, ex, ey, n) += v(r, q, ex, ey, n) * ctx.in[1](k, r, ey * t + ex);
  products(k, q, ex, ey, n) = sums(k, q, ex, ey, n);
  back(k, i, ex, q, n) = row_times(a.at, i, [&](int j) { return products(k, q, ex, j, n); });
  result(k, x, y, n) = row_times(a.at, x % m, [&](int j) { return back(k, y % m, j, (y / m) * columns + x / m, n); });
  return Lowered{{result}, sums, r, {in}, {half, v, products, back}};
}

Tensors reference_conv(const Node& n, const Graph& graph, const Tensors& in, int64_t batch) {
  const ConvGeometry pad(n.attrs);
  const Geometry g(n, graph.type(n.results[0]));
  const Transforms& a = transforms(g.m);
  RefTensor y = ref_zeros(graph.type(n.results[0]), batch);
  const int64_t H = in[0].dims[1], W = in[0].dims[2], C = in[0].dims[3], OH = y.dims[1], OW = y.dims[2], K = y.dims[3], t = g.t;
  std::vector<double> v(static_cast<size_t>(t * t * C)), sums(static_cast<size_t>(t * t * K));
  for (int64_t tile = 0; tile < batch * g.ty * g.tx; ++tile) {
    const int64_t b = tile / (g.ty * g.tx), row = tile / g.tx % g.ty * g.m, column = tile % g.tx * g.m;
    std::fill(v.begin(), v.end(), 0);
    std::fill(sums.begin(), sums.end(), 0);
    for (int64_t e = 0; e < t * t; ++e)
      for (int64_t i = 0; i < t; ++i)
        for (int64_t j = 0; j < t; ++j) {
          const int64_t iy = row + i - pad.top, ix = column + j - pad.left;
          const double weight = a.bt[e / t][i] * a.bt[e % t][j];
          if (weight == 0 || iy < 0 || iy >= H || ix < 0 || ix >= W) continue;
          for (int64_t c = 0; c < C; ++c) v[e * C + c] += weight * in[0].data[((b * H + iy) * W + ix) * C + c];
        }
    for (int64_t e = 0; e < t * t; ++e)
      for (int64_t c = 0; c < C; ++c)
        for (int64_t k = 0; k < K; ++k) sums[e * K + k] += v[e * C + c] * in[1].data[(e * C + c) * K + k];
    for (int64_t oy = row; oy < std::min(row + g.m, OH); ++oy)
      for (int64_t ox = column; ox < std::min(column + g.m, OW); ++ox)
        for (int64_t e = 0; e < t * t; ++e)
          for (int64_t k = 0; k < K; ++k) y.data[((b * OH + oy) * OW + ox) * K + k] += a.at[oy - row][e / t] * a.at[ox - column][e % t] * sums[e * K + k];
  }
  return {y};
}

OpDef winograd_conv() {
  OpDef d;
  d.name = "winograd_conv";
  d.doc = "Convolution of 3 x 3 and stride 1 with weights that winograd_weights transformed, in tiles of `tile` x `tile` results.";
  d.kind = Kind::contraction;
  d.transforms_tiles = true;
  d.inputs = 2;
  d.no_gradient = "it is put in after gradients are";
  d.forms = {packed_form(0)};
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const int64_t m = a.i("tile");
    if (!is_image(in[0]) || in[1].dtype != DType::f32 || in[1].batched || in[1].rank() != 3 || !is_tile(m) || in[1].dims[0] != (m + 2) * (m + 2) ||
        in[1].dims[1] != in[0].dims[2]) {
      error = fmt::format("winograd_conv needs f32[N, H, W, C] and f32[{}, C, K], not {}", (m + 2) * (m + 2), list_types(in));
      return false;
    }
    out.resize(1);
    return convolved(in[0], f32({3, 3, in[1].dims[1], in[1].dims[2]}, false), ConvGeometry(a), out[0], error, "winograd_conv");
  };
  d.cost = [](const Node& n, const Graph& g) {
    const Type& y = g.type(n.results[0]);
    const Geometry at(n, y);
    const double elements = static_cast<double>(at.t * at.t * at.tx * at.ty), c = static_cast<double>(g.type(n.inputs[1]).dims[1]), k = static_cast<double>(y.dims[2]);
    return Cost{elements * c * k, 2 * elements * c * k + 16 * elements * (c + k)};
  };
  d.lower = lower_conv;
  d.reference = reference_conv;
  return d;
}

const OpDef& weights_op() {
  static const OpDef op = winograd_weights();
  return op;
}
const OpDef& conv_op() {
  static const OpDef op = winograd_conv();
  return op;
}

bool fits(const Node& n, const Graph& g, bool turned) {
  const ConvGeometry at(n.attrs);
  if (turned && std::max({at.top, at.bottom, at.left, at.right}) > 2) return false;
  const Type& w = g.type(n.inputs[1]);
  return !w.batched && has_tiles(at, w.dims[0], w.dims[1]);
}

}  // namespace

Form winograd_form(int64_t m, bool turned) {
  Form f;
  f.name = fmt::format("winograd{}", m);
  f.cost = [m, turned](const Node& n, const Graph& g, const Target& target) -> std::optional<double> {
    if (!fits(n, g, turned)) return std::nullopt;
    const Type &w = g.type(n.inputs[1]), &y = g.type(n.results[0]);
    const int64_t C = w.dims[turned ? 3 : 2], K = y.dims[2], ty = tiles(y.dims[0], m), tx = tiles(y.dims[1], m), t2 = (m + 2) * (m + 2);
    if (block_of(K, target) == 0 || C % target.lanes != 0 || C < 2 * target.lanes || ty * tx < 4) return std::nullopt;
    const double elements = static_cast<double>(t2 * tx * ty), c = static_cast<double>(C), k = static_cast<double>(K);
    // The transforms move as much as they compute; and the weights, t2 / 9 times as many, come from far for each sample.
    return 2 * elements * c * k + 40 * elements * (c + k) + 15 * static_cast<double>(t2) * c * k;
  };
  f.rewrite = [m, turned](Graph& g, NodeId id, const Target& target) {
    const Node n = g.nodes[id];
    const ValueId u = added_once(g, weights_op(), n.inputs[1], {{"tile", m}, {"turned", turned}}, n.layer, ".transformed");
    const ValueId stored = packed(g, u, 0, block_of(g.type(u).dims[2], target), n.layer);
    Attrs a = {{"tile", m}, {"stride_h", int64_t{1}}, {"stride_w", int64_t{1}}};
    for (const char* side : {"pad_top", "pad_bottom", "pad_left", "pad_right"}) a.set(side, turned ? 2 - n.attrs.i(side) : n.attrs.i(side));
    g.nodes[id].op = &conv_op();
    g.nodes[id].inputs[1] = stored;
    g.nodes[id].attrs = a;
  };
  return f;
}

void add_winograd(Registry& r) {
  r.ops.ops.push_back(&weights_op());
  r.ops.ops.push_back(&conv_op());
}

}  // namespace netc::ops
