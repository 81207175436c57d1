// Bias per channel, and the sums over all but the trailing dims that are the gradients of broadcast operands.
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

/// y[rest] = sum over the batch and the leading dims of x[..., rest]; `keep` trailing dims stay.
Lowered sum_leading(const LowerContext& ctx, int keep, const char* name) {
  const Type& t = ctx.in_type(0);
  std::vector<Var> v = vars_of(f32(std::vector<int64_t>(t.dims.end() - keep, t.dims.end()), false));
  RDom r(ranges_of(t, ctx.batch, keep), "r");
  Exprs at = exprs(v);
  for (int i = 0; i < r.dimensions(); ++i) at.push_back(r[i]);
  Func y(name);
  y(v) = 0.0f;
  y(v) += ctx.in[0](at);
  return {{y}, y, r, {}, {}};
}

Tensors ref_sum(const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
  RefTensor y = ref_zeros(g.type(n.results[0]), batch);
  for (size_t i = 0; i < in[0].data.size(); ++i) y.data[i % y.data.size()] += in[0].data[i];
  return {y};
}

bool sum_shape(const Type& t, int keep, std::vector<Type>& out, std::string& error, const char* name) {
  if (t.dtype != DType::f32 || t.has_any_extent() || t.rank() < keep || (t.rank() == keep && !t.batched)) {
    error = fmt::format("{} needs an f32 tensor of more than {} dimensions, not {}", name, keep, to_string(t));
    return false;
  }
  out = {f32(std::vector<int64_t>(t.dims.end() - keep, t.dims.end()), false)};
  return true;
}

OpDef bias_add() {
  OpDef d;
  d.name = "bias_add";
  d.doc = "Adds b[c] to every channel: y[..., c] = x[..., c] + b[c].";
  d.inputs = 2;
  d.in_place = true;
  d.cost = per_element(1);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0].dtype != DType::f32 || in[0].rank() == 0 || in[1] != f32({in[0].dims.back()}, false)) {
      error = fmt::format("bias_add needs f32[..., C] and f32[C], not {}", list_types(in));
      return false;
    }
    out = {in[0]};
    return true;
  };
  lowering(d).scalar = [](const LowerContext&, const Exprs& in, const Exprs&) { return Exprs{in[0] + in[1]}; };
  d.reference = pointwise([](const Node&, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{v[0] + v[1]};
  });
  d.affine = [](Graph& g, NodeId n, ValueId& scale, ValueId& shift) {
    scale = kNone;  // 1
    shift = g.nodes[n].inputs[1];
    return true;
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.grads_out[0], g.wanted[1] ? g.emit("sum_to_channel", {g.grads_out[0]}) : kNone};
  };
  return d;
}

OpDef sum_to_channel() {
  OpDef d;
  d.name = "sum_to_channel";
  d.doc = "Sum over all but the last dimension, the batch included: y[c] = sum x[..., c].";
  d.kind = Kind::reduction;
  d.no_gradient = kNoSecond;
  d.cost = per_input_element(0, 1);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    return sum_shape(in[0], 1, out, error, "sum_to_channel");
  };
  lowering(d).algorithm = [](const LowerContext& ctx) { return sum_leading(ctx, 1, "sum_to_channel"); };
  d.reference = ref_sum;
  return d;
}

OpDef sum_to() {
  OpDef d;
  d.name = "sum_to";
  d.doc =
      "Sum over the batch and the leading dimensions; the last `rank` stay. The gradient of an operand that was "
      "broadcast.";
  d.kind = Kind::reduction;
  d.no_gradient = kNoSecond;
  d.cost = per_input_element(0, 1);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    return sum_shape(in[0], static_cast<int>(a.i("rank")), out, error, "sum_to");
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    return sum_leading(ctx, static_cast<int>(ctx.node.attrs.i("rank")), "sum_to");
  };
  d.reference = ref_sum;
  return d;
}

}  // namespace

void add_bias(Registry& r) {
  static const OpDef ops[] = {bias_add(), sum_to_channel(), sum_to()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
}

}  // namespace netc::ops
