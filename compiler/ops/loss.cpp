// Cross-entropy over classes, and the mean of a loss over the batch. Labels are class indices i32[]; one-hot data is delivered as indices too.
// When the output is a softmax, the loss is taken from its operand: log-sum-exp needs no clipping, and the gradient is softmax - onehot.
#include "compiler/ops/softmax.h"

namespace netc::ops {

bool check_label_operands(Types in, std::string& error, const char* name) {
  const Type label{DType::i32, true, {}};
  bool ok = in[0].dtype == DType::f32 && in[0].batched && in[0].rank() == 1 && in[1] == label;
  if (in.size() > 2) ok = ok && in[2] == f32({}, true);
  if (!ok) error = fmt::format("{} needs f32[N, C] and i32[N]{}, not {}", name, in.size() > 2 ? " and f32[N]" : "", list_types(in));
  return ok;
}

namespace {

constexpr double kClip = 1e-7;  // Keras clips probabilities to [1e-7, 1 - 1e-7]

ShapeRule loss_shape(const char* name, bool gradient) {
  const std::string me = name;
  return [me, gradient](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!check_label_operands(in, error, me.c_str())) return false;
    out = {gradient ? in[0] : f32({}, true)};
    return true;
  };
}

/// A label as an index that is always inside the row.
Expr label_at(const LowerContext& ctx, const Expr& n) { return clamp(ctx.in[1](n), 0, static_cast<int>(ctx.in_type(0).dims[0]) - 1); }
size_t label_at(const Tensors& in, size_t n) {
  return static_cast<size_t>(std::clamp<int64_t>(static_cast<int64_t>(in[1].data[n]), 0, in[0].dims[1] - 1));
}

OpDef softmax_crossentropy() {
  OpDef d;
  d.name = "softmax_crossentropy";
  d.doc = "Loss of each sample from logits: log(sum_c exp(x[c])) - x[label]. Operands logits, label.";
  d.kind = Kind::reduction;
  d.inputs = 2;
  d.cost = per_input_element(0, 22);
  d.shape = loss_shape("softmax_crossentropy", false);
  d.lower = [](const LowerContext& ctx) {
    Var n("n");
    SoftmaxRows s = softmax_rows(ctx, 0);
    Func y("softmax_crossentropy");
    y(n) = log(s.sum(n)) + s.maximum(n) - ctx.in[0](label_at(ctx, n), n);
    return Lowered{{y}, s.sum, s.r, {}, {s.maximum, s.sum}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t batch) {
    RefTensor y{{batch}, ref_log_sum_exp(in[0])};
    for (size_t n = 0; n < y.data.size(); ++n) y.data[n] -= in[0].data[n * static_cast<size_t>(in[0].dims[1]) + label_at(in, n)];
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.wanted[0] ? g.emit("softmax_crossentropy_grad", {g.in(0), g.in(1), g.grads_out[0]}) : kNone, kNone};
  };
  return d;
}

OpDef softmax_crossentropy_grad() {
  OpDef d;
  d.name = "softmax_crossentropy_grad";
  d.doc = "Gradient of softmax_crossentropy in the logits: (softmax(x)[c] - [c = label]) * dy. Operands logits, label, dy.";
  d.kind = Kind::reduction;
  d.inputs = 3;
  d.no_gradient = kNoSecond;
  d.cost = per_element(24);
  d.shape = loss_shape("softmax_crossentropy_grad", true);
  d.lower = [](const LowerContext& ctx) {
    Var c("c"), n("n");
    SoftmaxRows s = softmax_rows(ctx, 0);
    Func dx("softmax_crossentropy_grad");
    dx(c, n) = (exp(ctx.in[0](c, n) - s.maximum(n)) / s.sum(n) - select(c == label_at(ctx, n), 1.0f, 0.0f)) * ctx.in[2](n);
    return Lowered{{dx}, s.sum, s.r, {}, {s.maximum, s.sum}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) {
    RefTensor dx{in[0].dims, ref_softmax(in[0])};
    const size_t C = static_cast<size_t>(in[0].dims[1]);
    for (size_t n = 0; n < in[1].data.size(); ++n) dx.data[n * C + label_at(in, n)] -= 1;
    for (size_t i = 0; i < dx.data.size(); ++i) dx.data[i] *= in[2].data[i / C];
    return Tensors{dx};
  };
  return d;
}

OpDef crossentropy() {
  OpDef d;
  d.name = "crossentropy";
  d.doc = "Loss of each sample from probabilities: -log(clip(p[label], 1e-7, 1 - 1e-7)). Operands p, label.";
  d.kind = Kind::window;
  d.inputs = 2;
  d.cost = [](const Node&, const Graph&) { return Cost{0, 12}; };
  d.shape = loss_shape("crossentropy", false);
  d.lower = [](const LowerContext& ctx) {
    Var n("n");
    Func y("crossentropy");
    y(n) = -log(clamp(ctx.in[0](label_at(ctx, n), n), lit(kClip), lit(1 - kClip)));
    return Lowered{{y}, y, {}, {}, {}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t batch) {
    RefTensor y{{batch}, std::vector<double>(static_cast<size_t>(batch))};
    const size_t C = static_cast<size_t>(in[0].dims[1]);
    for (size_t n = 0; n < y.data.size(); ++n) y.data[n] = -std::log(std::clamp(in[0].data[n * C + label_at(in, n)], kClip, 1 - kClip));
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.wanted[0] ? g.emit("crossentropy_grad", {g.in(0), g.in(1), g.grads_out[0]}) : kNone, kNone};
  };
  return d;
}

OpDef crossentropy_grad() {
  OpDef d;
  d.name = "crossentropy_grad";
  d.doc = "Gradient of crossentropy: -dy / p at the label, where p is not clipped; else 0. Operands p, label, dy.";
  d.kind = Kind::window;
  d.inputs = 3;
  d.no_gradient = kNoSecond;
  d.cost = per_element(3);
  d.shape = loss_shape("crossentropy_grad", true);
  d.lower = [](const LowerContext& ctx) {
    Var c("c"), n("n");
    Func dx("crossentropy_grad");
    const Expr p = ctx.in[0](c, n);
    dx(c, n) = select(c == label_at(ctx, n) && p > lit(kClip) && p < lit(1 - kClip), -ctx.in[2](n) / max(p, lit(kClip)), 0.0f);
    return Lowered{{dx}, dx, {}, {}, {}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) {
    RefTensor dx{in[0].dims, std::vector<double>(in[0].data.size(), 0.0)};
    const size_t C = static_cast<size_t>(in[0].dims[1]);
    for (size_t n = 0; n < in[1].data.size(); ++n) {
      const size_t i = n * C + label_at(in, n);
      if (in[0].data[i] > kClip && in[0].data[i] < 1 - kClip) dx.data[i] = -in[2].data[n] / in[0].data[i];
    }
    return Tensors{dx};
  };
  return d;
}

OpDef batch_mean_of() {
  OpDef d;
  d.name = "batch_mean_of";
  d.doc = "Mean over the batch of one number per sample: f32[N] -> f32[].";
  d.kind = Kind::reduction;
  d.cost = [](const Node&, const Graph&) { return Cost{0, 1}; };
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0] != f32({}, true)) {
      error = fmt::format("batch_mean_of needs f32[N], not {}", to_string(in[0]));
      return false;
    }
    out = {f32({}, false)};
    return true;
  };
  d.lower = [](const LowerContext& ctx) {
    RDom r(0, ctx.batch, "r");
    Func sum("batch_mean_of_sum"), y("batch_mean_of");
    sum() = 0.0f;
    sum() += ctx.in[0](r);
    y() = sum() / cast<float>(ctx.batch);
    return Lowered{{y}, sum, r, {}, {}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t batch) {
    double sum = 0;
    for (double v : in[0].data) sum += v;
    return Tensors{RefTensor{{}, {sum / static_cast<double>(batch)}}};
  };
  d.gradient = [](const GradContext& g) { return std::vector<ValueId>{g.emit("batch_mean_of_grad", {g.grads_out[0], g.in(0)})}; };
  return d;
}

OpDef batch_mean_of_grad() {
  OpDef d;
  d.name = "batch_mean_of_grad";
  d.doc = "Gradient of batch_mean_of: dy / N for every sample. Operands dy, x (its shape only).";
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.cost = per_element(1);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0] != f32({}, false) || in[1] != f32({}, true)) {
      error = fmt::format("batch_mean_of_grad needs f32[] and f32[N], not {}", list_types(in));
      return false;
    }
    out = {f32({}, true)};
    return true;
  };
  d.scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) { return Exprs{in[0] / cast<float>(ctx.batch)}; };
  d.reference = pointwise([](const Node&, const Graph&, const std::vector<double>& v, int64_t batch) {
    return std::vector<double>{v[0] / static_cast<double>(batch)};
  });
  return d;
}

LossDef loss_def(const char* name, const char* doc) {
  LossDef l;
  l.name = name;
  l.doc = doc;
  l.label_type = [](const Type&) { return Type{DType::i32, true, {}}; };
  l.expects = [](const std::vector<ArgValue>&) { return Meaning::distribution; };
  l.build = [](Graph& g, const OpTable& ops, ValueId output, ValueId label, const std::vector<ArgValue>&) {
    const NodeId def = g.values[output].def;
    const bool softmax = def != kNone && g.nodes[def].op->name == "softmax";
    const ValueId from = softmax ? g.nodes[def].inputs[0] : output;
    const ValueId each = g.add(ops.at(softmax ? "softmax_crossentropy" : "crossentropy"), {from, label}, {}, kNone, "loss_of_sample");
    return g.add(ops.at("batch_mean_of"), {each}, {}, kNone, "loss_of_data");
  };
  return l;
}

}  // namespace

void add_loss(Registry& r) {
  static const OpDef ops[] = {softmax_crossentropy(), softmax_crossentropy_grad(), crossentropy(), crossentropy_grad(), batch_mean_of(), batch_mean_of_grad()};
  static const LossDef losses[] = {
      loss_def("categorical_crossentropy", "Cross-entropy of class probabilities with the label's class: -log(p[label]), the mean over the batch."),
      loss_def("sparse_categorical_crossentropy", "The same as categorical_crossentropy: labels are class indices in both.")};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LossDef& l : losses) r.losses.push_back(&l);
}

}  // namespace netc::ops
