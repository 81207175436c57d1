// Activations, element by element. Where the result tells the slope, the gradient reads the result y, not the operand, so that the operand's memory is free
// after the forward pass. Each is stable for every x: exponentials are taken of -|x| only.
#include "compiler/ops/functions.h"

namespace netc::ops {
namespace {

constexpr double kSeluAlpha = 1.6732632423543772848, kSeluScale = 1.0507009873554804934;   // Klambauer et al. 2017
constexpr double kRootHalf = 0.70710678118654752440, kRootTwoOverPi = 0.79788456080286535588, kInvRootTwoPi = 0.39894228040143267794;
constexpr double kGelu = 0.044715;                                                         // Hendrycks and Gimpel 2016

struct Activation {
  const char *name, *doc, *grad_doc;
  bool of_result;                                        // the gradient reads y; else x
  double flops, grad_flops;
  Expr (*f)(const Expr& x, const Expr& p);               // p: the parameter, if it has one
  Expr (*df)(const Expr& dy, const Expr& v, const Expr& p);
  double (*ref)(double x, double p);
  double (*ref_df)(double dy, double v, double p);
  const char* parameter = nullptr;                       // the attribute with its name
};

Expr sigmoid(const Expr& x) {
  const Expr e = exp_minus_abs(x);
  return select(x > 0.0f, 1.0f, e) / (1.0f + e);
}
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
Expr tanh_of(const Expr& x) {
  const Expr e = exp_minus_abs(2.0f * x), t = (1.0f - e) / (1.0f + e);
  return select(x < 0.0f, -t, t);
}
/// exp(x) - 1 where x < 0
Expr exp_minus_one(const Expr& x) { return exp(clamp(x, -104.0f, 0.0f)) - 1.0f; }
/// Not as a clamp: Halide would move the sum out of it, and leave what rounding leaves of 3 - 3 in place of 0.
Expr hard_sigmoid(const Expr& x) { return select(x <= -3.0f, 0.0f, x >= 3.0f, 1.0f, x * lit(1.0 / 6) + 0.5f); }
double hard_sigmoid(double x) { return std::clamp(x + 3, 0.0, 6.0) / 6; }
/// tanh(log(1 + exp(x)))
Expr tanh_softplus(const Expr& x) {
  const Expr e = exp_minus_abs(x), n = select(x > 0.0f, 1.0f + 2.0f * e, e * (e + 2.0f));
  return n / (n + 2.0f * select(x > 0.0f, e * e, 1.0f));
}
double tanh_softplus(double x) { return std::tanh(std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)))); }
/// The operand of gelu's tanh, doubled; beyond 20 nothing changes any more.
Expr gelu_inner(const Expr& c) { return lit(2 * kRootTwoOverPi) * (c + lit(kGelu) * c * c * c); }
double gelu_inner(double x) { return 2 * kRootTwoOverPi * (x + kGelu * x * x * x); }
Expr near(const Expr& x) { return clamp(x, -20.0f, 20.0f); }
/// The share of the normal distribution below x; nothing is left of it below -6, where the last bit of erf would still count times x.
Expr normal_share(const Expr& x) { return select(x < -6.0f, 0.0f, 0.5f + 0.5f * Halide::erf(clamp(x * lit(kRootHalf), -4.0f, 4.0f))); }
double normal_share(double x) { return 0.5 * std::erfc(-x * kRootHalf); }

const Activation kActivations[] = {
    {"relu", "Rectifier: y = max(x, 0)", "dx = dy where y > 0, else 0.", true, 1, 1,
     [](const Expr& x, const Expr&) { return max(x, 0.0f); },
     [](const Expr& dy, const Expr& y, const Expr&) { return select(y > 0.0f, dy, 0.0f); },
     [](double x, double) { return x > 0 ? x : 0.0; },
     [](double dy, double y, double) { return y > 0 ? dy : 0.0; }},
    {"relu6", "Rectifier with a ceiling: y = min(max(x, 0), 6)", "dx = dy where 0 < y < 6, else 0.", true, 2, 2,
     [](const Expr& x, const Expr&) { return clamp(x, 0.0f, 6.0f); },
     [](const Expr& dy, const Expr& y, const Expr&) { return select(y > 0.0f && y < 6.0f, dy, 0.0f); },
     [](double x, double) { return std::clamp(x, 0.0, 6.0); },
     [](double dy, double y, double) { return y > 0 && y < 6 ? dy : 0.0; }},
    {"leaky_relu", "Rectifier with a slope below zero: y = x where x > 0, else slope * x", "dx = dy where y > 0, else `slope` * dy.", true, 2, 2,
     [](const Expr& x, const Expr& p) { return select(x > 0.0f, x, p * x); },
     [](const Expr& dy, const Expr& y, const Expr& p) { return select(y > 0.0f, dy, p * dy); },
     [](double x, double p) { return x > 0 ? x : p * x; },
     [](double dy, double y, double p) { return y > 0 ? dy : p * dy; }, "slope"},
    {"elu", "Exponential linear unit: y = x where x > 0, else alpha * (exp(x) - 1)", "dx = dy where y > 0, else dy * (y + `alpha`).", true, 12, 2,
     [](const Expr& x, const Expr& p) { return select(x > 0.0f, x, p * exp_minus_one(x)); },
     [](const Expr& dy, const Expr& y, const Expr& p) { return select(y > 0.0f, dy, dy * (y + p)); },
     [](double x, double p) { return x > 0 ? x : p * std::expm1(x); },
     [](double dy, double y, double p) { return y > 0 ? dy : dy * (y + p); }, "alpha"},
    {"selu", "Self-normalising unit: y = 1.0507 * (x where x > 0, else 1.67326 * (exp(x) - 1))",
     "dx = 1.0507 * dy where y > 0, else dy * (y + 1.0507 * 1.67326).", true, 12, 3,
     [](const Expr& x, const Expr&) { return lit(kSeluScale) * select(x > 0.0f, x, lit(kSeluAlpha) * exp_minus_one(x)); },
     [](const Expr& dy, const Expr& y, const Expr&) { return dy * select(y > 0.0f, lit(kSeluScale), y + lit(kSeluScale * kSeluAlpha)); },
     [](double x, double) { return kSeluScale * (x > 0 ? x : kSeluAlpha * std::expm1(x)); },
     [](double dy, double y, double) { return dy * (y > 0 ? kSeluScale : y + kSeluScale * kSeluAlpha); }},
    {"sigmoid", "Logistic function: y = 1 / (1 + exp(-x))", "dx = dy * y * (1 - y).", true, 12, 3,
     [](const Expr& x, const Expr&) { return sigmoid(x); },
     [](const Expr& dy, const Expr& y, const Expr&) { return dy * y * (1.0f - y); },
     [](double x, double) { return sigmoid(x); },
     [](double dy, double y, double) { return dy * y * (1 - y); }},
    {"hard_sigmoid", "Logistic function in straight pieces: y = min(max(x + 3, 0), 6) / 6", "dx = dy / 6 where 0 < y < 1, else 0.", true, 4, 3,
     [](const Expr& x, const Expr&) { return hard_sigmoid(x); },
     [](const Expr& dy, const Expr& y, const Expr&) { return select(y > 0.0f && y < 1.0f, dy * lit(1.0 / 6), 0.0f); },
     [](double x, double) { return hard_sigmoid(x); },
     [](double dy, double y, double) { return y > 0 && y < 1 ? dy / 6 : 0.0; }},
    {"tanh", "Hyperbolic tangent: y = tanh(x)", "dx = dy * (1 - y^2).", true, 14, 3,
     [](const Expr& x, const Expr&) { return tanh_of(x); },
     [](const Expr& dy, const Expr& y, const Expr&) { return dy * (1.0f - y * y); },
     [](double x, double) { return std::tanh(x); },
     [](double dy, double y, double) { return dy * (1 - y * y); }},
    {"softplus", "Smooth rectifier: y = log(1 + exp(x))", "dx = dy * (1 - exp(-y)).", true, 22, 12,
     [](const Expr& x, const Expr&) { return max(x, 0.0f) + log(1.0f + exp_minus_abs(x)); },
     [](const Expr& dy, const Expr& y, const Expr&) { return dy * (1.0f - exp_minus_abs(y)); },
     [](double x, double) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); },
     [](double dy, double y, double) { return -dy * std::expm1(-std::abs(y)); }},
    {"softsign", "Sign with soft corners: y = x / (1 + |x|)", "dx = dy * (1 - |y|)^2.", true, 6, 4,
     [](const Expr& x, const Expr&) { return x / (1.0f + abs(x)); },
     [](const Expr& dy, const Expr& y, const Expr&) { return dy * (1.0f - abs(y)) * (1.0f - abs(y)); },
     [](double x, double) { return x / (1 + std::abs(x)); },
     [](double dy, double y, double) { return dy * (1 - std::abs(y)) * (1 - std::abs(y)); }},
    {"gelu", "Gaussian error linear unit: y = x * (1 + erf(x / sqrt(2))) / 2",
     "dx = dy * (F(x) + x * f(x)), of the normal distribution F and its density f.", false, 26, 40,
     [](const Expr& x, const Expr&) { return x * normal_share(x); },
     [](const Expr& dy, const Expr& x, const Expr&) { return dy * (normal_share(x) + near(x) * lit(kInvRootTwoPi) * exp(-0.5f * near(x) * near(x))); },
     [](double x, double) { return x * normal_share(x); },
     [](double dy, double x, double) { return dy * (normal_share(x) + x * kInvRootTwoPi * std::exp(-0.5 * x * x)); }},
    {"gelu_tanh", "Gaussian error linear unit by tanh: y = x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2",
     "dx = dy * (s + x * s * (1 - s) * u'), of s = sigmoid(u), u = 2 * sqrt(2 / pi) * (x + 0.044715 * x^3).", false, 20, 30,
     [](const Expr& x, const Expr&) { return x * sigmoid(gelu_inner(near(x))); },
     [](const Expr& dy, const Expr& x, const Expr&) {
       const Expr c = near(x), s = sigmoid(gelu_inner(c));
       return dy * (s + c * s * (1.0f - s) * lit(2 * kRootTwoOverPi) * (1.0f + lit(3 * kGelu) * c * c));
     },
     [](double x, double) { return x * sigmoid(gelu_inner(x)); },
     [](double dy, double x, double) {
       const double c = std::clamp(x, -20.0, 20.0), s = sigmoid(gelu_inner(c));
       return dy * (s + c * s * (1 - s) * 2 * kRootTwoOverPi * (1 + 3 * kGelu * c * c));
     }},
    {"silu", "Sigmoid linear unit: y = x / (1 + exp(-x))", "dx = dy * s * (1 + x * (1 - s)), of s = sigmoid(x).", false, 14, 18,
     [](const Expr& x, const Expr&) { return x * sigmoid(x); },
     [](const Expr& dy, const Expr& x, const Expr&) { return dy * sigmoid(x) * (1.0f + x * sigmoid(-x)); },
     [](double x, double) { return x * sigmoid(x); },
     [](double dy, double x, double) { return dy * sigmoid(x) * (1 + x * sigmoid(-x)); }},
    {"mish", "Self-gated softplus: y = x * tanh(log(1 + exp(x)))", "dx = dy * (t + x * (1 - t^2) * sigmoid(x)), of t = tanh(log(1 + exp(x))).", false, 20, 34,
     [](const Expr& x, const Expr&) { return x * tanh_softplus(x); },
     [](const Expr& dy, const Expr& x, const Expr&) {
       const Expr t = tanh_softplus(x);
       return dy * (t + x * sigmoid(x) * (1.0f - t * t));
     },
     [](double x, double) { return x * tanh_softplus(x); },
     [](double dy, double x, double) {
       const double t = tanh_softplus(x);
       return dy * (t + x * sigmoid(x) * (1 - t * t));
     }},
    {"hard_swish", "Sigmoid linear unit in straight pieces: y = x * min(max(x + 3, 0), 6) / 6",
     "dx = 0 where x <= -3, dy where x >= 3, else dy * (2*x + 3) / 6.", false, 5, 5,
     [](const Expr& x, const Expr&) { return x * hard_sigmoid(x); },
     [](const Expr& dy, const Expr& x, const Expr&) { return dy * select(x <= -3.0f, 0.0f, x >= 3.0f, 1.0f, x * lit(1.0 / 3) + 0.5f); },
     [](double x, double) { return x * hard_sigmoid(x); },
     [](double dy, double x, double) { return x <= -3 ? 0.0 : x >= 3 ? dy : dy * (2 * x + 3) / 6; }}};

Expr parameter(const Activation& a, const Node& n) { return a.parameter ? lit(n.attrs.f(a.parameter)) : Expr(); }
double ref_parameter(const Activation& a, const Node& n) { return a.parameter ? n.attrs.f(a.parameter) : 0; }

OpDef forward(const Activation& a) {
  OpDef d;
  d.name = a.name;
  d.doc = std::string(a.doc) + ".";
  d.in_place = true;
  d.shape = same_type();
  d.cost = per_element(a.flops);
  if (d.name == "sigmoid") d.meaning = Meaning::probability;
  d.scalar = [&a](const LowerContext& ctx, const Exprs& in, const Exprs&) { return Exprs{a.f(in[0], parameter(a, ctx.node))}; };
  d.reference = pointwise(
      [&a](const Node& n, const Graph&, const std::vector<double>& v, int64_t) { return std::vector<double>{a.ref(v[0], ref_parameter(a, n))}; });
  d.gradient = [&a, grad = std::string(a.name) + "_grad"](const GradContext& g) {
    return std::vector<ValueId>{g.emit(grad, {g.grads_out[0], a.of_result ? g.out() : g.in(0)}, g.n().attrs)};
  };
  return d;
}

OpDef backward(const Activation& a) {
  OpDef d;
  d.name = std::string(a.name) + "_grad";
  d.doc = fmt::format("Gradient of {}: {} Operands dy, {}.", a.name, a.grad_doc, a.of_result ? "y" : "x");
  d.inputs = 2;
  d.in_place = true;
  d.shape = same_type(1);
  d.cost = per_element(a.grad_flops);
  d.no_gradient = kNoSecond;
  d.scalar = [&a](const LowerContext& ctx, const Exprs& in, const Exprs&) { return Exprs{a.df(in[0], in[1], parameter(a, ctx.node))}; };
  d.reference = pointwise(
      [&a](const Node& n, const Graph&, const std::vector<double>& v, int64_t) { return std::vector<double>{a.ref_df(v[0], v[1], ref_parameter(a, n))}; });
  return d;
}

/// The layer that applies one activation, whose parameters are its arguments.
LayerDef layer(const char* name, const std::string& op, std::vector<ArgDef> args = {}) {
  const Activation* a = std::find_if(std::begin(kActivations), std::end(kActivations), [&](const Activation& x) { return op == x.name; });
  LayerDef l;
  l.name = name;
  l.doc = a->doc;
  l.section = "Activation";
  l.weight_prefix = a->name;
  l.args = std::move(args);
  l.build = [a, me = l.name](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, me.c_str())) return kNone;
    Attrs attrs;
    if (a->parameter) attrs.set(a->parameter, b.f(a->parameter));
    return b.emit(a->name, {b.in()[0]}, std::move(attrs));
  };
  return l;
}

LayerDef gelu_layer() {
  LayerDef l = layer("GELU", "gelu",
                     {{"form", ArgType::choice, ArgValue{std::string("exact")}, -1e300, 1e300, {"exact", "tanh"},
                       "exact: by the error function; tanh: by an approximation that many published weights were trained with"}});
  l.doc = "Gaussian error linear unit. y = x * (1 + erf(x / sqrt(2))) / 2; by tanh: x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2";
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "GELU")) return kNone;
    return b.emit(b.s("form") == "tanh" ? "gelu_tanh" : "gelu", {b.in()[0]});
  };
  return l;
}

}  // namespace

void add_activation(Registry& r) {
  static const std::vector<OpDef> ops = [] {
    std::vector<OpDef> v;
    for (const Activation& a : kActivations) {
      v.push_back(forward(a));
      v.push_back(backward(a));
    }
    return v;
  }();
  static const LayerDef layers[] = {
      layer("ReLU", "relu"), layer("ReLU6", "relu6"),
      layer("LeakyReLU", "leaky_relu", {{"slope", ArgType::number, ArgValue{0.01}, 0, 1e6, {}, "slope where x < 0"}}),
      layer("ELU", "elu", {{"alpha", ArgType::number, ArgValue{1.0}, 0, 1e6, {}, "-alpha is what y approaches where x < 0"}}),
      layer("SELU", "selu"), gelu_layer(), layer("SiLU", "silu"), layer("Mish", "mish"), layer("HardSwish", "hard_swish"), layer("Sigmoid", "sigmoid"),
      layer("HardSigmoid", "hard_sigmoid"), layer("Tanh", "tanh"), layer("Softplus", "softplus"), layer("Softsign", "softsign")};
  static const std::vector<FunctionDef> functions = [] {
    std::vector<FunctionDef> v;
    for (const Activation& a : kActivations) {
      if (!a.parameter) v.push_back(function_of(a.name, a.doc, a.name));
    }
    return v;
  }();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LayerDef& l : layers) r.layers.push_back(&l);
  for (const FunctionDef& f : functions) r.functions.push_back(&f);
}

}  // namespace netc::ops
