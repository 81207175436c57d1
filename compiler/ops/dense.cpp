// Dense: y[n,u] = sum_k x[n,k] * w[k,u], and its two gradients, which are matrix products too.
#include "compiler/ops/support.h"

namespace netc::ops {
namespace {

bool flat(const Type& t) { return t.dtype == DType::f32 && t.batched && t.rank() == 1; }
bool matrix(const Type& t) { return t.dtype == DType::f32 && !t.batched && t.rank() == 2; }

Cost product(const Node& n, const Graph& g) {
  // The three share x[N,K], w[K,U], dy[N,U]: N*K*U products; the sizes come from whichever two operands there are.
  double k = 1, u = 1;
  const Type &a = g.type(n.inputs[0]), &b = g.type(n.inputs[1]);
  if (matrix(b)) { k = static_cast<double>(b.dims[0]); u = static_cast<double>(b.dims[1]); }
  else { k = static_cast<double>(a.dims[0]); u = static_cast<double>(b.dims[0]); }
  return {k * u, 2 * k * u};
}

OpDef matmul() {
  OpDef d;
  d.name = "matmul";
  d.doc = "Matrix product of a batch of rows with a matrix: y[n,u] = sum_k x[n,k] * w[k,u].";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.scales_input = 1;
  d.cost = product;
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!flat(in[0]) || !matrix(in[1]) || in[0].dims[0] != in[1].dims[0]) {
      error = fmt::format("matmul needs f32[N, K] and f32[K, U], not {}", list_types(in));
      return false;
    }
    out = {f32({in[1].dims[1]}, true)};
    return true;
  };
  d.lower = [](const LowerContext& ctx) {
    Var u("u"), n("n");
    Func y("matmul");
    RDom r(0, static_cast<int>(ctx.in_type(0).dims[0]), "k");
    y(u, n) = 0.0f;
    y(u, n) += ctx.in[0](r, n) * ctx.in[1](u, r);
    return Lowered{{y}, y, r, {}, {}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) {
    const int64_t N = in[0].dims[0], K = in[0].dims[1], U = in[1].dims[1];
    RefTensor y{{N, U}, std::vector<double>(static_cast<size_t>(N * U), 0.0)};
    for (int64_t n = 0; n < N; ++n)
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
  d.doc = "Gradient of matmul in its rows: dx[n,k] = sum_u dy[n,u] * w[k,u].";
  d.kind = Kind::contraction;
  d.dot = true;
  d.inputs = 2;
  d.cost = product;
  d.no_gradient = kNoSecond;
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!flat(in[0]) || !matrix(in[1]) || in[0].dims[0] != in[1].dims[1]) {
      error = fmt::format("matmul_data_grad needs f32[N, U] and f32[K, U], not {}", list_types(in));
      return false;
    }
    out = {f32({in[1].dims[0]}, true)};
    return true;
  };
  d.lower = [](const LowerContext& ctx) {
    Var k("k"), n("n");
    Func dx("matmul_data_grad");
    RDom r(0, static_cast<int>(ctx.in_type(0).dims[0]), "u");
    dx(k, n) = 0.0f;
    dx(k, n) += ctx.in[0](r, n) * ctx.in[1](r, k);
    return Lowered{{dx}, dx, r, {}, {}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) {
    const int64_t N = in[0].dims[0], U = in[0].dims[1], K = in[1].dims[0];
    RefTensor y{{N, K}, std::vector<double>(static_cast<size_t>(N * K), 0.0)};
    for (int64_t n = 0; n < N; ++n)
      for (int64_t k = 0; k < K; ++k)
        for (int64_t u = 0; u < U; ++u) y.data[n * K + k] += in[0].data[n * U + u] * in[1].data[k * U + u];
    return Tensors{y};
  };
  return d;
}

OpDef matmul_weight_grad() {
  OpDef d;
  d.name = "matmul_weight_grad";
  d.doc = "Gradient of matmul in its matrix: dw[k,u] = sum_n x[n,k] * dy[n,u].";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.cost = product;
  d.no_gradient = kNoSecond;
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!flat(in[0]) || !flat(in[1])) {
      error = fmt::format("matmul_weight_grad needs f32[N, K] and f32[N, U], not {}", list_types(in));
      return false;
    }
    out = {f32({in[0].dims[0], in[1].dims[0]}, false)};
    return true;
  };
  d.lower = [](const LowerContext& ctx) {
    Var u("u"), k("k");
    Func dw("matmul_weight_grad");
    RDom r(0, ctx.batch, "n");
    dw(u, k) = 0.0f;
    dw(u, k) += ctx.in[0](k, r) * ctx.in[1](u, r);
    return Lowered{{dw}, dw, r, {}, {}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) {
    const int64_t N = in[0].dims[0], K = in[0].dims[1], U = in[1].dims[1];
    RefTensor y{{K, U}, std::vector<double>(static_cast<size_t>(K * U), 0.0)};
    for (int64_t n = 0; n < N; ++n)
      for (int64_t k = 0; k < K; ++k)
        for (int64_t u = 0; u < U; ++u) y.data[k * U + u] += in[0].data[n * K + k] * in[1].data[n * U + u];
    return Tensors{y};
  };
  return d;
}

LayerDef dense() {
  LayerDef l;
  l.name = "Dense";
  l.doc = "Fully connected layer. y[u] = sum_k x[k] * weight[k, u] + bias[u]";
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
    if (t.rank() != 1) {
      return b.error(fmt::format("{} needs a flat input, but its input is {}", me, shape_for_user(t)),
                     t.rank() == 3 ? fmt::format("put Flatten ({} values) or GlobalAvgPool ({} values) before it", thousands(t.elements()),
                                                 thousands(t.dims[2]))
                                   : fmt::format("put Flatten ({} values) before it", thousands(t.elements())));
    }
    const int64_t k = t.dims[0];
    const ValueId w = b.variable("weight", f32({k, units}, false), weight_init(b, k, units), Role::weight, b.f("l1"), b.f("l2"));
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
