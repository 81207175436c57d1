// Local response normalisation across channels, as Krizhevsky et al. 2012 write it: alpha is not divided by the
// window's size.
//   s[c] = k + alpha * sum of x^2 over the window of c,  y = x * s^-beta
//   dx[c] = dy[c] * s[c]^-beta - 2 alpha beta x[c] * sum over the window of c of dy * x * s^(-beta - 1)
// where the window of c is also the c' whose windows hold c: windows are symmetric.
#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

struct Lrn {
  int size, radius;
  double alpha, beta, k;
  explicit Lrn(const Attrs& a)
      : size(static_cast<int>(a.i("size"))),
        radius(size / 2),
        alpha(a.f("alpha")),
        beta(a.f("beta")),
        k(a.f("k")) {}

  /// s^-p; the paper's beta needs no logarithm.
  Expr power(const Expr& s, double p) const {
    if (p == 0.75) return 1.0f / (sqrt(s) * sqrt(sqrt(s)));
    if (p == 1.75) return 1.0f / (s * sqrt(s) * sqrt(sqrt(s)));
    return exact::pow(s, lit(-p));
  }
  /// The sum over c's window; f is zero outside the channels.
  Expr window(const Func& f, Exprs at) const {
    const Expr c = at[0];
    Expr sum;
    for (int i = -radius; i <= radius; ++i) {
      at[0] = c + i;
      sum = sum.defined() ? sum + f(at) : Expr(f(at));
    }
    return sum;
  }
  /// The same in the reference: s of each element.
  std::vector<double> ref_sums(const std::vector<double>& v, int64_t C) const {
    std::vector<double> sums(v.size(), 0.0);
    for (int64_t i = 0; i < static_cast<int64_t>(v.size()); ++i)
      for (int64_t j = std::max(i % C - radius, int64_t{0}); j <= std::min(i % C + radius, C - 1); ++j)
        sums[i] += v[i - i % C + j];
    return sums;
  }
};

/// x^2 by element; zero outside the channels.
struct Squares {
  Func squares;
  int channels;
  Squares(const LowerContext& ctx, int operand)
      : squares("lrn_squares"),
        channels(static_cast<int>(ctx.in_type(operand).dims.back())) {
    const std::vector<Var> v = vars_of(ctx.in_type(operand));
    const Expr x = ctx.in[operand](inside(exprs(v)));
    squares(v) = select(v[0] >= 0 && v[0] < channels, x * x, 0.0f);
  }
  Exprs inside(Exprs at) const {
    at[0] = clamp(at[0], 0, channels - 1);
    return at;
  }
};

bool check(const Type& t, const Attrs& a, std::string& error, const char* name, Types in) {
  const bool ok = t.dtype == DType::f32 && t.rank() >= 1 && !t.has_any_extent();
  if (!ok || in[0] != t)
    error = fmt::format("{} needs f32[N, ..., C]{}, not {}", name, in.size() > 1 ? " twice" : "", list_types(in));
  else if (a.i("size") % 2 == 0) error = fmt::format("{} needs a window of odd size, not {}", name, a.i("size"));
  else return true;
  return false;
}

OpDef lrn() {
  OpDef d;
  d.name = "lrn";
  d.doc = "y[c] = x[c] / (k + alpha * sum x[i]^2)^beta, the sum over the channels i of the window of `size` around c.";
  d.kind = Kind::window;
  d.overlapping = [](const Attrs& a) { return a.i("size") > 1; };
  d.cost = [](const Node& n, const Graph& g) {
    return Cost{0, elements(g.type(n.results[0])) * static_cast<double>(n.attrs.i("size") + 12)};
  };
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    out = {in[0]};
    return check(in[0], a, error, "lrn", in);
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Lrn p(ctx.node.attrs);
    const Squares s(ctx, 0);
    const std::vector<Var> v = vars_of(ctx.in_type(0));
    Func y("lrn");
    y(v) = ctx.in[0](v) * p.power(lit(p.k) + lit(p.alpha) * p.window(s.squares, exprs(v)), p.beta);
    return Lowered{{y}, y, {}, {s.squares}};
  };
  d.reference = [](const Node& n, const Graph&, const Tensors& in, int64_t) {
    const Lrn p(n.attrs);
    RefTensor y = in[0];
    for (double& v : y.data) v *= v;
    const std::vector<double> sums = p.ref_sums(y.data, in[0].dims.back());
    for (size_t i = 0; i < sums.size(); ++i) y.data[i] = in[0].data[i] * std::pow(p.k + p.alpha * sums[i], -p.beta);
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.emit("lrn_grad", {g.grads_out[0], g.in(0)}, g.n().attrs)};
  };
  return d;
}

OpDef lrn_grad() {
  OpDef d;
  d.name = "lrn_grad";
  d.doc =
      "Gradient of lrn: with s = k + alpha * sum x[i]^2, dx[c] = dy[c] * s[c]^-beta - 2 * alpha * beta * x[c] * sum "
      "dy[i] * x[i] * s[i]^(-beta-1) "
      "over c's window. Operands dy, x.";
  d.kind = Kind::window;
  d.overlapping = [](const Attrs& a) { return a.i("size") > 1; };
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.cost = [](const Node& n, const Graph& g) {
    return Cost{0, elements(g.type(n.results[0])) * static_cast<double>(2 * n.attrs.i("size") + 24)};
  };
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    out = {in[1]};
    return check(in[1], a, error, "lrn_grad", in);
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Lrn p(ctx.node.attrs);
    const Squares s(ctx, 1);
    const std::vector<Var> v = vars_of(ctx.in_type(1));
    const Exprs at = exprs(v), in = s.inside(at);
    auto sum = [&](const Exprs& e) { return lit(p.k) + lit(p.alpha) * p.window(s.squares, e); };
    Func ratio("lrn_ratio"), dx("lrn_grad");
    ratio(v) =
        select(v[0] >= 0 && v[0] < s.channels, ctx.in[0](in) * ctx.in[1](in) * p.power(sum(at), p.beta + 1), 0.0f);
    dx(v) = ctx.in[0](v) * p.power(sum(at), p.beta) - lit(2 * p.alpha * p.beta) * ctx.in[1](v) * p.window(ratio, at);
    return Lowered{{dx}, dx, {}, {s.squares, ratio}};
  };
  d.reference = [](const Node& n, const Graph&, const Tensors& in, int64_t) {
    const Lrn p(n.attrs);
    const int64_t C = in[1].dims.back();
    RefTensor dx = in[1];
    for (double& v : dx.data) v *= v;
    std::vector<double> s = p.ref_sums(dx.data, C), ratio(s.size());
    for (size_t i = 0; i < s.size(); ++i) {
      s[i] = p.k + p.alpha * s[i];
      ratio[i] = in[0].data[i] * in[1].data[i] * std::pow(s[i], -p.beta - 1);
    }
    const std::vector<double> sums = p.ref_sums(ratio, C);
    for (size_t i = 0; i < s.size(); ++i)
      dx.data[i] = in[0].data[i] * std::pow(s[i], -p.beta) - 2 * p.alpha * p.beta * in[1].data[i] * sums[i];
    return Tensors{dx};
  };
  return d;
}

LayerDef layer_def() {
  LayerDef l;
  l.name = "LRN";
  l.doc =
      "Local response normalisation across channels, with AlexNet's numbers as defaults. y[.., c] = x[.., c] / (k + "
      "alpha * sum_i x[.., i]^2)^beta; "
      "i runs over the size channels around c. alpha multiplies the sum, as in the paper: PyTorch and Caffe, which "
      "take alpha / size, need alpha * size "
      "for the same";
  l.section = "Normalisation";
  l.weight_prefix = "lrn";
  l.args = {{"size",
             ArgType::integer,
             ArgValue{int64_t{5}},
             1,
             1023,
             {},
             "channels of a window: odd, the channel itself and as many on either side"},
            {"alpha", ArgType::number, ArgValue{1e-4}, 0, 1e6, {}, "factor of the sum of squares"},
            {"beta", ArgType::number, ArgValue{0.75}, 0, 10, {}, "exponent"},
            {"k", ArgType::number, ArgValue{2.0}, 1e-6, 1e6, {}, "added to the sum"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "LRN")) return kNone;
    if (b.in_type().rank() == 0) return b.error("LRN needs an input with channels, but its input is a single number");
    const int64_t size = b.i("size");
    if (size % 2 == 0) {
      return b.error(fmt::format("LRN needs a window of odd size, not {}", size),
                     fmt::format("size = {} has {} channels on either side", size + 1, size / 2));
    }
    const int64_t all = 2 * b.in_type().dims.back() - 1;  // a wider window has no more channels in it
    return b.emit("lrn", {b.in()[0]},
                  {{"size", std::min(size, all)}, {"alpha", b.f("alpha")}, {"beta", b.f("beta")}, {"k", b.f("k")}});
  };
  return l;
}

}  // namespace

void add_lrn(Registry& r) {
  static const OpDef ops[] = {lrn(), lrn_grad()};
  static const LayerDef layer = layer_def();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
