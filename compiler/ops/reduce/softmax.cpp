// Softmax over the last dimension, and its logarithm, taken without it: small probabilities keep their digits.
#include "compiler/ops/reduce/softmax.h"

#include <algorithm>

#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {

SoftmaxRows softmax_rows(const LowerContext& ctx, int operand, const SoftmaxTerm& term) {
  const Type& t = ctx.in_type(operand);
  std::vector<Var> v = vars_of(t);
  const std::vector<Var> row(v.begin() + 1, v.end());
  SoftmaxRows s{RDom(0, static_cast<int>(t.dims.back()), "r"), Func("softmax_maximum"), Func("softmax_sum")};
  Exprs at = exprs(v);
  at[0] = s.r;
  const Expr x = ctx.in[operand](at);
  s.maximum(row) = exact::lowest();
  s.maximum(row) = max(s.maximum(row), x);
  const Expr e = exact::exp_of_negative(x - s.maximum(row)), added = term ? term(s.r, e) : e;
  s.sum(row) = cast(added.type(), 0);
  s.sum(row) += added;
  return s;
}

std::vector<double> ref_log_softmax(const RefTensor& x) {
  std::vector<double> y(x.data.size());
  for (size_t C = static_cast<size_t>(x.dims.back()), row = 0; row < y.size(); row += C) {
    const double top = *std::max_element(&x.data[row], &x.data[row] + C);
    double others = 0, largest = 0;
    for (size_t i = row; i < row + C; ++i) x.data[i] < top ? others += std::exp(x.data[i] - top) : largest += 1;
    for (size_t i = row; i < row + C; ++i) y[i] = x.data[i] - top - std::log1p(others + (largest - 1));
  }
  return y;
}

std::vector<double> ref_softmax(const RefTensor& x) {
  std::vector<double> y = ref_log_softmax(x);
  for (double& v : y) v = std::exp(v);
  return y;
}

namespace {

bool rows(const Type& t) { return t.dtype == DType::f32 && t.rank() >= 1 && !t.has_any_extent(); }

/// All operands are f32[N, ..., C], and so is the result.
ShapeRule row_shape(const std::string& me, const char* twice = "") {
  return [me, twice](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!rows(in[0]) || in.back() != in[0]) {
      error = fmt::format("{} needs f32[N, ..., C]{}, not {}", me, twice, list_types(in));
      return false;
    }
    out = {in[0]};
    return true;
  };
}

OpDef forward(const char* name, const char* doc) {
  OpDef d;
  d.name = name;
  d.doc = doc;
  d.kind = Kind::reduction;
  d.cost = per_element(22);
  d.shape = row_shape(d.name);
  d.gradient = [grad = d.name + "_grad"](const GradContext& g) {
    return std::vector<ValueId>{g.emit(grad, {g.grads_out[0], g.out()})};
  };
  return d;
}

/// dx = value(dy, y, sum) with the row's sum of part(dy, y); both of Expr and of double.
template <class Part, class Value>
OpDef backward(const char* name, const char* doc, double flops, Part part, Value value) {
  OpDef d;
  d.name = name;
  d.doc = doc;
  d.kind = Kind::reduction;
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.cost = per_element(flops);
  d.shape = row_shape(d.name, " twice");
  lowering(d).algorithm = [part, value](const LowerContext& ctx) {
    const Type& t = ctx.in_type(0);
    std::vector<Var> v = vars_of(t);
    const std::vector<Var> row(v.begin() + 1, v.end());
    RDom r(0, static_cast<int>(t.dims.back()), "r");
    Exprs at = exprs(v);
    at[0] = r;
    Func sum(ctx.node.op->name + "_sum"), dx(ctx.node.op->name);
    sum(row) = 0.0f;
    sum(row) += part(Expr(ctx.in[0](at)), Expr(ctx.in[1](at)));
    dx(v) = value(Expr(ctx.in[0](v)), Expr(ctx.in[1](v)), Expr(sum(row)));
    return Lowered{{dx}, sum, r, {}, {sum}};
  };
  d.reference = [part, value](const Node&, const Graph&, const Tensors& in, int64_t) {
    const std::vector<double>&dy = in[0].data, &y = in[1].data;
    RefTensor dx = in[0];
    const size_t C = static_cast<size_t>(in[0].dims.back());
    for (size_t n = 0; n < dy.size(); n += C) {
      double sum = 0;
      for (size_t i = n; i < n + C; ++i) sum += part(dy[i], y[i]);
      for (size_t i = n; i < n + C; ++i) dx.data[i] = value(dy[i], y[i], sum);
    }
    return Tensors{dx};
  };
  return d;
}

OpDef softmax() {
  OpDef d = forward("softmax", "y[c] = exp(x[c] - max x) / sum_i exp(x[i] - max x) over the last dimension.");
  d.meaning = Meaning::distribution;
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const std::vector<Var> v = vars_of(ctx.in_type(0)), row(v.begin() + 1, v.end());
    SoftmaxRows s = softmax_rows(ctx, 0);
    Func y("softmax");
    y(v) = exact::exp_of_negative(ctx.in[0](v) - s.maximum(row)) / s.sum(row);
    return Lowered{{y}, s.sum, s.r, {}, {s.maximum, s.sum}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) {
    return Tensors{RefTensor{in[0].dims, ref_softmax(in[0])}};
  };
  return d;
}

OpDef softmax_grad() {
  return backward(
      "softmax_grad", "Gradient of softmax: dx[c] = y[c] * (dy[c] - sum_i dy[i] * y[i]). Operands dy, y.", 4,
      [](const auto& dy, const auto& y) { return dy * y; },
      [](const auto& dy, const auto& y, const auto& sum) { return y * (dy - sum); });
}

// The sum is in double: where one class is nearly certain its term is 1, and log(1 + what the others add) keeps their
// digits. All of it is one fold: where x is computed again for each, loops need not agree on which element is the
// largest.
OpDef log_softmax() {
  OpDef d = forward("log_softmax", "y[c] = x[c] - max x - log(sum_i exp(x[i] - max x)) over the last dimension.");
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const std::vector<Var> v = vars_of(ctx.in_type(0)), row(v.begin() + 1, v.end());
    SoftmaxRows s = softmax_rows(ctx, 0, [](const Expr&, const Expr& e) { return cast<double>(e); });
    Func y("log_softmax");
    y(v) = exact::sub(exact::sub(ctx.in[0](v), s.maximum(row)), exact::log1p(cast<float>(s.sum(row) - Expr(1.0))));
    return Lowered{{y}, s.sum, s.r, {}, {s.maximum, s.sum}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) {
    return Tensors{RefTensor{in[0].dims, ref_log_softmax(in[0])}};
  };
  return d;
}

Expr probability(const Expr& log) { return exact::exp_of_negative(log); }
double probability(double log) { return std::exp(log); }
Expr probability_of_others(const Expr& log) { return -exact::expm1_of_negative(log); }
double probability_of_others(double log) { return -std::expm1(log); }

OpDef log_softmax_grad() {
  return backward(
      "log_softmax_grad",
      "Gradient of log_softmax: dx[c] = dy[c] - exp(y[c]) * sum_i dy[i] = dy[c] * (1 - exp(y[c])) - exp(y[c]) * (sum_i "
      "dy[i] - dy[c]). Operands dy, y.",
      14, [](const auto& dy, const auto&) { return dy; },
      [](const auto& dy, const auto& y, const auto& sum) {
        return dy * probability_of_others(y) - probability(y) * (sum - dy);
      });
}

LayerDef layer(const char* name, const char* op, const char* doc) {
  LayerDef l;
  l.name = name;
  l.doc = doc;
  l.section = "Activation";
  l.weight_prefix = op;
  l.build = [name, op](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, name)) return kNone;
    if (b.in_type().rank() == 0)
      return b.error(fmt::format("{} needs a vector of scores, but its input is a single number", name));
    return b.emit(op, {b.in()[0]});
  };
  return l;
}

}  // namespace

void add_softmax(Registry& r) {
  static const OpDef ops[] = {softmax(), softmax_grad(), log_softmax(), log_softmax_grad()};
  static const LayerDef layers[] = {
      layer("Softmax", "softmax", "Probabilities over the last dimension. y[c] = exp(x[c]) / sum_i exp(x[i])"),
      layer("LogSoftmax", "log_softmax",
            "Logarithms of probabilities over the last dimension. y[c] = x[c] - log(sum_i exp(x[i]))")};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
