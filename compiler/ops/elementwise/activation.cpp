// Activations, element by element. Where the result tells the slope, the gradient reads the result y, not the operand,
// so that the operand's memory is free after the forward pass. exact.h says how they are computed, exact_test.cpp how
// exactly: `ulps` and `grad_ulps`.
#include <limits>

#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/elementwise/functions.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

constexpr double kSeluAlpha = 1.6732632423543772848, kSeluScale = 1.0507009873554804934;  // Klambauer et al. 2017
constexpr double kRootHalf = 0.70710678118654752440, kRootTwoOverPi = 0.79788456080286535588,
                 kInvRootTwoPi = 0.39894228040143267794;
constexpr double kGelu = 0.044715;                                               // Hendrycks and Gimpel 2016
constexpr float kAboveMinusThree = -0x1.7ffffep1f, kBelowThree = 0x1.7ffffep1f;  // comparisons that NaN fails
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Activation {
  const char *name, *doc, *grad_doc;
  bool of_result;  // the gradient reads y; else x
  double flops, grad_flops, ulps, grad_ulps;
  Expr (*f)(const Expr& x, double p);  // p: the parameter, if it has one
  Expr (*df)(const Expr& dy, const Expr& v, double p);
  double (*ref)(double x, double p);
  double (*ref_df)(double dy, double v, double p);
  const char* parameter = nullptr;  // the attribute with its name
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double hard_sigmoid(double x) { return std::clamp(x + 3, 0.0, 6.0) / 6; }
/// Of x in [-3, 3]. A sum that Halide may not move: it would leave what rounding leaves of 3 - 3 in place of 0.
Expr hard_sigmoid(const Expr& x) { return exact::add(x, 3.0f) * lit(1.0 / 6); }
/// tanh(log(1 + exp(x)))
double tanh_softplus(double x) { return std::tanh(std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)))); }
/// The operand of gelu's tanh, doubled.
double gelu_inner(double x) { return 2 * kRootTwoOverPi * (x + kGelu * x * x * x); }
/// The share of the normal distribution below x.
double normal_share(double x) { return 0.5 * std::erfc(-x * kRootHalf); }
/// x times a share, which vanishes first.
double gated(double x, double share) { return x == -kInfinity ? -0.0 : x * share; }
double near(double x) { return std::clamp(x, -1e4, 1e4); }

const Activation kActivations[] = {
    {"relu", "Rectifier: y = max(x, 0)", "dx = dy where y > 0, else 0.", true, 1, 1, 0, 0,
     [](const Expr& x, double) { return exact::at_least(x, 0.0f); },
     [](const Expr& dy, const Expr& y, double) { return select(y > 0.0f, dy, 0.0f); },
     [](double x, double) { return x <= 0 ? 0.0 : x; }, [](double dy, double y, double) { return y > 0 ? dy : 0.0; }},
    {"relu6", "Rectifier with a ceiling: y = min(max(x, 0), 6)", "dx = dy where 0 < y < 6, else 0.", true, 2, 2, 0, 0,
     [](const Expr& x, double) { return exact::within(x, 0.0f, 6.0f); },
     [](const Expr& dy, const Expr& y, double) { return select(y > 0.0f && y < 6.0f, dy, 0.0f); },
     [](double x, double) { return std::clamp(x, 0.0, 6.0); },
     [](double dy, double y, double) { return y > 0 && y < 6 ? dy : 0.0; }},
    {"leaky_relu", "Rectifier with a slope below zero: y = x where x > 0, else slope * x",
     "dx = dy where y > 0, else `slope` * dy.", true, 2, 2, 1, 1,
     [](const Expr& x, double p) { return select(x > 0.0f, x, lit(p) * x); },
     [](const Expr& dy, const Expr& y, double p) { return select(y > 0.0f, dy, lit(p) * dy); },
     [](double x, double p) { return x > 0 ? x : p * x; },
     [](double dy, double y, double p) { return y > 0 ? dy : p * dy; }, "slope"},
    {"elu", "Exponential linear unit: y = x where x > 0, else alpha * (exp(x) - 1)",
     "dx = dy where y > 0, else dy * (y + `alpha`).", true, 12, 2, 3, 2,
     [](const Expr& x, double p) { return select(x > 0.0f, x, lit(p) * exact::expm1_of_negative(x)); },
     [](const Expr& dy, const Expr& y, double p) { return select(y > 0.0f, dy, dy * exact::plus(y, p)); },
     [](double x, double p) { return x > 0 ? x : p * std::expm1(x); },
     [](double dy, double y, double p) { return y > 0 ? dy : dy * (y + p); }, "alpha"},
    {"selu", "Self-normalising unit: y = 1.0507 * (x where x > 0, else 1.67326 * (exp(x) - 1))",
     "dx = 1.0507 * dy where y > 0, else dy * (y + 1.0507 * 1.67326).", true, 12, 3, 3, 2,
     [](const Expr& x, double) {
       return select(x > 0.0f, lit(kSeluScale) * x, lit(kSeluScale * kSeluAlpha) * exact::expm1_of_negative(x));
     },
     [](const Expr& dy, const Expr& y, double) {
       return dy * select(y > 0.0f, lit(kSeluScale), exact::plus(y, kSeluScale * kSeluAlpha));
     },
     [](double x, double) { return kSeluScale * (x > 0 ? x : kSeluAlpha * std::expm1(x)); },
     [](double dy, double y, double) { return dy * (y > 0 ? kSeluScale : y + kSeluScale * kSeluAlpha); }},
    {"sigmoid", "Logistic function: y = 1 / (1 + exp(-x))", "dx = dy * y * (1 - y).", true, 12, 3, 3, 2,
     [](const Expr& x, double) { return exact::sigmoid(x); },
     [](const Expr& dy, const Expr& y, double) { return dy * y * (1.0f - y); },
     [](double x, double) { return sigmoid(x); }, [](double dy, double y, double) { return dy * y * (1 - y); }},
    {"hard_sigmoid", "Logistic function in straight pieces: y = min(max(x + 3, 0), 6) / 6",
     "dx = dy / 6 where 0 < y < 1, else 0.", true, 4, 3, 2, 1,
     [](const Expr& x, double) { return hard_sigmoid(exact::within(x, -3.0f, 3.0f)); },
     [](const Expr& dy, const Expr& y, double) { return select(y > 0.0f && y < 1.0f, dy * lit(1.0 / 6), 0.0f); },
     [](double x, double) { return hard_sigmoid(x); },
     [](double dy, double y, double) { return y > 0 && y < 1 ? dy / 6 : 0.0; }},
    {"tanh", "Hyperbolic tangent: y = tanh(x)", "dx = dy * (1 - y^2).", true, 14, 3, 3, 3,
     [](const Expr& x, double) { return exact::tanh(x); },
     [](const Expr& dy, const Expr& y, double) { return dy * ((1.0f - y) * (1.0f + y)); },
     [](double x, double) { return std::tanh(x); }, [](double dy, double y, double) { return dy * (1 - y * y); }},
    {"softplus", "Smooth rectifier: y = log(1 + exp(x))", "dx = dy * (1 - exp(-y)).", true, 22, 12, 3, 2,
     [](const Expr& x, double) { return exact::softplus(x); },
     [](const Expr& dy, const Expr& y, double) { return dy * -exact::expm1_of_negative(-y); },
     [](double x, double) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); },
     [](double dy, double y, double) { return -dy * std::expm1(-y); }},
    {"softsign", "Sign with soft corners: y = x / (1 + |x|)", "dx = dy * (1 - |y|)^2.", true, 6, 4, 2, 3,
     [](const Expr& x, double) {
       const Expr c = exact::within(x, -1e30f, 1e30f);  // beyond 1e8 the quotient is 1
       return c / (1.0f + abs(c));
     },
     [](const Expr& dy, const Expr& y, double) { return dy * (1.0f - abs(y)) * (1.0f - abs(y)); },
     [](double x, double) { return std::isinf(x) ? std::copysign(1.0, x) : x / (1 + std::abs(x)); },
     [](double dy, double y, double) { return dy * (1 - std::abs(y)) * (1 - std::abs(y)); }},
    {"gelu", "Gaussian error linear unit: y = x * (1 + erf(x / sqrt(2))) / 2",
     "dx = dy * (F(x) + x * f(x)), of the normal distribution F and its density f.", false, 26, 40, 6, 4,
     [](const Expr& x, double) { return exact::gelu(x); },
     [](const Expr& dy, const Expr& x, double) { return dy * exact::gelu_slope(x); },
     [](double x, double) { return gated(x, normal_share(x)); },
     [](double dy, double x, double) {
       return dy * (normal_share(x) + near(x) * kInvRootTwoPi * std::exp(-0.5 * x * x));
     }},
    {"gelu_tanh", "Gaussian error linear unit by tanh: y = x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2",
     "dx = dy * (s + x * s * (1 - s) * u'), of s = sigmoid(u), u = 2 * sqrt(2 / pi) * (x + 0.044715 * x^3).", false, 20,
     30, 4, 5, [](const Expr& x, double) { return exact::gelu_tanh(x); },
     [](const Expr& dy, const Expr& x, double) { return dy * exact::gelu_tanh_slope(x); },
     [](double x, double) { return gated(x, sigmoid(gelu_inner(x))); },
     [](double dy, double x, double) {
       const double c = std::clamp(x, -20.0, 20.0), s = sigmoid(gelu_inner(c));
       return dy * (s + c * s * sigmoid(-gelu_inner(c)) * 2 * kRootTwoOverPi * (1 + 3 * kGelu * c * c));
     }},
    {"silu", "Sigmoid linear unit: y = x / (1 + exp(-x))", "dx = dy * s * (1 + x * (1 - s)), of s = sigmoid(x).", false,
     14, 18, 3, 5, [](const Expr& x, double) { return exact::silu(x); },
     [](const Expr& dy, const Expr& x, double) { return dy * exact::silu_slope(x); },
     [](double x, double) { return gated(x, sigmoid(x)); },
     [](double dy, double x, double) { return dy * sigmoid(x) * (1 + near(x) * sigmoid(-x)); }},
    {"mish", "Self-gated softplus: y = x * tanh(log(1 + exp(x)))",
     "dx = dy * (t + x * (1 - t^2) * sigmoid(x)), of t = tanh(log(1 + exp(x))).", false, 20, 34, 5, 6,
     [](const Expr& x, double) { return exact::mish(x); },
     [](const Expr& dy, const Expr& x, double) { return dy * exact::mish_slope(x); },
     [](double x, double) { return gated(x, tanh_softplus(x)); },
     [](double dy, double x, double) {
       const double t = tanh_softplus(x);
       return dy * (t + near(x) * sigmoid(x) * (1 - t * t));
     }},
    {"hard_swish", "Sigmoid linear unit in straight pieces: y = x * min(max(x + 3, 0), 6) / 6",
     "dx = 0 where x <= -3, dy where x >= 3, else dy * (2*x + 3) / 6.", false, 5, 5, 3, 2,
     [](const Expr& x, double) {
       const Expr c = exact::at_least(x, -3.0f);
       return c * hard_sigmoid(exact::at_most(c, 3.0f));
     },
     [](const Expr& dy, const Expr& x, double) {
       return dy * select(exact::less(x, kAboveMinusThree), 0.0f, exact::less(kBelowThree, x), 1.0f,
                          exact::add(2.0f * x, 3.0f) * lit(1.0 / 6));
     },
     [](double x, double) { return gated(x, hard_sigmoid(x)); },
     [](double dy, double x, double) { return x <= -3  ? 0.0
                                              : x >= 3 ? dy
                                                       : dy * (2 * x + 3) / 6; }}};

double parameter(const Activation& a, const Node& n) { return a.parameter ? n.attrs.f(a.parameter) : 0; }

OpDef forward(const Activation& a) {
  OpDef d;
  d.name = a.name;
  d.doc = std::string(a.doc) + ".";
  d.in_place = true;
  d.shape = same_type();
  d.cost = per_element(a.flops);
  d.ulps = a.ulps;
  d.gradient_ulps = a.grad_ulps;
  if (d.name == "sigmoid") d.meaning = Meaning::probability;
  lowering(d).scalar = [&a](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{a.f(in[0], parameter(a, ctx.node))};
  };
  d.reference = pointwise([&a](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{a.ref(v[0], parameter(a, n))};
  });
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
  lowering(d).scalar = [&a](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{a.df(in[0], in[1], parameter(a, ctx.node))};
  };
  d.reference = pointwise([&a](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{a.ref_df(v[0], v[1], parameter(a, n))};
  });
  return d;
}

/// The layer that applies one activation, whose parameters are its arguments.
LayerDef layer(const char* name, const std::string& op, std::vector<ArgDef> args = {}) {
  const Activation* a =
      std::find_if(std::begin(kActivations), std::end(kActivations), [&](const Activation& x) { return op == x.name; });
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
  LayerDef l = layer(
      "GELU", "gelu",
      {{"form",
        ArgType::choice,
        ArgValue{std::string("exact")},
        -1e300,
        1e300,
        {"exact", "tanh"},
        "exact: by the error function; tanh: by an approximation that many published weights were trained with"}});
  l.doc =
      "Gaussian error linear unit. y = x * (1 + erf(x / sqrt(2))) / 2; by tanh: x * (1 + tanh(sqrt(2 / pi) * (x + "
      "0.044715 * x^3))) / 2";
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
      layer("ReLU", "relu"),
      layer("ReLU6", "relu6"),
      layer("LeakyReLU", "leaky_relu", {{"slope", ArgType::number, ArgValue{0.01}, 0, 10, {}, "slope where x < 0"}}),
      layer("ELU", "elu",
            {{"alpha", ArgType::number, ArgValue{1.0}, 0, 1000, {}, "-alpha is what y approaches where x < 0"}}),
      layer("SELU", "selu"),
      gelu_layer(),
      layer("SiLU", "silu"),
      layer("Mish", "mish"),
      layer("HardSwish", "hard_swish"),
      layer("Sigmoid", "sigmoid"),
      layer("HardSigmoid", "hard_sigmoid"),
      layer("Tanh", "tanh"),
      layer("Softplus", "softplus"),
      layer("Softsign", "softsign")};
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
