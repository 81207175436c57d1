// Flatten: a view of the same bytes in another shape.
#include "compiler/ops/support.h"

namespace netc::ops {
namespace {

OpDef reshape() {
  OpDef d;
  d.name = "reshape";
  d.doc = "The same elements in row-major order with extents `dims` per sample. Never a kernel.";
  d.kind = Kind::view;
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    Type t = in[0];
    t.dims = a.ints("dims");
    if (in[0].has_any_extent() || t.has_any_extent() || t.elements() != in[0].elements()) {
      error = fmt::format("reshape cannot make {} of {}", to_string(t), to_string(in[0]));
      return false;
    }
    out = {t};
    return true;
  };
  d.cost = per_element(0);
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    return Tensors{RefTensor{ref_dims(g.type(n.results[0]), batch), in[0].data}};
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.emit("reshape", {g.grads_out[0]}, {{"dims", g.graph.type(g.in(0)).dims}})};
  };
  return d;
}

LayerDef layer_def() {
  LayerDef l;
  l.name = "Flatten";
  l.doc = "All values of a sample in one row, in row-major order. y[(y*W + x)*C + c] = x[y, x, c]";
  l.section = "Shape";
  l.weight_prefix = "flatten";
  l.build = [](LayerBuilder& b) -> ValueId {
    const Type t = b.in_type();
    if (t.has_any_extent()) {
      return b.error(fmt::format("Flatten needs an input whose extents are known, but its input is {}", shape_for_user(t)),
                     "put Resize(height, width) before it");
    }
    if (t.rank() == 1) return b.in()[0];
    return b.emit("reshape", {b.in()[0]}, {{"dims", std::vector<int64_t>{t.elements()}}});
  };
  return l;
}

}  // namespace

void add_flatten(Registry& r) {
  static const OpDef op = reshape();
  static const LayerDef layer = layer_def();
  r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
