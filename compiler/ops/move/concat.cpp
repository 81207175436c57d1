// Concatenation along any axis, and Stack, which is one along a new axis.
#include <numeric>

#include "compiler/ops/move/moves.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

OpDef concat() {
  OpDef d;
  d.name = "concat";
  d.doc = "The operands one after another along `axis`. They are of one type but for that extent.";
  d.kind = Kind::gather;
  d.inputs = -1;
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const int64_t axis = a.i("axis");
    Type t = in[0];
    bool fits = movable(t) && axis >= 0 && axis < t.rank();
    for (size_t i = 1; fits && i < in.size(); ++i) {
      Type like = in[i];
      fits = movable(like) && like.rank() == t.rank();
      if (fits) like.dims[axis] = t.dims[axis] += like.dims[axis];
      fits = fits && like == t;
    }
    if (!fits) return misfit(error, "concat", fmt::format("operands that differ in dim {} only", axis), in);
    out = {t};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const int64_t axis = ctx.node.attrs.i("axis");
    const int a = coordinate(ctx.out_type(), axis), operands = static_cast<int>(ctx.in.size());
    // Channels are taken by blocks of the extents' common divisor: a vector that fits into a block reads one operand,
    // consecutive elements of it.
    int block = a == 0 ? 0 : 1;
    for (int i = 0; a == 0 && i < operands; ++i) block = std::gcd(block, extent_of(ctx.in_type(i), axis));
    const std::vector<Var> v = vars_of(ctx.out_type());
    const Expr which = v[a] / block;
    int end = extent_of(ctx.out_type(), axis) / block;
    Expr value;
    for (int i = operands; i-- > 0;) {
      const int n = extent_of(ctx.in_type(i), axis) / block;
      Exprs at = exprs(v);
      at[a] = clamp(which - (end - n), 0, n - 1) * block + v[a] % block;
      const Expr here = ctx.in[i](at);
      value = value.defined() ? select(which < end, here, value) : here;
      end -= n;
    }
    Func y("concat");
    y(v) = value;
    return Lowered{{y}};
  };
  d.reference = by_coordinates([](const Node& n, const Graph&, const Tensors& in, At at, size_t first) {
    int64_t& i = at[first + static_cast<size_t>(n.attrs.i("axis"))];
    for (const RefTensor& t : in) {
      const int64_t extent = t.dims[first + static_cast<size_t>(n.attrs.i("axis"))];
      if (i < extent) return element(t, at);
      i -= extent;
    }
    return 0.0;
  });
  d.gradient = [](const GradContext& g) {
    const size_t axis = static_cast<size_t>(g.n().attrs.i("axis"));
    const std::vector<ValueId> operands = g.n().inputs;
    std::vector<ValueId> r;
    int64_t from = 0;
    for (size_t i = 0; i < operands.size(); ++i) {
      const std::vector<int64_t> extent = g.graph.type(operands[i]).dims;
      std::vector<int64_t> begin(extent.size(), 0), step(extent.size(), 1);
      begin[axis] = from;
      from += extent[axis];
      r.push_back(g.wanted[i]
                      ? g.emit("slice", {g.grads_out[0]}, {{"begin", begin}, {"extent", extent}, {"step", step}})
                      : kNone);
    }
    return r;
  };
  return d;
}

LayerDef concat_layer() {
  LayerDef l;
  l.name = "Concat";
  l.doc = "Tensors one after another along an axis, where they may differ in extent. y = [a, b, ...]";
  l.section = "Merging";
  l.weight_prefix = "concat";
  l.tensor_inputs = -2;
  l.args = {axis_arg()};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_extents(b, "Concat")) return kNone;
    const Type first = b.in_type();
    const int axis = axis_of(b, "Concat", first);
    if (axis == kNone) return kNone;
    for (size_t i = 1; i < b.in().size(); ++i) {
      Type t = b.in_type(static_cast<int>(i));
      const std::string shape = shape_for_user(t);
      if (t.rank() == first.rank()) t.dims[axis] = first.dims[axis];
      if (t != first) {
        return b.error(fmt::format("Concat along {} needs operands that are equal in all else, but they are {} and {}",
                                   b.s("axis"), shape_for_user(first), shape),
                       "bring both to one shape, as with Upsample(2) or MaxPool(2) on one of them");
      }
    }
    return b.emit("concat", b.in(), {{"axis", int64_t{axis}}});
  };
  return l;
}

LayerDef stack_layer() {
  LayerDef l;
  l.name = "Stack";
  l.doc = "Tensors of one shape along a new axis. y[i, ...] = operand i at [...]";
  l.section = "Merging";
  l.weight_prefix = "stack";
  l.tensor_inputs = -2;
  l.args = {axis_arg("0", "the new axis in the result: channel, width, height, or its number from 0")};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_extents(b, "Stack")) return kNone;
    const Type first = b.in_type();
    for (size_t i = 1; i < b.in().size(); ++i) {
      if (const Type t = b.in_type(static_cast<int>(i)); t != first) {
        return b.error(fmt::format("Stack needs operands of one shape, but they are {} and {}", shape_for_user(first),
                                   shape_for_user(t)),
                       "Concat joins tensors that differ along its axis");
      }
    }
    if (first.rank() == 4)
      return b.error(fmt::format("Stack makes one more dimension, and 4 is the most, but its operands are {}",
                                 shape_for_user(first)));
    Type one = first;
    one.dims.push_back(1);
    const int axis = axis_of(b, "Stack", one);
    if (axis == kNone) return kNone;
    one.dims = first.dims;
    one.dims.insert(one.dims.begin() + axis, 1);
    std::vector<ValueId> slices;
    for (const ValueId v : std::vector<ValueId>(b.in())) slices.push_back(b.emit("reshape", {v}, {{"dims", one.dims}}));
    return b.emit("concat", slices, {{"axis", int64_t{axis}}});
  };
  return l;
}

}  // namespace

void add_concat(Registry& r) {
  static const OpDef op = concat();
  static const LayerDef layers[] = {concat_layer(), stack_layer()};
  r.ops.ops.push_back(&op);
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
