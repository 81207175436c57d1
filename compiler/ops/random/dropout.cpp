// Dropout (Srivastava et al. 2014) of elements, of whole channels (Tompson et al. 2015) and of whole samples
// (stochastic depth, Huang et al. 2016). The mask is never stored: it comes from counters (random.h), and the gradient
// computes it again.
#include "compiler/ops/random/random.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

enum class Whole { element, channel, sample };  // what is dropped or kept together

struct Drop {
  const char *op, *doc, *layer, *layer_doc, *prefix, *what;
  Whole whole;
  double rate;
};

const Drop kDrops[] = {
    {"dropout",
     "Each element is zero with probability `rate`, else x / (1 - rate); decided by (element, sample, seed, step, "
     "stream). Operands x, seed, step.",
     "Dropout", "Dropout in training, nothing in inference. y = x / (1 - rate) with probability 1 - rate, else 0",
     "dropout", "a value", Whole::element, 0.5},
    {"dropout_channels", "dropout of whole channels: one decision for each (channel, sample). Operands x, seed, step.",
     "SpatialDropout",
     "Dropout of whole channels in training, nothing in inference. "
     "y[..., c] = x[..., c] / (1 - rate) with probability 1 - rate, else 0; "
     "one decision for a channel of a sample",
     "spatial_dropout", "a channel", Whole::channel, 0.5},
    {"dropout_samples", "dropout of whole samples: one decision for each sample. Operands x, seed, step.", "DropPath",
     "Dropout of a sample's whole tensor in training, nothing in inference: stochastic depth, before the Add of a "
     "residual. "
     "y = x / (1 - rate) with probability 1 - rate, else 0; one decision for a sample",
     "drop_path", "a sample", Whole::sample, 0.1}};

/// The largest random number that drops an element: P(random < threshold) = rate.
uint32_t threshold(double rate) { return static_cast<uint32_t>(std::min(rate * 4294967296.0, 4294967295.0)); }

Expr counter(Whole whole, const Type& t, const Exprs& coords) {
  if (whole == Whole::sample || t.rank() == 0) return 0;
  return whole == Whole::channel ? coords[0] : element_index(t, coords);
}
int64_t counter(Whole whole, const Type& t, int64_t element) {
  if (whole == Whole::sample || t.rank() == 0) return 0;
  return whole == Whole::channel ? element % t.dims.back() : element;
}

OpDef dropout(const Drop& drop) {
  OpDef d;
  d.name = drop.op;
  d.doc = drop.doc;
  d.inputs = 3;
  d.in_place = true;
  d.random = true;
  d.cost = per_element(40);
  d.shape = random_shape(drop.op);
  lowering(d).scalar = [whole = drop.whole](const LowerContext& ctx, const Exprs& in, const Exprs& coords) {
    const double rate = ctx.node.attrs.f("rate");
    const Expr random = philox(counter(whole, ctx.out_type(), coords), coords.back(), in[1], in[2],
                               static_cast<uint32_t>(ctx.node.attrs.i("stream")))
                            .first;
    return Exprs{select(random < Expr(threshold(rate)), 0.0f, in[0] * lit(1 / (1 - rate)))};
  };
  d.reference = [whole = drop.whole](const Node& n, const Graph& g, const Tensors& in, int64_t) {
    RefTensor y = in[0];
    const double rate = n.attrs.f("rate");
    const Type& t = g.type(n.results[0]);
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      const uint32_t element = static_cast<uint32_t>(counter(whole, t, i % t.elements())),
                     sample = static_cast<uint32_t>(i / t.elements());
      const uint32_t random = philox(element, sample, static_cast<uint32_t>(in[1].data[0]),
                                     static_cast<uint32_t>(in[2].data[0]), static_cast<uint32_t>(n.attrs.i("stream")))
                                  .first;
      y.data[i] = random < threshold(rate) ? 0.0 : y.data[i] / (1 - rate);
    }
    return Tensors{y};
  };
  d.gradient = [me = d.name](const GradContext& g) {
    return std::vector<ValueId>{g.wanted[0] ? g.emit(me, {g.grads_out[0], g.in(1), g.in(2)}, g.n().attrs) : kNone,
                                kNone, kNone};
  };
  d.inference = [](Graph& g, NodeId n) { return std::vector<ValueId>{g.nodes[n].inputs[0]}; };
  return d;
}

ValueId dropped(LayerBuilder& b, ValueId x, const char* op, double rate) {
  return rate == 0 ? x : emit_random(b, x, op, {{"rate", rate}});
}

LayerDef layer_def(const Drop& drop) {
  LayerDef l;
  l.name = drop.layer;
  l.doc = drop.layer_doc;
  l.section = "Regularisation";
  l.weight_prefix = drop.prefix;
  l.args = {{"rate",
             ArgType::number,
             ArgValue{drop.rate},
             0,
             0.999999,
             {},
             fmt::format("probability that {} is dropped", drop.what)}};
  l.build = [&drop](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, drop.layer)) return kNone;
    return dropped(b, b.in()[0], drop.op, b.f("rate"));
  };
  return l;
}

}  // namespace

ValueId drop(LayerBuilder& b, ValueId x, double rate) { return dropped(b, x, "dropout", rate); }

void add_dropout(Registry& r) {
  static const OpDef ops[] = {dropout(kDrops[0]), dropout(kDrops[1]), dropout(kDrops[2])};
  static const LayerDef layers[] = {layer_def(kDrops[0]), layer_def(kDrops[1]), layer_def(kDrops[2])};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
