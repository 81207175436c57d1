// Arithmetic on tensors of two operands, broadcast to one shape, and the operators that gradients of it need.
#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/elementwise/functions.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

constexpr double kLargest = 3e38;  // less than the largest float

ValueId scaled(const GradContext& g, ValueId v, double factor) { return g.emit("scale", {v}, {{"factor", factor}}); }
ValueId times(const GradContext& g, ValueId a, ValueId b) { return g.emit("mul", {a, b}); }

/// Gradients of both operands from those of the broadcast ones.
template <class A, class B>
std::function<std::vector<ValueId>(const GradContext&)> both(A a, B b) {
  return [a, b](const GradContext& g) {
    std::vector<ValueId> r(2, kNone);
    if (g.wanted[0]) r[0] = reduce_to(g, a(g, g.grads_out[0]), g.graph.type(g.in(0)));
    if (g.wanted[1]) r[1] = reduce_to(g, b(g, g.grads_out[0]), g.graph.type(g.in(1)));
    return r;
  };
}
ValueId same(const GradContext&, ValueId dy) { return dy; }

OpDef binary(const char* name, const char* doc, double flops, Expr (*f)(const Expr&, const Expr&),
             double (*ref)(double, double)) {
  OpDef d;
  d.name = name;
  d.doc = doc;
  d.inputs = 2;
  d.shape = broadcasting();
  d.cost = per_element(flops);
  lowering(d).scalar = [f](const LowerContext&, const Exprs& in, const Exprs&) { return Exprs{f(in[0], in[1])}; };
  d.reference = pointwise([ref](const Node&, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{ref(v[0], v[1])};
  });
  return d;
}

OpDef add() {
  OpDef d = binary(
      "add", "y = a + b.", 1, [](const Expr& a, const Expr& b) { return a + b; },
      [](double a, double b) { return a + b; });
  d.gradient = both(same, same);
  return d;
}

// One operation: of a - (b + c) LLVM would make a - b - c, which need not be 0 where a is b + c; a norm that follows
// makes one of it.
OpDef sub() {
  OpDef d = binary(
      "sub", "y = a - b.", 1, [](const Expr& a, const Expr& b) { return exact::sub(a, b); },
      [](double a, double b) { return a - b; });
  d.gradient = [](const GradContext& g) {
    std::vector<ValueId> r(2, kNone);
    if (g.wanted[0]) r[0] = reduce_to(g, g.grads_out[0], g.graph.type(g.in(0)));
    // the factor last: it is the smaller tensor
    if (g.wanted[1]) r[1] = scaled(g, reduce_to(g, g.grads_out[0], g.graph.type(g.in(1))), -1);
    return r;
  };
  return d;
}

OpDef mul() {
  OpDef d = binary(
      "mul", "y = a * b.", 1, [](const Expr& a, const Expr& b) { return a * b; },
      [](double a, double b) { return a * b; });
  d.gradient = both([](const GradContext& g, ValueId dy) { return times(g, dy, g.in(1)); },
                    [](const GradContext& g, ValueId dy) { return times(g, dy, g.in(0)); });
  return d;
}

OpDef div() {
  OpDef d = binary(
      "div", "y = a / b.", 4, [](const Expr& a, const Expr& b) { return a / b; },
      [](double a, double b) { return a / b; });
  d.gradient = both(
      [](const GradContext& g, ValueId dy) { return g.emit("div", {dy, g.in(1)}); },
      [](const GradContext& g, ValueId dy) { return scaled(g, times(g, dy, g.emit("div", {g.out(), g.in(1)})), -1); });
  return d;
}

/// Where the operands are equal, the gradient is the first's.
OpDef minimum() {
  OpDef d = binary(
      "minimum", "y = min(a, b); NaN where either is.", 1,
      [](const Expr& a, const Expr& b) { return exact::smallest(a, b); },
      [](double a, double b) { return std::isnan(a) || a < b ? a : b; });
  d.gradient =
      both([](const GradContext& g, ValueId dy) { return times(g, dy, g.emit("less_equal", {g.in(0), g.in(1)})); },
           [](const GradContext& g, ValueId dy) { return times(g, dy, g.emit("less", {g.in(1), g.in(0)})); });
  return d;
}

OpDef maximum() {
  OpDef d = binary(
      "maximum", "y = max(a, b); NaN where either is.", 1,
      [](const Expr& a, const Expr& b) { return exact::largest(a, b); },
      [](double a, double b) { return std::isnan(a) || a > b ? a : b; });
  d.gradient =
      both([](const GradContext& g, ValueId dy) { return times(g, dy, g.emit("less_equal", {g.in(1), g.in(0)})); },
           [](const GradContext& g, ValueId dy) { return times(g, dy, g.emit("less", {g.in(0), g.in(1)})); });
  return d;
}

OpDef pow_op() {
  OpDef d = binary(
      "pow", "y = a^b; a may be negative where b is an integer.", 30,
      [](const Expr& a, const Expr& b) { return exact::pow(a, b); }, [](double a, double b) { return std::pow(a, b); });
  d.gradient = both(
      [](const GradContext& g, ValueId dy) {
        const ValueId lower = g.emit("rescale", {g.in(1)}, {{"scale", 1.0}, {"offset", -1.0}});
        return times(g, dy, times(g, g.in(1), g.emit("pow", {g.in(0), lower})));
      },
      [](const GradContext& g, ValueId dy) {  // y * log(a), zero where a is
        const ValueId base = g.emit("clip", {g.in(0)}, {{"min", 1e-37}, {"max", kLargest}});
        return times(g, dy, times(g, g.out(), g.emit("log", {base})));
      });
  return d;
}

OpDef less(bool or_equal) {
  OpDef d = or_equal ? binary(
                           "less_equal", "y = 1 where a <= b, else 0.", 1,
                           [](const Expr& a, const Expr& b) { return select(a <= b, 1.0f, 0.0f); },
                           [](double a, double b) { return a <= b ? 1.0 : 0.0; })
                     : binary(
                           "less", "y = 1 where a < b, else 0.", 1,
                           [](const Expr& a, const Expr& b) { return select(a < b, 1.0f, 0.0f); },
                           [](double a, double b) { return a < b ? 1.0 : 0.0; });
  d.no_gradient = "it is zero wherever there is one";
  return d;
}

OpDef scale() {
  OpDef d;
  d.name = "scale";
  d.doc = "y = factor * x.";
  d.in_place = true;
  d.shape = same_type();
  d.cost = per_element(1);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{in[0] * lit(ctx.node.attrs.f("factor"))};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{v[0] * n.attrs.f("factor")};
  });
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{scaled(g, g.grads_out[0], g.n().attrs.f("factor"))};
  };
  return d;
}

OpDef expand() {
  OpDef d;
  d.name = "expand";
  d.doc = "x broadcast to the extents `dims`: the gradient of a sum.";
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const Type want = f32(a.ints("dims"), in[0].batched);
    const Type types[] = {in[0], want};
    if (broadcast(types) != want) {
      error = fmt::format("expand cannot make {} of {}", to_string(want), to_string(in[0]));
      return false;
    }
    out = {want};
    return true;
  };
  lowering(d).scalar = [](const LowerContext&, const Exprs& in, const Exprs&) { return Exprs{in[0]}; };
  d.reference = pointwise([](const Node&, const Graph&, const std::vector<double>& v, int64_t) { return v; });
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{reduce_to(g, g.grads_out[0], g.graph.type(g.in(0)))};
  };
  return d;
}

OpDef constant_fill() {
  OpDef d;
  d.name = "constant_fill";
  d.doc = "A tensor of x's type with every element `value`: what a gradient starts from.";
  d.no_gradient = "it does not depend on its operand's contents";
  d.shape = same_type();
  d.cost = per_element(0);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs&, const Exprs&) {
    return Exprs{lit(ctx.node.attrs.f("value"))};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>&, int64_t) {
    return std::vector<double>{n.attrs.f("value")};
  });
  return d;
}

OpDef copy() {
  OpDef d;
  d.name = "copy";
  d.doc = "y = x, in memory of its own: an output that is an input.";
  d.shape = same_type();
  d.cost = per_element(0);
  lowering(d).scalar = [](const LowerContext&, const Exprs& in, const Exprs&) { return Exprs{in[0]}; };
  d.reference = pointwise([](const Node&, const Graph&, const std::vector<double>& v, int64_t) { return v; });
  d.gradient = [](const GradContext& g) { return std::vector<ValueId>{g.grads_out[0]}; };
  return d;
}

Write op_of_two(const char* op) {
  return [op](const Writer& w, const std::vector<ValueId>& a) { return w(op, {a[0], a[1]}); };
}
Write folded(const char* op) {
  return [op](const Writer& w, const std::vector<ValueId>& a) {
    ValueId y = a[0];
    for (size_t i = 1; i < a.size(); ++i) y = w(op, {y, a[i]});
    return y;
  };
}

/// The number that a constant is everywhere, where raising to it leaves `base`'s shape.
std::optional<double> exponent(const Graph& g, ValueId base, ValueId v) {
  if (g.values[v].def != kNone) return std::nullopt;
  const Variable& c = g.variables[g.values[v].variable];
  const Type types[] = {g.type(base), g.type(v)};
  if (c.role != Role::constant || c.literal.empty() || broadcast(types) != g.type(base)) return std::nullopt;
  for (float x : c.literal) {
    if (x != c.literal[0]) return std::nullopt;
  }
  return c.literal[0];
}

/// Exponents that have an operator of their own are exact, and cheap.
ValueId write_pow(const Writer& w, const std::vector<ValueId>& a) {
  const std::optional<double> e = exponent(w.graph, a[0], a[1]);
  if (e == 1) return a[0];
  if (e == 2) return w("squared", {a[0]});
  if (e == 3) return w("mul", {a[0], w("squared", {a[0]})});
  if (e == 0.5) return w("sqrt", {a[0]});
  if (e == -0.5) return w("rsqrt", {a[0]});
  if (e == -1) return w("reciprocal", {a[0]});
  return w("pow", a);
}

constexpr int kMany = 64;  // operands of one min or max

}  // namespace

void add_arithmetic(Registry& r) {
  static const OpDef ops[] = {add(),       sub(),      mul(),   div(),    minimum(),       maximum(), pow_op(),
                              less(false), less(true), scale(), expand(), constant_fill(), copy()};
  static const FunctionDef functions[] = {
      elementwise_function("+", "a + b", 2, 2, op_of_two("add")),
      elementwise_function("-", "a - b", 2, 2, op_of_two("sub")),
      elementwise_function("*", "a * b", 2, 2, op_of_two("mul")),
      elementwise_function("/", "a / b", 2, 2, op_of_two("div")),
      elementwise_function("^", "a to the power b; a may be negative where b is an integer", 2, 2, write_pow),
      elementwise_function(
          "neg", "-x", 1, 1,
          [](const Writer& w, const std::vector<ValueId>& a) { return w("scale", {a[0]}, {{"factor", -1.0}}); }),
      elementwise_function("pow", "pow(a, b): a to the power b; a may be negative where b is an integer", 2, 2,
                           write_pow),
      elementwise_function("min", "min(a, b, ...): the smallest", 2, kMany, folded("minimum")),
      elementwise_function("max", "max(a, b, ...): the largest", 2, kMany, folded("maximum"))};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const FunctionDef& f : functions) r.functions.push_back(&f);
}

}  // namespace netc::ops
