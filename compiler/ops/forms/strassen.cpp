// Product of a sample's rows with a matrix by seven products of blocks of half the extents, in place of eight.
// Strassen: Gaussian Elimination is not Optimal, 1969.
//
//   u_e = the blocks of w, a sum of them for each of the seven products e     strassen_weights, once for a step
//   v_e = the same of a pair of rows, each of two halves
//   M_e = sum over c of v_e * u_e
//   y   = for each half of a pair's two rows, a sum of M_e
//
// Rows alternate between the first and the second row of blocks, and columns of w and y between the columns of blocks,
// "block" of them at a time: what belongs together lies near.
//
// Errors grow a little: against sums in double, relative to the largest result, they stay below 5e-6 (tests/ops).
#include "compiler/ops/forms/strassen.h"

#include <array>

#include "compiler/ops/forms/pack.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

constexpr int kProducts = 7;
/// Factors of blocks 11, 12, 21, 22: the first index is the row of blocks.
using Blocks = std::array<int, 4>;
constexpr Blocks kLeft[kProducts] = {{1, 0, 0, 1}, {0, 0, 1, 1},  {1, 0, 0, 0}, {0, 0, 0, 1},
                                     {1, 1, 0, 0}, {-1, 0, 1, 0}, {0, 1, 0, -1}};
constexpr Blocks kRight[kProducts] = {{1, 0, 0, 1}, {1, 0, 0, 0}, {0, 1, 0, -1}, {-1, 0, 1, 0},
                                      {0, 0, 0, 1}, {1, 1, 0, 0}, {0, 0, 1, 1}};
constexpr Blocks kResult[kProducts] = {{1, 0, 0, 1},  {0, 0, 1, -1}, {0, 1, 0, 1}, {1, 0, 1, 0},
                                       {-1, 1, 0, 0}, {0, 0, 0, 1},  {1, 0, 0, 0}};

/// Of a column k of w or y: the column of blocks in which it is, and where there.
struct Columns {
  int64_t block;
  explicit Columns(const Attrs& a) : block(a.i("block")) {}
  template <class T>
  T side(const T& k) const {
    return k / static_cast<int>(block) % 2;
  }
  template <class T>
  T place(const T& k) const {
    return k / static_cast<int>(2 * block) * static_cast<int>(block) + k % static_cast<int>(block);
  }
  /// The column that is at `place` of a side.
  template <class T>
  T column(const T& place, int side) const {
    return (place / static_cast<int>(block) * 2 + side) * static_cast<int>(block) + place % static_cast<int>(block);
  }
};

/// Of n things, those with a factor, added.
Expr sum(int n, const std::function<int(int)>& factor, const std::function<Expr(int)>& at) {
  Expr s;
  for (int i = 0; i < n; ++i) {
    if (factor(i) == 0) continue;
    const Expr term = at(i);
    s = !s.defined() ? (factor(i) > 0 ? term : -term) : factor(i) > 0 ? s + term : s - term;
  }
  return s;
}

/// The sum of blocks for product e.
Expr blocks_of(const Blocks (&factors)[kProducts], const Expr& e, const std::function<Expr(int)>& block) {
  Exprs all;
  for (const Blocks& f : factors) all.push_back(sum(4, [&](int i) { return f[static_cast<size_t>(i)]; }, block));
  return Halide::mux(e, all);
}

OpDef strassen_weights() {
  OpDef d;
  d.name = "strassen_weights";
  d.doc =
      "Weights f32[K, U] as strassen_matmul takes them: u[e, c, k], for each of seven products e a sum of the blocks "
      "of w, f32[K/2, U/2]. `turned`: of the "
      "transposed matrix, for the gradient in the rows.";
  d.kind = Kind::gather;
  d.structure = [](const Attrs&) { return TransformedWeights{}; };
  d.inputs = 1;
  d.no_gradient = "it is put in after gradients are";
  d.cost = per_element(2);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const int64_t block = Columns(a).block;
    if (in[0].dtype == DType::f32 && !in[0].batched && in[0].rank() == 2) {
      const int64_t rows = in[0].dims[a.b("turned") ? 1 : 0], columns = in[0].dims[a.b("turned") ? 0 : 1];
      out = {f32({kProducts, rows / 2, columns / 2}, false)};
      if (rows % 2 == 0 && block >= 1 && columns % (2 * block) == 0) return true;
    }
    error = fmt::format("strassen_weights needs f32[K, U] with K even and U a multiple of twice {}, not {}", block,
                        list_types(in));
    return false;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    Var k("k"), c("c"), e("e");
    Func u("strassen_weights");
    const Type& half = ctx.out_type();
    const int rows = static_cast<int>(half.dims[1]);
    const Columns at(ctx.node.attrs);
    Lowered l;
    Func w = ctx.in[0];
    if (ctx.node.attrs.b("turned")) {
      w = Func("strassen_turned");
      w(k, c) = ctx.in[0](c, k);
      l.padded = {w};
    }
    u(k, c, e) = blocks_of(kRight, e, [&](int i) { return w(at.column<Expr>(k, i % 2), c + i / 2 * rows); });
    l.funcs = {u};
    return l;
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t) {
    RefTensor u = ref_zeros(g.type(n.results[0]), 1);
    const int64_t rows = u.dims[1], columns = u.dims[2];
    const Columns at(n.attrs);
    const bool turned = n.attrs.b("turned");
    for (int64_t e = 0; e < kProducts; ++e)
      for (int64_t i = 0; i < 4; ++i)
        for (int64_t c = 0; c < rows; ++c)
          for (int64_t k = 0; k < columns; ++k) {
            const int64_t row = c + i / 2 * rows, column = at.column(k, static_cast<int>(i % 2));
            u.data[(e * rows + c) * columns + k] +=
                kRight[e][i] * in[0].data[turned ? column * 2 * rows + row : row * 2 * columns + column];
          }
    return Tensors{u};
  };
  return d;
}

Lowered lower_matmul(const LowerContext& ctx) {
  const Type &x = ctx.in_type(0), &w = ctx.in_type(1);
  const int last = static_cast<int>(x.dims[0]) - 1, channels = static_cast<int>(w.dims[1]);
  const Columns at(ctx.node.attrs);
  Var c("c"), k("k"), q("q"), e("e"), t("t"), n("n");
  Func v("strassen_rows"), sums("strassen_sums"), products("strassen_products"), y("strassen_matmul");
  v(c, q, e, n) = blocks_of(
      kLeft, e, [&](int i) { return ctx.in[0](c + i % 2 * channels, i / 2 == 0 ? q * 2 : min(q * 2 + 1, last), n); });
  RDom r(0, channels, "r");
  sums(k, q, e, n) = 0.0f;
  sums(k, q, e, n) += v(r, q, e, n) * ctx.in[1](k, r, e);
  products(k, q, e, n) = sums(k, q, e, n);
  Exprs results;
  for (size_t i = 0; i < 4; ++i)
    results.push_back(sum(
        kProducts, [&](int p) { return kResult[p][i]; },
        [&](int p) { return products(at.place<Expr>(k), t / 2, p, n); }));
  y(k, t, n) = Halide::mux(t % 2 * 2 + at.side<Expr>(k), results);
  return Lowered{.funcs = {y},
                 .anchor = sums,
                 .r = r,
                 .padded = {},
                 .folds = {},
                 .parts = halide::BlockParts{v, products}};
}

Tensors reference_matmul(const Node& node, const Graph& g, const Tensors& in, int64_t batch) {
  RefTensor y = ref_zeros(g.type(node.results[0]), batch);
  const int64_t T = in[0].dims[1], channels = in[1].dims[1], units = in[1].dims[2];
  const Columns at(node.attrs);
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t t = 0; t < T; t += 2)
      for (int64_t e = 0; e < kProducts; ++e)
        for (int64_t k = 0; k < units; ++k) {
          double sum = 0;
          for (int64_t c = 0; c < channels; ++c)
            for (int64_t i = 0; i < 4; ++i)
              sum += kLeft[e][i] *
                     in[0].data[(n * T + std::min(t + i / 2, T - 1)) * 2 * channels + c + i % 2 * channels] *
                     in[1].data[(e * channels + c) * units + k];
          for (int64_t i = 0; i < 4; ++i)
            if (t + i / 2 < T)
              y.data[(n * T + t + i / 2) * 2 * units + at.column(k, static_cast<int>(i % 2))] += kResult[e][i] * sum;
        }
  return {y};
}

OpDef strassen_matmul() {
  OpDef d;
  d.name = "strassen_matmul";
  d.doc = "Matrix product of the rows of a sequence with weights that strassen_weights made.";
  d.kind = Kind::contraction;
  d.structure = [](const Attrs&) { return BlockProducts{}; };
  d.inputs = 2;
  d.no_gradient = "it is put in after gradients are";
  d.forms = {packed_form({0, 1})};
  d.error = [](const Attrs&) { return 5e-6; };
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const Type &x = in[0], &w = in[1];
    if (x.dtype != DType::f32 || !x.batched || x.rank() != 2 || x.has_any_extent() || w.dtype != DType::f32 ||
        w.batched || w.rank() != 3 || w.dims[0] != kProducts || x.dims[1] != 2 * w.dims[1] || Columns(a).block < 1 ||
        w.dims[2] % Columns(a).block != 0) {
      error = fmt::format("strassen_matmul needs f32[N, T, K] and f32[{}, K/2, U/2] with U/2 a multiple of {}, not {}",
                          kProducts, Columns(a).block, list_types(in));
      return false;
    }
    out = {f32({x.dims[0], 2 * w.dims[2]}, true)};
    return true;
  };
  d.cost = [](const Node& n, const Graph& g) {
    const Type &x = g.type(n.inputs[0]), &w = g.type(n.inputs[1]);
    const double pairs = static_cast<double>((x.dims[0] + 1) / 2), c = static_cast<double>(w.dims[1]),
                 k = static_cast<double>(w.dims[2]);
    return Cost{kProducts * pairs * c * k, pairs * (2 * kProducts * c * k + 5 * c + 8 * k)};
  };
  lowering(d).algorithm = lower_matmul;
  d.reference = reference_matmul;
  return d;
}

const OpDef& weights_op() {
  static const OpDef op = strassen_weights();
  return op;
}
const OpDef& matmul_op() {
  static const OpDef op = strassen_matmul();
  return op;
}

}  // namespace

Form strassen_form(bool turned) {
  Form f;
  f.name = "strassen";
  f.cost = [turned](const Node& n, const Graph& g, const Machine& machine) -> std::optional<double> {
    const Type &x = g.type(n.inputs[0]), &w = g.type(n.inputs[1]);
    if (x.dtype != DType::f32 || w.dtype != DType::f32 || x.rank() != 2 || w.batched || x.dims[1] % 2 != 0 ||
        w.dims[turned ? 0 : 1] % (2 * machine.vector_floats) != 0)
      return std::nullopt;
    const double pairs = static_cast<double>((x.dims[0] + 1) / 2), c = static_cast<double>(w.dims[0] / 2),
                 k = static_cast<double>(w.dims[1] / 2);
    // Sums of blocks move as much as they compute; and the weights, 7 / 4 times as many, come from far for each sample.
    return 2 * kProducts * pairs * c * k + 80 * pairs * (c + k) + 15 * kProducts * c * k;
  };
  f.rewrite = [turned](Graph& g, NodeId id, const Machine& machine) {
    const Node n = g.nodes[id];
    const int64_t block = block_of(g.type(n.inputs[1]).dims[turned ? 0 : 1] / 2, machine);
    const ValueId u =
        added_once(g, weights_op(), n.inputs[1], {{"block", block}, {"turned", turned}}, n.layer, ".blocks");
    const ValueId stored = packed(g, u, {0, 1}, block, false, n.layer);
    g.nodes[id].op = &matmul_op();
    g.nodes[id].inputs[1] = stored;
    g.nodes[id].attrs = {{"block", block}};
  };
  return f;
}

void add_strassen(Registry& r) {
  r.ops.ops.push_back(&weights_op());
  r.ops.ops.push_back(&matmul_op());
}

}  // namespace netc::ops
