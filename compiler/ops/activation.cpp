// Activations, element by element. Their gradients read the result y, not the operand, so the operand's memory is free after the forward pass.
#include "compiler/ops/support.h"

namespace netc::ops {
namespace {

struct Activation {
  const char *name, *layer, *doc, *grad_doc;
  double flops;
  Expr (*f)(const Expr& x);
  Expr (*df)(const Expr& dy, const Expr& y);
  double (*ref)(double x);
  double (*ref_df)(double dy, double y);
};

const Activation kActivations[] = {
    {"relu", "ReLU", "Rectifier: y = max(x, 0)", "dx = dy where y > 0, else 0.", 1,
     [](const Expr& x) { return max(x, 0.0f); }, [](const Expr& dy, const Expr& y) { return select(y > 0.0f, dy, 0.0f); },
     [](double x) { return x > 0 ? x : 0.0; }, [](double dy, double y) { return y > 0 ? dy : 0.0; }},
    {"sigmoid", "Sigmoid", "Logistic function: y = 1 / (1 + exp(-x))", "dx = dy * y * (1 - y).", 10,
     [](const Expr& x) { return 1.0f / (1.0f + exp(-x)); }, [](const Expr& dy, const Expr& y) { return dy * y * (1.0f - y); },
     [](double x) { return 1 / (1 + std::exp(-x)); }, [](double dy, double y) { return dy * y * (1 - y); }},
    {"tanh", "Tanh", "Hyperbolic tangent: y = tanh(x)", "dx = dy * (1 - y^2).", 12,
     [](const Expr& x) { return 2.0f / (1.0f + exp(-2.0f * x)) - 1.0f; }, [](const Expr& dy, const Expr& y) { return dy * (1.0f - y * y); },
     [](double x) { return std::tanh(x); }, [](double dy, double y) { return dy * (1 - y * y); }}};

OpDef forward(const Activation& a) {
  OpDef d;
  d.name = a.name;
  d.doc = std::string(a.doc) + ".";
  d.in_place = true;
  d.shape = same_type();
  d.cost = per_element(a.flops);
  if (d.name == "sigmoid") d.meaning = Meaning::probability;
  d.scalar = [&a](const LowerContext&, const Exprs& in, const Exprs&) { return Exprs{a.f(in[0])}; };
  d.reference = pointwise([&a](const Node&, const Graph&, const std::vector<double>& v, int64_t) { return std::vector<double>{a.ref(v[0])}; });
  const std::string grad = std::string(a.name) + "_grad";
  d.gradient = [grad](const GradContext& g) { return std::vector<ValueId>{g.emit(grad, {g.grads_out[0], g.out()})}; };
  return d;
}

OpDef backward(const Activation& a) {
  OpDef d;
  d.name = std::string(a.name) + "_grad";
  d.doc = a.grad_doc;
  d.inputs = 2;
  d.in_place = true;
  d.shape = same_type(1);
  d.cost = per_element(3);
  d.no_gradient = kNoSecond;
  d.scalar = [&a](const LowerContext&, const Exprs& in, const Exprs&) { return Exprs{a.df(in[0], in[1])}; };
  d.reference = pointwise([&a](const Node&, const Graph&, const std::vector<double>& v, int64_t) { return std::vector<double>{a.ref_df(v[0], v[1])}; });
  return d;
}

LayerDef layer(const Activation& a) {
  LayerDef l;
  l.name = a.layer;
  l.doc = a.doc;
  l.section = "Activation";
  l.weight_prefix = a.name;
  l.build = [&a](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, a.layer)) return kNone;
    return b.emit(a.name, {b.in()[0]});
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
  static const std::vector<LayerDef> layers = [] {
    std::vector<LayerDef> v;
    for (const Activation& a : kActivations) v.push_back(layer(a));
    return v;
  }();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
