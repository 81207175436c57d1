// Penalties on weights, as Keras counts them: l1 * sum|w| + l2 * sum w^2, added to the loss and to the weight's
// gradient.
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

OpDef penalty() {
  OpDef d;
  d.name = "penalty";
  d.doc = "l1 * sum|w| + l2 * sum w^2 of a weight: f32[...] -> f32[].";
  d.kind = Kind::reduction;
  d.cost = [](const Node&, const Graph&) { return Cost{0, 0}; };  // once per step, not per sample
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0].dtype != DType::f32 || in[0].batched || in[0].rank() == 0) {
      error = fmt::format("penalty needs a weight, not {}", to_string(in[0]));
      return false;
    }
    out = {f32({}, false)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const double l1 = ctx.node.attrs.f("l1"), l2 = ctx.node.attrs.f("l2");
    RDom r(ranges_of(ctx.in_type(0), ctx.batch), "r");
    Exprs at;
    for (int i = 0; i < r.dimensions(); ++i) at.push_back(r[i]);
    const Expr w = ctx.in[0](at);
    Func y("penalty");
    y() = 0.0f;
    if (l1 == 0) y() += lit(l2) * w * w;
    else y() += lit(l1) * abs(w) + lit(l2) * w * w;
    return Lowered{{y}, y, r};
  };
  d.reference = [](const Node& n, const Graph&, const Tensors& in, int64_t) {
    double sum = 0;
    for (double w : in[0].data) sum += n.attrs.f("l1") * std::abs(w) + n.attrs.f("l2") * w * w;
    return Tensors{RefTensor{{}, {sum}}};
  };
  d.gradient = [](const GradContext& g) {
    const ValueId zero = g.emit("constant_fill", {g.in(0)}, {{"value", 0.0}});
    return std::vector<ValueId>{g.emit("mul", {g.emit("penalty_grad", {g.in(0), zero}, g.n().attrs), g.grads_out[0]})};
  };
  return d;
}

OpDef penalty_grad() {
  OpDef d;
  d.name = "penalty_grad";
  d.doc = "A weight's gradient with its penalty's: g + l1 * sign(w) + 2 * l2 * w. Operands w, g.";
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.cost = per_element(3);
  d.shape = same_type(1);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    const double l1 = ctx.node.attrs.f("l1"), l2 = ctx.node.attrs.f("l2");
    Expr y = in[1];
    if (l2 != 0) y = y + lit(2 * l2) * in[0];
    if (l1 != 0) y = y + select(in[0] > 0.0f, lit(l1), in[0] < 0.0f, lit(-l1), 0.0f);
    return Exprs{y};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    const double sign = v[0] > 0 ? 1 : v[0] < 0 ? -1 : 0;
    return std::vector<double>{v[1] + n.attrs.f("l1") * sign + 2 * n.attrs.f("l2") * v[0]};
  });
  return d;
}

}  // namespace

void add_regularise(Registry& r) {
  static const OpDef ops[] = {penalty(), penalty_grad()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
}

}  // namespace netc::ops
