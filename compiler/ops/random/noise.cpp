// Gaussian noise on activations: two random numbers of a counter (random.h) make one normal number (Box and Muller
// 1958).
#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/random/random.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

constexpr double kTwoPi = 6.28318530717958647693, kUnit = 1.0 / 16777216;  // 24 bits of each: exact as float

OpDef noise() {
  OpDef d;
  d.name = "noise";
  d.doc = "y = x + stddev * a normal number of (element, sample, seed, step, stream). Operands x, seed, step.";
  d.inputs = 3;
  d.in_place = true;
  d.random = true;
  d.cost = per_element(80);
  d.shape = random_shape("noise");
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs& coords) {
    const auto [a, b] = philox(element_index(ctx.out_type(), coords), coords.back(), in[1], in[2],
                               static_cast<uint32_t>(ctx.node.attrs.i("stream")));
    const Expr u = cast<float>(cast<int32_t>(a >> 8) + 1) * lit(kUnit),
               turn = cast<float>(cast<int32_t>(b >> 8)) * lit(kUnit);
    return Exprs{in[0] +
                 lit(ctx.node.attrs.f("stddev")) * sqrt(-2.0f * exact::log(u)) * exact::cos(lit(kTwoPi) * turn)};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t) {
    RefTensor y = in[0];
    const int64_t per_sample = g.type(n.results[0]).elements();
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      const auto [a, b] = philox(static_cast<uint32_t>(i % per_sample), static_cast<uint32_t>(i / per_sample),
                                 static_cast<uint32_t>(in[1].data[0]), static_cast<uint32_t>(in[2].data[0]),
                                 static_cast<uint32_t>(n.attrs.i("stream")));
      const double u = ((a >> 8) + 1) * kUnit, turn = (b >> 8) * kUnit;
      y.data[i] += n.attrs.f("stddev") * std::sqrt(-2 * std::log(u)) * std::cos(kTwoPi * turn);
    }
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) { return std::vector<ValueId>{g.grads_out[0], kNone, kNone}; };
  d.inference = [](Graph& g, NodeId n) { return std::vector<ValueId>{g.nodes[n].inputs[0]}; };
  return d;
}

LayerDef layer_def() {
  LayerDef l;
  l.name = "Noise";
  l.doc = "Gaussian noise in training, nothing in inference. y = x + stddev * e, of a normal number e for each value";
  l.section = "Regularisation";
  l.weight_prefix = "noise";
  l.args = {{"stddev", ArgType::number, std::nullopt, 0, 1000, {}, "standard deviation of the noise"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "Noise")) return kNone;
    if (b.f("stddev") == 0) return b.in()[0];
    return emit_random(b, b.in()[0], "noise", {{"stddev", b.f("stddev")}});
  };
  return l;
}

}  // namespace

void add_noise(Registry& r) {
  static const OpDef op = noise();
  static const LayerDef layer = layer_def();
  r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
