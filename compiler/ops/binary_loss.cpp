// Binary cross-entropy. With one output the label is 0 or 1; with C outputs the label's class is the one whose target is 1. The mean over outputs.
// When the output is a sigmoid, the loss is taken from its operand: max(x,0) - x*t + log(1 + exp(-|x|)).
#include "compiler/ops/softmax.h"

namespace netc::ops {
namespace {

constexpr double kClip = 1e-7;

double target(const Tensors& in, size_t n, size_t c) {
  return in[0].dims[1] == 1 ? (in[1].data[n] != 0 ? 1.0 : 0.0) : static_cast<double>(static_cast<size_t>(in[1].data[n]) == c);
}

Expr target(const LowerContext& ctx, const Expr& c, const Expr& n) {
  const Expr label = ctx.in[1](n);
  return select(ctx.in_type(0).dims[0] == 1 ? label != 0 : label == c, 1.0f, 0.0f);
}

Expr loss(bool logits, const Expr& x, const Expr& t) {
  if (logits) return max(x, 0.0f) - x * t + log(1.0f + exp(-abs(x)));
  const Expr p = clamp(x, lit(kClip), lit(1 - kClip));
  return -(t * log(p) + (1.0f - t) * log(1.0f - p));
}
double loss(bool logits, double x, double t) {
  if (logits) return std::max(x, 0.0) - x * t + std::log1p(std::exp(-std::abs(x)));
  const double p = std::clamp(x, kClip, 1 - kClip);
  return -(t * std::log(p) + (1 - t) * std::log(1 - p));
}
Expr slope(bool logits, const Expr& x, const Expr& t) {
  if (logits) return 1.0f / (1.0f + exp(-x)) - t;
  const Expr p = clamp(x, lit(kClip), lit(1 - kClip));
  return select(x > lit(kClip) && x < lit(1 - kClip), (p - t) / (p * (1.0f - p)), 0.0f);
}
double slope(bool logits, double x, double t) {
  if (logits) return 1 / (1 + std::exp(-x)) - t;
  return x > kClip && x < 1 - kClip ? (x - t) / (x * (1 - x)) : 0.0;
}

OpDef forward(bool logits) {
  OpDef d;
  d.name = logits ? "sigmoid_crossentropy" : "binary_crossentropy";
  d.doc = logits ? "Loss of each sample from logits: mean_c of max(x,0) - x*t + log(1 + exp(-|x|)). Operands logits, label."
                 : "Loss of each sample from probabilities: mean_c of -(t*log(p) + (1-t)*log(1-p)), p clipped to [1e-7, 1 - 1e-7]. Operands p, label.";
  d.kind = Kind::reduction;
  d.inputs = 2;
  d.cost = per_input_element(0, 24);
  const std::string me = d.name;
  d.shape = [me](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!check_label_operands(in, error, me.c_str())) return false;
    out = {f32({}, true)};
    return true;
  };
  d.lower = [logits, me](const LowerContext& ctx) {
    Var n("n");
    const int C = static_cast<int>(ctx.in_type(0).dims[0]);
    RDom r(0, C, "r");
    Func sum(me + "_sum"), y(me);
    sum(n) = 0.0f;
    sum(n) += loss(logits, ctx.in[0](r, n), target(ctx, r, n));
    y(n) = sum(n) * lit(1.0 / C);
    return Lowered{{y}, sum, r, {}, {}};
  };
  d.reference = [logits](const Node&, const Graph&, const Tensors& in, int64_t batch) {
    RefTensor y{{batch}, std::vector<double>(static_cast<size_t>(batch), 0.0)};
    const size_t C = static_cast<size_t>(in[0].dims[1]);
    for (size_t i = 0; i < in[0].data.size(); ++i) y.data[i / C] += loss(logits, in[0].data[i], target(in, i / C, i % C)) / static_cast<double>(C);
    return Tensors{y};
  };
  d.gradient = [me](const GradContext& g) {
    return std::vector<ValueId>{g.wanted[0] ? g.emit(me + "_grad", {g.in(0), g.in(1), g.grads_out[0]}) : kNone, kNone};
  };
  return d;
}

OpDef backward(bool logits) {
  OpDef d;
  d.name = logits ? "sigmoid_crossentropy_grad" : "binary_crossentropy_grad";
  d.doc = logits ? "Gradient of sigmoid_crossentropy: (sigmoid(x) - t) * dy / C. Operands logits, label, dy."
                 : "Gradient of binary_crossentropy: (p - t) / (p * (1 - p)) * dy / C where p is not clipped. Operands p, label, dy.";
  d.kind = Kind::window;
  d.inputs = 3;
  d.no_gradient = kNoSecond;
  d.cost = per_element(14);
  const std::string me = d.name;
  d.shape = [me](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!check_label_operands(in, error, me.c_str())) return false;
    out = {in[0]};
    return true;
  };
  d.lower = [logits, me](const LowerContext& ctx) {
    Var c("c"), n("n");
    Func dx(me);
    dx(c, n) = slope(logits, ctx.in[0](c, n), target(ctx, c, n)) * ctx.in[2](n) * lit(1.0 / static_cast<double>(ctx.in_type(0).dims[0]));
    return Lowered{{dx}, dx, {}, {}, {}};
  };
  d.reference = [logits](const Node&, const Graph&, const Tensors& in, int64_t) {
    RefTensor dx = in[0];
    const size_t C = static_cast<size_t>(in[0].dims[1]);
    for (size_t i = 0; i < dx.data.size(); ++i) {
      dx.data[i] = slope(logits, in[0].data[i], target(in, i / C, i % C)) * in[2].data[i / C] / static_cast<double>(C);
    }
    return Tensors{dx};
  };
  return d;
}

LossDef loss_def() {
  LossDef l;
  l.name = "binary_crossentropy";
  l.doc = "Binary cross-entropy: mean over outputs of -(t*log(p) + (1-t)*log(1-p)), the mean over the batch.";
  l.label_type = [](const Type&) { return Type{DType::i32, true, {}}; };
  l.expects = [](const std::vector<ArgValue>&) { return Meaning::probability; };
  l.build = [](Graph& g, const OpTable& ops, ValueId output, ValueId label, const std::vector<ArgValue>&) {
    const NodeId def = g.values[output].def;
    const bool sigmoid = def != kNone && g.nodes[def].op->name == "sigmoid";
    const ValueId from = sigmoid ? g.nodes[def].inputs[0] : output;
    const ValueId each = g.add(ops.at(sigmoid ? "sigmoid_crossentropy" : "binary_crossentropy"), {from, label}, {}, kNone, "loss_of_sample");
    return g.add(ops.at("batch_mean_of"), {each}, {}, kNone, "loss_of_data");
  };
  return l;
}

}  // namespace

void add_binary_loss(Registry& r) {
  static const OpDef ops[] = {forward(true), backward(true), forward(false), backward(false)};
  static const LossDef loss = loss_def();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  r.losses.push_back(&loss);
}

}  // namespace netc::ops
