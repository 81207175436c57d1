// Convolution of stride 1 by products of transformed tiles: m x m results of a tile cost (m + r - 1)^2 multiplications
// instead of r^2 m^2, r = 3 or 5. Lavin and Gray: Fast Algorithms for Convolutional Neural Networks, 2015. The matrices
// are those of Cook and Toom's interpolation, from the points 0, 1, -1, 2, -2, 1/2, -1/2 as far as they are needed, and
// infinity.
//
//   u = G w G'       winograd_weights, once for a step
//   v = B' d B       of each tile d of the image, m pixels apart, m + r - 1 wide
//   M = sum over c of v * u, for each of the (m + r - 1)^2 elements
//   y = A' M A
//
// Errors grow with the tile: against sums in double, relative to the largest result, they stay below 2e-6 for m + r - 1
// = 4, 2e-5 for 6 and 2e-4 for 8 (tests/ops).
#include "compiler/ops/forms/winograd.h"

#include <cmath>

#include "compiler/ops/forms/pack.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {

namespace {

/// Of tiles of one size: B', and for each point but infinity the factor of its row of G.
struct Interpolation {
  Matrix bt;
  std::vector<double> factors;
};

const Interpolation& interpolation(int64_t side) {
  static const Interpolation four = {{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}}, {1, 0.5, 0.5}};
  static const Interpolation six = {{{4, 0, -5, 0, 1, 0},
                                     {0, -4, -4, 1, 1, 0},
                                     {0, 4, -4, -1, 1, 0},
                                     {0, -2, -1, 2, 1, 0},
                                     {0, 2, -1, -2, 1, 0},
                                     {0, 4, 0, -5, 0, 1}},
                                    {1. / 4, -1. / 6, -1. / 6, 1. / 24, 1. / 24}};
  static const Interpolation eight = {{{1, 0, -21. / 4, 0, 21. / 4, 0, -1, 0},
                                       {0, 1, 1, -17. / 4, -17. / 4, 1, 1, 0},
                                       {0, -1, 1, 17. / 4, -17. / 4, -1, 1, 0},
                                       {0, 1. / 2, 1. / 4, -5. / 2, -5. / 4, 2, 1, 0},
                                       {0, -1. / 2, 1. / 4, 5. / 2, -5. / 4, -2, 1, 0},
                                       {0, 2, 4, -5. / 2, -5, 1. / 2, 1, 0},
                                       {0, -2, 4, 5. / 2, -5, -1. / 2, 1, 0},
                                       {0, -1, 0, 21. / 4, 0, -21. / 4, 0, 1}},
                                      {1, -2. / 9, -2. / 9, 1. / 90, 1. / 90, 32. / 45, 32. / 45}};
  return side == 4 ? four : side == 6 ? six : eight;
}

Transforms interpolated(int64_t m, int64_t r) {
  static const double points[] = {0, 1, -1, 2, -2, 0.5, -0.5};
  const size_t side = static_cast<size_t>(m + r - 1), infinity = side - 1;
  const Interpolation& by = interpolation(m + r - 1);
  Transforms t{by.bt, Matrix(side, std::vector<double>(static_cast<size_t>(r))),
               Matrix(static_cast<size_t>(m), std::vector<double>(side))};
  for (size_t p = 0; p < infinity; ++p) {
    for (size_t j = 0; j < static_cast<size_t>(r); ++j)
      t.g[p][j] = by.factors[p] * std::pow(points[p], static_cast<double>(j));
    for (size_t i = 0; i < static_cast<size_t>(m); ++i) t.at[i][p] = std::pow(points[p], static_cast<double>(i));
  }
  t.g[infinity].back() = 1;
  t.at.back()[infinity] = 1;
  return t;
}

}  // namespace

const Transforms& transforms(int64_t m, int64_t r) {
  static const Transforms of_three[] = {interpolated(2, 3), interpolated(4, 3), interpolated(6, 3)},
                          of_five[] = {interpolated(2, 5), interpolated(4, 5)};
  return (r == 3 ? of_three : of_five)[m / 2 - 1];
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
        const Expr same = sum(i, [&](size_t j) { return a_[i][j] == a_[i + 1][j]; }),
                   other = sum(i, [&](size_t j) { return a_[i][j] != a_[i + 1][j]; });
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
    return j + 1 < terms_ && std::all_of(a_.begin(), a_.end(), [&](const std::vector<double>& r) {
             return r[j] == r[j + 1] || r[j] == -r[j + 1];
           });
  }
  Expr paired_columns(size_t i) const {
    Expr s;
    for (size_t j = 0; j < terms_; ++j) {
      const double factor = a_[i][j];
      if (factor == 0) continue;
      if (paired(j)) {
        const Expr both = a_[i][j] == a_[i][j + 1] ? at_(static_cast<int>(j)) + at_(static_cast<int>(j + 1))
                                                   : at_(static_cast<int>(j)) - at_(static_cast<int>(j + 1));
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

Expr row_times(const Matrix& a, const Expr& which, std::function<Expr(int)> at) {
  return Halide::mux(which, Rows(a, std::move(at)).exprs());
}

namespace {

OpDef winograd_weights() {
  OpDef d;
  d.name = "winograd_weights";
  d.doc =
      "Weights f32[r, r, C/groups, K] as winograd_conv takes them: u[e, c, k] with G w G' of each c and k as its "
      "side^2 elements e. `turned`: of the gradient in "
      "the image, whose kernels are turned by half a turn and whose channels are exchanged within each group, u[e, k, "
      "c].";
  d.kind = Kind::gather;
  d.structure = [](const Attrs&) { return TransformedWeights{}; };
  d.inputs = 1;
  d.no_gradient = "it is put in after gradients are";
  d.cost = per_element(30);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const Type& w = in[0];
    const TileSize size(a);
    const int64_t groups = a.i("groups");
    if (!is_kernel(w) || w.dims[0] != size.taps() || w.dims[1] != size.taps() || !size.known() ||
        w.dims[3] % groups != 0) {
      error = fmt::format("winograd_weights needs f32[{0}, {0}, C, K] and a tile that is known, not {1} and {2}",
                          size.taps(), list_types(in), size.m);
      return false;
    }
    out = {a.b("turned") ? f32({size.elements(), w.dims[3] / groups, w.dims[2] * groups}, false)
                         : f32({size.elements(), w.dims[2], w.dims[3]}, false)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const TileSize size(ctx.node.attrs);
    const int t = static_cast<int>(size.side), r = static_cast<int>(size.taps());
    Var k("k"), c("c"), e("e");
    Func u("winograd_weights");
    Lowered l;
    Func w = ctx.in[0];
    if (ctx.node.attrs.b("turned")) {
      const int groups = static_cast<int>(ctx.node.attrs.i("groups")),
                channels = static_cast<int>(ctx.in_type(0).dims[2]);
      const int filters = static_cast<int>(ctx.in_type(0).dims[3]) / groups;
      w = Func("winograd_turned");
      Var x("x"), y("y");
      w(k, c, x, y) = groups == 1 ? ctx.in[0](c, k, r - 1 - x, r - 1 - y)
                                  : ctx.in[0]((k / channels) * filters + c, k % channels, r - 1 - x, r - 1 - y);
      l.padded = {w};
    }
    const auto factor = [&](const Expr& row, int column) {  // of a matrix's element: e is an outer loop's
      Exprs all;
      for (const auto& g : size.by().g) all.push_back(lit(g[static_cast<size_t>(column)]));
      return Halide::mux(row, all);
    };
    Expr sum;
    for (int y = 0; y < r; ++y) {
      Expr row;
      for (int x = 0; x < r; ++x) {
        const Expr term = factor(e % t, x) * cast<float>(w(k, c, x, y));
        row = row.defined() ? row + term : term;
      }
      sum = sum.defined() ? sum + factor(e / t, y) * row : factor(e / t, y) * row;
    }
    u(k, c, e) = sum;
    l.funcs = {u};
    return l;
  };
  d.reference = [](const Node& n, const Graph& graph, const Tensors& in, int64_t) {
    const TileSize size(n.attrs);
    const int64_t t = size.side, r = size.taps(), C = in[0].dims[2], K = in[0].dims[3],
                  filters = K / n.attrs.i("groups");
    const bool turned = n.attrs.b("turned");
    const Matrix& g = size.by().g;
    RefTensor u = ref_zeros(graph.type(n.results[0]), 1);
    const int64_t rows = u.dims[1], columns = u.dims[2];
    for (int64_t e = 0; e < t * t; ++e)
      for (int64_t c = 0; c < C; ++c)
        for (int64_t k = 0; k < K; ++k) {
          const int64_t row = turned ? k % filters : c, column = turned ? k / filters * C + c : k;
          for (int64_t y = 0; y < r; ++y)
            for (int64_t x = 0; x < r; ++x) {
              const double w = in[0].data[((turned ? (r - 1 - y) * r + r - 1 - x : y * r + x) * C + c) * K + k];
              u.data[(e * rows + row) * columns + column] += g[e / t][y] * g[e % t][x] * w;
            }
        }
    return Tensors{u};
  };
  return d;
}

struct Geometry : TileSize {
  int64_t tx, ty, groups;
  Geometry(const Node& n, const Type& y)
      : TileSize(n.attrs),
        tx(tiles(y.dims[1], m)),
        ty(tiles(y.dims[0], m)),
        groups(n.attrs.i("groups")) {}
};

Lowered lower_conv(const LowerContext& ctx) {
  const ConvGeometry pad(ctx.node.attrs);
  const Geometry geometry(ctx.node, ctx.out_type());
  const int m = static_cast<int>(geometry.m), t = static_cast<int>(geometry.side),
            columns = static_cast<int>(geometry.tx);
  const Transforms& a = geometry.by();
  Var c("c"), k("k"), x("x"), y("y"), n("n"), q("q"), ex("ex"), ey("ey"), i("i");
  Func in = zero_padded(ctx.in[0], ctx.in_type(0), "winograd_padded");
  // q counts tiles: row by row. Columns of a tile first, then its rows.
  Func half("winograd_half"), v("winograd_tiles"), sums("winograd_sums"), products("winograd_products"),
      back("winograd_back"), result("winograd_conv");
  half(c, ex, i, q, n) = row_times(a.bt, ex, [&](int j) {
    return cast<float>(in(c, (q % columns) * m + j - pad.left, (q / columns) * m + i - pad.top, n));
  });
  v(c, q, ex, ey, n) = row_times(a.bt, ey, [&](int j) { return half(c, ex, j, q, n); });
  // of a group
  const int channels = static_cast<int>(ctx.in_type(1).dims[1]),
            filters = static_cast<int>(ctx.in_type(1).dims[2] / geometry.groups);
  RDom r(0, channels, "r");
  sums(k, q, ex, ey, n) = 0.0f;
  sums(k, q, ex, ey, n) +=
      v(geometry.groups == 1 ? Expr(r) : (k / filters) * channels + r, q, ex, ey, n) * ctx.in[1](k, r, ey * t + ex);
  products(k, q, ex, ey, n) = sums(k, q, ex, ey, n);
  back(k, i, ex, q, n) = row_times(a.at, i, [&](int j) { return products(k, q, ex, j, n); });
  result(k, x, y, n) = row_times(a.at, x % m, [&](int j) { return back(k, y % m, j, (y / m) * columns + x / m, n); });
  return Lowered{.funcs = {result},
                 .anchor = sums,
                 .r = r,
                 .padded = {in},
                 .folds = {},
                 .parts = halide::ImageTileParts{half, v, products, back}};
}

Tensors reference_conv(const Node& n, const Graph& graph, const Tensors& in, int64_t batch) {
  const ConvGeometry pad(n.attrs);
  const Geometry g(n, graph.type(n.results[0]));
  const Transforms& a = g.by();
  RefTensor y = ref_zeros(graph.type(n.results[0]), batch);
  const int64_t H = in[0].dims[1], W = in[0].dims[2], C = in[0].dims[3], OH = y.dims[1], OW = y.dims[2], K = y.dims[3],
                t = g.side;
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
    const int64_t channels = C / g.groups, filters = K / g.groups;
    for (int64_t e = 0; e < t * t; ++e)
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t k = 0; k < K; ++k)
          sums[e * K + k] += v[e * C + k / filters * channels + c] * in[1].data[(e * channels + c) * K + k];
    for (int64_t oy = row; oy < std::min(row + g.m, OH); ++oy)
      for (int64_t ox = column; ox < std::min(column + g.m, OW); ++ox)
        for (int64_t e = 0; e < t * t; ++e)
          for (int64_t k = 0; k < K; ++k)
            y.data[((b * OH + oy) * OW + ox) * K + k] +=
                a.at[oy - row][e / t] * a.at[ox - column][e % t] * sums[e * K + k];
  }
  return {y};
}

OpDef winograd_conv() {
  OpDef d;
  d.name = "winograd_conv";
  d.doc =
      "Convolution of stride 1, in groups, with weights that winograd_weights transformed, in tiles of `tile` x `tile` "
      "results.";
  d.kind = Kind::contraction;
  d.structure = [](const Attrs& a) { return ImageTiles{a.i("tile"), a.i("side")}; };
  d.inputs = 2;
  d.no_gradient = "it is put in after gradients are";
  d.forms = {packed_form({0, 1})};
  d.error = tile_error;
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const TileSize size(a);
    const int64_t groups = a.i("groups");
    if (!is_image(in[0]) || in[1].dtype != DType::f32 || in[1].batched || in[1].rank() != 3 || !size.known() ||
        in[1].dims[0] != size.elements() || in[1].dims[1] * groups != in[0].dims[2] || in[1].dims[2] % groups != 0) {
      error = fmt::format("winograd_conv needs f32[N, H, W, C] and f32[{}, C/groups, K] with groups = {}, not {}",
                          size.elements(), groups, list_types(in));
      return false;
    }
    out.resize(1);
    return convolved(in[0], f32({size.taps(), size.taps(), in[1].dims[1], in[1].dims[2]}, false), ConvGeometry(a),
                     out[0], error, "winograd_conv");
  };
  d.cost = [](const Node& n, const Graph& g) {
    const Type& y = g.type(n.results[0]);
    const Geometry at(n, y);
    const double elements = static_cast<double>(at.elements() * at.tx * at.ty),
                 c = static_cast<double>(g.type(n.inputs[1]).dims[1]), k = static_cast<double>(y.dims[2]);
    return Cost{elements * c * k, 2 * elements * c * k + 16 * elements * (c * static_cast<double>(at.groups) + k)};
  };
  lowering(d).algorithm = lower_conv;
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

}  // namespace

Form winograd_form(int64_t m, int64_t r, bool turned) {
  Form f;
  f.name = fmt::format("winograd{}of{}", m, r);
  f.cost = [m, r, turned](const Node& n, const Graph& g, const Machine& machine) -> std::optional<double> {
    const Type &w = g.type(n.inputs[1]), &y = g.type(n.results[0]);
    const ConvGeometry at(n.attrs);
    if (w.batched || !has_tiles(at, w.dims[0], w.dims[1], r) ||
        (turned && std::max({at.top, at.bottom, at.left, at.right}) >= r))
      return std::nullopt;
    const int64_t C = turned ? w.dims[3] / at.groups : w.dims[2], K = y.dims[2], ty = tiles(y.dims[0], m),
                  tx = tiles(y.dims[1], m), t2 = (m + r - 1) * (m + r - 1);
    if (block_of(K / at.groups, machine) == 0 || C * at.groups % machine.vector_floats != 0 ||
        C < 2 * machine.vector_floats || ty * tx < 4)
      return std::nullopt;
    const double elements = static_cast<double>(t2 * tx * ty), c = static_cast<double>(C), k = static_cast<double>(K);
    // The transforms move as much as they compute; and the weights, t2 / r2 times as many, come from far for each
    // sample. Unless they are more than the tiles and tasks are panels of them, each row of tiles reads them all, the
    // more slowly the less of them stays in a core's cache.
    const double weights = static_cast<double>(t2) * c * k,
                 cached = std::min(1.0, 4 * weights / static_cast<double>(machine.l2));
    const bool by_panel = K / at.groups >= 2 * block_of(K / at.groups, machine) && k > static_cast<double>(tx * ty);
    return 2 * elements * c * k + 40 * elements * (c * at.groups + k) +
           weights * (15 + (by_panel ? 0 : 13 * cached * static_cast<double>(ty)));
  };
  f.rewrite = [m, r, turned](Graph& g, NodeId id, const Machine& machine) {
    const Node n = g.nodes[id];
    const int64_t groups = ConvGeometry(n.attrs).groups;
    const Attrs size = {{"tile", m}, {"side", m + r - 1}, {"groups", groups}};
    Attrs of_weights = size, a = size;
    of_weights.set("turned", turned);
    const ValueId u = added_once(g, weights_op(), n.inputs[1], of_weights, n.layer, ".transformed");
    const ValueId stored = packed(g, u, {0, 1}, block_of(g.type(u).dims[2] / groups, machine), false, n.layer);
    a.set("stride_h", int64_t{1}), a.set("stride_w", int64_t{1});
    for (const char* side : {"pad_top", "pad_bottom", "pad_left", "pad_right"})
      a.set(side, turned ? r - 1 - n.attrs.i(side) : n.attrs.i(side));
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
