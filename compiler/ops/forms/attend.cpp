// Attention in one kernel: the scores of a tile of rows, their softmax, and what it weighs follow one another in a
// core's cache, and heads are read and written where they lie in the sequence. Without it each head's scores, T x S of
// them, are written and read again three times. (Dao et al.: FlashAttention, 2022, goes further and takes the scores of
// a row in pieces; here a row of them is whole.)
#include "compiler/ops/forms/attend.h"

#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

struct Extents {
  int heads, rows, places, key, value;  // `places` are attended to; `key` and `value` channels of a head
  Extents(const Attrs& a, const Type& q, const Type& k, const Type& v)
      : heads(static_cast<int>(a.i("heads"))),
        rows(static_cast<int>(q.dims[0])),
        places(static_cast<int>(k.dims[0])),
        key(static_cast<int>(q.dims[1]) / heads),
        value(static_cast<int>(v.dims[1]) / heads) {}
};

bool sequence(const Type& t) { return t.dtype == DType::f32 && t.batched && t.rank() == 2 && !t.has_any_extent(); }

Lowered lower_attend(const LowerContext& ctx) {
  const Extents x(ctx.node.attrs, ctx.in_type(0), ctx.in_type(1), ctx.in_type(2));
  const bool causal = ctx.node.attrs.b("causal");
  const int padded = (x.places + ctx.demands.row_multiple - 1) / ctx.demands.row_multiple * ctx.demands.row_multiple;
  Var c("c"), d("d"), e("e"), s("s"), t("t"), h("h"), n("n");
  Func keys("transposed"), values("values"), sums("attend_sums"), scores("attend_scores"), maximum("attend_maximum"),
      share("attend_share"), total("attend_total"), weighed("attend_weighed"), y("attend");
  keys(s, d, h, n) = ctx.in[1](h * x.key + d, min(s, x.places - 1), n);
  values(e, s, h, n) = ctx.in[2](h * x.value + e, s, n);
  RDom channel(0, x.key, "d"), place(0, padded, "s"), seen(0, x.places, "r");
  sums(s, t, h, n) = 0.0f;
  sums(s, t, h, n) += ctx.in[0](h * x.key + channel, t, n) * keys(s, channel, h, n);
  const auto visible = [&](const Expr& at) { return causal ? at <= t : at < x.places; };
  scores(s, t, h, n) = sums(s, t, h, n);
  maximum(t, h, n) = exact::lowest();
  maximum(t, h, n) = max(maximum(t, h, n), select(visible(place), scores(place, t, h, n), exact::lowest()));
  share(s, t, h, n) = select(visible(s), exact::exp_of_negative(scores(s, t, h, n) - maximum(t, h, n)), 0.0f);
  total(t, h, n) = 0.0f;
  total(t, h, n) += share(place, t, h, n);
  weighed(e, t, h, n) = 0.0f;
  weighed(e, t, h, n) += share(seen, t, h, n) * values(e, seen, h, n);
  const Expr head = clamp(c / x.value, 0, x.heads - 1);
  y(c, t, n) = weighed(c % x.value, t, head, n) / total(t, head, n);
  return Lowered{.funcs = {y},
                 .anchor = weighed,
                 .r = seen,
                 .padded = {keys, values},
                 .folds = {},
                 .parts = halide::AttentionParts{keys, values, sums, scores, maximum, share, total}};
}

Tensors reference_attend(const Node& node, const Graph& g, const Tensors& in, int64_t batch) {
  const Extents x(node.attrs, g.type(node.inputs[0]), g.type(node.inputs[1]), g.type(node.inputs[2]));
  RefTensor y = ref_zeros(g.type(node.results[0]), batch);
  std::vector<double> share(static_cast<size_t>(x.places));
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t h = 0; h < x.heads; ++h)
      for (int64_t t = 0; t < x.rows; ++t) {
        const int64_t seen = node.attrs.b("causal") ? std::min<int64_t>(t + 1, x.places) : x.places;
        double top = -INFINITY, total = 0;
        for (int64_t s = 0; s < seen; ++s) {
          share[static_cast<size_t>(s)] = 0;
          for (int64_t d = 0; d < x.key; ++d)
            share[static_cast<size_t>(s)] += in[0].data[((n * x.rows + t) * x.heads + h) * x.key + d] *
                                             in[1].data[((n * x.places + s) * x.heads + h) * x.key + d];
          top = std::max(top, share[static_cast<size_t>(s)]);
        }
        for (int64_t s = 0; s < seen; ++s)
          total += share[static_cast<size_t>(s)] = std::exp(share[static_cast<size_t>(s)] - top);
        for (int64_t s = 0; s < seen; ++s)
          for (int64_t e = 0; e < x.value; ++e)
            y.data[((n * x.rows + t) * x.heads + h) * x.value + e] +=
                share[static_cast<size_t>(s)] / total * in[2].data[((n * x.places + s) * x.heads + h) * x.value + e];
      }
  return {y};
}

OpDef attend() {
  OpDef d;
  d.name = "attend";
  d.doc =
      "Attention of all heads: y[t, h * E + e] = sum_s softmax_s(q[t, h * D ...] . k[s, h * D ...]) * v[s, h * E + e]; "
      "`causal`: over s <= t alone.";
  d.kind = Kind::contraction;
  d.structure = [](const Attrs& a) { return AttentionHeads{a.i("heads")}; };
  d.inputs = 3;
  d.no_gradient = "it is put in after gradients are";
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const int64_t heads = a.i("heads");
    if (!sequence(in[0]) || !sequence(in[1]) || !sequence(in[2]) || in[0].dims[1] != in[1].dims[1] ||
        in[1].dims[0] != in[2].dims[0] || heads < 1 || in[0].dims[1] % heads != 0 || in[2].dims[1] % heads != 0 ||
        (a.b("causal") && in[0].dims[0] != in[1].dims[0])) {
      error = fmt::format("attend needs f32[N, T, H * D], f32[N, S, H * D] and f32[N, S, H * E] with H = {}, not {}",
                          heads, list_types(in));
      return false;
    }
    out = {f32({in[0].dims[0], in[2].dims[1]}, true)};
    return true;
  };
  d.cost = [](const Node& n, const Graph& g) {
    const Extents x(n.attrs, g.type(n.inputs[0]), g.type(n.inputs[1]), g.type(n.inputs[2]));
    const double scores = static_cast<double>(x.heads) * x.rows * x.places, macs = scores * (x.key + x.value);
    return Cost{macs, 2 * macs + 22 * scores};
  };
  lowering(d).algorithm = lower_attend;
  d.reference = reference_attend;
  return d;
}

const OpDef& attend_op() {
  static const OpDef op = attend();
  return op;
}

/// What attention was built of, from its end.
struct Parts {
  ValueId q = kNone, k = kNone, v = kNone;
  bool causal = false;
};

class Matcher {
 public:
  explicit Matcher(const Graph& g) : g_(g) {}

  std::optional<Parts> of(const Node& merge) const {
    Parts p;
    const Node* product = made_by("batch_matmul", merge.inputs[0]);
    const Node* shares = product ? made_by("softmax", product->inputs[0]) : nullptr;
    if (!shares || product->attrs.b("transpose_a") || product->attrs.b("transpose_b")) return std::nullopt;
    ValueId scores = shares->inputs[0];
    if (const Node* mask = made_by("causal_mask", scores)) p.causal = true, scores = mask->inputs[0];
    const Node* asked = made_by("batch_matmul", scores);
    if (!asked || asked->attrs.b("transpose_a") || !asked->attrs.b("transpose_b")) return std::nullopt;
    const int64_t heads = g_.type(merge.inputs[0]).dims[0];
    p.q = split_from(asked->inputs[0], heads), p.k = split_from(asked->inputs[1], heads),
    p.v = split_from(product->inputs[1], heads);
    if (p.q == kNone || p.k == kNone || p.v == kNone) return std::nullopt;
    return p;
  }

 private:
  /// The node that makes this value, if it is this operator and one node alone reads the value.
  const Node* made_by(const char* op, ValueId v) const {
    const NodeId def = g_.values[v].def;
    if (def == kNone || g_.nodes[def].op->name != op) return nullptr;
    int readers = 0;
    for (const Node& n : g_.nodes) readers += static_cast<int>(std::count(n.inputs.begin(), n.inputs.end(), v));
    for (const Output& o : g_.outputs) readers += o.value == v;
    return readers == 1 ? &g_.nodes[def] : nullptr;
  }
  ValueId split_from(ValueId v, int64_t heads) const {
    const NodeId def = g_.values[v].def;
    const bool split =
        def != kNone && g_.nodes[def].op->name == "split_heads" && g_.nodes[def].attrs.i("heads") == heads;
    return split ? g_.nodes[def].inputs[0] : kNone;
  }

  const Graph& g_;
};

constexpr double kMostScores = 32 << 10;  // of a tile of rows, and
constexpr double kMostOperands =
    128 << 10;  // elements of a head's keys and values, so that they stay in a core's cache

}  // namespace

Form attend_form() {
  Form f;
  f.name = "attend";
  f.cost = [](const Node& n, const Graph& g, const Machine& machine) -> std::optional<double> {
    const std::optional<Parts> p = Matcher(g).of(n);
    if (!p || !sequence(g.type(p->q)) || !sequence(g.type(p->k)) || !sequence(g.type(p->v))) return std::nullopt;
    const Type &y = g.type(n.results[0]), &k = g.type(p->k);
    const int64_t heads = g.type(n.inputs[0]).dims[0], value = y.dims[1] / heads, places = k.dims[0];
    if (value % machine.vector_floats != 0 || places < machine.vector_floats) return std::nullopt;
    if (static_cast<double>(12 * places) > kMostScores ||
        static_cast<double>(places * (k.dims[1] / heads + value)) > kMostOperands)
      return std::nullopt;
    return static_cast<double>(y.elements());  // what merge_heads moves: less than it alone
  };
  f.rewrite = [](Graph& g, NodeId id, const Machine&) {
    const Parts p = *Matcher(g).of(g.nodes[id]);
    const int64_t heads = g.type(g.nodes[id].inputs[0]).dims[0];
    g.nodes[id].op = &attend_op();
    g.nodes[id].inputs = {p.q, p.k, p.v};
    g.nodes[id].attrs = {{"heads", heads}, {"causal", p.causal}};
  };
  return f;
}

void add_attend(Registry& r) { r.ops.ops.push_back(&attend_op()); }

}  // namespace netc::ops
