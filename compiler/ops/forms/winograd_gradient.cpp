// The gradient of a convolution in its weights by products of transformed tiles: the transpose of each step of
// winograd.cpp.
//
//   v = B' d B         winograd_image, of each tile d of the image
//   z = A dy A'        winograd_result, of each tile of the result's gradient
//   s = sum of v * z   winograd_sums, over tiles and batch, for each element of a tile
//   dw = G' s G        winograd_taps
#include "compiler/ops/forms/pack.h"
#include "compiler/ops/forms/winograd.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

Matrix transposed(const Matrix& a) {
  Matrix t(a[0].size(), std::vector<double>(a.size()));
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < a[0].size(); ++j) t[j][i] = a[i][j];
  return t;
}

/// What tiles are cut from: m apart, the first `left` and `top` outside, `columns` in a row; and the matrix that each
/// is multiplied with on both sides.
struct Cut : TileSize {
  int64_t columns, rows, left, top;
  Matrix matrix;
  Cut(const Attrs& a, bool image)
      : TileSize(a),
        columns(a.i("columns")),
        rows(a.i("rows")),
        left(image ? a.i("pad_left") : 0),
        top(image ? a.i("pad_top") : 0),
        matrix(image ? by().bt : transposed(by().at)) {}
};

OpDef cut(const char* name, const char* doc, bool image) {
  OpDef d;
  d.name = name;
  d.doc = doc;
  d.kind = Kind::window;
  d.structure = [](const Attrs& a) { return TileTransform{a.i("side")}; };
  d.no_gradient = "it is put in after gradients are";
  d.overlapping = [](const Attrs&) { return true; };
  d.error = tile_error;
  d.cost = per_element(image ? 8 : 6);
  const std::string me = name;
  d.shape = [me, image](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (!is_image(in[0])) {
      error = fmt::format("{} needs f32[N, H, W, C], not {}", me, list_types(in));
      return false;
    }
    const Cut c(a, image);
    out = {f32({c.elements(), c.rows * c.columns, in[0].dims[2]}, true)};
    return true;
  };
  lowering(d).algorithm = [image](const LowerContext& ctx) {
    const Cut cut(ctx.node.attrs, image);
    const int side = static_cast<int>(cut.side), columns = static_cast<int>(cut.columns),
              step = static_cast<int>(cut.m);
    const int left = static_cast<int>(cut.left), top = static_cast<int>(cut.top);
    Var c("c"), q("q"), e("e"), n("n"), ex("ex"), i("i");
    Func in = zero_padded(ctx.in[0], ctx.in_type(0), "winograd_padded"), half("winograd_half"), v("winograd_cut");
    const auto pixel = [&](int j) {
      return cast<float>(in(c, (q % columns) * step + j - left, (q / columns) * step + i - top, n));
    };
    half(c, ex, i, q, n) = row_times(cut.matrix, ex, pixel);
    v(c, q, e, n) = row_times(cut.matrix, e / side, [&](int j) { return half(c, e % side, j, q, n); });
    return Lowered{.funcs = {v}, .anchor = v, .r = {}, .padded = {in}, .folds = {}, .parts = halide::TileParts{half}};
  };
  d.reference = [image](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    const Cut cut(n.attrs, image);
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    const int64_t H = in[0].dims[1], W = in[0].dims[2], C = in[0].dims[3], Q = cut.rows * cut.columns,
                  width = static_cast<int64_t>(cut.matrix[0].size());
    for (int64_t at = 0; at < batch * cut.elements() * Q; ++at) {
      const int64_t b = at / (cut.elements() * Q), e = at / Q % cut.elements(), q = at % Q;
      for (int64_t i = 0; i < width; ++i)
        for (int64_t j = 0; j < width; ++j) {
          const int64_t iy = q / cut.columns * cut.m + i - cut.top, ix = q % cut.columns * cut.m + j - cut.left;
          const double weight = cut.matrix[e / cut.side][i] * cut.matrix[e % cut.side][j];
          if (weight == 0 || iy < 0 || iy >= H || ix < 0 || ix >= W) continue;
          for (int64_t c = 0; c < C; ++c) y.data[at * C + c] += weight * in[0].data[((b * H + iy) * W + ix) * C + c];
        }
    }
    return Tensors{y};
  };
  return d;
}

OpDef sums() {
  OpDef d;
  d.name = "winograd_sums";
  d.doc =
      "Sums over tiles and batch: s[e, c, k] = sum v[n, e, q, g*C/groups + c] * z[n, e, q, k], where k is of group g.";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.no_gradient = "it is put in after gradients are";
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const int64_t groups = a.i("groups");
    const auto is_cut = [](const Type& t) { return t.dtype == DType::f32 && t.batched && t.rank() == 3; };
    if (!is_cut(in[0]) || !is_cut(in[1]) || in[0].dims[0] != in[1].dims[0] || in[0].dims[1] != in[1].dims[1] ||
        in[0].dims[2] % groups != 0 || in[1].dims[2] % groups != 0) {
      error = fmt::format("winograd_sums needs f32[N, E, Q, C] and f32[N, E, Q, K] with groups = {}, not {}", groups,
                          list_types(in));
      return false;
    }
    out = {f32({in[0].dims[0], in[0].dims[2] / groups, in[1].dims[2]}, false)};
    return true;
  };
  d.cost = [](const Node& n, const Graph& g) {
    const double m =
        static_cast<double>(g.type(n.inputs[1]).elements()) * static_cast<double>(g.type(n.results[0]).dims[1]);
    return Cost{m, 2 * m};
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    Var k("k"), c("c"), e("e");
    RDom r(0, static_cast<int>(ctx.in_type(0).dims[1]), 0, ctx.batch, "r");
    Func s("winograd_sums");
    s(k, c, e) = 0.0f;
    const int groups = static_cast<int>(ctx.node.attrs.i("groups")),
              channels = static_cast<int>(ctx.in_type(0).dims[2]) / groups;
    const int filters = static_cast<int>(ctx.in_type(1).dims[2]) / groups;
    s(k, c, e) +=
        ctx.in[0](groups == 1 ? Expr(c) : (k / filters) * channels + c, r.x, e, r.y) * ctx.in[1](k, r.x, e, r.y);
    return Lowered{{s}, s, r};
  };
  d.reference = [](const Node& n, const Graph& graph, const Tensors& in, int64_t batch) {
    const int64_t E = in[0].dims[1], Q = in[0].dims[2], all = in[0].dims[3], C = all / n.attrs.i("groups"),
                  K = in[1].dims[3], filters = K / n.attrs.i("groups");
    RefTensor s = ref_zeros(graph.type(n.results[0]), 1);
    for (int64_t at = 0; at < batch * E * Q; ++at)
      for (int64_t c = 0; c < C; ++c)
        for (int64_t k = 0; k < K; ++k)
          s.data[(at / Q % E * C + c) * K + k] += in[0].data[at * all + k / filters * C + c] * in[1].data[at * K + k];
    return Tensors{s};
  };
  return d;
}

OpDef taps() {
  OpDef d;
  d.name = "winograd_taps";
  d.error = tile_error;
  d.doc = "G' s G of each c and k: f32[side^2, C, K] to f32[r, r, C, K].";
  d.kind = Kind::window;
  d.structure = [](const Attrs& a) { return TileTransform{a.i("side")}; };
  d.no_gradient = "it is put in after gradients are";
  d.overlapping = [](const Attrs&) { return true; };
  d.cost = per_element(30);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const TileSize size(a);
    if (in[0].dtype != DType::f32 || in[0].batched || in[0].rank() != 3 || in[0].dims[0] != size.elements() ||
        !size.known()) {
      error = fmt::format("winograd_taps needs f32[{}, C, K], not {}", size.elements(), list_types(in));
      return false;
    }
    out = {f32({size.taps(), size.taps(), in[0].dims[1], in[0].dims[2]}, false)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const TileSize size(ctx.node.attrs);
    const int side = static_cast<int>(size.side);
    const Matrix gt = transposed(size.by().g);
    Var k("k"), c("c"), x("x"), y("y"), ey("ey");
    Func half("winograd_half"), dw("winograd_taps");
    half(k, c, x, ey) = row_times(gt, x, [&](int j) { return ctx.in[0](k, c, ey * side + j); });
    dw(k, c, x, y) = row_times(gt, y, [&](int j) { return half(k, c, x, j); });
    return Lowered{.funcs = {dw}, .anchor = dw, .r = {}, .padded = {}, .folds = {}, .parts = halide::TileParts{half}};
  };
  d.reference = [](const Node& n, const Graph& graph, const Tensors& in, int64_t) {
    const TileSize size(n.attrs);
    const int64_t side = size.side, r = size.taps(), CK = in[0].dims[1] * in[0].dims[2];
    const Matrix& g = size.by().g;
    RefTensor dw = ref_zeros(graph.type(n.results[0]), 1);
    for (int64_t e = 0; e < side * side; ++e)
      for (int64_t tap = 0; tap < r * r; ++tap)
        for (int64_t i = 0; i < CK; ++i)
          dw.data[tap * CK + i] += g[e / side][tap / r] * g[e % side][tap % r] * in[0].data[e * CK + i];
    return Tensors{dw};
  };
  return d;
}

const OpDef& image_op() {
  static const OpDef op =
      cut("winograd_image",
          "The tiles of an image, side x side and `tile` apart, each d as B' d B: f32[N, E, Q, C], tile q row by row.",
          true);
  return op;
}
const OpDef& result_op() {
  static const OpDef op = cut(
      "winograd_result", "The tiles of a result's gradient, tile x tile, each d as A d A': f32[N, E, Q, K].", false);
  return op;
}
const OpDef& sums_op() {
  static const OpDef op = sums();
  return op;
}
const OpDef& taps_op() {
  static const OpDef op = taps();
  return op;
}

}  // namespace

Form winograd_gradient_form(int64_t m, int64_t r) {
  Form f;
  f.name = fmt::format("winograd{}of{}", m, r);
  f.cost = [m, r](const Node& n, const Graph& g, const Machine& machine) -> std::optional<double> {
    const ConvGeometry at(n.attrs);
    const Type &x = g.type(n.inputs[0]), &dy = g.type(n.inputs[1]);
    if (!has_tiles(at, n.attrs.i("kh"), n.attrs.i("kw"), r)) return std::nullopt;
    const int64_t C = x.dims[2] / at.groups, K = dy.dims[2], q = tiles(dy.dims[0], m) * tiles(dy.dims[1], m);
    if (C * at.groups % machine.vector_floats != 0 || K / at.groups % machine.vector_floats != 0 ||
        C < 2 * machine.vector_floats || q < 4)
      return std::nullopt;
    const double elements = static_cast<double>((m + r - 1) * (m + r - 1) * q), c = static_cast<double>(C),
                 k = static_cast<double>(K);
    const double cost = 2 * elements * c * k + 80 * elements * (c * at.groups + k);  // tiles go through memory
    if (cost > 0.8 * n.op->cost(n, g).flops) return std::nullopt;
    return cost;
  };
  f.rewrite = [m, r](Graph& g, NodeId id, const Machine&) {
    const Node n = g.nodes[id];
    const Type dy = g.type(n.inputs[1]);
    const Attrs size = {{"tile", m}, {"side", m + r - 1}};
    Attrs grid = size;
    grid.set("rows", tiles(dy.dims[0], m)), grid.set("columns", tiles(dy.dims[1], m));
    Attrs image = grid;
    for (const char* side : {"pad_top", "pad_left"}) image.set(side, n.attrs.i(side));
    const ValueId v = g.add(image_op(), {n.inputs[0]}, image, n.layer, "tiles"),
                  z = g.add(result_op(), {n.inputs[1]}, grid, n.layer, "tiles");
    const ValueId s =
        g.add(sums_op(), {v, z}, {{"groups", static_cast<int64_t>(ConvGeometry(n.attrs).groups)}}, n.layer, "sums");
    g.nodes[id].op = &taps_op();
    g.nodes[id].inputs = {s};
    g.nodes[id].attrs = size;
  };
  return f;
}

void add_winograd_gradient(Registry& r) {
  for (const OpDef* op : {&image_op(), &result_op(), &sums_op(), &taps_op()}) r.ops.ops.push_back(op);
}

}  // namespace netc::ops
