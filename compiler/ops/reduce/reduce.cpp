// Reductions of one sample over some of its dims. The operators keep the dims reduced as extents of 1; a layer drops
// them by a view.
#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/elementwise/functions.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

bool has(const std::vector<int64_t>& axes, int64_t axis) {
  return std::find(axes.begin(), axes.end(), axis) != axes.end();
}

/// A fold of a tensor over axes: `result` are the coordinates of what is left (those of the axes are always 0), `at`
/// the operand's within the fold.
struct Fold {
  std::vector<Var> result;
  RDom r;
  Exprs at;
  double count = 1;
  /// The sum of `x` over the fold, in double: of thousands of numbers about the same, float32 would lose three digits.
  Func sum_of(Func x, const std::string& name) const {
    Func sum(name);
    sum(result) = cast<double>(0);
    sum(result) += cast<double>(x(at));
    return sum;
  }
};

Fold fold_over(const Type& t, const std::vector<int64_t>& axes) {
  Fold f{vars_of(t), {}, {}};
  f.at = exprs(f.result);
  std::vector<Halide::Range> ranges;
  std::vector<int> dims;
  for (int d = 0; d < t.rank(); ++d) {  // innermost first
    const int64_t axis = t.rank() - 1 - d;
    if (!has(axes, axis)) continue;
    ranges.emplace_back(0, static_cast<int>(t.dims[axis]));
    dims.push_back(d);
    f.count *= static_cast<double>(t.dims[axis]);
  }
  f.r = RDom(ranges, "r");
  for (size_t i = 0; i < dims.size(); ++i) f.at[dims[i]] = f.r[static_cast<int>(i)];
  return f;
}

/// The position among the elements folded, in row-major order, of a point of the operand.
Expr position(const Type& t, const std::vector<int64_t>& axes, const Exprs& at) {
  Expr p = 0;
  for (int64_t axis = 0; axis < t.rank(); ++axis) {
    if (has(axes, axis)) p = p * static_cast<int>(t.dims[axis]) + at[t.rank() - 1 - axis];
  }
  return p;
}

double count_of(const Type& t, const std::vector<int64_t>& axes) {
  double n = 1;
  for (int64_t a : axes) n *= static_cast<double>(t.dims[a]);
  return n;
}

bool check_axes(const char* name, const Type& t, const std::vector<int64_t>& axes, std::string& error) {
  bool ok = t.dtype == DType::f32 && !t.has_any_extent() && !axes.empty() && std::is_sorted(axes.begin(), axes.end()) &&
            std::adjacent_find(axes.begin(), axes.end()) == axes.end();
  for (int64_t a : axes) ok = ok && a >= 0 && a < t.rank();
  if (!ok) error = fmt::format("{} cannot fold the axes [{}] of {}", name, fmt::join(axes, ", "), to_string(t));
  return ok;
}

Type folded(Type t, const std::vector<int64_t>& axes) {
  for (int64_t a : axes) t.dims[a] = 1;
  return t;
}

const std::vector<int64_t>& axes_of(const Node& n) { return n.attrs.ints("axes"); }

/// Each result's elements of the operand, in order.
std::vector<std::vector<double>> groups(const Node& n, const Graph& g, const Tensors& in, int64_t batch,
                                        std::vector<int64_t>& dims) {
  const RefTensor y = ref_zeros(folded(g.type(n.inputs[0]), axes_of(n)), batch);
  dims = y.dims;
  std::vector<std::vector<double>> all(y.data.size());
  for (size_t i = 0; i < in[0].data.size(); ++i) {
    all[static_cast<size_t>(broadcast_index(static_cast<int64_t>(i), y.dims, in[0].dims))].push_back(in[0].data[i]);
  }
  return all;
}

OpDef reduction(const char* name, const char* doc, double flops, double (*fold)(const std::vector<double>&)) {
  OpDef d;
  d.name = name;
  d.doc = doc;
  d.kind = Kind::reduction;
  d.cost = per_input_element(0, flops);
  d.shape = [me = d.name](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (!check_axes(me.c_str(), in[0], a.ints("axes"), error)) return false;
    out = {folded(in[0], a.ints("axes"))};
    return true;
  };
  d.reference = [fold](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y;
    for (const std::vector<double>& group : groups(n, g, in, batch, y.dims)) y.data.push_back(fold(group));
    return Tensors{y};
  };
  return d;
}

double sum_of(const std::vector<double>& v) {
  double s = 0;
  for (double x : v) s += x;
  return s;
}
double mean_of(const std::vector<double>& v) { return sum_of(v) / static_cast<double>(v.size()); }
double variance_of(const std::vector<double>& v) {
  const double mean = mean_of(v);
  double s = 0;
  for (double x : v) s += (x - mean) * (x - mean);
  return s / static_cast<double>(v.size());
}
double max_of(const std::vector<double>& v) { return *std::max_element(v.begin(), v.end()); }

OpDef reduce_sum() {
  OpDef d = reduction("reduce_sum", "Sum of each sample over the dims `axes`, whose extents become 1.", 1, sum_of);
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Fold f = fold_over(ctx.in_type(0), axes_of(ctx.node));
    Func sum = f.sum_of(ctx.in[0], "reduce_sum_sum"), y("reduce_sum");
    y(f.result) = cast<float>(sum(f.result));
    return Lowered{{y}, sum, f.r};
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.emit("expand", {g.grads_out[0]}, {{"dims", g.graph.type(g.in(0)).dims}})};
  };
  return d;
}

OpDef reduce_mean() {
  OpDef d = reduction("reduce_mean", "Mean of each sample over the dims `axes`, whose extents become 1.", 1, mean_of);
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Fold f = fold_over(ctx.in_type(0), axes_of(ctx.node));
    Func sum = f.sum_of(ctx.in[0], "reduce_mean_sum"), y("reduce_mean");
    y(f.result) = cast<float>(sum(f.result) * Expr(1 / f.count));
    return Lowered{{y}, sum, f.r};
  };
  d.gradient = [](const GradContext& g) {
    const Type t = g.graph.type(g.in(0));
    const ValueId each = g.emit("scale", {g.grads_out[0]}, {{"factor", 1 / count_of(t, axes_of(g.n()))}});
    return std::vector<ValueId>{g.emit("expand", {each}, {{"dims", t.dims}})};
  };
  return d;
}

OpDef reduce_variance() {
  OpDef d =
      reduction("reduce_variance",
                "Biased variance of each sample over the dims `axes`, whose extents become 1: mean (x - mean x)^2.", 4,
                variance_of);
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Fold f = fold_over(ctx.in_type(0), axes_of(ctx.node));
    Func total = f.sum_of(ctx.in[0], "reduce_variance_total"), mean("reduce_variance_mean"), sum("reduce_variance_sum"),
         y("reduce_variance");
    mean(f.result) = cast<float>(total(f.result) * Expr(1 / f.count));
    const Expr apart = ctx.in[0](f.at) - mean(f.result);
    sum(f.result) = 0.0f;
    sum(f.result) += apart * apart;
    y(f.result) = sum(f.result) * lit(1 / f.count);
    return Lowered{{y}, sum, f.r, {}, {total, mean}};
  };
  d.gradient = [](const GradContext& g) {  // the mean's own share is zero
    const Attrs axes = {{"axes", axes_of(g.n())}};
    const double each = 2 / count_of(g.graph.type(g.in(0)), axes_of(g.n()));
    const ValueId apart = g.emit("sub", {g.in(0), g.emit("reduce_mean", {g.in(0)}, axes)});
    return std::vector<ValueId>{g.emit("mul", {apart, g.emit("scale", {g.grads_out[0]}, {{"factor", each}})})};
  };
  return d;
}

OpDef reduce_max() {
  OpDef d =
      reduction("reduce_max", "Largest value of each sample over the dims `axes`, whose extents become 1.", 1, max_of);
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Fold f = fold_over(ctx.in_type(0), axes_of(ctx.node));
    Func y("reduce_max");
    y(f.result) = exact::lowest();
    y(f.result) = max(y(f.result), ctx.in[0](f.at));
    return Lowered{{y}, y, f.r};
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.emit("reduce_max_grad", {g.in(0), g.grads_out[0]}, g.n().attrs)};
  };
  return d;
}

OpDef reduce_max_grad() {
  OpDef d;
  d.name = "reduce_max_grad";
  d.doc = "Gradient of reduce_max: dx = dy at the first largest value, in row-major order, else 0. Operands x, dy.";
  d.kind = Kind::reduction;
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.cost = per_input_element(0, 3);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (!check_axes("reduce_max_grad", in[0], a.ints("axes"), error)) return false;
    if (in[1] != folded(in[0], a.ints("axes"))) {
      error = fmt::format("reduce_max_grad cannot fold {} to {}", to_string(in[0]), to_string(in[1]));
      return false;
    }
    out = {in[0]};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Type& t = ctx.in_type(0);
    const std::vector<int64_t>& axes = axes_of(ctx.node);
    const Fold f = fold_over(t, axes);
    Func largest("reduce_max_largest"), first("reduce_max_first"), dx("reduce_max_grad");
    largest(f.result) = exact::lowest();
    largest(f.result) = max(largest(f.result), ctx.in[0](f.at));
    first(f.result) = static_cast<int>(f.count) - 1;
    first(f.result) = min(first(f.result), select(ctx.in[0](f.at) >= largest(f.result), position(t, axes, f.at),
                                                  static_cast<int>(f.count) - 1));
    const Exprs at = exprs(f.result);
    Exprs row = at;
    for (int64_t a : axes) row[t.rank() - 1 - a] = 0;
    dx(f.result) = select(first(row) == position(t, axes, at), ctx.in[1](row), 0.0f);
    return Lowered{{dx}, first, f.r, {}, {largest, first}};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    std::vector<int64_t> dims;
    const std::vector<std::vector<double>> all = groups(n, g, in, batch, dims);
    std::vector<size_t> seen(all.size(), 0);
    RefTensor dx = in[0];
    for (size_t i = 0; i < dx.data.size(); ++i) {
      const size_t k = static_cast<size_t>(broadcast_index(static_cast<int64_t>(i), dims, dx.dims));
      const size_t first = static_cast<size_t>(std::max_element(all[k].begin(), all[k].end()) - all[k].begin());
      dx.data[i] = seen[k]++ == first ? in[1].data[k] : 0.0;
    }
    return Tensors{dx};
  };
  return d;
}

struct Named {
  const char *layer, *prefix, *op, *doc;
};
const Named kLayers[] = {
    {"Sum", "sum", "reduce_sum", "Sum over some dims. y = sum of x over the axes"},
    {"Mean", "mean", "reduce_mean", "Mean over some dims. y = mean of x over the axes"},
    {"ReduceMax", "reduce_max", "reduce_max", "Largest value over some dims. y = max of x over the axes"},
    {"Variance", "variance", "reduce_variance", "Variance over some dims. y = mean of (x - mean x)^2 over the axes"}};

/// The dim that a word means, from the right: channel is the last, before it come width and height of an image, or the
/// position of a sequence.
int64_t axis_named(const Type& t, const std::string& word) {
  if (word == "channel" && t.rank() >= 1) return t.rank() - 1;
  if (word == "position" && t.rank() == 2) return 0;
  if (word == "width" && t.rank() >= 2) return t.rank() - 2;
  if (word == "height" && t.rank() >= 3) return t.rank() - 3;
  return kNone;
}

ValueId build(LayerBuilder& b, const Named& n) {
  if (!check_operand(b, n.layer)) return kNone;
  const Type t = b.in_type();
  if (t.rank() == 0)
    return b.error(fmt::format("{} needs an input with dimensions, but its input is a single number", n.layer));
  std::vector<int64_t> axes;
  for (const std::string& word : b.words("axes")) {
    for (int64_t a = 0; word == "all" && a < t.rank(); ++a) axes.push_back(a);
    if (word == "all") continue;
    const int64_t a = axis_named(t, word);
    if (a == kNone) {
      return b.error(
          fmt::format("{} over {} needs an input that has it, but its input is {}", n.layer, word, shape_for_user(t)),
          t.rank() == 1   ? "a flat input has channel only"
          : t.rank() == 2 ? "a sequence has position and channel"
                          : "an image has height, width and channel");
    }
    axes.push_back(a);
  }
  std::sort(axes.begin(), axes.end());
  axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
  const ValueId y = b.emit(n.op, {b.in()[0]}, {{"axes", axes}});
  if (b.b("keep")) return y;
  std::vector<int64_t> left;
  for (int64_t a = 0; a < t.rank(); ++a) {
    if (!has(axes, a)) left.push_back(t.dims[a]);
  }
  return b.emit("reshape", {y}, {{"dims", left}});
}

LayerDef layer_def(const Named& n) {
  LayerDef l;
  l.name = n.layer;
  l.doc = n.doc;
  l.section = "Reduction";
  l.weight_prefix = n.prefix;
  l.args = {{"axes",
             ArgType::words,
             ArgValue{std::vector<std::string>{"all"}},
             -1e300,
             1e300,
             {"height", "width", "position", "channel", "all"},
             "what is folded, one or a list, as [height, width]"},
            {"keep", ArgType::boolean, ArgValue{false}, 0, 1, {}, "keeps the dims folded, with an extent of 1"}};
  l.build = [&n](LayerBuilder& b) { return build(b, n); };
  return l;
}

FunctionDef function_def(const char* name, const char* doc, const char* op) {
  FunctionDef f;
  f.name = name;
  f.doc = doc;
  f.reduces = true;
  f.build = [me = f.name, op](Graph& g, const OpTable& ops, const std::vector<ValueId>& args,
                              const std::vector<int64_t>& wanted, int32_t layer, std::string& error) {
    if (!check_function_operands(g, me, args, error)) return kNone;
    const Type t = g.type(args[0]);
    std::vector<int64_t> axes = wanted;
    for (int64_t a = 0; wanted.empty() && a < t.rank(); ++a) axes.push_back(a);
    std::sort(axes.begin(), axes.end());
    axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
    if (axes.empty() || axes.front() < 0 || axes.back() >= t.rank()) {
      error = fmt::format("{} folds a dim that is not there: its operand is {}", me, shape_for_user(t));
      return kNone;
    }
    return g.add(ops.at(op), {args[0]}, {{"axes", axes}}, layer);
  };
  return f;
}

}  // namespace

void add_reduce(Registry& r) {
  static const OpDef ops[] = {reduce_sum(), reduce_mean(), reduce_variance(), reduce_max(), reduce_max_grad()};
  static const std::vector<LayerDef> layers = [] {
    std::vector<LayerDef> v;
    for (const Named& n : kLayers) v.push_back(layer_def(n));
    return v;
  }();
  static const FunctionDef functions[] = {
      function_def("sum", "sum over the axes, or over all of a sample", "reduce_sum"),
      function_def("mean", "mean over the axes, or over all of a sample", "reduce_mean"),
      function_def("variance", "mean of (x - mean x)^2 over the axes, or over all of a sample", "reduce_variance")};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LayerDef& l : layers) r.layers.push_back(&l);
  for (const FunctionDef& f : functions) r.functions.push_back(&f);
}

}  // namespace netc::ops
