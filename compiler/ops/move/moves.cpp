#include "compiler/ops/move/moves.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {

bool movable(const Type& t) { return t.rank() >= 1 && t.rank() <= 4 && !t.has_any_extent(); }

bool misfit(std::string& error, const char* name, const std::string& what, Types in) {
  error = fmt::format("{} needs {}, not {}", name, what, list_types(in));
  return false;
}

namespace {
size_t position(const RefTensor& t, const At& at) {
  int64_t i = 0;
  for (size_t d = 0; d < at.size(); ++d) i = i * t.dims[d] + at[d];
  return static_cast<size_t>(i);
}

At coordinates(const RefTensor& t, size_t i) {
  At at(t.dims.size());
  int64_t rest = static_cast<int64_t>(i);
  for (size_t d = at.size(); d-- > 0; rest /= t.dims[d]) at[d] = rest % t.dims[d];
  return at;
}
}  // namespace

double element(const RefTensor& t, const At& at) { return t.data[position(t, at)]; }

decltype(OpDef::reference) by_coordinates(
    std::function<double(const Node&, const Graph&, const Tensors&, At, size_t)> f) {
  return [f](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    const Type& t = g.type(n.results[0]);
    RefTensor y = ref_zeros(t, batch);
    for (size_t i = 0; i < y.data.size(); ++i) y.data[i] = f(n, g, in, coordinates(y, i), t.batched ? 1 : 0);
    return Tensors{y};
  };
}

decltype(OpDef::reference) by_scattering(std::function<void(const Node&, const Graph&, At, size_t, const Place&)> f) {
  return [f](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    const Type& t = g.type(n.results[0]);
    RefTensor y = ref_zeros(t, batch);
    for (size_t i = 0; i < in[0].data.size(); ++i)
      f(n, g, coordinates(in[0], i), t.batched ? 1 : 0,
        [&](At at, double weight) { y.data[position(y, at)] += weight * in[0].data[i]; });
    return Tensors{y};
  };
}

ArgDef axis_arg(const char* fallback, const char* doc) {
  return {"axis", ArgType::axis, ArgValue{std::string(fallback)}, -4, 3, {}, doc};
}

bool check_size(LayerBuilder& b, const char* layer, const Type& t) {
  constexpr double kMost = 1e9;
  double n = 1;
  for (const int64_t d : t.dims) n *= static_cast<double>(d);
  if (n <= kMost) return true;
  b.error(fmt::format("{} would make {} of {}, and a sample has at most {} values", layer, shape_for_user(t),
                      shape_for_user(b.in_type()), grouped(1000000000)));
  return false;
}

ValueId ingested(LayerBuilder& b, const char* layer, const char* op, Attrs attrs) {
  const Graph& g = b.graph();
  ValueId v = b.in()[0];
  bool data = true;
  while (data && g.values[v].def != kNone) {
    const Node& n = g.nodes[g.values[v].def];
    data = n.inputs.size() == 1 && n.op->kind == Kind::elementwise;
    v = n.inputs[0];
  }
  if (data && g.variables[g.values[v].variable].role == Role::input) return b.emit(op, {b.in()[0]}, std::move(attrs));
  return b.error(fmt::format("{} of an image of any size, with its aspect ratio kept or antialiased, "
                             "works on the net's input only: it runs while data is loaded",
                             layer),
                 "put it right after the input");
}

Lowered box_sum(const char* name, const std::vector<Var>& v, const std::vector<int>& box,
                std::function<Expr(const Exprs&)> term) {
  Func y(name);
  int size = 1;
  for (const int n : box) size *= n;
  if (size <= 16) {
    Expr sum;
    for (int i = 0; i < size; ++i) {
      Exprs t;
      int rest = i;
      for (const int n : box) t.push_back(rest % n), rest /= n;
      const Expr value = term(t);
      sum = sum.defined() ? sum + value : value;
    }
    y(v) = sum;
    return Lowered{{y}, y};
  }
  std::vector<Halide::Range> ranges;
  for (const int n : box) ranges.emplace_back(0, n);
  RDom r(ranges, "r");
  Exprs t;
  for (size_t i = 0; i < box.size(); ++i) t.push_back(r[static_cast<int>(i)]);
  y(v) = 0.0f;
  y(v) += term(t);
  return Lowered{{y}, y, r};
}

}  // namespace netc::ops
