// Elementary functions of one operand. Their gradients are written with each other and with arithmetic.
#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/elementwise/functions.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

constexpr double kTwoOverRootPi = 1.12837916709551257390;

struct Unary {
  const char *name, *function, *doc;  // `function`: as expressions call it
  double flops, ulps, gradient_ulps;  // OpDef
  Expr (*f)(const Expr& x);
  double (*ref)(double x);
  ValueId (*gradient)(const GradContext& g, ValueId dy);  // null: it has none
};

ValueId scaled(const GradContext& g, ValueId v, double factor) { return g.emit("scale", {v}, {{"factor", factor}}); }
ValueId times(const GradContext& g, ValueId a, ValueId b) { return g.emit("mul", {a, b}); }

const Unary kUnary[] = {
    {"exp", "exp", "y = exp(x)", 10, 2, 1, [](const Expr& x) { return exact::exp(x); },
     [](double x) { return std::exp(x); }, [](const GradContext& g, ValueId dy) { return times(g, dy, g.out()); }},
    {"log", "log", "y = the natural logarithm of x", 10, 2, 1, [](const Expr& x) { return exact::log(x); },
     [](double x) { return std::log(x); },
     [](const GradContext& g, ValueId dy) { return g.emit("div", {dy, g.in(0)}); }},
    {"sqrt", "sqrt", "y = the square root of x", 4, 1, 1, [](const Expr& x) { return sqrt(x); },
     [](double x) { return std::sqrt(x); },
     [](const GradContext& g, ValueId dy) { return g.emit("div", {scaled(g, dy, 0.5), g.out()}); }},
    {"rsqrt", "rsqrt", "y = 1 / sqrt(x)", 8, 2, 3, [](const Expr& x) { return 1.0f / sqrt(x); },
     [](double x) { return 1 / std::sqrt(x); },
     [](const GradContext& g, ValueId dy) {
       return times(g, times(g, times(g, scaled(g, dy, -0.5), g.out()), g.out()), g.out());
     }},
    {"reciprocal", "reciprocal", "y = 1 / x", 4, 1, 2, [](const Expr& x) { return 1.0f / x; },
     [](double x) { return 1 / x; },
     [](const GradContext& g, ValueId dy) { return scaled(g, times(g, times(g, dy, g.out()), g.out()), -1); }},
    {"squared", "square", "y = x * x", 1, 1, 1, [](const Expr& x) { return x * x; }, [](double x) { return x * x; },
     [](const GradContext& g, ValueId dy) { return scaled(g, times(g, dy, g.in(0)), 2); }},
    {"abs", "abs", "y = |x|", 1, 0, 0, [](const Expr& x) { return Halide::abs(x); },
     [](double x) { return std::abs(x); },
     [](const GradContext& g, ValueId dy) { return times(g, dy, g.emit("sign", {g.in(0)})); }},
    {"sign", "sign", "y = 1 where x > 0, -1 where x < 0, 0 at 0", 2, 0, -1,
     [](const Expr& x) { return select(x > 0.0f, 1.0f, x < 0.0f, -1.0f, x); },
     [](double x) { return x > 0   ? 1.0
                           : x < 0 ? -1.0
                                   : x; }, nullptr},
    {"sin", "sin", "y = the sine of x, in radians", 20, 2, 2, [](const Expr& x) { return exact::sin(x); },
     [](double x) { return std::sin(x); },
     [](const GradContext& g, ValueId dy) { return times(g, dy, g.emit("cos", {g.in(0)})); }},
    {"cos", "cos", "y = the cosine of x, in radians", 20, 2, 2, [](const Expr& x) { return exact::cos(x); },
     [](double x) { return std::cos(x); },
     [](const GradContext& g, ValueId dy) { return scaled(g, times(g, dy, g.emit("sin", {g.in(0)})), -1); }},
    {"erf", "erf", "y = the error function of x", 20, 3, 4, [](const Expr& x) { return exact::erf(x); },
     [](double x) { return std::erf(x); },
     [](const GradContext& g, ValueId dy) { return g.emit("erf_grad", {dy, g.in(0)}); }}};

OpDef op_def(const Unary& u) {
  OpDef d;
  d.name = u.name;
  d.doc = std::string(u.doc) + ".";
  d.in_place = true;
  d.shape = same_type();
  d.cost = per_element(u.flops);
  d.ulps = u.ulps;
  d.gradient_ulps = u.gradient_ulps;
  lowering(d).scalar = [&u](const LowerContext&, const Exprs& in, const Exprs&) { return Exprs{u.f(in[0])}; };
  d.reference = pointwise([&u](const Node&, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{u.ref(v[0])};
  });
  if (u.gradient)
    d.gradient = [&u](const GradContext& g) { return std::vector<ValueId>{u.gradient(g, g.grads_out[0])}; };
  else d.no_gradient = "it is zero wherever there is one";
  return d;
}

OpDef erf_grad() {
  OpDef d;
  d.name = "erf_grad";
  d.doc = "Gradient of erf: dx = dy * 2 / sqrt(pi) * exp(-x^2). Operands dy, x.";
  d.inputs = 2;
  d.in_place = true;
  d.no_gradient = kNoSecond;
  d.shape = same_type(1);
  d.cost = per_element(16);
  lowering(d).scalar = [](const LowerContext&, const Exprs& in, const Exprs&) {
    return Exprs{in[0] * exact::erf_slope(in[1])};
  };
  d.reference = pointwise([](const Node&, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{v[0] * kTwoOverRootPi * std::exp(-v[1] * v[1])};
  });
  return d;
}

OpDef clip() {
  OpDef d;
  d.name = "clip";
  d.doc = "y = min(max(x, `min`), `max`).";
  d.in_place = true;
  d.shape = same_type();
  d.cost = per_element(2);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{exact::within(in[0], lit(ctx.node.attrs.f("min")), lit(ctx.node.attrs.f("max")))};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{std::min(std::max(v[0], n.attrs.f("min")), n.attrs.f("max"))};
  });
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.emit("clip_grad", {g.grads_out[0], g.in(0)}, g.n().attrs)};
  };
  return d;
}

OpDef clip_grad() {
  OpDef d;
  d.name = "clip_grad";
  d.doc = "Gradient of clip: dx = dy where min < x < max, else 0. Operands dy, x.";
  d.inputs = 2;
  d.in_place = true;
  d.no_gradient = kNoSecond;
  d.shape = same_type(1);
  d.cost = per_element(2);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{select(in[1] > lit(ctx.node.attrs.f("min")) && in[1] < lit(ctx.node.attrs.f("max")), in[0], 0.0f)};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{v[1] > n.attrs.f("min") && v[1] < n.attrs.f("max") ? v[0] : 0.0};
  });
  return d;
}

}  // namespace

void add_elementary(Registry& r) {
  static const std::vector<OpDef> ops = [] {
    std::vector<OpDef> v;
    for (const Unary& u : kUnary) v.push_back(op_def(u));
    v.push_back(erf_grad());
    v.push_back(clip());
    v.push_back(clip_grad());
    return v;
  }();
  static const std::vector<FunctionDef> functions = [] {
    std::vector<FunctionDef> v;
    for (const Unary& u : kUnary) v.push_back(function_of(u.function, u.doc, u.name));
    return v;
  }();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const FunctionDef& f : functions) r.functions.push_back(&f);
}

}  // namespace netc::ops
