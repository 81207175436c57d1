// Dropout (Srivastava et al. 2014). The mask is never stored: it comes from a counter-based generator, Philox2x32 with 7 rounds
// (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), of the element, the sample, the step and the layer; the gradient computes it again.
#include "compiler/ops/support.h"

namespace netc::ops {
namespace {

constexpr uint32_t kMultiplier = 0xD256D193u, kWeyl = 0x9E3779B9u, kMix = 0x85EBCA6Bu;
constexpr int kRounds = 7;

/// The largest random number that drops an element: P(random < threshold) = rate.
uint32_t threshold(double rate) { return static_cast<uint32_t>(std::min(rate * 4294967296.0, 4294967295.0)); }

/// One 32-bit random number of (element, sample) under the step's and the layer's key.
Expr philox(Expr element, Expr sample, Expr seed, Expr step, uint32_t stream) {
  auto u32 = [](Expr e) { return cast<uint32_t>(std::move(e)); };
  Expr key = u32(seed) ^ (u32(step) * Expr(kMix) + Expr(stream * kWeyl));
  Expr a = u32(element), b = u32(sample);
  for (int i = 0; i < kRounds; ++i) {
    const Expr product = cast<uint64_t>(a) * cast<uint64_t>(Expr(kMultiplier));
    const Expr high = cast<uint32_t>(product >> 32);
    a = high ^ key ^ b;
    b = cast<uint32_t>(product & cast<uint64_t>(Expr(0xFFFFFFFFu)));
    key = key + Expr(kWeyl);
  }
  return a;
}

uint32_t philox(uint32_t element, uint32_t sample, uint32_t seed, uint32_t step, uint32_t stream) {
  uint32_t key = seed ^ (step * kMix + stream * kWeyl), a = element, b = sample;
  for (int i = 0; i < kRounds; ++i) {
    const uint64_t product = static_cast<uint64_t>(a) * kMultiplier;
    a = static_cast<uint32_t>(product >> 32) ^ key ^ b;
    b = static_cast<uint32_t>(product);
    key += kWeyl;
  }
  return a;
}

OpDef dropout() {
  OpDef d;
  d.name = "dropout";
  d.doc = "Each element is zero with probability `rate`, else x / (1 - rate); decided by (element, sample, seed, step, stream). Operands x, seed, step.";
  d.inputs = 3;
  d.in_place = true;
  d.random = true;
  d.cost = per_element(40);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    const Type scalar{DType::u32, false, {}};
    if (in[0].dtype != DType::f32 || !in[0].batched || in[1] != scalar || in[2] != scalar) {
      error = fmt::format("dropout needs f32[N, ...], u32[] and u32[], not {}", list_types(in));
      return false;
    }
    out = {in[0]};
    return true;
  };
  d.scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs& coords) {
    const Type& t = ctx.out_type();
    Expr element = 0;
    for (int i = t.rank() - 1; i >= 0; --i) element = element * static_cast<int>(t.dims[t.rank() - 1 - i]) + coords[i];
    const double rate = ctx.node.attrs.f("rate");
    const Expr random = philox(element, coords.back(), in[1], in[2], static_cast<uint32_t>(ctx.node.attrs.i("stream")));
    return Exprs{select(random < Expr(threshold(rate)), 0.0f, in[0] * lit(1 / (1 - rate)))};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = in[0];
    const double rate = n.attrs.f("rate");
    const int64_t per_sample = g.type(n.results[0]).elements();
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      const uint32_t random = philox(static_cast<uint32_t>(i % per_sample), static_cast<uint32_t>(i / per_sample), static_cast<uint32_t>(in[1].data[0]),
                                     static_cast<uint32_t>(in[2].data[0]), static_cast<uint32_t>(n.attrs.i("stream")));
      y.data[i] = random < threshold(rate) ? 0.0 : y.data[i] / (1 - rate);
    }
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.wanted[0] ? g.emit("dropout", {g.grads_out[0], g.in(1), g.in(2)}, g.n().attrs) : kNone, kNone, kNone};
  };
  d.inference = [](Graph& g, NodeId n) { return std::vector<ValueId>{g.nodes[n].inputs[0]}; };
  return d;
}

ValueId step_scalar(Graph& g, const char* name) {
  const int32_t v = g.find_variable(name);
  if (v != kNone) return g.variables[v].value;
  Variable var;
  var.name = name;
  var.role = Role::scalar;
  return g.add_variable(var, Type{DType::u32, false, {}});
}

}  // namespace

ValueId drop(LayerBuilder& b, ValueId x, double rate) {
  if (rate == 0) return x;
  Graph& g = b.graph();
  const ValueId seed = step_scalar(g, "seed"), step = step_scalar(g, "step");
  int64_t stream = 1;  // one per place in the net, so that no two layers drop alike
  for (const Node& n : g.nodes) stream += n.op->random ? 1 : 0;
  return b.emit("dropout", {x, seed, step}, {{"rate", rate}, {"stream", stream}});
}

namespace {

LayerDef layer_def() {
  LayerDef l;
  l.name = "Dropout";
  l.doc = "Dropout in training, nothing in inference. y = x / (1 - rate) with probability 1 - rate, else 0";
  l.section = "Regularisation";
  l.weight_prefix = "dropout";
  l.args = {{"rate", ArgType::number, ArgValue{0.5}, 0, 0.999999, {}, "probability that a value is dropped"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "Dropout")) return kNone;
    return drop(b, b.in()[0], b.f("rate"));
  };
  return l;
}

}  // namespace

void add_dropout(Registry& r) {
  static const OpDef op = dropout();
  static const LayerDef layer = layer_def();
  r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
