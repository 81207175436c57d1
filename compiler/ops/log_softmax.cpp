// The logarithm of softmax over the last dimension, taken without the softmax: small probabilities keep their digits.
#include "compiler/ops/softmax.h"

namespace netc::ops {
namespace {

bool rows(const Type& t) { return t.dtype == DType::f32 && t.rank() >= 1 && !t.has_any_extent(); }

OpDef log_softmax() {
  OpDef d;
  d.name = "log_softmax";
  d.doc = "y[c] = x[c] - max x - log(sum_i exp(x[i] - max x)) over the last dimension.";
  d.kind = Kind::reduction;
  d.cost = per_element(22);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!rows(in[0])) {
      error = fmt::format("log_softmax needs f32[N, ..., C], not {}", to_string(in[0]));
      return false;
    }
    out = {in[0]};
    return true;
  };
  d.lower = [](const LowerContext& ctx) {
    std::vector<Var> v = vars_of(ctx.in_type(0));
    const std::vector<Var> row(v.begin() + 1, v.end());
    SoftmaxRows s = softmax_rows(ctx, 0);
    Func y("log_softmax");
    y(v) = ctx.in[0](v) - s.maximum(row) - log(s.sum(row));
    return Lowered{{y}, s.sum, s.r, {}, {s.maximum, s.sum}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) {
    RefTensor y = in[0];
    const std::vector<double> l = ref_log_sum_exp(in[0]);
    for (size_t i = 0; i < y.data.size(); ++i) y.data[i] -= l[i / static_cast<size_t>(y.dims.back())];
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) { return std::vector<ValueId>{g.emit("log_softmax_grad", {g.grads_out[0], g.out()})}; };
  return d;
}

OpDef log_softmax_grad() {
  OpDef d;
  d.name = "log_softmax_grad";
  d.doc = "Gradient of log_softmax: dx[c] = dy[c] - exp(y[c]) * sum_i dy[i]. Operands dy, y.";
  d.kind = Kind::reduction;
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.cost = per_element(14);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!rows(in[0]) || in[0] != in[1]) {
      error = fmt::format("log_softmax_grad needs f32[N, ..., C] twice, not {}", list_types(in));
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
    Func sum("log_softmax_grad_sum"), dx("log_softmax_grad");
    sum(row) = 0.0f;
    sum(row) += ctx.in[0](at);
    dx(v) = ctx.in[0](v) - exp(max(ctx.in[1](v), -104.0f)) * sum(row);
    return Lowered{{dx}, sum, r, {}, {sum}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) {
    RefTensor dx = in[0];
    const size_t C = static_cast<size_t>(in[0].dims.back());
    for (size_t n = 0; n < dx.data.size() / C; ++n) {
      double sum = 0;
      for (size_t c = 0; c < C; ++c) sum += in[0].data[n * C + c];
      for (size_t c = 0; c < C; ++c) dx.data[n * C + c] -= std::exp(in[1].data[n * C + c]) * sum;
    }
    return Tensors{dx};
  };
  return d;
}

LayerDef layer_def() {
  LayerDef l;
  l.name = "LogSoftmax";
  l.doc = "Logarithms of probabilities over the last dimension. y[c] = x[c] - log(sum_i exp(x[i]))";
  l.section = "Activation";
  l.weight_prefix = "log_softmax";
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "LogSoftmax")) return kNone;
    if (b.in_type().rank() == 0) return b.error("LogSoftmax needs a vector of scores, but its input is a single number");
    return b.emit("log_softmax", {b.in()[0]});
  };
  return l;
}

}  // namespace

void add_log_softmax(Registry& r) {
  static const OpDef ops[] = {log_softmax(), log_softmax_grad()};
  static const LayerDef layer = layer_def();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
