// Batch normalisation (Ioffe and Szegedy 2015): the statistics of a batch, their running averages, and the affine map.
// Its gradients are in batch_norm_gradients.cpp. Training: mean, variance = those of the batch; inference: the running
// ones, and the map folds into weights.
#include "compiler/ops/norm/norm.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

bool channels_last(const Type& t) { return t.dtype == DType::f32 && t.batched && t.rank() >= 1 && !t.has_any_extent(); }
bool per_channel(const Type& t, const Type& x) { return t == f32({x.dims.back()}, false); }

Expr count(const LowerContext& ctx) { return cast<float>(ctx.batch * static_cast<int>(spatial(ctx.in_type(0)))); }

/// y[c] = sum over the rest of f(x) / count, summed in f's type
Lowered mean_over(const LowerContext& ctx, const char* name, const std::function<Expr(Expr, Var)>& f) {
  Var c("c");
  RDom r(ranges_of(ctx.in_type(0), ctx.batch, 1), "r");
  Exprs at{c};
  for (int i = 0; i < r.dimensions(); ++i) at.push_back(r[i]);
  Func sum(std::string(name) + "_sum"), y(name);
  const Expr term = f(ctx.in[0](at), c);
  sum(c) = cast(term.type(), 0);
  sum(c) += term;
  y(c) = cast<float>(sum(c) / cast(term.type(), count(ctx)));
  return {{y}, sum, r, {}, {}};
}

OpDef batch_mean() {
  OpDef d;
  d.name = "batch_mean";
  d.doc =
      "Mean of each channel over the batch and the image: m[c] = sum x[..., c] / M. In inference it is the running "
      "mean, the second operand.";
  d.kind = Kind::reduction;
  d.inputs = 2;
  d.cost = per_input_element(0, 1);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!channels_last(in[0]) || !per_channel(in[1], in[0])) {
      error = fmt::format("batch_mean needs f32[N, ..., C] and f32[C], not {}", list_types(in));
      return false;
    }
    out = {in[1]};
    return true;
  };
  // In double: a mean's error, divided by the standard deviation, is that of all the channel, which may be nearly
  // constant and far from 0.
  lowering(d).algorithm = [](const LowerContext& ctx) {
    return mean_over(ctx, "batch_mean", [](Expr x, Var) { return cast<double>(x); });
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    const size_t C = y.data.size();
    for (size_t i = 0; i < in[0].data.size(); ++i) y.data[i % C] += in[0].data[i];
    for (double& v : y.data) v /= static_cast<double>(in[0].data.size() / C);
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.wanted[0] ? g.emit("batch_mean_grad", {g.grads_out[0], g.in(0)}) : kNone, kNone};
  };
  d.inference = [](Graph& g, NodeId n) { return std::vector<ValueId>{g.nodes[n].inputs[1]}; };
  return d;
}

OpDef batch_variance() {
  OpDef d;
  d.name = "batch_variance";
  d.doc =
      "Biased variance of each channel: v[c] = sum (x[..., c] - mean[c])^2 / M. In inference it is the running "
      "variance, the third operand.";
  d.kind = Kind::reduction;
  d.inputs = 3;
  d.cost = per_input_element(0, 3);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!channels_last(in[0]) || !per_channel(in[1], in[0]) || in[2] != in[1]) {
      error = fmt::format("batch_variance needs f32[N, ..., C], f32[C] and f32[C], not {}", list_types(in));
      return false;
    }
    out = {in[1]};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    return mean_over(ctx, "batch_variance", [&](Expr x, Var c) {
      const Expr dev = x - ctx.in[1](c);
      return dev * dev;
    });
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    const size_t C = y.data.size();
    for (size_t i = 0; i < in[0].data.size(); ++i) y.data[i % C] += std::pow(in[0].data[i] - in[1].data[i % C], 2);
    for (double& v : y.data) v /= static_cast<double>(in[0].data.size() / C);
    return Tensors{y};
  };
  // The derivative in the mean, -2/M * sum (x - mean), is zero where the mean is the batch's own; elsewhere it counts.
  d.gradient = [](const GradContext& g) {
    std::vector<ValueId> r(3, kNone);
    if (g.wanted[0]) r[0] = g.emit("batch_variance_grad", {g.grads_out[0], g.in(0), g.in(1)});
    const Node* mean = g.graph.values[g.in(1)].def == kNone ? nullptr : &g.graph.nodes[g.graph.values[g.in(1)].def];
    const bool own = mean != nullptr && mean->op->name == "batch_mean" && mean->inputs[0] == g.in(0);
    if (g.wanted[1] && !own) {
      const ValueId dx = g.emit("batch_variance_grad", {g.grads_out[0], g.in(0), g.in(1)});
      r[1] = g.emit("scale", {g.emit("sum_to_channel", {dx})}, {{"factor", -1.0}});
    }
    return r;
  };
  d.inference = [](Graph& g, NodeId n) { return std::vector<ValueId>{g.nodes[n].inputs[2]}; };
  return d;
}

OpDef normalize() {
  OpDef d;
  d.name = "normalize";
  d.doc = "y = (x - mean[c]) / sqrt(var[c] + eps) * gamma[c] + beta[c].";
  d.inputs = 5;
  d.in_place = true;
  d.cost = per_element(4);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    bool ok = channels_last(in[0]);
    for (int i = 1; i < 5 && ok; ++i) ok = per_channel(in[i], in[0]);
    if (!ok) {
      error = fmt::format("normalize needs f32[N, ..., C] and four f32[C], not {}", list_types(in));
      return false;
    }
    out = {in[0]};
    return true;
  };
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    const Expr inv = 1.0f / sqrt(in[2] + lit(ctx.node.attrs.f("eps")));
    return Exprs{(in[0] - in[1]) * (inv * in[3]) + in[4]};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{(v[0] - v[1]) / std::sqrt(v[2] + n.attrs.f("eps")) * v[3] + v[4]};
  });
  // Where mean and variance are the batch's own, all three paths to x are one op, normalize_data_grad; else each path
  // apart.
  d.gradient = [](const GradContext& g) {
    const ValueId dy = g.grads_out[0], x = g.in(0), mean = g.in(1), var = g.in(2), gamma = g.in(3);
    const Attrs eps = {{"eps", g.n().attrs.f("eps")}};
    auto def = [&](ValueId v) -> const Node* {
      return g.graph.values[v].def == kNone ? nullptr : &g.graph.nodes[g.graph.values[v].def];
    };
    const Node *md = def(mean), *vd = def(var);
    const bool own = md && vd && md->op->name == "batch_mean" && md->inputs[0] == x &&
                     vd->op->name == "batch_variance" && vd->inputs[0] == x && vd->inputs[1] == mean;
    const std::vector<bool> w = g.wanted;
    std::vector<ValueId> r(5, kNone);
    ValueId dbeta = kNone, dgamma = kNone;
    if (w[4] || w[1] || (w[0] && own)) dbeta = g.emit("sum_to_channel", {dy});
    if (w[3] || w[2] || (w[0] && own)) dgamma = g.emit("normalize_gamma_grad", {dy, x, mean, var}, eps);
    if (w[3]) r[3] = dgamma;
    if (w[4]) r[4] = dbeta;
    if (w[0] && own) {
      r[0] = g.emit("normalize_data_grad", {dy, x, mean, var, gamma, dgamma, dbeta}, eps);
      return r;
    }
    if (w[0]) r[0] = g.emit("normalize_direct_grad", {dy, var, gamma}, eps);
    if (w[1]) r[1] = g.emit("normalize_mean_grad", {var, gamma, dbeta}, eps);
    if (w[2]) r[2] = g.emit("normalize_variance_grad", {var, gamma, dgamma}, eps);
    return r;
  };
  d.affine = [](Graph& g, NodeId id, ValueId& scale, ValueId& shift) {
    const Node n = g.nodes[id];
    for (int i = 1; i < 5; ++i) {
      if (g.values[n.inputs[i]].def != kNone) return false;  // the batch's statistics: known only during the step
    }
    static const ir::OpTable& ops = registry().ops;
    scale = g.add(ops.at("normalize_scale"), {n.inputs[2], n.inputs[3]}, n.attrs, n.layer, "folded_scale");
    shift = g.add(ops.at("normalize_shift"), {n.inputs[1], scale, n.inputs[4]}, {}, n.layer, "folded_shift");
    return true;
  };
  return d;
}

OpDef channelwise(const char* name, const char* doc, int inputs, double flops) {
  OpDef d;
  d.name = name;
  d.doc = doc;
  d.inputs = inputs;
  d.cost = per_element(flops);
  d.shape = same_type(inputs - 1);
  return d;
}

OpDef normalize_scale() {
  OpDef d =
      channelwise("normalize_scale",
                  "gamma[c] / sqrt(var[c] + eps): the slope of normalize, for folding. Operands var, gamma.", 2, 3);
  d.no_gradient = "it appears in inference graphs only";
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{in[1] / sqrt(in[0] + lit(ctx.node.attrs.f("eps")))};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{v[1] / std::sqrt(v[0] + n.attrs.f("eps"))};
  });
  return d;
}

OpDef normalize_shift() {
  OpDef d = channelwise(
      "normalize_shift",
      "beta[c] - mean[c] * scale[c]: the offset of normalize, for folding. Operands mean, scale, beta.", 3, 2);
  d.no_gradient = "it appears in inference graphs only";
  lowering(d).scalar = [](const LowerContext&, const Exprs& in, const Exprs&) { return Exprs{in[2] - in[0] * in[1]}; };
  d.reference = pointwise([](const Node&, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{v[2] - v[0] * v[1]};
  });
  return d;
}

OpDef running_update() {
  OpDef d = channelwise("running_update", "Moving average: y = momentum * running + (1 - momentum) * batch.", 2, 3);
  d.no_gradient = "running statistics are not part of the loss";
  d.in_place = true;
  d.updates_in_place = {{0, 0}};
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    const double m = ctx.node.attrs.f("momentum");
    return Exprs{lit(m) * in[0] + lit(1 - m) * in[1]};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    const double m = n.attrs.f("momentum");
    return std::vector<double>{m * v[0] + (1 - m) * v[1]};
  });
  return d;
}

LayerDef layer_def() {
  LayerDef l;
  l.name = "BatchNorm";
  l.doc =
      "Batch normalisation. y = (x - mean[c]) / sqrt(variance[c] + epsilon) * gamma[c] + beta[c]; with the batch's "
      "statistics in training and "
      "their running averages in inference";
  l.section = "Normalisation";
  l.weight_prefix = "norm";
  l.args = {{"epsilon",
             ArgType::number,
             ArgValue{1e-3},
             1e-12,
             1,
             {},
             "added to the variance; 1e-3 is Keras's, PyTorch's is 1e-5"},
            {"momentum",
             ArgType::number,
             ArgValue{0.99},
             0,
             0.999999,
             {},
             "share of the old running average kept in a step; 0.99 is Keras's, PyTorch's momentum 0.1 is 0.9 here"},
            {"center", ArgType::boolean, ArgValue{true}, 0, 1, {}, "adds a trained beta"},
            {"scale", ArgType::boolean, ArgValue{true}, 0, 1, {}, "multiplies by a trained gamma"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "BatchNorm")) return kNone;
    const Type x = b.in_type();
    if (x.rank() == 0) return b.error("BatchNorm needs an input with channels, but its input is a single number");
    const Type t = f32({x.dims.back()}, false);
    const ValueId in = b.in()[0];
    const ValueId gamma = trained_or_fixed(b, b.b("scale"), "gamma", "one", 1, x.dims.back());
    const ValueId beta = trained_or_fixed(b, b.b("center"), "beta", "zero", 0, x.dims.back());
    const ValueId running_mean = b.variable("mean", t, Initializer{}, Role::state);
    const ValueId running_variance = b.variable("variance", t, Initializer{"ones", 0, 0, 0, 0}, Role::state);
    const ValueId mean = b.emit("batch_mean", {in, running_mean});
    const ValueId variance = b.emit("batch_variance", {in, mean, running_variance});
    const ValueId y = b.emit("normalize", {in, mean, variance, gamma, beta}, {{"eps", b.f("epsilon")}});
    const Attrs momentum = {{"momentum", b.f("momentum")}};
    b.update(running_mean, [&](ValueId running) { return b.emit("running_update", {running, mean}, momentum); });
    b.update(running_variance,
             [&](ValueId running) { return b.emit("running_update", {running, variance}, momentum); });
    return y;
  };
  return l;
}

}  // namespace

void add_batch_norm(Registry& r) {
  static const OpDef ops[] = {batch_mean(),      batch_variance(),  normalize(),
                              normalize_scale(), normalize_shift(), running_update()};
  static const LayerDef layer = layer_def();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
