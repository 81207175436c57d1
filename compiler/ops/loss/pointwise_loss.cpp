// Losses of one output and its target, element by element, and their means: mse, mae, huber, poisson, kl_divergence.
// binary_loss.cpp has those of yes and no. Each formula is written once, for Halide's expressions and for numbers; x is
// the output, t the target, a the loss's parameter.
#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/loss/loss.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

constexpr float kClip = 1e-7f;

// What Halide and exact.h have for expressions, for numbers.
double select(bool condition, double yes, double no) { return condition ? yes : no; }
double abs(double v) { return std::abs(v); }
double at_least(double v, double low) { return v < low ? low : v; }
double within(double v, double low, double high) { return v < low ? low : v > high ? high : v; }
bool less(double a, double b) { return a < b; }
double add(double a, double b) { return a + b; }
double ln(double v) { return std::log(v); }
double log1p(double v) { return std::log1p(v); }
double softplus(double v) { return std::max(v, 0.0) + std::log1p(std::exp(-std::abs(v))); }
double sigmoid(double v) { return 1 / (1 + std::exp(-v)); }
Expr ln(const Expr& v) { return exact::log(v); }
using exact::add, exact::at_least, exact::less, exact::log1p, exact::sigmoid, exact::softplus, exact::within;

/// A formula in both forms.
struct Formula {
  Expr (*expr)(const Expr& x, const Expr& t, const Expr& a);
  double (*number)(const double& x, const double& t, const double& a);
  template <class F>
  Formula(F f) : expr(f),
                 number(f) {}
};

struct Pointwise {
  const char *name, *doc, *parameter;  // parameter: the attribute `a`, null when there is none
  double flops;
  Formula f, dx, dt;
};

#define FORMULA(...) [](const auto& x, const auto& t, [[maybe_unused]] const auto& a) { return __VA_ARGS__; }

// Sums of a part for t = 0 and one for t = 1 are kept apart by `add`: LLVM would make a + t * (b - a) of them, and lose
// the smaller.
const std::vector<Pointwise>& pointwise_losses() {
  static const std::vector<Pointwise> all = {
      {"squared_error", "(x - t)^2", nullptr, 2, FORMULA((x - t) * (x - t)), FORMULA(2 * (x - t)),
       FORMULA(2 * (t - x))},
      {"absolute_error", "|x - t|", nullptr, 2, FORMULA(abs(x - t)),
       FORMULA(select(x > t, 1.0f, select(x < t, -1.0f, 0.0f))),
       FORMULA(select(x > t, -1.0f, select(x < t, 1.0f, 0.0f)))},
      {"huber", "d^2 / 2 where d = |x - t| <= delta, else delta * (d - delta / 2)", "delta", 6,
       FORMULA(select(abs(x - t) <= a, (x - t) * (x - t) / 2, a * (abs(x - t) - a / 2))), FORMULA(within(x - t, -a, a)),
       FORMULA(within(t - x, -a, a))},
      {"poisson", "x - t * log(x + 1e-7)", nullptr, 12, FORMULA(x - t * ln(x + kClip)), FORMULA(1 - t / (x + kClip)),
       FORMULA(-ln(x + kClip))},
      {"kl_divergence", "t * log(t / x), both clipped to [1e-7, 1]", nullptr, 16,
       FORMULA(within(t, kClip, 1.0f) * ln(within(t, kClip, 1.0f) / within(x, kClip, 1.0f))),
       FORMULA(select(less(x, kClip) || less(1.0f, x), 0.0f, -within(t, kClip, 1.0f) / x)),
       FORMULA(select(less(t, kClip) || less(1.0f, t), 0.0f, 1 + ln(t / within(x, kClip, 1.0f))))},
      {"hinge", "max(0, 1 - t * x), t = -1 or 1", nullptr, 3, FORMULA(at_least(1 - t * x, 0.0f)),
       FORMULA(select(t * x < 1.0f, -t, 0.0f)), FORMULA(select(t * x < 1.0f, -x, 0.0f))},
      {"squared_hinge", "max(0, 1 - t * x)^2, t = -1 or 1", nullptr, 4,
       FORMULA(at_least(1 - t * x, 0.0f) * at_least(1 - t * x, 0.0f)), FORMULA(-2 * t * at_least(1 - t * x, 0.0f)),
       FORMULA(-2 * x * at_least(1 - t * x, 0.0f))},
      {"sigmoid_crossentropy", "max(x, 0) - x * t + log(1 + exp(-|x|)): binary cross-entropy from logits", nullptr, 24,
       FORMULA(add(at_least(x, 0.0f) - x * t, softplus(-abs(x)))),  // what is left of x first: of t = 0 and 1 nothing
       FORMULA(select(x > 0.0f, add(1 - t, -sigmoid(-abs(x))), sigmoid(-abs(x)) - t)), FORMULA(-x)},
      {"binary_crossentropy", "-(t * log(p) + (1 - t) * log(1 - p)), p = x clipped to [1e-7, 1 - 1e-7]", nullptr, 24,
       FORMULA(-add(t * ln(within(x, kClip, 1 - kClip)), (1 - t) * log1p(-within(x, kClip, 1 - kClip)))),
       FORMULA(select(less(x, kClip) || less(1 - kClip, x), 0.0f, (x - t) / (x * (1 - x)))),
       FORMULA(log1p(-within(x, kClip, 1 - kClip)) - ln(within(x, kClip, 1 - kClip)))},
      {"contrastive", "(1 - t) * x^2 + t * max(0, margin - x)^2", "margin", 8,
       FORMULA(add((1 - t) * x * x, t * at_least(a - x, 0.0f) * at_least(a - x, 0.0f))),
       FORMULA(2 * add((1 - t) * x, -t * at_least(a - x, 0.0f))),
       FORMULA(at_least(a - x, 0.0f) * at_least(a - x, 0.0f) - x * x)}};
  return all;
}
#undef FORMULA

double parameter(const Pointwise& p, const Attrs& a) { return p.parameter ? a.f(p.parameter) : 0; }

OpDef forward(const Pointwise& p) {
  OpDef d;
  d.name = p.name;
  d.doc = fmt::format("Loss of each element: {}. Operands x, t.", p.doc);
  d.inputs = 2;
  d.shape = same_type(1);
  d.cost = per_element(p.flops);
  lowering(d).scalar = [&p](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{p.f.expr(in[0], in[1], lit(parameter(p, ctx.node.attrs)))};
  };
  d.reference = pointwise([&p](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{p.f.number(v[0], v[1], parameter(p, n.attrs))};
  });
  const std::string grad = d.name + "_grad";
  d.gradient = [grad](const GradContext& g) {
    std::vector<ValueId> r(2, kNone);
    Attrs a = g.n().attrs;
    for (int64_t i = 0; i < 2; ++i) {
      a.set("of", i);
      if (g.wanted[static_cast<size_t>(i)])
        r[static_cast<size_t>(i)] = g.emit(grad, {g.in(0), g.in(1), g.grads_out[0]}, a);
    }
    return r;
  };
  return d;
}

OpDef backward(const Pointwise& p) {
  OpDef d;
  d.name = std::string(p.name) + "_grad";
  d.doc = fmt::format("Gradient of {} in operand `of`, 0: x, 1: t. Operands x, t, dy.", p.name);
  d.inputs = 3;
  d.shape = same_type(2);
  d.cost = per_element(p.flops + 2);
  d.no_gradient = kNoSecond;
  lowering(d).scalar = [&p](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    const Formula& f = ctx.node.attrs.i("of") == 0 ? p.dx : p.dt;
    return Exprs{f.expr(in[0], in[1], lit(parameter(p, ctx.node.attrs))) * in[2]};
  };
  d.reference = pointwise([&p](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    const Formula& f = n.attrs.i("of") == 0 ? p.dx : p.dt;
    return std::vector<double>{f.number(v[0], v[1], parameter(p, n.attrs)) * v[2]};
  });
  return d;
}

/// The mean over elements of the operator `op`, whose parameter is the loss's one argument if it has one; `of_row`:
/// summed over the last dim instead.
LossDef mean_of(const char* name, const char* op, const char* doc, std::vector<ArgDef> args = {}, bool of_row = false) {
  LossDef l;
  l.name = name;
  l.doc = fmt::format("{} The label has the output's type.", doc);
  l.args = std::move(args);
  l.label_type = [](const Type& output) { return output; };
  l.check = [name, of_row](const Graph& g, ValueId output, const std::vector<ArgValue>&, std::string& error,
                           std::string& help) { return check_output(g, output, name, of_row ? 1 : 0, error, help); };
  const std::string parameter = l.args.empty() ? "" : l.args[0].name;
  l.build = [op, parameter, of_row](Graph& g, const OpTable& ops, ValueId output, ValueId label,
                                    const std::vector<ArgValue>& a) {
    Attrs attrs;
    if (!parameter.empty()) attrs.set(parameter, std::get<double>(a[0]));
    ValueId each = g.add(ops.at(op), {output, label}, std::move(attrs), kNone, "loss_of_element");
    if (!of_row) return mean_loss(g, ops, each);
    each = g.add(ops.at("sample_mean"), {each}, {}, kNone, "loss_of_element_mean");
    return mean_loss(g, ops,
                     g.add(ops.at("scale"), {each}, {{"factor", static_cast<double>(g.type(output).dims.back())}},
                           kNone, "loss_of_sample"));
  };
  return l;
}

}  // namespace

void add_pointwise_loss(Registry& r) {
  static const std::vector<OpDef> ops = [] {
    std::vector<OpDef> v;
    for (const Pointwise& p : pointwise_losses()) v.push_back(forward(p)), v.push_back(backward(p));
    return v;
  }();
  const auto between = [](double least, double most, LossDef l) { return l.least = least, l.most = most, l; };
  static const LossDef losses[] = {
      mean_of("mse", "squared_error", "Mean squared error: the mean of (y - label)^2."),
      mean_of("mae", "absolute_error", "Mean absolute error: the mean of |y - label|."),
      mean_of("huber", "huber",
              "Squared for small errors, absolute for large ones: the mean of d^2 / 2 where d = |y - label| <= delta, "
              "else delta * (d - delta / 2).",
              {{"delta", ArgType::number, ArgValue{1.0}, 1e-6, 1e6, {}, "the error from which it grows evenly"}}),
      between(0, kUnbounded,
              mean_of("poisson", "poisson",
                      "Of rates and counts, which are 0 or more: the mean of y - label * log(y + 1e-7).")),
      between(0, 1,
              mean_of("kl_divergence", "kl_divergence",
                      "Of distributions over the last dim: sum_c label[c] * log(label[c] / y[c]), both clipped to "
                      "[1e-7, 1], the mean over rows and batch.",
                      {}, true))};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LossDef& l : losses) r.losses.push_back(&l);
}

}  // namespace netc::ops
