// Stochastic gradient descent, plain and with momentum (Keras's formulas).
#include "compiler/ops/optimizer/optimizer.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

OpDef sgd_update() {
  OpDef d = update_op("sgd_update", "w' = w - lr * g. Operands w, g, lr.", 0, false);
  d.cost = per_element(2);
  lowering(d).scalar = [](const LowerContext&, const Exprs& in, const Exprs&) { return Exprs{in[0] - in[2] * in[1]}; };
  d.reference = pointwise([](const Node&, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{v[0] - v[2] * v[1]};
  });
  return d;
}

OpDef momentum_update() {
  OpDef d = update_op(
      "momentum_update",
      "m' = momentum * m - lr * g; w' = w + m', with nesterov w' = w + momentum * m' - lr * g. Operands w, g, m, lr.",
      1, false);
  d.cost = per_element(5);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    const Expr mu = lit(ctx.node.attrs.f("momentum")), move = in[3] * in[1], m = mu * in[2] - move;
    return Exprs{ctx.node.attrs.b("nesterov") ? in[0] + mu * m - move : in[0] + m, m};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    const double mu = n.attrs.f("momentum"), m = mu * v[2] - v[3] * v[1];
    return std::vector<double>{n.attrs.b("nesterov") ? v[0] + mu * m - v[3] * v[1] : v[0] + m, m};
  });
  return d;
}

OptimizerDef optimizer() {
  OptimizerDef o;
  o.name = "sgd";
  o.doc =
      "Stochastic gradient descent: w = w - lr * g; with momentum m = momentum * m - lr * g, w = w + m; with nesterov "
      "w = w + momentum * m - lr * g, of the new m. m starts at 0.";
  o.args = {{"lr", ArgType::number, ArgValue{0.01}, 1e-12, 1000, {}, "learning rate"},
            {"momentum",
             ArgType::number,
             ArgValue{0.0},
             0,
             0.999999,
             {},
             "share of the last move kept; 0: none, and no memory for it"},
            {"nesterov",
             ArgType::boolean,
             ArgValue{false},
             0,
             1,
             {},
             "looks ahead along the momentum; without momentum it changes nothing"}};
  o.slot_names = [](const std::vector<ArgValue>& a) {
    return number(a[1]) > 0 ? std::vector<std::string>{"momentum"} : std::vector<std::string>{};
  };
  o.build = [](Graph& g, const OpTable& ops, ValueId w, ValueId grad, const std::vector<ValueId>& slots, ValueId lr,
               ValueId, const std::vector<ArgValue>& a) {
    if (slots.empty()) return std::vector<ValueId>{g.add(ops.at("sgd_update"), {w, grad, lr})};
    return g.add_nodes_results(ops.at("momentum_update"), {w, grad, slots[0], lr},
                               {{"momentum", number(a[1])}, {"nesterov", truth(a[2])}});
  };
  return o;
}

}  // namespace

void add_sgd(Registry& r) {
  static const OpDef ops[] = {sgd_update(), momentum_update()};
  static const OptimizerDef opt = optimizer();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  r.optimizers.push_back(&opt);
}

}  // namespace netc::ops
