// Losses of vectors: the angle between an output and its target, and triplets of embeddings.
#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/loss/loss.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

constexpr double kTiny = 1e-12;  // keeps the direction of a zero vector defined

bool vectors(const Type& t) { return t.dtype == DType::f32 && t.batched && t.rank() >= 1 && !t.has_any_extent(); }
Type row_of(Type t) {
  t.dims.pop_back();
  return t;
}

/// Of the rows of operands 0 and 1: x.t, x.x and t.t.
struct Products {
  std::vector<Var> all, row;
  RDom r;
  Func xt, xx, tt;
};
Products products(const LowerContext& ctx) {
  const std::vector<Var> v = vars_of(ctx.in_type(0));
  Products p{v,           {v.begin() + 1, v.end()}, RDom(0, static_cast<int>(ctx.in_type(0).dims.back()), "r"),
             Func("dot"), Func("square_x"),         Func("square_t")};
  Exprs at = exprs(v);
  at[0] = p.r;
  const auto fold = [&](Func& f, int a, int b) {
    f(p.row) = 0.0f;
    f(p.row) += ctx.in[static_cast<size_t>(a)](at) * ctx.in[static_cast<size_t>(b)](at);
  };
  fold(p.xt, 0, 1), fold(p.xx, 0, 0), fold(p.tt, 1, 1);
  return p;
}
struct Numbers {
  double xt = 0, xx = 0, tt = 0;
};
std::vector<Numbers> products(const Tensors& in) {
  const size_t C = static_cast<size_t>(in[0].dims.back());
  std::vector<Numbers> rows(in[0].data.size() / C);
  for (size_t i = 0; i < in[0].data.size(); ++i) {
    const double x = in[0].data[i], t = in[1].data[i];
    rows[i / C].xt += x * t, rows[i / C].xx += x * x, rows[i / C].tt += t * t;
  }
  return rows;
}

OpDef cosine_distance() {
  OpDef d;
  d.name = "cosine_distance";
  d.doc = "1 - x.t / (|x| |t|) of each row. Operands x, t.";
  d.terms = [](const Node&, const Tensors&) { return 1.0; };
  d.kind = Kind::reduction;
  d.inputs = 2;
  d.cost = per_input_element(0, 6);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!vectors(in[0]) || in[1] != in[0]) {
      error = fmt::format("cosine_distance needs f32[N, ..., C] twice, not {}", list_types(in));
      return false;
    }
    out = {row_of(in[0])};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Products p = products(ctx);
    Func y("cosine_distance");
    y(p.row) =
        1.0f - p.xt(p.row) / sqrt(exact::at_least(p.xx(p.row), lit(kTiny)) * exact::at_least(p.tt(p.row), lit(kTiny)));
    return Lowered{{y}, p.xt, p.r, {}, {p.xt, p.xx, p.tt}};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    const std::vector<Numbers> p = products(in);
    for (size_t i = 0; i < p.size(); ++i)
      y.data[i] = 1 - p[i].xt / std::sqrt(std::max(p[i].xx, kTiny) * std::max(p[i].tt, kTiny));
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    std::vector<ValueId> r(2, kNone);
    for (int i = 0; i < 2; ++i) {
      if (g.wanted[static_cast<size_t>(i)])
        r[static_cast<size_t>(i)] = g.emit("cosine_distance_grad", {g.in(i), g.in(1 - i), g.grads_out[0]});
    }
    return r;
  };
  return d;
}

OpDef cosine_distance_grad() {
  OpDef d;
  d.name = "cosine_distance_grad";
  d.terms = [](const Node&, const Tensors& in) {  // t / (|x| |t|), of which what points along x goes again
    double most = 0;
    const std::vector<Numbers> p = products(in);
    const size_t C = static_cast<size_t>(in[0].dims.back());
    for (size_t i = 0; i < in[1].data.size(); ++i) {
      const Numbers& q = p[i / C];
      most = std::max(
          most, std::abs(in[1].data[i] * in[2].data[i / C]) / std::sqrt(std::max(q.xx, kTiny) * std::max(q.tt, kTiny)));
    }
    return most;
  };
  d.doc = "Gradient of cosine_distance in x: (x * (x.t) / (x.x) - t) / (|x| |t|) * dy. Operands x, t, dy.";
  d.kind = Kind::reduction;
  d.inputs = 3;
  d.no_gradient = kNoSecond;
  d.cost = per_element(12);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!vectors(in[0]) || in[1] != in[0] || in[2] != row_of(in[0])) {
      error = fmt::format("cosine_distance_grad needs f32[N, ..., C] twice and f32[N, ...], not {}", list_types(in));
      return false;
    }
    out = {in[0]};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Products p = products(ctx);
    const Expr xx = exact::at_least(p.xx(p.row), lit(kTiny)), tt = exact::at_least(p.tt(p.row), lit(kTiny));
    Func dx("cosine_distance_grad");
    dx(p.all) = (ctx.in[0](p.all) * (p.xt(p.row) / xx) - ctx.in[1](p.all)) * (ctx.in[2](p.row) / sqrt(xx * tt));
    return Lowered{{dx}, p.xt, p.r, {}, {p.xt, p.xx, p.tt}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) {
    RefTensor dx = in[0];
    const size_t C = static_cast<size_t>(in[0].dims.back());
    const std::vector<Numbers> p = products(in);
    for (size_t i = 0; i < dx.data.size(); ++i) {
      const Numbers& q = p[i / C];
      const double xx = std::max(q.xx, kTiny), tt = std::max(q.tt, kTiny);
      dx.data[i] = (in[0].data[i] * q.xt / xx - in[1].data[i]) / std::sqrt(xx * tt) * in[2].data[i / C];
    }
    return Tensors{dx};
  };
  return d;
}

/// f32[N, 3, D]: anchor, positive, negative.
bool triples(const Type& t) { return vectors(t) && t.rank() == 2 && t.dims[0] == 3; }

/// max(0, excess): |a - p|^2 - |a - n|^2 + margin.
struct Excess {
  RDom r;
  Func distance;
  Expr value;
};
Excess excess(const LowerContext& ctx, const Var& n) {
  Excess e{RDom(0, static_cast<int>(ctx.in_type(0).dims[1]), "r"), Func("triplet_distance"), Expr()};
  const Func& x = ctx.in[0];
  const Expr near = x(e.r, 0, n) - x(e.r, 1, n), far = x(e.r, 0, n) - x(e.r, 2, n);
  e.distance(n) = 0.0f;
  e.distance(n) += near * near - far * far;
  e.value = e.distance(n) + lit(ctx.node.attrs.f("margin"));
  return e;
}
double excess(const Node& node, const Tensors& in, size_t n) {
  const size_t D = static_cast<size_t>(in[0].dims[2]);
  const double* x = &in[0].data[n * 3 * D];
  double sum = node.attrs.f("margin");
  for (size_t i = 0; i < D; ++i) sum += std::pow(x[i] - x[D + i], 2) - std::pow(x[i] - x[2 * D + i], 2);
  return sum;
}

OpDef triplet() {
  OpDef d;
  d.name = "triplet";
  d.doc = "max(0, |a - p|^2 - |a - n|^2 + margin) of each sample, whose rows are anchor a, positive p, negative n.";
  d.kind = Kind::reduction;
  d.cost = per_input_element(0, 2);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!triples(in[0])) error = fmt::format("triplet needs f32[N, 3, D], not {}", to_string(in[0]));
    out = {f32({}, true)};
    return triples(in[0]);
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    Var n("n");
    Func y("triplet");
    const Excess e = excess(ctx, n);
    y(n) = exact::at_least(e.value, 0.0f);
    return Lowered{{y}, e.distance, e.r};
  };
  d.reference = [](const Node& n, const Graph&, const Tensors& in, int64_t batch) {
    RefTensor y{{batch}, {}};
    for (size_t i = 0; i < static_cast<size_t>(batch); ++i) y.data.push_back(std::max(0.0, excess(n, in, i)));
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.emit("triplet_grad", {g.in(0), g.grads_out[0]}, g.n().attrs)};
  };
  return d;
}

OpDef triplet_grad() {
  OpDef d;
  d.name = "triplet_grad";
  d.doc = "Gradient of triplet where it is not 0: 2(n - p), 2(p - a), 2(a - n), times dy. Operands x, dy.";
  d.kind = Kind::reduction;
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.cost = per_element(5);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    const bool ok = triples(in[0]) && in[1] == f32({}, true);
    if (!ok) error = fmt::format("triplet_grad needs f32[N, 3, D] and f32[N], not {}", list_types(in));
    out = {in[0]};
    return ok;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    Var c("c"), which("which"), n("n");
    Func dx("triplet_grad");
    const Excess e = excess(ctx, n);
    const auto row = [&](int k) { return ctx.in[0](c, k, n); };
    const Expr slope = select(which == 0, row(2) - row(1), which == 1, row(1) - row(0), row(0) - row(2));
    dx(c, which, n) = select(e.value > 0.0f, 2.0f * slope * ctx.in[1](n), 0.0f);
    return Lowered{{dx}, e.distance, e.r, {}, {e.distance}};
  };
  d.reference = [](const Node& node, const Graph&, const Tensors& in, int64_t batch) {
    RefTensor dx{in[0].dims, std::vector<double>(in[0].data.size(), 0.0)};
    const size_t D = static_cast<size_t>(in[0].dims[2]);
    for (size_t i = 0; i < static_cast<size_t>(batch); ++i) {
      if (excess(node, in, i) <= 0) continue;
      const double *a = &in[0].data[i * 3 * D], *p = a + D, *n = p + D;
      for (size_t c = 0; c < D; ++c) {
        const double values[3] = {n[c] - p[c], p[c] - a[c], a[c] - n[c]};
        for (size_t k = 0; k < 3; ++k) dx.data[(i * 3 + k) * D + c] = 2 * values[k] * in[1].data[i];
      }
    }
    return Tensors{dx};
  };
  return d;
}

LossDef cosine_loss() {
  LossDef l;
  l.name = "cosine";
  l.doc =
      "The angle between output and label over the last dim: 1 - y.label / (|y| |label|), the mean over rows and "
      "batch. The label has the output's type.";
  l.label_type = [](const Type& output) { return output; };
  l.check = [](const Graph& g, ValueId output, const std::vector<ArgValue>&, std::string& error, std::string& help) {
    return check_output(g, output, "cosine", 1, error, help);
  };
  l.build = [](Graph& g, const OpTable& ops, ValueId output, ValueId label, const std::vector<ArgValue>&) {
    return mean_loss(g, ops, g.add(ops.at("cosine_distance"), {output, label}, {}, kNone, "loss_of_row"));
  };
  return l;
}

LossDef triplet_loss() {
  LossDef l;
  l.name = "triplet";
  l.doc =
      "Of embeddings (Schroff et al. 2015): the mean of max(0, |a - p|^2 - |a - n|^2 + margin). The output f32[3, D] "
      "holds the anchor, a positive (of its class) and a "
      "negative (of another); the label, a class index, is not read.";
  l.args = {{"margin", ArgType::number, ArgValue{0.2}, 0, 1e6, {}, "how much nearer the positive is to be"}};
  l.label_type = [](const Type&) { return Type{DType::i32, true, {}}; };
  l.check = [](const Graph& g, ValueId output, const std::vector<ArgValue>&, std::string& error, std::string& help) {
    if (triples(g.type(output))) return true;
    error = fmt::format("triplet needs an output f32[3, D] of anchor, positive and negative, but it is {}",
                        shape_for_user(g.type(output)));
    help = "put the three embeddings over one another, as with Stack";
    return false;
  };
  l.build = [](Graph& g, const OpTable& ops, ValueId output, ValueId, const std::vector<ArgValue>& a) {
    return mean_loss(g, ops,
                     g.add(ops.at("triplet"), {output}, {{"margin", std::get<double>(a[0])}}, kNone, "loss_of_sample"));
  };
  return l;
}

}  // namespace

void add_vector_loss(Registry& r) {
  static const OpDef ops[] = {cosine_distance(), cosine_distance_grad(), triplet(), triplet_grad()};
  static const LossDef losses[] = {cosine_loss(), triplet_loss()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LossDef& l : losses) r.losses.push_back(&l);
}

}  // namespace netc::ops
