// Each element several times along axes, the sums of blocks that are its gradient, and an unbatched tensor for each
// sample.
#include "compiler/ops/move/moves.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

bool positive(const std::vector<int64_t>& factors, int rank) {
  return static_cast<int>(factors.size()) == rank &&
         std::all_of(factors.begin(), factors.end(), [](int64_t f) { return f >= 1; });
}

OpDef repeat() {
  OpDef d;
  d.name = "repeat";
  d.doc =
      "Each element `factors` times along each axis: y[i, j, ...] = x[i / factors[0], j / factors[1], ...]. Of an "
      "extent of 1 it makes any extent.";
  d.kind = Kind::gather;
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const std::vector<int64_t>& factors = a.ints("factors");
    Type t = in[0];
    const std::string what = fmt::format("an axis for each of the factors [{}]", fmt::join(factors, ", "));
    if (!movable(t) || !positive(factors, t.rank())) return misfit(error, "repeat", what, in);
    for (size_t i = 0; i < factors.size(); ++i) t.dims[i] *= factors[i];
    out = {t};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const std::vector<int64_t>& factors = ctx.node.attrs.ints("factors");
    const Type& t = ctx.out_type();
    const std::vector<Var> v = vars_of(t);
    Exprs at = exprs(v);
    for (int i = 0; i < t.rank(); ++i) {
      Expr& e = at[coordinate(t, i)];
      if (factors[i] > 1) e = extent_of(ctx.in_type(0), i) == 1 ? Expr(0) : e / static_cast<int>(factors[i]);
    }
    Func y("repeat");
    y(v) = ctx.in[0](at);
    return Lowered{{y}};
  };
  d.reference = by_coordinates([](const Node& n, const Graph&, const Tensors& in, At at, size_t first) {
    const std::vector<int64_t>& factors = n.attrs.ints("factors");
    for (size_t i = 0; i < factors.size(); ++i) at[first + i] /= factors[i];
    return element(in[0], at);
  });
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.wanted[0] ? g.emit("block_sum", {g.grads_out[0]}, g.n().attrs) : kNone};
  };
  return d;
}

OpDef block_sum() {
  OpDef d;
  d.name = "block_sum";
  d.doc = "Sums of blocks of extents `factors`, which divide the tensor's: the gradient of repeat.";
  d.kind = Kind::window;
  d.cost = per_input_element(0, 1);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const std::vector<int64_t>& factors = a.ints("factors");
    Type t = in[0];
    bool fits = t.dtype == DType::f32 && movable(t) && positive(factors, t.rank());
    for (size_t i = 0; fits && i < factors.size(); ++i) {
      fits = t.dims[i] % factors[i] == 0;
      t.dims[i] /= factors[i];
    }
    if (!fits)
      return misfit(error, "block_sum", fmt::format("an f32 tensor that blocks of [{}] fill", fmt::join(factors, ", ")),
                    in);
    out = {t};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const std::vector<int64_t>& factors = ctx.node.attrs.ints("factors");
    const Type& t = ctx.out_type();
    const std::vector<Var> v = vars_of(t);
    std::vector<int> box;
    for (int k = 0; k < t.rank(); ++k) box.push_back(static_cast<int>(factors[coordinate(t, k)]));  // innermost first
    return box_sum("block_sum", v, box, [&](const Exprs& in_block) {
      Exprs at = exprs(v);
      for (size_t k = 0; k < box.size(); ++k) at[k] = at[k] * box[k] + in_block[k];
      return ctx.in[0](at);
    });
  };
  d.reference = by_scattering([](const Node& n, const Graph&, At at, size_t first, const Place& to) {
    const std::vector<int64_t>& factors = n.attrs.ints("factors");
    for (size_t i = 0; i < factors.size(); ++i) at[first + i] /= factors[i];
    to(at, 1);
  });
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.emit("repeat", {g.grads_out[0]}, g.n().attrs)};
  };
  return d;
}

OpDef to_batch() {
  OpDef d;
  d.name = "to_batch";
  d.doc =
      "The unbatched operand 0 for each sample of the batch that operand 1 has; operand 1's contents do not matter.";
  d.kind = Kind::gather;
  d.inputs = 2;
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    const bool fits = in[0].dtype == DType::f32 && !in[0].batched && movable(in[0]) && in[1].batched;
    if (!fits) return misfit(error, "to_batch", "an unbatched and a batched tensor", in);
    out = {f32(in[0].dims, true)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const std::vector<Var> v = vars_of(ctx.out_type());
    Func y("to_batch");
    y(v) = ctx.in[0](std::vector<Var>(v.begin(), v.end() - 1));
    return Lowered{{y}};
  };
  d.reference = by_coordinates([](const Node&, const Graph&, const Tensors& in, At at, size_t) {
    at.erase(at.begin());
    return element(in[0], at);
  });
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.wanted[0] ? reduce_to(g, g.grads_out[0], Type(g.graph.type(g.in(0)))) : kNone, kNone};
  };
  return d;
}

LayerDef layer_def() {
  LayerDef l;
  l.name = "Repeat";
  l.doc = "Each element several times along an axis; of an extent of 1, a broadcast. y[i] = x[i / times]";
  l.section = "Shape";
  l.weight_prefix = "repeat";
  l.args = {{"times", ArgType::integer, std::nullopt, 1, 1 << 20, {}, "how often"}, axis_arg()};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_extents(b, "Repeat")) return kNone;
    Type t = b.in_type();
    const int axis = axis_of(b, "Repeat", t);
    if (axis == kNone) return kNone;
    std::vector<int64_t> factors(t.dims.size(), 1);
    factors[axis] = b.i("times");
    t.dims[axis] *= b.i("times");
    if (!check_size(b, "Repeat", t)) return kNone;
    return b.i("times") == 1 ? b.in()[0] : b.emit("repeat", {b.in()[0]}, {{"factors", factors}});
  };
  return l;
}

}  // namespace

void add_repeat(Registry& r) {
  static const OpDef ops[] = {repeat(), block_sum(), to_batch()};
  static const LayerDef layer = layer_def();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
