// Adam (Kingma and Ba 2015), in Keras's form: the bias corrections are in the step size, epsilon is outside of them.
#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/optimizer/optimizer.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

OpDef adam_update() {
  OpDef d = update_op("adam_update",
                      "m' = beta1*m + (1-beta1)*g; v' = beta2*v + (1-beta2)*g^2; w' = w - "
                      "lr*sqrt(1-beta2^t)/(1-beta1^t) * m' / (sqrt(v') + epsilon), "
                      "t = step. Operands w, g, m, v, lr, step.",
                      2, true);
  d.cost = per_element(12);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    const double b1 = ctx.node.attrs.f("beta1"), b2 = ctx.node.attrs.f("beta2");
    const Expr t = cast<float>(in[5]), g = in[1];
    // one for all: no element divides by it
    const Expr alpha = in[4] * (sqrt(exact::one_minus_power(b2, t)) / exact::one_minus_power(b1, t));
    const Expr m = in[2] + (g - in[2]) * lit(1 - b1), v = in[3] + (g * g - in[3]) * lit(1 - b2);
    return Exprs{in[0] - alpha * m / (sqrt(v) + lit(ctx.node.attrs.f("epsilon"))), m, v};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    const double b1 = n.attrs.f("beta1"), b2 = n.attrs.f("beta2"), m = b1 * v[2] + (1 - b1) * v[1],
                 s = b2 * v[3] + (1 - b2) * v[1] * v[1];
    const double alpha = v[4] * std::sqrt(1 - std::pow(b2, v[5])) / (1 - std::pow(b1, v[5]));
    return std::vector<double>{v[0] - alpha * m / (std::sqrt(s) + n.attrs.f("epsilon")), m, s};
  });
  return d;
}

OptimizerDef optimizer() {
  OptimizerDef o;
  o.name = "adam";
  o.doc =
      "Adam (Kingma and Ba 2015), as Keras has it: m = beta1 * m + (1 - beta1) * g, v = beta2 * v + (1 - beta2) * g^2, "
      "w = w - lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon). t is the number of the step, from 1; "
      "m and v start at 0.";
  o.args = {{"lr", ArgType::number, ArgValue{0.001}, 1e-12, 1000, {}, "learning rate"},
            {"beta1", ArgType::number, ArgValue{0.9}, 0, 0.999999, {}, "decay of m, the running mean of the gradient"},
            {"beta2", ArgType::number, ArgValue{0.999}, 0, 0.999999, {}, "decay of v, the running mean of its square"},
            {"epsilon",
             ArgType::number,
             ArgValue{1e-7},
             1e-12,
             1,
             {},
             "added to the root of v; PyTorch adds it to that of v / (1 - beta2^t)"}};
  o.slot_names = [](const std::vector<ArgValue>&) { return std::vector<std::string>{"m", "v"}; };
  o.build = [](Graph& g, const OpTable& ops, ValueId w, ValueId grad, const std::vector<ValueId>& slots, ValueId lr,
               ValueId step, const std::vector<ArgValue>& a) {
    return g.add_nodes_results(ops.at("adam_update"), {w, grad, slots[0], slots[1], lr, step},
                               {{"beta1", number(a[1])}, {"beta2", number(a[2])}, {"epsilon", number(a[3])}});
  };
  return o;
}

}  // namespace

void add_adam(Registry& r) {
  static const OpDef op = adam_update();
  static const OptimizerDef opt = optimizer();
  r.ops.ops.push_back(&op);
  r.optimizers.push_back(&opt);
}

}  // namespace netc::ops
