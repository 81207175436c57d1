// The product of two tensors of one batch, matrix by matrix: what attention is made of. Its gradients are products of
// the same kind.
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

/// A stack of matrices per sample: f32[N, ..., rows, columns].
bool matrices(const Type& t) { return is_real(t.dtype) && t.batched && t.rank() >= 2 && !t.has_any_extent(); }

bool transposed(const Attrs& a, int operand) { return a.b(operand == 0 ? "transpose_a" : "transpose_b"); }

/// The extents of one product: y[M, P] = sum over K.
struct Extents {
  int64_t m, k, p;
  Extents(const Type& a, const Type& b, const Attrs& attrs) {
    const int ra = a.rank(), rb = b.rank();
    const bool ta = transposed(attrs, 0), tb = transposed(attrs, 1);
    m = a.dims[ra - (ta ? 1 : 2)], k = a.dims[ra - (ta ? 2 : 1)], p = b.dims[rb - (tb ? 2 : 1)];
  }
};

/// Coordinates of a matrix's element: (column, row) innermost first, or the two swapped; the rest as in `v`.
Exprs element(const std::vector<Var>& v, const Expr& row, const Expr& column, bool swapped) {
  Exprs at = exprs(v);
  at[0] = swapped ? row : column;
  at[1] = swapped ? column : row;
  return at;
}

OpDef batch_matmul() {
  OpDef d;
  d.name = "batch_matmul";
  d.doc =
      "Matrix product of two batched tensors: y[..., m, p] = sum_k a[..., m, k] * b[..., k, p]; `transpose_a` and "
      "`transpose_b` say that an operand "
      "holds its matrices transposed.";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.shape = [](Types in, const Attrs& attrs, std::vector<Type>& out, std::string& error) {
    bool fits = matrices(in[0]) && matrices(in[1]) && in[0].rank() == in[1].rank();
    fits = fits && std::equal(in[0].dims.begin(), in[0].dims.end() - 2, in[1].dims.begin());
    if (fits) {
      const int r = in[0].rank();
      const Extents e(in[0], in[1], attrs);
      fits = in[1].dims[r - (transposed(attrs, 1) ? 1 : 2)] == e.k;
      out = {f32(in[0].dims, true)};
      out[0].dims[r - 2] = e.m, out[0].dims[r - 1] = e.p;
    }
    if (!fits) {
      error =
          fmt::format("batch_matmul needs f32[N, ..., {}] and f32[N, ..., {}], not {}",
                      transposed(attrs, 0) ? "K, M" : "M, K", transposed(attrs, 1) ? "P, K" : "K, P", list_types(in));
    }
    return fits;
  };
  d.cost = [](const Node& n, const Graph& g) {
    const Type& y = g.type(n.results[0]);
    const double macs = static_cast<double>(y.elements()) *
                        static_cast<double>(Extents(g.type(n.inputs[0]), g.type(n.inputs[1]), n.attrs).k);
    return Cost{macs, 2 * macs};
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    std::vector<Var> v = vars_of(ctx.out_type());
    v[0] = Var("p"), v[1] = Var("m");
    const Attrs& attrs = ctx.node.attrs;
    const bool turned = transposed(attrs, 1);
    RDom r(0, static_cast<int>(Extents(ctx.in_type(0), ctx.in_type(1), attrs).k), "k");
    Func y("batch_matmul"), b = ctx.in[1];
    if (turned) {  // its elements along p lie apart: a copy that has them side by side
      std::vector<Var> at = v;
      at[1] = Var("k");
      b = Func("transposed");
      b(at) = ctx.in[1](element(at, at[1], at[0], true));
    }
    y(v) = 0.0f;
    y(v) += product(ctx.in[0](element(v, v[1], r, transposed(attrs, 0))), b(element(v, r, v[0], false)));
    return Lowered{{y}, y, r, turned ? std::vector<Func>{b} : std::vector<Func>{}, {}};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    const Extents e(g.type(n.inputs[0]), g.type(n.inputs[1]), n.attrs);
    const bool ta = transposed(n.attrs, 0), tb = transposed(n.attrs, 1);
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()) / (e.m * e.p); ++i)
      for (int64_t m = 0; m < e.m; ++m)
        for (int64_t p = 0; p < e.p; ++p)
          for (int64_t k = 0; k < e.k; ++k)
            y.data[(i * e.m + m) * e.p + p] += in[0].data[i * e.m * e.k + (ta ? k * e.m + m : m * e.k + k)] *
                                               in[1].data[i * e.k * e.p + (tb ? p * e.k + k : k * e.p + p)];
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    const bool ta = transposed(g.n().attrs, 0), tb = transposed(g.n().attrs, 1);
    const ValueId a = g.in(0), b = g.in(1), dy = g.grads_out[0];
    const auto product = [&](ValueId l, ValueId r, bool tl, bool tr) {
      return g.emit("batch_matmul", {l, r}, {{"transpose_a", tl}, {"transpose_b", tr}});
    };
    // with A, B the matrices as multiplied: dA = dy B', dB = A' dy; transposed where the operand is
    std::vector<ValueId> r(2, kNone);
    if (g.wanted[0]) r[0] = ta ? product(b, dy, tb, true) : product(dy, b, false, !tb);
    if (g.wanted[1]) r[1] = tb ? product(dy, a, true, ta) : product(a, dy, !ta, false);
    return r;
  };
  return d;
}

LayerDef layer_def() {
  LayerDef l;
  l.name = "MatMul";
  l.doc =
      "Matrix product with a second tensor, over the last two dimensions, for each of the leading ones. y[..., m, p] = "
      "sum_k a[..., m, k] * b[..., k, p]";
  l.section = "Merging";
  l.weight_prefix = "matmul";
  l.tensor_inputs = 2;
  l.args = {{"transpose",
             ArgType::choice,
             ArgValue{std::string("none")},
             -1e300,
             1e300,
             {"none", "first", "second", "both"},
             "operands whose matrices are transposed before"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "MatMul")) return kNone;
    const std::string transpose = b.s("transpose");
    const Attrs attrs = {{"transpose_a", transpose == "first" || transpose == "both"},
                         {"transpose_b", transpose == "second" || transpose == "both"}};
    const Type types[] = {b.in_type(0), b.in_type(1)};
    std::vector<Type> out;
    std::string error;
    if (b.ops().at("batch_matmul").shape(types, attrs, out, error))
      return b.emit("batch_matmul", {b.in()[0], b.in()[1]}, attrs);
    const bool first = attrs.b("transpose_a"), second = attrs.b("transpose_b");
    return b.error(fmt::format("MatMul needs matrices f32[..., {}] and f32[..., {}] with the same leading extents, but "
                               "its operands are {} and {}",
                               first ? "k, m" : "m, k", second ? "p, k" : "k, p", shape_for_user(types[0]),
                               shape_for_user(types[1])),
                   "transpose = first, second or both swaps the last two dimensions of an operand");
  };
  return l;
}

}  // namespace

void add_batch_matmul(Registry& r) {
  static const OpDef op = batch_matmul();
  static const LayerDef layer = layer_def();
  r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
