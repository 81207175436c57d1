// What weights may be held to: after each update, a weight is moved to the nearest one that satisfies its constraint.
// Norms are of the weights that lead to one output: over all dims but that of the outputs, which attribute `dim` counts
// from the last.
#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

/// f32[U, 1, ...]: one number for each output, which broadcasts along a weight's dims.
Type per_output(const Type& weight, int64_t dim) {
  std::vector<int64_t> dims(static_cast<size_t>(dim) + 1, 1);
  dims[0] = weight.dims[static_cast<size_t>(weight.rank() - 1 - dim)];
  return f32(dims, false);
}

constexpr const char* kUpdatesOnly = "it appears after a weight's update only";
constexpr double kTiny = 1e-7;

OpDef column_norm() {
  OpDef d;
  d.name = "column_norm";
  d.doc =
      "n[u] = sqrt(sum w^2 of all elements whose coordinate along `dim`, counted from the last, is u): -> f32[U, 1, "
      "...].";
  d.kind = Kind::reduction;
  d.no_gradient = kUpdatesOnly;
  d.cost = [](const Node&, const Graph&) { return Cost{0, 0}; };  // once per step, not per sample
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (in[0].dtype != DType::f32 || in[0].batched || in[0].rank() < 2 || in[0].rank() <= a.i("dim")) {
      error = fmt::format("column_norm needs a weight of two dims or more, not {}", to_string(in[0]));
      return false;
    }
    out = {per_output(in[0], a.i("dim"))};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const int dim = static_cast<int>(ctx.node.attrs.i("dim"));
    std::vector<Var> v = vars_of(ctx.out_type());
    auto ranges = ranges_of(ctx.in_type(0), ctx.batch, 0);
    ranges.erase(ranges.begin() + dim);
    RDom r(ranges, "r");
    Exprs at;
    for (int i = 0; i < r.dimensions(); ++i) at.push_back(r[i]);
    at.insert(at.begin() + dim, v[static_cast<size_t>(dim)]);
    Func sum("column_norm_sum"), y("column_norm");
    sum(v) = 0.0f;
    sum(v) += ctx.in[0](at) * ctx.in[0](at);
    y(v) = sqrt(sum(v));
    return Lowered{{y}, sum, r};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    size_t inner = 1;
    for (int64_t d = 0; d < n.attrs.i("dim"); ++d)
      inner *= static_cast<size_t>(in[0].dims[in[0].dims.size() - 1 - static_cast<size_t>(d)]);
    for (size_t i = 0; i < in[0].data.size(); ++i) y.data[i / inner % y.data.size()] += in[0].data[i] * in[0].data[i];
    for (double& v : y.data) v = std::sqrt(v);
    return Tensors{y};
  };
  return d;
}

OpDef limit_norm() {
  OpDef d;
  d.name = "limit_norm";
  d.doc =
      "w scaled so that the norms n of column_norm come to lie from `low` to `high`: w * clamp(n[u], low, high) / "
      "max(n[u], 1e-7). Columns whose norm lies there stay as they "
      "are.";
  d.inputs = 2;
  d.in_place = true;
  d.no_gradient = kUpdatesOnly;
  d.cost = per_element(2);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0].dtype != DType::f32 || in[1].rank() < 1 || in[0].rank() < in[1].rank() ||
        in[1] != per_output(in[0], in[1].rank() - 1)) {
      error = fmt::format("limit_norm needs a weight and the norms of its columns, not {}", list_types(in));
      return false;
    }
    out = {in[0]};
    return true;
  };
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    const Attrs& a = ctx.node.attrs;
    const Expr low = lit(a.f("low")), high = lit(a.f("high"));
    return Exprs{select(in[1] >= low && in[1] <= high, in[0],
                        in[0] * (exact::within(in[1], low, high) / exact::at_least(in[1], lit(kTiny))))};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    const double low = n.attrs.f("low"), high = n.attrs.f("high");
    return std::vector<double>{
        v[1] >= low && v[1] <= high ? v[0] : v[0] * std::clamp(v[1], low, high) / std::max(v[1], kTiny)};
  });
  return d;
}

OpDef at_least_zero() {
  OpDef d;
  d.name = "at_least_zero";
  d.doc = "y = max(w, 0), of a weight.";
  d.in_place = true;
  d.no_gradient = kUpdatesOnly;
  d.cost = per_element(1);
  d.shape = same_type();
  lowering(d).scalar = [](const LowerContext&, const Exprs& in, const Exprs&) {
    return Exprs{exact::at_least(in[0], 0.0f)};
  };
  d.reference = pointwise([](const Node&, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{std::max(v[0], 0.0)};
  });
  return d;
}

SettingDef constraint(const char* name, const char* doc, std::vector<ArgDef> args = {}) {
  SettingDef d;
  d.name = name;
  d.doc = doc;
  d.type = ArgType::constraint;
  d.args = std::move(args);
  d.make = [name = std::string(name)](const std::vector<ArgValue>& v) {
    return ArgValue{Constraint{name, v.empty() ? 0.0 : std::get<double>(v[0])}};
  };
  return d;
}

ValueId constrain(Graph& g, ValueId weight, const Constraint& c, int32_t layer) {
  const OpTable& ops = registry().ops;
  if (c.kind == "non_neg") return g.add(ops.at("at_least_zero"), {weight}, {}, layer);
  const ValueId norm = g.add(ops.at("column_norm"), {weight}, {{"dim", c.dim}}, layer);
  const bool unit = c.kind == "unit_norm";
  return g.add(ops.at("limit_norm"), {weight, norm}, {{"low", unit ? 1.0 : 0.0}, {"high", unit ? 1.0 : c.limit}},
               layer);
}

}  // namespace

void add_constraints(Registry& r) {
  static const OpDef ops[] = {column_norm(), limit_norm(), at_least_zero()};
  static const SettingDef settings[] = {
      constraint("max_norm", "The weights that lead to one output have a norm of at most c (Srivastava et al. 2014)",
                 {{"c", ArgType::number, ArgValue{2.0}, 1e-6, 1e6, {}, "the largest norm"}}),
      constraint("unit_norm", "The weights that lead to one output have a norm of 1"),
      constraint("non_neg", "No weight is below 0"),
  };
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const SettingDef& s : settings) r.settings.push_back(&s);
  r.constrain = constrain;
}

}  // namespace netc::ops
