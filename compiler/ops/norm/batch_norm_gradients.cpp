// Gradients of batch normalisation. With M = N*H*W values per channel, xhat = (x - mean) / sqrt(var + eps), s = gamma /
// sqrt(var + eps):
//   dbeta = sum dy,  dgamma = sum dy * xhat,  dx = s * (dy - dbeta / M - xhat * dgamma / M)   when mean and var are x's
//   own.
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

Expr inv_std(const LowerContext& ctx, const Expr& var) { return 1.0f / sqrt(var + lit(ctx.node.attrs.f("eps"))); }
double inv_std(const Node& n, double var) { return 1 / std::sqrt(var + n.attrs.f("eps")); }

/// Operand `x` is the image; M its values per channel.
Expr count(const LowerContext& ctx, int x) {
  return cast<float>(ctx.batch * static_cast<int>(spatial(ctx.in_type(x))));
}
double count(const Node& n, const Graph& g, int x, int64_t batch) {
  return static_cast<double>(batch * spatial(g.type(n.inputs[x])));
}

/// Elementwise over the image `like` (an operand's index); the others are that type or f32[C].
OpDef over_image(const char* name, const char* doc, int inputs, int like, double flops) {
  OpDef d;
  d.name = name;
  d.doc = doc;
  d.inputs = inputs;
  d.no_gradient = kNoSecond;
  d.cost = per_element(flops);
  d.in_place = like == 0;
  const std::string me = name;
  d.shape = [me, like](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    const Type& x = in[like];
    bool ok = x.dtype == DType::f32 && x.rank() >= 1 && !x.has_any_extent();
    for (const Type& t : in) ok = ok && (t == x || t == f32({x.dims.back()}, false));
    if (!ok) {
      error = fmt::format("{} needs f32[N, ..., C] and f32[C], not {}", me, list_types(in));
      return false;
    }
    out = {x};
    return true;
  };
  return d;
}

OpDef gamma_grad() {
  OpDef d;
  d.name = "normalize_gamma_grad";
  d.doc = "Gradient of normalize in gamma: sum dy * (x - mean[c]) / sqrt(var[c] + eps). Operands dy, x, mean, var.";
  d.kind = Kind::reduction;
  d.inputs = 4;
  d.no_gradient = kNoSecond;
  d.cost = per_input_element(0, 3);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0].rank() < 1 || in[0] != in[1] || in[2] != f32({in[0].dims.back()}, false) || in[3] != in[2]) {
      error = fmt::format("normalize_gamma_grad needs twice f32[N, ..., C] and twice f32[C], not {}", list_types(in));
      return false;
    }
    out = {in[2]};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    Var c("c");
    RDom r(ranges_of(ctx.in_type(0), ctx.batch, 1), "r");
    Exprs at{c};
    for (int i = 0; i < r.dimensions(); ++i) at.push_back(r[i]);
    Func sum("normalize_gamma_grad_sum"), y("normalize_gamma_grad");
    sum(c) = 0.0f;
    sum(c) += ctx.in[0](at) * (ctx.in[1](at) - ctx.in[2](c));
    y(c) = sum(c) * inv_std(ctx, ctx.in[3](c));
    return Lowered{{y}, sum, r};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    const size_t C = y.data.size();
    for (size_t i = 0; i < in[0].data.size(); ++i)
      y.data[i % C] += in[0].data[i] * (in[1].data[i] - in[2].data[i % C]) * inv_std(n, in[3].data[i % C]);
    return Tensors{y};
  };
  return d;
}

OpDef data_grad() {
  OpDef d = over_image("normalize_data_grad",
                       "Gradient of batch normalisation in x, through the statistics too: gamma/sqrt(var+eps) * (dy - "
                       "dbeta/M - xhat*dgamma/M). "
                       "Operands dy, x, mean, var, gamma, dgamma, dbeta.",
                       7, 0, 8);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    const Expr inv = inv_std(ctx, in[3]), m = 1.0f / count(ctx, 1);
    return Exprs{in[4] * inv * (in[0] - in[6] * m - (in[1] - in[2]) * (inv * in[5] * m))};
  };
  d.reference = pointwise([](const Node& n, const Graph& g, const std::vector<double>& v, int64_t batch) {
    const double inv = inv_std(n, v[3]), m = count(n, g, 1, batch);
    return std::vector<double>{v[4] * inv * (v[0] - v[6] / m - (v[1] - v[2]) * inv * v[5] / m)};
  });
  return d;
}

OpDef direct_grad() {
  OpDef d = over_image(
      "normalize_direct_grad",
      "Gradient of normalize in x with the statistics held: dy * gamma / sqrt(var + eps). Operands dy, var, gamma.", 3,
      0, 3);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{in[0] * (in[2] * inv_std(ctx, in[1]))};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{v[0] * v[2] * inv_std(n, v[1])};
  });
  return d;
}

OpDef mean_grad() {
  OpDef d = over_image(
      "normalize_mean_grad",
      "Gradient of normalize in its mean: -gamma / sqrt(var + eps) * dbeta. Operands var, gamma, dbeta.", 3, 0, 3);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{-in[1] * inv_std(ctx, in[0]) * in[2]};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{-v[1] * inv_std(n, v[0]) * v[2]};
  });
  return d;
}

OpDef variance_grad() {
  OpDef d = over_image(
      "normalize_variance_grad",
      "Gradient of normalize in its variance: -gamma * dgamma / (2 (var + eps)). Operands var, gamma, dgamma.", 3, 0,
      4);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{-0.5f * in[1] * in[2] / (in[0] + lit(ctx.node.attrs.f("eps")))};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{-0.5 * v[1] * v[2] / (v[0] + n.attrs.f("eps"))};
  });
  return d;
}

OpDef batch_mean_grad() {
  OpDef d = over_image("batch_mean_grad",
                       "Gradient of batch_mean: dm[c] / M everywhere. Operands dm, x (its shape only).", 2, 1, 1);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{in[0] / count(ctx, 1)};
  };
  d.reference = pointwise([](const Node& n, const Graph& g, const std::vector<double>& v, int64_t batch) {
    return std::vector<double>{v[0] / count(n, g, 1, batch)};
  });
  return d;
}

OpDef batch_variance_grad() {
  OpDef d =
      over_image("batch_variance_grad",
                 "Gradient of batch_variance in x: dv[c] * 2 * (x - mean[c]) / M. Operands dv, x, mean.", 3, 1, 4);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{in[0] * 2.0f * (in[1] - in[2]) / count(ctx, 1)};
  };
  d.reference = pointwise([](const Node& n, const Graph& g, const std::vector<double>& v, int64_t batch) {
    return std::vector<double>{v[0] * 2 * (v[1] - v[2]) / count(n, g, 1, batch)};
  });
  return d;
}

}  // namespace

void add_batch_norm_gradients(Registry& r) {
  static const OpDef ops[] = {gamma_grad(),    data_grad(),       direct_grad(),        mean_grad(),
                              variance_grad(), batch_mean_grad(), batch_variance_grad()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
}

}  // namespace netc::ops
