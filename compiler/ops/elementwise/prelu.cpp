// PReLU (He et al. 2015): a rectifier whose slope below zero is trained, one per channel.
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

constexpr double kLargest = 3e38;

bool check_slope(const char* name, const Type& x, const Type& slope, Types all, std::string& error) {
  if (x.dtype == DType::f32 && x.rank() > 0 && slope == f32({x.dims.back()}, false)) return true;
  error = fmt::format("{} needs f32[..., C] and f32[C], not {}", name, list_types(all));
  return false;
}

OpDef prelu() {
  OpDef d;
  d.name = "prelu";
  d.doc = "y = x where x > 0, else slope[c] * x. Operands x, slope.";
  d.inputs = 2;
  d.in_place = true;
  d.cost = per_element(2);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!check_slope("prelu", in[0], in[1], in, error)) return false;
    out = {in[0]};
    return true;
  };
  lowering(d).scalar = [](const LowerContext&, const Exprs& in, const Exprs&) {
    return Exprs{select(in[0] > 0.0f, in[0], in[1] * in[0])};
  };
  d.reference = pointwise([](const Node&, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{v[0] > 0 ? v[0] : v[1] * v[0]};
  });
  d.gradient = [](const GradContext& g) {
    std::vector<ValueId> r(2, kNone);
    if (g.wanted[0]) r[0] = g.emit("prelu_grad", {g.grads_out[0], g.in(0), g.in(1)});
    if (g.wanted[1]) {
      const ValueId below = g.emit("clip", {g.in(0)}, {{"min", -kLargest}, {"max", 0.0}});
      r[1] = reduce_to(g, g.emit("mul", {g.grads_out[0], below}), g.graph.type(g.in(1)));
    }
    return r;
  };
  return d;
}

OpDef prelu_grad() {
  OpDef d;
  d.name = "prelu_grad";
  d.doc = "Gradient of prelu in x: dx = dy where x > 0, else slope[c] * dy. Operands dy, x, slope.";
  d.inputs = 3;
  d.in_place = true;
  d.no_gradient = kNoSecond;
  d.cost = per_element(2);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!check_slope("prelu_grad", in[0], in[2], in, error)) return false;
    if (in[1] != in[0]) {
      error = fmt::format("prelu_grad needs x of dy's type, not {}", list_types(in));
      return false;
    }
    out = {in[0]};
    return true;
  };
  lowering(d).scalar = [](const LowerContext&, const Exprs& in, const Exprs&) {
    return Exprs{select(in[1] > 0.0f, in[0], in[2] * in[0])};
  };
  d.reference = pointwise([](const Node&, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{v[1] > 0 ? v[0] : v[2] * v[0]};
  });
  return d;
}

LayerDef layer_def() {
  LayerDef l;
  l.name = "PReLU";
  l.doc =
      "Rectifier with a trained slope below zero for each channel. y[c] = x[c] where x[c] > 0, else slope[c] * x[c]";
  l.section = "Activation";
  l.weight_prefix = "prelu";
  l.args = {{"start", ArgType::number, ArgValue{0.25}, -1000, 1000, {}, "every slope before training"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "PReLU")) return kNone;
    const Type x = b.in_type();
    if (x.rank() == 0) return b.error("PReLU needs an input with channels, but its input is a single number");
    const ValueId slope =
        b.variable("slope", f32({x.dims.back()}, false), Initializer{"constant", b.f("start"), 0, 0, 0});
    return b.emit("prelu", {b.in()[0], slope});
  };
  return l;
}

}  // namespace

void add_prelu(Registry& r) {
  static const OpDef ops[] = {prelu(), prelu_grad()};
  static const LayerDef layer = layer_def();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
