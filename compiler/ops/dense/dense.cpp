// Dense: y[..., u] = sum_k x[..., k] * w[k, u], and its two gradients, which are matrix products too. The rows of x are
// a flat sample, the positions of a sequence, or the pixels of an image; all meet the same matrix.
#include "compiler/ops/forms/pack.h"
#include "compiler/ops/forms/strassen.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

bool rows(const Type& t) { return is_real(t.dtype) && t.batched && t.rank() >= 1 && !t.has_any_extent(); }
bool matrix(const Type& t) { return is_real(t.dtype) && !t.batched && t.rank() == 2; }

/// The f32 rows of x with another last dim.
Type with_last(Type x, int64_t extent) {
  x.dtype = DType::f32;
  x.dims.back() = extent;
  return x;
}

/// A sample of many rows reads the matrix often; one row reads it once, and packing would too.
bool many_rows(const Node& n, const Graph& g) { return g.type(n.inputs[0]).rank() >= 2; }

Cost cost_of(const Node& n, const Graph& g) {
  // The three share x[N, ..., K], w[K, U], dy[N, ..., U]: K*U products a row; the sizes come from whichever two
  // operands there are.
  const Type &a = g.type(n.inputs[0]), &b = g.type(n.inputs[1]);
  const double k = static_cast<double>(matrix(b) ? b.dims[0] : a.dims.back()), u = static_cast<double>(b.dims.back());
  const double macs = static_cast<double>(spatial(a)) * k * u;
  return {macs, 2 * macs};
}

/// y's coordinates, the innermost called `inner`: (inner, x, y, ..., n).
std::vector<Var> row_vars(const Type& y, const char* inner) {
  std::vector<Var> v = vars_of(y);
  v[0] = Var(inner);
  return v;
}

/// The same row at another place of its innermost dim.
Exprs row_at(const std::vector<Var>& v, const Expr& inner) {
  Exprs at = exprs(v);
  at[0] = inner;
  return at;
}

OpDef matmul() {
  OpDef d;
  d.name = "matmul";
  d.doc = "Matrix product of rows with a matrix: y[..., u] = sum_k x[..., k] * w[k, u].";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.scales_input = 1;
  d.cost = cost_of;
  d.forms = {packed_form({0, 1}, many_rows), strassen_form(false)};
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!rows(in[0]) || !matrix(in[1]) || in[0].dims.back() != in[1].dims[0]) {
      error = fmt::format("matmul needs f32[N, ..., K] and f32[K, U], not {}", list_types(in));
      return false;
    }
    out = {with_last(in[0], in[1].dims[1])};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const std::vector<Var> v = row_vars(ctx.out_type(), "u");
    Func y("matmul");
    RDom r(0, static_cast<int>(ctx.in_type(1).dims[0]), "k");
    y(v) = 0.0f;
    y(v) += product(ctx.in[0](row_at(v, r)), ctx.in[1](v[0], r));
    return Lowered{{y}, y, r};
  };
  d.reference = [](const Node& node, const Graph& g, const Tensors& in, int64_t batch) {
    const int64_t K = in[1].dims[0], U = in[1].dims[1];
    RefTensor y = ref_zeros(g.type(node.results[0]), batch);
    for (int64_t n = 0; n < static_cast<int64_t>(y.data.size()) / U; ++n)
      for (int64_t k = 0; k < K; ++k)
        for (int64_t u = 0; u < U; ++u) y.data[n * U + u] += in[0].data[n * K + k] * in[1].data[k * U + u];
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    std::vector<ValueId> r(2, kNone);
    if (g.wanted[0]) r[0] = g.emit("matmul_data_grad", {g.grads_out[0], g.in(1)});
    if (g.wanted[1]) r[1] = g.emit("matmul_weight_grad", {g.in(0), g.grads_out[0]});
    return r;
  };
  return d;
}

OpDef matmul_data_grad() {
  OpDef d;
  d.name = "matmul_data_grad";
  d.doc = "Gradient of matmul in its rows: dx[..., k] = sum_u dy[..., u] * w[k, u].";
  d.kind = Kind::contraction;
  d.dot = true;
  d.inputs = 2;
  d.cost = cost_of;
  d.forms = {packed_form({1, 0}, many_rows), strassen_form(true)};
  d.no_gradient = kNoSecond;
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!rows(in[0]) || !matrix(in[1]) || in[0].dims.back() != in[1].dims[1]) {
      error = fmt::format("matmul_data_grad needs f32[N, ..., U] and f32[K, U], not {}", list_types(in));
      return false;
    }
    out = {with_last(in[0], in[1].dims[0])};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const std::vector<Var> v = row_vars(ctx.out_type(), "k");
    Func dx("matmul_data_grad");
    RDom r(0, static_cast<int>(ctx.in_type(1).dims[1]), "u");
    dx(v) = 0.0f;
    if (!ctx.demands.transposed) {
      dx(v) += product(ctx.in[0](row_at(v, r)), ctx.in[1](r, v[0]));
      return Lowered{{dx}, dx, r};
    }
    Var k("k"), u("u");
    Func turned("matmul_data_grad_weights");
    turned(k, u) = ctx.in[1](u, k);
    dx(v) += product(ctx.in[0](row_at(v, r)), turned(v[0], r));
    return Lowered{{dx}, dx, r, {turned}};
  };
  d.reference = [](const Node& node, const Graph& g, const Tensors& in, int64_t batch) {
    const int64_t K = in[1].dims[0], U = in[1].dims[1];
    RefTensor y = ref_zeros(g.type(node.results[0]), batch);
    for (int64_t n = 0; n < static_cast<int64_t>(y.data.size()) / K; ++n)
      for (int64_t k = 0; k < K; ++k)
        for (int64_t u = 0; u < U; ++u) y.data[n * K + k] += in[0].data[n * U + u] * in[1].data[k * U + u];
    return Tensors{y};
  };
  return d;
}

OpDef matmul_weight_grad() {
  OpDef d;
  d.name = "matmul_weight_grad";
  d.doc = "Gradient of matmul in its matrix: dw[k, u] = sum x[..., k] * dy[..., u] over the rows of the whole batch.";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.cost = cost_of;
  d.no_gradient = kNoSecond;
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!rows(in[0]) || !rows(in[1]) || with_last(in[0], in[1].dims.back()) != with_last(in[1], in[1].dims.back())) {
      error = fmt::format("matmul_weight_grad needs f32[N, ..., K] and f32[N, ..., U], not {}", list_types(in));
      return false;
    }
    out = {f32({in[0].dims.back(), in[1].dims.back()}, false)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    Var u("u"), k("k");
    Func dw("matmul_weight_grad");
    RDom r(ranges_of(ctx.in_type(0), ctx.batch, 1), "n");
    Exprs x{k}, dy{u};
    for (int i = 0; i < r.dimensions(); ++i) x.push_back(r[i]), dy.push_back(r[i]);
    dw(u, k) = 0.0f;
    dw(u, k) += product(ctx.in[0](x), ctx.in[1](dy));
    return Lowered{{dw}, dw, r};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) {
    const int64_t K = in[0].dims.back(), U = in[1].dims.back();
    RefTensor y{{K, U}, std::vector<double>(static_cast<size_t>(K * U), 0.0)};
    for (int64_t n = 0; n < static_cast<int64_t>(in[0].data.size()) / K; ++n)
      for (int64_t k = 0; k < K; ++k)
        for (int64_t u = 0; u < U; ++u) y.data[k * U + u] += in[0].data[n * K + k] * in[1].data[n * U + u];
    return Tensors{y};
  };
  return d;
}

LayerDef dense() {
  LayerDef l;
  l.name = "Dense";
  l.doc =
      "Fully connected layer, of a flat input or of each row of a sequence f32[T, K]; an image is flattened before. "
      "y[..., u] = sum_k x[..., k] * weight[k, u] + bias[u]";
  l.section = "Dense";
  l.weight_prefix = "dense";
  l.args = {{"units", ArgType::integer, std::nullopt, 1, 1e9, {}, "number of outputs"},
            {"bias", ArgType::boolean, ArgValue{true}, 0, 1, {}, "adds a trained bias"}};
  add_weight_args(l.args);
  l.build = [](LayerBuilder& b) -> ValueId {
    const int64_t units = b.i("units");
    const std::string me = fmt::format("Dense({})", units);
    if (!check_operand(b, me.c_str())) return kNone;
    const Type t = b.in_type();
    if (t.rank() < 1 || t.rank() > 2) {  // the operator could take an image, but almost always a Flatten was forgotten
      return b.error(fmt::format("{} needs a flat input, but its input is {}", me, shape_for_user(t)),
                     t.rank() == 3 ? fmt::format("put Flatten ({} values) or GlobalAvgPool ({} values) before it",
                                                 grouped(t.elements()), grouped(t.dims[2]))
                                   : fmt::format("put Flatten ({} values) before it", grouped(t.elements())));
    }
    const int64_t k = t.dims.back();
    const ValueId w =
        b.variable("weight", f32({k, units}, false), weight_init(b, k, units), Role::weight, b.f("l1"), b.f("l2"));
    const ValueId y = b.emit("matmul", {b.in()[0], w});
    if (!b.b("bias")) return y;
    return b.emit("bias_add", {y, b.variable("bias", f32({units}, false), {})});
  };
  return l;
}

}  // namespace

void add_dense(Registry& r) {
  static const OpDef ops[] = {matmul(), matmul_data_grad(), matmul_weight_grad()};
  static const LayerDef layer = dense();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
