// Rescale: from what a file holds (bytes of an image) to numbers of the size a network likes.
#include "compiler/ir/remedies.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

OpDef rescale() {
  OpDef d;
  d.name = "rescale";
  d.doc = "y = x * scale + offset, in f32, of u8 or f32.";
  d.cost = per_element(2);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0].dtype != DType::u8 && in[0].dtype != DType::f32) {
      error = fmt::format("rescale needs u8 or f32, not {}", to_string(in[0]));
      return false;
    }
    out = {f32(in[0].dims, in[0].batched)};
    return true;
  };
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{cast<float>(in[0]) * lit(ctx.node.attrs.f("scale")) + lit(ctx.node.attrs.f("offset"))};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{v[0] * n.attrs.f("scale") + n.attrs.f("offset")};
  });
  d.gradient = [](const GradContext& g) {
    const bool through = g.wanted[0] && g.graph.type(g.in(0)).dtype == DType::f32;
    return std::vector<ValueId>{through ? g.emit("scale", {g.grads_out[0]}, {{"factor", g.n().attrs.f("scale")}})
                                        : kNone};
  };
  return d;
}

LayerDef layer_def() {
  LayerDef l;
  l.name = "Rescale";
  l.doc = "Linear map of every value. y = x * scale + offset";
  l.section = "Preprocessing";
  l.weight_prefix = "rescale";
  l.args = {{"scale", ArgType::number, std::nullopt, -1e6, 1e6, {}, "factor, as 1/255"},
            {"offset", ArgType::number, ArgValue{0.0}, -1e6, 1e6, {}, "added after the factor"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (b.f("scale") == 0)
      return b.error("Rescale by 0 makes all values the same", "the factor is usually 1/255, of an image's bytes");
    const DType t = b.in_type().dtype;
    if (t != DType::u8 && t != DType::f32)
      return b.error(fmt::format("Rescale needs u8 or f32 values, but its input is {}", shape_for_user(b.in_type())),
                     type_remedy(b.in_type()));
    return b.emit("rescale", {b.in()[0]}, {{"scale", b.f("scale")}, {"offset", b.f("offset")}});
  };
  return l;
}

}  // namespace

void add_rescale(Registry& r) {
  static const OpDef op = rescale();
  static const LayerDef layer = layer_def();
  r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
