// Arithmetic on tensors, with unbatched operands of lower rank broadcast along the trailing dims.
#include "compiler/ops/support.h"

namespace netc::ops {
namespace {

OpDef binary(const char* name, const char* doc, Expr (*f)(const Expr&, const Expr&), double (*ref)(double, double)) {
  OpDef d;
  d.name = name;
  d.doc = doc;
  d.inputs = 2;
  d.shape = broadcasting();
  d.cost = per_element(1);
  d.scalar = [f](const LowerContext&, const Exprs& in, const Exprs&) { return Exprs{f(in[0], in[1])}; };
  d.reference = [ref](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    for (size_t i = 0; i < y.data.size(); ++i) y.data[i] = ref(in[0].data[i % in[0].data.size()], in[1].data[i % in[1].data.size()]);
    return Tensors{y};
  };
  return d;
}

ValueId scaled(const GradContext& g, ValueId v, double factor) { return g.emit("scale", {v}, {{"factor", factor}}); }

OpDef add() {
  OpDef d = binary("add", "y = a + b.", [](const Expr& a, const Expr& b) { return a + b; }, [](double a, double b) { return a + b; });
  d.gradient = [](const GradContext& g) {
    std::vector<ValueId> r(2, kNone);
    for (int i = 0; i < 2; ++i) {
      if (g.wanted[i]) r[i] = reduce_to(g, g.grads_out[0], Type(g.graph.type(g.in(i))));
    }
    return r;
  };
  return d;
}

OpDef sub() {
  OpDef d = binary("sub", "y = a - b.", [](const Expr& a, const Expr& b) { return a - b; }, [](double a, double b) { return a - b; });
  d.gradient = [](const GradContext& g) {
    std::vector<ValueId> r(2, kNone);
    if (g.wanted[0]) r[0] = reduce_to(g, g.grads_out[0], Type(g.graph.type(g.in(0))));
    if (g.wanted[1]) r[1] = scaled(g, reduce_to(g, g.grads_out[0], Type(g.graph.type(g.in(1)))), -1);
    return r;
  };
  return d;
}

OpDef mul() {
  OpDef d = binary("mul", "y = a * b.", [](const Expr& a, const Expr& b) { return a * b; }, [](double a, double b) { return a * b; });
  d.gradient = [](const GradContext& g) {
    std::vector<ValueId> r(2, kNone);
    for (int i = 0; i < 2; ++i) {
      if (g.wanted[i]) r[i] = reduce_to(g, g.emit("mul", {g.grads_out[0], g.in(1 - i)}), Type(g.graph.type(g.in(i))));
    }
    return r;
  };
  return d;
}

OpDef scale() {
  OpDef d;
  d.name = "scale";
  d.doc = "y = factor * x.";
  d.in_place = true;
  d.shape = same_type();
  d.cost = per_element(1);
  d.scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) { return Exprs{in[0] * lit(ctx.node.attrs.f("factor"))}; };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) { return std::vector<double>{v[0] * n.attrs.f("factor")}; });
  d.gradient = [](const GradContext& g) { return std::vector<ValueId>{scaled(g, g.grads_out[0], g.n().attrs.f("factor"))}; };
  return d;
}

OpDef constant_fill() {
  OpDef d;
  d.name = "constant_fill";
  d.doc = "A tensor of x's type with every element `value`: what a gradient starts from.";
  d.no_gradient = "it does not depend on its operand's contents";
  d.shape = same_type();
  d.cost = per_element(0);
  d.scalar = [](const LowerContext& ctx, const Exprs&, const Exprs&) { return Exprs{lit(ctx.node.attrs.f("value"))}; };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>&, int64_t) { return std::vector<double>{n.attrs.f("value")}; });
  return d;
}

LayerDef add_layer() {
  LayerDef l;
  l.name = "Add";
  l.doc = "Sum of tensors of one shape. y = a + b + ...";
  l.section = "Merging";
  l.weight_prefix = "add";
  l.tensor_inputs = -2;
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "Add")) return kNone;
    const Type first = b.in_type(0);
    ValueId sum = b.in()[0];
    for (size_t i = 1; i < b.in().size(); ++i) {
      const Type t = b.in_type(static_cast<int>(i));
      if (t != first) {
        return b.error(fmt::format("Add needs operands of one shape, but they are {} and {}", shape_for_user(first), shape_for_user(t)),
                       "bring both to one shape, as with Conv(channels, 1) on the shortcut");
      }
      sum = b.emit("add", {sum, b.in()[i]});
    }
    return sum;
  };
  return l;
}

}  // namespace

void add_arithmetic(Registry& r) {
  static const OpDef ops[] = {add(), sub(), mul(), scale(), constant_fill()};
  static const LayerDef layer = add_layer();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
