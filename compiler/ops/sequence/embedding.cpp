// What turns tokens and places into vectors: a table's rows by number, positions, a trained token in front.
#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

bool numbers(const Type& t) { return t.dtype == DType::i32 && t.batched && t.rank() <= 3 && !t.has_any_extent(); }

int64_t clamped(double token, int64_t vocabulary) {
  return static_cast<int64_t>(std::clamp(token, 0.0, static_cast<double>(vocabulary - 1)));
}

OpDef embedding() {
  OpDef d;
  d.name = "embedding";
  d.doc =
      "Rows of a table: y[..., d] = w[token[...], d]; a number out of range counts as the nearest in it. Operands "
      "token, w.";
  d.kind = Kind::gather;
  d.inputs = 2;
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!numbers(in[0]) || in[1].dtype != DType::f32 || in[1].batched || in[1].rank() != 2) {
      error = fmt::format("embedding needs i32[N, ...] and f32[V, D], not {}", list_types(in));
      return false;
    }
    out = {f32(in[0].dims, true)};
    out[0].dims.push_back(in[1].dims[1]);
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const std::vector<Var> v = vars_of(ctx.out_type());
    const Expr token = ctx.in[0](Exprs(v.begin() + 1, v.end()));
    Func y("embedding");
    y(v) = ctx.in[1](v[0], clamp(token, 0, static_cast<int>(ctx.in_type(1).dims[0] - 1)));
    return Lowered{{y}};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    const int64_t V = in[1].dims[0], D = in[1].dims[1];
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i)
      y.data[i] = in[1].data[clamped(in[0].data[i / D], V) * D + i % D];
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    const int64_t vocabulary = g.graph.type(g.in(1)).dims[0];
    return std::vector<ValueId>{
        kNone, g.wanted[1] ? g.emit("embedding_grad", {g.in(0), g.grads_out[0]}, {{"vocabulary", vocabulary}}) : kNone};
  };
  return d;
}

OpDef embedding_grad() {
  OpDef d;
  d.name = "embedding_grad";
  d.doc =
      "Gradient of embedding in its table, added in the order of the tokens: dw[token[...], d] += dy[..., d]. Operands "
      "token, dy.";
  d.kind = Kind::scatter;
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.cost = per_input_element(1, 1);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    Type dy = in[1];
    const bool vectors = dy.rank() >= 1;
    const int64_t dim = vectors ? dy.dims.back() : 0;
    if (vectors) dy.dims.pop_back();
    if (!numbers(in[0]) || !vectors || dy != f32(in[0].dims, true) || a.i("vocabulary") < 1) {
      error = fmt::format("embedding_grad needs i32[N, ...] and f32[N, ..., D], not {}", list_types(in));
      return false;
    }
    out = {f32({a.i("vocabulary"), dim}, false)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    Var c("c"), token("token");
    RDom r(ranges_of(ctx.in_type(0), ctx.batch), "r");
    Exprs at, dy{c};
    for (int i = 0; i < r.dimensions(); ++i) at.push_back(r[i]), dy.push_back(r[i]);
    Func dw("embedding_grad");
    dw(c, token) = 0.0f;
    dw(c, clamp(ctx.in[0](at), 0, static_cast<int>(ctx.out_type().dims[0] - 1))) += ctx.in[1](dy);
    return Lowered{{dw}, dw, r};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor dw = ref_zeros(g.type(n.results[0]), batch);
    const int64_t V = dw.dims[0], D = dw.dims[1];
    for (int64_t i = 0; i < static_cast<int64_t>(in[1].data.size()); ++i)
      dw.data[clamped(in[0].data[i / D], V) * D + i % D] += in[1].data[i];
    return Tensors{dw};
  };
  return d;
}

/// The angle of channel c's wave at position 1.
double wave_rate(int64_t c, int64_t channels) {
  return std::pow(10000.0, -static_cast<double>(c / 2 * 2) / static_cast<double>(channels));
}

OpDef add_positions() {
  OpDef d;
  d.name = "add_positions";
  d.doc =
      "Adds waves of the position to x[..., t, c]: sin(t / 10000^(c / C)) to the even channels c, cos(t / 10000^((c - "
      "1) / C)) to the odd ones.";
  d.in_place = true;
  d.cost = per_element(40);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0].dtype != DType::f32 || in[0].rank() < 2 || in[0].has_any_extent()) {
      error = fmt::format("add_positions needs f32[..., T, C], not {}", to_string(in[0]));
      return false;
    }
    out = {in[0]};
    return true;
  };
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs& at) {
    const Expr odd = at[0] % 2, even = cast<float>(at[0] - odd);
    const Expr angle = cast<float>(at[1]) *
                       exact::exp(even * lit(-std::log(10000.0) / static_cast<double>(ctx.out_type().dims.back())));
    return Exprs{in[0] + exact::sin(angle, odd)};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t) {
    RefTensor y = in[0];
    const Type& type = g.type(n.results[0]);
    const int64_t C = type.dims.back(), T = type.dims[type.rank() - 2];
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      const double angle = static_cast<double>(i / C % T) * wave_rate(i % C, C);
      y.data[i] += i % C % 2 == 0 ? std::sin(angle) : std::cos(angle);
    }
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) { return std::vector<ValueId>{g.grads_out[0]}; };
  return d;
}

/// How the weights start: as in add_weight_args, with another default.
void add_weight_args_with(std::vector<ArgDef>& args, Initializer init) {
  add_weight_args(args);
  for (ArgDef& a : args)
    if (a.name == "init") a.fallback = ArgValue{init};
}

LayerDef embedding_layer() {
  LayerDef l;
  l.name = "Embedding";
  l.doc =
      "A trained vector for each number from 0 to vocabulary - 1, of tokens i32[T]; programs and libraries refuse "
      "other numbers. y[t, d] = weight[x[t], d]";
  l.section = "Sequences";
  l.weight_prefix = "embedding";
  l.args = {{"vocabulary", ArgType::integer, std::nullopt, 1, 1e9, {}, "how many numbers there are"},
            {"dim", ArgType::integer, std::nullopt, 1, 1e6, {}, "values of a vector"}};
  add_weight_args_with(l.args, {"uniform", -0.05, 0.05});
  l.build = [](LayerBuilder& b) -> ValueId {
    const int64_t vocabulary = b.i("vocabulary"), dim = b.i("dim");
    const Type t = b.in_type();
    if (!numbers(t)) {
      return b.error(fmt::format("Embedding({}, {}) needs numbers of tokens, as i32[T], but its input is {}",
                                 vocabulary, dim, shape_for_user(t)),
                     t.dtype != DType::i32 ? "declare the input as i32: input tokens: i32[T]"
                                           : "it takes 3 dimensions at most, of known extents");
    }
    const ValueId w = b.variable("weight", f32({vocabulary, dim}, false), weight_init(b, vocabulary, dim), Role::weight,
                                 b.f("l1"), b.f("l2"));
    return b.emit("embedding", {b.in()[0], w});
  };
  return l;
}

LayerDef position_layer() {
  LayerDef l;
  l.name = "PositionEmbedding";
  l.doc =
      "Adds to each row of a sequence f32[T, D] what tells its position: a trained vector, or waves (Vaswani et al. "
      "2017). "
      "y[t, d] = x[t, d] + p[t, d], with p = weight, or p[t, 2i] = sin(t / 10000^(2i / D)) and p[t, 2i + 1] = cos(t / "
      "10000^(2i / D))";
  l.section = "Sequences";
  l.weight_prefix = "position";
  l.args = {{"kind",
             ArgType::choice,
             ArgValue{std::string("learned")},
             -1e300,
             1e300,
             {"learned", "sinusoidal"},
             "trained vectors, or waves"}};
  add_weight_args_with(l.args, {"normal", 0, 0.02});
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_sequence(b, "PositionEmbedding")) return kNone;
    const ValueId x = b.in()[0];
    if (b.s("kind") == "sinusoidal") return b.emit("add_positions", {x});
    const std::vector<int64_t> dims = b.in_type().dims;
    return b.emit("add", {x, b.variable("weight", f32(dims, false), weight_init(b, dims[0], dims[1]), Role::weight,
                                        b.f("l1"), b.f("l2"))});
  };
  return l;
}

LayerDef token_layer() {
  LayerDef l;
  l.name = "ClassToken";
  l.doc =
      "Puts a trained row before a sequence f32[T, D], whose place in the last layer speaks for all of it. y[0, d] = "
      "weight[0, d], y[t + 1, d] = x[t, d]";
  l.section = "Sequences";
  l.weight_prefix = "token";
  add_weight_args_with(l.args, {"normal", 0, 0.02});
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_sequence(b, "ClassToken")) return kNone;
    const int64_t dim = b.in_type().dims[1];
    return b.emit("join_rows", {b.variable("weight", f32({1, dim}, false), weight_init(b, 1, dim), Role::weight,
                                           b.f("l1"), b.f("l2")),
                                b.in()[0]});
  };
  return l;
}

}  // namespace

void add_embedding(Registry& r) {
  static const OpDef ops[] = {embedding(), embedding_grad(), add_positions()};
  static const LayerDef layers[] = {embedding_layer(), position_layer(), token_layer()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
