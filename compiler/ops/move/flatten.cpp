// Flatten and Reshape: a view of the same bytes in another shape.
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
      return b.error(
          fmt::format("Flatten needs an input whose extents are known, but its input is {}", shape_for_user(t)),
          "put Resize(height, width) before it");
    }
    if (t.rank() == 1) return b.in()[0];
    return b.emit("reshape", {b.in()[0]}, {{"dims", std::vector<int64_t>{t.elements()}}});
  };
  return l;
}

LayerDef reshape_layer() {
  LayerDef l;
  l.name = "Reshape";
  l.doc =
      "The same values, in row-major order, with other extents: Reshape(7, 7, 64), where one may be -1 and is what the "
      "others leave";
  l.section = "Shape";
  l.weight_prefix = "reshape";
  l.args = {{"dims", ArgType::integers, std::nullopt, -1, 1e9, {}, "extents of the result"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_extents(b, "Reshape")) return kNone;
    const Type t = b.in_type();
    const std::vector<int64_t> given = b.ints("dims");
    std::vector<int64_t> dims = given;
    const long open = std::count(dims.begin(), dims.end(), -1);
    double product = 1;
    for (const int64_t d : dims) product *= d == -1 ? 1.0 : static_cast<double>(d);
    const std::string what = fmt::format("Reshape({})", fmt::join(given, ", "));
    if (open > 1 || product == 0)
      return b.error(fmt::format("the extents of {} must be from 1 up, and -1 for one at most", what));
    if (dims.size() > 4)
      return b.error(fmt::format("{} has {} dimensions, and a sample has at most 4", what, dims.size()));
    const bool fits =
        open ? product <= elements(t) && t.elements() % static_cast<int64_t>(product) == 0 : product == elements(t);
    if (!fits) {
      return b.error(fmt::format("{} has {}{:.0f} values, but its input {} has {}", what, open ? "a multiple of " : "",
                                 product, shape_for_user(t), grouped(t.elements())),
                     "let one extent be -1: it is what the others leave");
    }
    for (int64_t& d : dims)
      if (d == -1) d = t.elements() / static_cast<int64_t>(product);
    return dims == t.dims ? b.in()[0] : b.emit("reshape", {b.in()[0]}, {{"dims", dims}});
  };
  return l;
}

}  // namespace

void add_flatten(Registry& r) {
  static const OpDef op = reshape();
  static const LayerDef layers[] = {layer_def(), reshape_layer()};
  r.ops.ops.push_back(&op);
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
