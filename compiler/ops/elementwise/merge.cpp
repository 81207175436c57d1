// Layers that combine tensors element by element.
#include "compiler/ops/support.h"

namespace netc::ops {
namespace {

struct Merge {
  const char *name, *prefix, *doc, *op;
  int operands;       // as LayerDef::tensor_inputs
  bool mean = false;  // divides by the number of operands
};

const Merge kMerges[] = {
    {"Add", "add", "Sum of tensors of one shape; an extent of 1 is repeated. y = a + b + ...", "add", -2},
    {"Sub", "sub", "Difference of two tensors of one shape; an extent of 1 is repeated. y = a - b", "sub", 2},
    {"Mul", "mul", "Product of tensors of one shape, element by element; an extent of 1 is repeated. y = a * b * ...",
     "mul", -2},
    {"Div", "div", "Quotient of two tensors of one shape; an extent of 1 is repeated. y = a / b", "div", 2},
    {"Min", "min",
     "Smallest of tensors of one shape, element by element; an extent of 1 is repeated. y = min(a, b, ...)", "minimum",
     -2},
    {"Max", "max",
     "Largest of tensors of one shape, element by element; an extent of 1 is repeated. y = max(a, b, ...)", "maximum",
     -2},
    {"Average", "average",
     "Mean of tensors of one shape; an extent of 1 is repeated. y = (a + b + ...) / n, of n operands", "add", -2,
     true}};

ValueId build(LayerBuilder& b, const Merge& m) {
  if (!check_operand(b, m.name)) return kNone;
  ValueId y = b.in()[0];
  for (size_t i = 1; i < b.in().size(); ++i) {
    const Type types[] = {b.graph().type(y), b.in_type(static_cast<int>(i))};
    if (types[1].dtype != DType::f32 || !broadcast(types)) {
      return b.error(
          fmt::format("{} needs operands of one shape, but they are {}", m.name, list_shapes(types)),
          "bring both to one shape, as with Conv(channels, 1) on the shortcut; only an extent of 1 is repeated");
    }
    y = b.emit(m.op, {y, b.in()[i]});
  }
  return m.mean ? b.emit("scale", {y}, {{"factor", 1.0 / static_cast<double>(b.in().size())}}) : y;
}

LayerDef layer_def(const Merge& m) {
  LayerDef l;
  l.name = m.name;
  l.doc = m.doc;
  l.section = "Merging";
  l.weight_prefix = m.prefix;
  l.tensor_inputs = m.operands;
  l.build = [&m](LayerBuilder& b) { return build(b, m); };
  return l;
}

}  // namespace

void add_merge(Registry& r) {
  static const std::vector<LayerDef> layers = [] {
    std::vector<LayerDef> v;
    for (const Merge& m : kMerges) v.push_back(layer_def(m));
    return v;
  }();
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
