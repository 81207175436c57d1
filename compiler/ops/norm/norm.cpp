// Normalisation by statistics of one sample, no batch and no running averages: layer_norm and rms_norm over the last
// dim, group_norm over all positions of a group of channels. A "row" is what is normalised together. With xhat = (x -
// mean) / sqrt(var + eps) (rms: mean = 0, var = mean of x^2), g = dy * gamma[c]:
//   y = xhat * gamma[c] + beta[c]
//   dx = (g - mean of g - xhat * mean of (g * xhat)) / sqrt(var + eps)  (rms: without the mean of g)
//   dgamma[c] = sum dy * xhat,  dbeta[c] = sum dy
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

/// One of the operators' families.
struct Family {
  const char* name;
  bool centred;  // subtracts the mean and adds a beta
  bool grouped;  // rows are groups of channels (attribute "groups"), not the last dim
  const char* formula;
};

struct Rows {
  RDom r;                // over a row's elements
  std::vector<Var> row;  // which row
  Exprs element;         // coordinates of element r of it
  int channels = 0;      // grouped: of a group
  double size = 0;
  /// The row that holds the element at these coordinates.
  Exprs row_of(const Exprs& at) const {
    return channels == 0 ? Exprs(at.begin() + 1, at.end()) : Exprs{at[0] / channels, at.back()};
  }
};

Rows rows_of(const Family& f, const LowerContext& ctx, int operand) {
  const Type& t = ctx.in_type(operand);
  const std::vector<Var> v = vars_of(t);
  Rows s;
  if (!f.grouped) {
    s.r = RDom(0, static_cast<int>(t.dims.back()), "r");
    s.row.assign(v.begin() + 1, v.end());
    s.element = exprs(v);
    s.element[0] = s.r[0];
    s.size = static_cast<double>(t.dims.back());
    return s;
  }
  s.channels = static_cast<int>(t.dims.back() / ctx.node.attrs.i("groups"));
  std::vector<Halide::Range> ranges = ranges_of(t, ctx.batch);
  ranges[0] = Halide::Range(0, s.channels);
  ranges.pop_back();  // a row lies in one sample
  s.r = RDom(ranges, "r");
  s.row = {v[0], v.back()};
  s.element = {v[0] * s.channels + s.r[0]};
  for (int i = 1; i < s.r.dimensions(); ++i) s.element.push_back(s.r[i]);
  s.element.push_back(v.back());
  s.size = static_cast<double>(spatial(t) * s.channels);
  return s;
}

/// The rows' statistics, mean first and then deviations from it: the folds are `folds`, in order. The mean is summed
/// in double: its error, divided by the standard deviation, is that of all the row, and rows may be nearly constant and
/// far from 0.
struct Statistics {
  Rows rows;
  bool centred;
  Func x, sum, mean, squares, rstd;
  std::vector<Func> folds;

  Statistics(const Family& f, const LowerContext& ctx, int operand)
      : rows(rows_of(f, ctx, operand)),
        centred(f.centred),
        x(ctx.in[operand]),
        sum("norm_sum"),
        mean("norm_mean"),
        squares("norm_squares"),
        rstd("norm_rstd") {
    const Exprs row(rows.row.begin(), rows.row.end());
    if (centred) {
      sum(rows.row) = cast<double>(0);
      sum(rows.row) += cast<double>(x(rows.element));
      mean(rows.row) = cast<float>(sum(row) * Expr(1 / rows.size));
      folds = {sum, mean};
    }
    const Expr d = deviation(rows.element, row);
    squares(rows.row) = 0.0f;
    squares(rows.row) += d * d;
    rstd(rows.row) = 1.0f / sqrt(squares(row) * lit(1 / rows.size) + lit(ctx.node.attrs.f("eps")));
    folds.insert(folds.end(), {squares, rstd});
  }
  Expr deviation(const Exprs& at, const Exprs& row) const { return centred ? x(at) - mean(row) : Expr(x(at)); }
  Expr xhat(const Exprs& at, const Exprs& row) const { return deviation(at, row) * rstd(row); }
};

/// xhat and 1 / sqrt(var + eps), by element.
struct RefRows {
  std::vector<size_t> row;
  std::vector<double> xhat, rstd;
  double size = 0;
  size_t rows = 0;

  RefRows(const Family& f, const Node& n, const RefTensor& x)
      : row(x.data.size()),
        xhat(x.data.size()),
        rstd(x.data.size()) {
    const size_t C = static_cast<size_t>(x.dims.back()), sample = x.data.size() / static_cast<size_t>(x.dims[0]);
    const size_t groups = f.grouped ? static_cast<size_t>(n.attrs.i("groups")) : 1;
    for (size_t i = 0; i < row.size(); ++i) row[i] = f.grouped ? i / sample * groups + i % C / (C / groups) : i / C;
    rows = row.back() + 1;
    size = static_cast<double>(row.size() / rows);
    const std::vector<double> mean = f.centred ? mean_of(x.data) : std::vector<double>(rows, 0.0);
    for (size_t i = 0; i < row.size(); ++i) xhat[i] = std::pow(x.data[i] - mean[row[i]], 2);
    const std::vector<double> var = mean_of(xhat);
    for (size_t i = 0; i < row.size(); ++i) {
      rstd[i] = 1 / std::sqrt(var[row[i]] + n.attrs.f("eps"));
      xhat[i] = (x.data[i] - mean[row[i]]) * rstd[i];
    }
  }
  std::vector<double> mean_of(const std::vector<double>& v) const {
    std::vector<double> m(rows, 0.0);
    for (size_t i = 0; i < v.size(); ++i) m[row[i]] += v[i] / size;
    return m;
  }
};

/// `images` operands of one type, then `vectors` of its channels.
bool check(const Family& f, Types in, const Attrs& a, int images, int vectors, std::string& error,
           const std::string& name) {
  const Type& x = in[0];
  bool ok = x.dtype == DType::f32 && x.rank() >= 1 && !x.has_any_extent() && (x.batched || !f.grouped);
  for (int i = 1; i < images; ++i) ok = ok && in[i] == x;
  for (int i = images; i < images + vectors; ++i) ok = ok && in[i] == f32({x.dims.back()}, false);
  if (!ok) {
    error = fmt::format("{} needs {} f32[N, ..., C]{}, not {}", name, images,
                        vectors ? fmt::format(" and {} f32[C]", vectors) : "", list_types(in));
    return false;
  }
  if (f.grouped && (a.i("groups") < 1 || x.dims.back() % a.i("groups") != 0)) {
    error = fmt::format("{}: {} groups do not divide the channels of {}", name, a.i("groups"), to_string(x));
    return false;
  }
  return true;
}

Attrs attrs_of(const Family& f, const Node& n) {
  Attrs a = {{"eps", n.attrs.f("eps")}};
  if (f.grouped) a.set("groups", n.attrs.i("groups"));
  return a;
}

OpDef forward(const Family& f) {
  OpDef d;
  d.name = f.name;
  d.doc = f.formula;
  d.kind = Kind::reduction;
  d.inputs = f.centred ? 3 : 2;
  d.cost = per_element(f.centred ? 8 : 5);
  d.shape = [f](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    out = {in[0]};
    return check(f, in, a, 1, f.centred ? 2 : 1, error, f.name);
  };
  lowering(d).algorithm = [f](const LowerContext& ctx) {
    const Statistics s(f, ctx, 0);
    const std::vector<Var> v = vars_of(ctx.in_type(0));
    const Exprs at = exprs(v);
    const Expr scaled = s.xhat(at, s.rows.row_of(at)) * ctx.in[1](v[0]);
    Func y(f.name);
    y(v) = f.centred ? scaled + ctx.in[2](v[0]) : scaled;
    return Lowered{{y}, s.squares, s.rows.r, {}, s.folds};
  };
  d.reference = [f](const Node& n, const Graph&, const Tensors& in, int64_t) {
    RefTensor y = in[0];
    const RefRows s(f, n, in[0]);
    const size_t C = in[1].data.size();
    for (size_t i = 0; i < y.data.size(); ++i)
      y.data[i] = s.xhat[i] * in[1].data[i % C] + (f.centred ? in[2].data[i % C] : 0.0);
    return Tensors{y};
  };
  d.terms = [f](const Node& n, const Tensors& in) {  // x and its mean
    const RefRows s(f, n, in[0]);
    double most = 0;
    for (size_t i = 0; i < s.xhat.size(); ++i)
      most = std::max(most, std::abs(in[0].data[i] * s.rstd[i] * in[1].data[i % in[1].data.size()]));
    return most;
  };
  d.gradient = [f](const GradContext& g) {
    const std::string name = f.name;
    const Attrs a = attrs_of(f, g.n());
    const ValueId dy = g.grads_out[0], x = g.in(0), gamma = g.in(1);
    std::vector<ValueId> r(f.centred ? 3 : 2, kNone);
    if (g.wanted[0]) r[0] = g.emit(name + "_data_grad", {dy, x, gamma}, a);
    if (g.wanted[1]) r[1] = g.emit(name + "_gamma_grad", {dy, x}, a);
    if (f.centred && g.wanted[2]) r[2] = g.emit("sum_to_channel", {dy});
    return r;
  };
  return d;
}

OpDef data_grad(const Family& f) {
  OpDef d;
  d.name = std::string(f.name) + "_data_grad";
  d.doc = fmt::format(
      "Gradient of {} in x, through the statistics too: rstd * (g - {}xhat * mean of (g * xhat)) with g = dy * "
      "gamma[c]. "
      "Operands dy, x, gamma.",
      f.name, f.centred ? "mean of g - " : "");
  d.kind = Kind::reduction;
  d.inputs = 3;
  d.no_gradient = kNoSecond;
  d.cost = per_element(f.centred ? 16 : 12);
  const std::string me = d.name;
  d.shape = [f, me](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    out = {in[0]};
    return check(f, in, a, 2, 1, error, me);
  };
  lowering(d).algorithm = [f, me](const LowerContext& ctx) {
    Statistics s(f, ctx, 1);
    const std::vector<Var> v = vars_of(ctx.in_type(1));
    const Exprs at = exprs(v), here = s.rows.row_of(at), row(s.rows.row.begin(), s.rows.row.end());
    auto gradient = [&](const Exprs& e) { return ctx.in[0](e) * ctx.in[2](e[0]); };
    Func sum(me + "_sum"), dot(me + "_dot"), dx(me);
    if (f.centred) {
      sum(s.rows.row) = 0.0f;
      sum(s.rows.row) += gradient(s.rows.element);
      s.folds.push_back(sum);
    }
    dot(s.rows.row) = 0.0f;
    dot(s.rows.row) += gradient(s.rows.element) * s.xhat(s.rows.element, row);
    s.folds.push_back(dot);
    const Expr along = s.xhat(at, here) * dot(here);
    dx(v) = s.rstd(here) * (gradient(at) - (f.centred ? sum(here) + along : along) * lit(1 / s.rows.size));
    return Lowered{{dx}, dot, s.rows.r, {}, s.folds};
  };
  d.reference = [f](const Node& n, const Graph&, const Tensors& in, int64_t) {
    RefTensor dx = in[0];
    const RefRows s(f, n, in[1]);
    const size_t C = in[2].data.size();
    std::vector<double> g(dx.data.size()), along(dx.data.size());
    for (size_t i = 0; i < g.size(); ++i) {
      g[i] = in[0].data[i] * in[2].data[i % C];
      along[i] = g[i] * s.xhat[i];
    }
    const std::vector<double> mean = s.mean_of(g), dot = s.mean_of(along);
    for (size_t i = 0; i < g.size(); ++i)
      dx.data[i] = s.rstd[i] * (g[i] - (f.centred ? mean[s.row[i]] : 0.0) - s.xhat[i] * dot[s.row[i]]);
    return Tensors{dx};
  };
  // of which a row's differences are left; xhat itself is off by x's last place
  d.terms = [f](const Node& n, const Tensors& in) {
    const RefRows s(f, n, in[1]);
    double most = 0;
    for (size_t i = 0; i < s.xhat.size(); ++i) {
      const double off = f.centred ? std::abs(in[1].data[i]) * s.rstd[i] : 0;
      most = std::max(most, std::abs(in[0].data[i] * in[2].data[i % in[2].data.size()]) * s.rstd[i] *
                                (1 + std::abs(s.xhat[i]) * (std::abs(s.xhat[i]) + off)));
    }
    return most;
  };
  return d;
}

OpDef gamma_grad(const Family& f) {
  OpDef d;
  d.name = std::string(f.name) + "_gamma_grad";
  d.doc = fmt::format("Gradient of {} in gamma: dgamma[c] = sum dy * xhat over all but the channels. Operands dy, x.",
                      f.name);
  d.kind = Kind::reduction;
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.cost = per_input_element(0, f.centred ? 8 : 5);
  const std::string me = d.name;
  d.shape = [f, me](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (!check(f, in, a, 2, 0, error, me)) return false;
    if (!in[0].batched && in[0].rank() == 1) {
      error = fmt::format("{} needs more than one row, not {}", me, to_string(in[0]));
      return false;
    }
    out = {f32({in[0].dims.back()}, false)};
    return true;
  };
  lowering(d).algorithm = [f, me](const LowerContext& ctx) {
    const Statistics s(f, ctx, 1);
    Var c("c");
    RDom q(ranges_of(ctx.in_type(1), ctx.batch, 1), "q");
    Exprs at{c};
    for (int i = 0; i < q.dimensions(); ++i) at.push_back(q[i]);
    Func dgamma(me);
    dgamma(c) = 0.0f;
    dgamma(c) += ctx.in[0](at) * s.xhat(at, s.rows.row_of(at));
    return Lowered{{dgamma}, dgamma, q, {}, s.folds};
  };
  d.reference = [f](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    const RefRows s(f, n, in[1]);
    for (size_t i = 0; i < s.xhat.size(); ++i) y.data[i % y.data.size()] += in[0].data[i] * s.xhat[i];
    return Tensors{y};
  };
  // dy times x and its mean, of whose difference rows of one element leave nothing
  if (f.centred)
    d.terms = [f](const Node& n, const Tensors& in) {
      const RefRows s(f, n, in[1]);
      double most = 0;
      for (size_t i = 0; i < s.xhat.size(); ++i)
        most = std::max(most, std::abs(in[0].data[i] * in[1].data[i]) * s.rstd[i]);
      return most;
    };
  return d;
}

}  // namespace

void add_norm(Registry& r) {
  static const Family layer{
      "layer_norm", true, false,
      "y = (x - mean) / sqrt(variance + eps) * gamma[c] + beta[c]; mean and variance of the last dimension."};
  static const Family rms{"rms_norm", false, false,
                          "y = x / sqrt(mean of x^2 + eps) * gamma[c]; the mean over the last dimension."};
  static const Family group{"group_norm", true, true,
                            "y = (x - mean) / sqrt(variance + eps) * gamma[c] + beta[c]; mean and variance of a "
                            "sample's positions in a group of channels."};
  static const OpDef ops[] = {forward(layer),  data_grad(layer), gamma_grad(layer), forward(rms),     data_grad(rms),
                              gamma_grad(rms), forward(group),   data_grad(group),  gamma_grad(group)};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
}

}  // namespace netc::ops
