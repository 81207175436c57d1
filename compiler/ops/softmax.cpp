// Softmax over the last dimension.
#include "compiler/ops/softmax.h"

namespace netc::ops {

SoftmaxRows softmax_rows(const LowerContext& ctx, int operand) {
  const Type& t = ctx.in_type(operand);
  std::vector<Var> v = vars_of(t);
  const std::vector<Var> row(v.begin() + 1, v.end());
  SoftmaxRows s{RDom(0, static_cast<int>(t.dims.back()), "r"), Func("softmax_maximum"), Func("softmax_sum")};
  Exprs at = exprs(v);
  at[0] = s.r;
  const Expr x = ctx.in[operand](at);
  s.maximum(row) = Expr(-INFINITY);
  s.maximum(row) = max(s.maximum(row), x);
  s.sum(row) = 0.0f;
  s.sum(row) += exp(x - s.maximum(row));
  return s;
}

std::vector<double> ref_log_sum_exp(const RefTensor& x) {
  const size_t C = static_cast<size_t>(x.dims.back());
  std::vector<double> y(x.data.size() / C);
  for (size_t n = 0; n < y.size(); ++n) {
    double top = -INFINITY, sum = 0;
    for (size_t c = 0; c < C; ++c) top = std::max(top, x.data[n * C + c]);
    for (size_t c = 0; c < C; ++c) sum += std::exp(x.data[n * C + c] - top);
    y[n] = top + std::log(sum);
  }
  return y;
}

std::vector<double> ref_softmax(const RefTensor& x) {
  const std::vector<double> l = ref_log_sum_exp(x);
  std::vector<double> y(x.data.size());
  for (size_t i = 0; i < y.size(); ++i) y[i] = std::exp(x.data[i] - l[i / static_cast<size_t>(x.dims.back())]);
  return y;
}

namespace {

bool rows(const Type& t) { return t.dtype == DType::f32 && t.rank() >= 1 && !t.has_any_extent(); }

OpDef softmax() {
  OpDef d;
  d.name = "softmax";
  d.doc = "y[c] = exp(x[c] - max x) / sum_i exp(x[i] - max x) over the last dimension.";
  d.kind = Kind::reduction;
  d.cost = per_element(22);
  d.meaning = Meaning::distribution;
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!rows(in[0])) {
      error = fmt::format("softmax needs f32[N, ..., C], not {}", to_string(in[0]));
      return false;
    }
    out = {in[0]};
    return true;
  };
  d.lower = [](const LowerContext& ctx) {
    std::vector<Var> v = vars_of(ctx.in_type(0));
    const std::vector<Var> row(v.begin() + 1, v.end());
    SoftmaxRows s = softmax_rows(ctx, 0);
    Func y("softmax");
    y(v) = exp(ctx.in[0](v) - s.maximum(row)) / s.sum(row);
    return Lowered{{y}, s.sum, s.r, {}, {s.maximum, s.sum}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) { return Tensors{RefTensor{in[0].dims, ref_softmax(in[0])}}; };
  d.gradient = [](const GradContext& g) { return std::vector<ValueId>{g.emit("softmax_grad", {g.grads_out[0], g.out()})}; };
  return d;
}

OpDef softmax_grad() {
  OpDef d;
  d.name = "softmax_grad";
  d.doc = "Gradient of softmax: dx[c] = y[c] * (dy[c] - sum_i dy[i] * y[i]). Operands dy, y.";
  d.kind = Kind::reduction;
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.cost = per_element(4);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!rows(in[0]) || in[0] != in[1]) {
      error = fmt::format("softmax_grad needs f32[N, ..., C] twice, not {}", list_types(in));
      return false;
    }
    out = {in[0]};
    return true;
  };
  d.lower = [](const LowerContext& ctx) {
    const Type& t = ctx.in_type(0);
    std::vector<Var> v = vars_of(t);
    const std::vector<Var> row(v.begin() + 1, v.end());
    RDom r(0, static_cast<int>(t.dims.back()), "r");
    Exprs at = exprs(v);
    at[0] = r;
    Func dot("softmax_grad_dot"), dx("softmax_grad");
    dot(row) = 0.0f;
    dot(row) += ctx.in[0](at) * ctx.in[1](at);
    dx(v) = ctx.in[1](v) * (ctx.in[0](v) - dot(row));
    return Lowered{{dx}, dot, r, {}, {dot}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) {
    RefTensor dx = in[0];
    const size_t C = static_cast<size_t>(in[0].dims.back());
    for (size_t n = 0; n < dx.data.size() / C; ++n) {
      double dot = 0;
      for (size_t c = 0; c < C; ++c) dot += in[0].data[n * C + c] * in[1].data[n * C + c];
      for (size_t c = 0; c < C; ++c) dx.data[n * C + c] = in[1].data[n * C + c] * (in[0].data[n * C + c] - dot);
    }
    return Tensors{dx};
  };
  return d;
}

LayerDef layer_def() {
  LayerDef l;
  l.name = "Softmax";
  l.doc = "Probabilities over the last dimension. y[c] = exp(x[c]) / sum_i exp(x[i])";
  l.section = "Activation";
  l.weight_prefix = "softmax";
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "Softmax")) return kNone;
    if (b.in_type().rank() == 0) return b.error("Softmax needs a vector of scores, but its input is a single number");
    return b.emit("softmax", {b.in()[0]});
  };
  return l;
}

}  // namespace

void add_softmax(Registry& r) {
  static const OpDef ops[] = {softmax(), softmax_grad()};
  static const LayerDef layer = layer_def();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
