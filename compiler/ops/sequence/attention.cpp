// Attention (Vaswani et al. 2017): the operators that sort a sequence into heads and hide positions, and the layer, a
// product of matrices on each side of a softmax. Hidden scores become a large negative number: their probability is
// exactly 0, and a row with everything hidden stays finite.
#include "compiler/ops/forms/attend.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

constexpr double kHidden = -1e9;

bool tensor(const Type& t, int rank) {
  return t.dtype == DType::f32 && t.batched && t.rank() == rank && !t.has_any_extent();
}

OpDef split_heads() {
  OpDef d;
  d.name = "split_heads";
  d.doc = "Each head's part of a sequence: y[h, t, d] = x[t, h * D + d], with D = C / heads.";
  d.kind = Kind::gather;
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const int64_t heads = a.i("heads");
    if (!tensor(in[0], 2) || heads < 1 || in[0].dims[1] % heads != 0) {
      error = fmt::format("split_heads needs f32[N, T, C] with C a multiple of {}, not {}", heads, to_string(in[0]));
      return false;
    }
    out = {f32({heads, in[0].dims[0], in[0].dims[1] / heads}, true)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    Var d("d"), t("t"), h("h"), n("n");
    Func y("split_heads");
    y(d, t, h, n) = ctx.in[0](h * static_cast<int>(ctx.out_type().dims[2]) + d, t, n);
    return Lowered{{y}};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    const int64_t H = y.dims[1], T = y.dims[2], D = y.dims[3];
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      const int64_t d = i % D, t = i / D % T, h = i / (D * T) % H, b = i / (D * T * H);
      y.data[i] = in[0].data[((b * T + t) * H + h) * D + d];
    }
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) { return std::vector<ValueId>{g.emit("merge_heads", {g.grads_out[0]})}; };
  return d;
}

OpDef merge_heads() {
  OpDef d;
  d.name = "merge_heads";
  d.doc = "The heads side by side again: y[t, h * D + d] = x[h, t, d].";
  d.kind = Kind::gather;
  d.forms = {attend_form()};
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!tensor(in[0], 3)) {
      error = fmt::format("merge_heads needs f32[N, H, T, D], not {}", to_string(in[0]));
      return false;
    }
    out = {f32({in[0].dims[1], in[0].dims[0] * in[0].dims[2]}, true)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    Var c("c"), t("t"), n("n");
    Func y("merge_heads");
    const int size = static_cast<int>(ctx.in_type(0).dims[2]), heads = static_cast<int>(ctx.in_type(0).dims[0]);
    y(c, t, n) = ctx.in[0](c % size, t, clamp(c / size, 0, heads - 1), n);
    return Lowered{{y}};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    const int64_t H = in[0].dims[1], T = in[0].dims[2], D = in[0].dims[3];
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      const int64_t d = i % D, h = i / D % H, t = i / (D * H) % T, b = i / (D * H * T);
      y.data[i] = in[0].data[((b * H + h) * T + t) * D + d];
    }
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.emit("split_heads", {g.grads_out[0]}, {{"heads", g.graph.type(g.in(0)).dims[0]}})};
  };
  return d;
}

OpDef causal_mask() {
  OpDef d;
  d.name = "causal_mask";
  d.doc = "Hides later positions: y[..., t, s] = x[..., t, s] where s <= t, else `value`.";
  d.in_place = true;
  d.cost = per_element(1);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0].dtype != DType::f32 || in[0].rank() < 2 || in[0].has_any_extent()) {
      error = fmt::format("causal_mask needs f32[..., T, S], not {}", to_string(in[0]));
      return false;
    }
    out = {in[0]};
    return true;
  };
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs& at) {
    return Exprs{select(at[0] <= at[1], in[0], lit(ctx.node.attrs.f("value")))};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t) {
    RefTensor y = in[0];
    const Type& type = g.type(n.results[0]);
    const int64_t S = type.dims.back(), T = type.dims[type.rank() - 2];
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i)
      if (i % S > i / S % T) y.data[i] = n.attrs.f("value");
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.emit("causal_mask", {g.grads_out[0]}, {{"value", 0.0}})};
  };
  return d;
}

/// A mask over the positions that are attended to, for all that attend or for each.
bool masks(const Type& mask, const Type& scores) {
  if (!mask.batched || mask.dtype == DType::u32 || mask.rank() < 1 || mask.rank() > 2) return false;
  return std::equal(mask.dims.rbegin(), mask.dims.rend(), scores.dims.rbegin());
}

OpDef mask_scores() {
  OpDef d;
  d.name = "mask_scores";
  d.doc =
      "Hides what a mask says: y[h, t, s] = x[h, t, s] where mask[s] (or mask[t, s]) is 1 (from 0.5 on), else `value`. "
      "Operands x, mask.";
  d.kind = Kind::gather;
  d.inputs = 2;
  d.cost = per_element(1);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!tensor(in[0], 3) || !masks(in[1], in[0])) {
      error = fmt::format("mask_scores needs f32[N, H, T, S] and [N, S] or [N, T, S], not {}", list_types(in));
      return false;
    }
    out = {in[0]};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    Var s("s"), t("t"), h("h"), n("n");
    Func y("mask_scores");
    const Expr mask = ctx.in_type(1).rank() == 1 ? ctx.in[1](s, n) : ctx.in[1](s, t, n);
    y(s, t, h, n) = select(cast<float>(mask) >= 0.5f, ctx.in[0](s, t, h, n), lit(ctx.node.attrs.f("value")));
    return Lowered{{y}};
  };
  d.reference = [](const Node& n, const Graph&, const Tensors& in, int64_t) {
    RefTensor y = in[0];
    const int64_t H = y.dims[1], T = y.dims[2], S = y.dims[3];
    const bool each = in[1].dims.size() == 3;
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      const int64_t s = i % S, t = i / S % T, b = i / (S * T * H);
      if (in[1].data[each ? (b * T + t) * S + s : b * S + s] < 0.5) y.data[i] = n.attrs.f("value");
    }
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{
        g.wanted[0] ? g.emit("mask_scores", {g.grads_out[0], g.in(1)}, {{"value", 0.0}}) : kNone, kNone};
  };
  return d;
}

/// x[T, C] * weight + bias.
ValueId project(LayerBuilder& b, ValueId x, const std::string& name, int64_t size) {
  const int64_t in = b.graph().type(x).dims.back();
  const Initializer init = weight_init(b, in, size);
  const ValueId w =
      b.variable((name + ".weight").c_str(), f32({in, size}, false), init, Role::weight, b.f("l1"), b.f("l2"));
  const ValueId y = b.emit("matmul", {x, w});
  return b.b("bias") ? b.emit("bias_add", {y, b.variable((name + ".bias").c_str(), f32({size}, false), {})}) : y;
}

/// Says what does not fit; true when all does.
bool check_operands(LayerBuilder& b, const std::string& me) {
  if (!check_sequence(b, me)) return false;
  const Type query = b.in_type(0), key = b.in_type(b.in().size() > 1 ? 1 : 0);
  const auto wrong = [&](const std::string& message, const std::string& help) { return b.error(message, help), false; };
  if (b.in().size() > 3)
    return wrong(fmt::format("{} has {} operands, but takes a query, a key and a mask at most", me, b.in().size()), "");
  if (!tensor(key, 2)) {
    return wrong(
        fmt::format("{} attends to a sequence f32[S, D], but its second operand is {}", me, shape_for_user(key)),
        "the operands are the query, the sequence that it attends to, and the mask");
  }
  if (b.in().size() > 2) {
    const Type mask = b.in_type(2);
    if (!masks(mask, f32({1, query.dims[0], key.dims[0]}, true))) {
      return wrong(
          fmt::format("{} needs a mask of [{}] or [{}, {}], but it is {}", me, key.dims[0], query.dims[0], key.dims[0],
                      shape_for_user(mask)),
          "a mask has one number for each position attended to, or for each pair (position, attended to); 0 hides it");
    }
  }
  if (b.b("causal") && query.dims[0] != key.dims[0]) {
    return wrong(fmt::format("{} cannot be causal between sequences of different lengths, {} and {}", me, query.dims[0],
                             key.dims[0]),
                 "leave causal away");
  }
  if (b.i("key_dim") == 0 && query.dims[1] % b.i("heads") != 0) {
    return wrong(fmt::format("{} cannot share the {} channels of {} evenly", me, query.dims[1], shape_for_user(query)),
                 "take a number of heads that divides them, or say key_dim, the channels of one head");
  }
  return true;
}

LayerDef layer_def() {
  LayerDef l;
  l.name = "MultiHeadAttention";
  l.doc =
      "Attention with several heads (Vaswani et al. 2017), of a sequence f32[T, D] to itself or to a second one, z, "
      "given as an operand; a mask after it "
      "hides positions of z where it is 0 (below 0.5). y = [head_1, ..., head_heads] * out.weight + out.bias with "
      "head_i = softmax(Q_i K_i' / sqrt(key_dim)) V_i, Q = x * query.weight + query.bias, K = z * key.weight + "
      "key.bias, V = z * value.weight + value.bias";
  l.section = "Sequences";
  l.weight_prefix = "attention";
  l.tensor_inputs = -1;
  l.args = {{"heads", ArgType::integer, std::nullopt, 1, 1e4, {}, "number of heads"},
            {"key_dim", ArgType::integer, ArgValue{int64_t{0}}, 0, 1e6, {}, "channels of one head; 0: D / heads"},
            {"bias", ArgType::boolean, ArgValue{true}, 0, 1, {}, "adds trained biases"},
            {"causal", ArgType::boolean, ArgValue{false}, 0, 1, {}, "no position attends to a later one"},
            {"dropout",
             ArgType::number,
             ArgValue{0.0},
             0,
             0.999999,
             {},
             "probability that a position's share is dropped in training"}};
  add_weight_args(l.args);
  l.build = [](LayerBuilder& b) -> ValueId {
    const int64_t heads = b.i("heads");
    if (!check_operands(b, fmt::format("MultiHeadAttention({})", heads))) return kNone;
    const int64_t D = b.in_type(0).dims[1], size = b.i("key_dim") == 0 ? D / heads : b.i("key_dim");
    const ValueId x = b.in()[0], z = b.in().size() > 1 ? b.in()[1] : x;
    const auto split = [&](ValueId v) { return b.emit("split_heads", {v}, {{"heads", heads}}); };
    const auto product = [&](ValueId l, ValueId r, bool turned) {
      return b.emit("batch_matmul", {l, r}, {{"transpose_a", false}, {"transpose_b", turned}});
    };
    const ValueId query = split(b.emit("scale", {project(b, x, "query", heads * size)},
                                       {{"factor", 1 / std::sqrt(static_cast<double>(size))}}));
    const ValueId key = split(project(b, z, "key", heads * size)), value = split(project(b, z, "value", heads * size));
    ValueId scores = product(query, key, true);
    if (b.b("causal")) scores = b.emit("causal_mask", {scores}, {{"value", kHidden}});
    if (b.in().size() > 2) scores = b.emit("mask_scores", {scores, b.in()[2]}, {{"value", kHidden}});
    const ValueId share = drop(b, b.emit("softmax", {scores}), b.f("dropout"));
    return project(b, b.emit("merge_heads", {product(share, value, false)}), "out", D);
  };
  return l;
}

}  // namespace

void add_attention(Registry& r) {
  static const OpDef ops[] = {split_heads(), merge_heads(), causal_mask(), mask_scores()};
  static const LayerDef layer = layer_def();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
