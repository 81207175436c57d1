// How exact the functions of one operand are, and their gradients: swept over the floats through the operators' own
// lowering, as vectors, and measured in units in the last place of the exact result. The bounds are OpDef::ulps and
// gradient_ulps, which docs/layers.md states.
#include <doctest/doctest.h>

#include <Halide.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "compiler/halide/lowering.h"
#include <fmt/format.h>

#include "tests/ops/cases.h"

using namespace netc;
using namespace netc::ir;
using namespace netc::test;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity(), kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kSmallest = std::numeric_limits<float>::min();  // normal
constexpr int kLanes = 16;

Type vector_of(size_t n) { return {DType::f32, false, {static_cast<int64_t>(n)}}; }
Attrs attrs_of(const std::string& op) {
  if (op == "leaky_relu") return {{"slope", 0.1}};
  if (op == "elu") return {{"alpha", 1.3}};
  if (op == "clip") return {{"min", -0.5}, {"max", 0.75}};
  return {};
}

/// Every `step`th float, and those about the places where functions turn, or their approximations change.
std::vector<float> sweep(uint32_t step) {
  std::vector<float> x;
  for (uint64_t b = 0; b < (1ull << 32); b += step)
    if (const float f = std::bit_cast<float>(static_cast<uint32_t>(b)); std::isfinite(f)) x.push_back(f);
  for (const double at : {0.0, 0.3333, 0.34657, 0.5, 0.6667, 0.7518, 0.85, 1.0,  1.19, 1.278, 1.3333, 1.5,
                          2.0, 3.0,    3.93,    6.0, 11.0,   14.5,   17.0, 87.3, 88.0, 88.7,  103.0,  130.0})
    for (int i = -400; i <= 400; ++i)
      for (const double step : {1e-3, 1e-7})
        x.push_back(static_cast<float>(at + i * step)), x.push_back(static_cast<float>(-at - i * step));
  x.resize(x.size() / kLanes * kLanes);
  return x;
}

/// Results of node `n` of a graph from its operands, in float32, by Halide.
std::vector<float> lowered(const Graph& g, const Node& n, const std::vector<std::vector<float>>& operands,
                           int lanes = kLanes) {
  const int size = static_cast<int>(operands[0].size());
  const Halide::Var i("i");
  halide::LowerContext ctx{n, g, {}, Halide::Expr(1), {}};
  std::vector<Halide::Expr> in;
  for (const auto& values : operands) in.push_back(Halide::Buffer<float>(const_cast<float*>(values.data()), size)(i));
  Halide::Func f("result");
  f(i) = halide::lowering_of(*n.op).scalar(ctx, in, {i})[0];
  if (lanes > 1) f.vectorize(i, lanes);
  std::vector<float> y(operands[0].size());
  Halide::Buffer<float> out(y.data(), size);
  f.realize(out);
  return y;
}
std::vector<float> lowered(const std::string& op, const std::vector<std::vector<float>>& operands, const Attrs& attrs,
                           int lanes = kLanes) {
  const Graph g = graph_of({op, std::vector<Type>(operands.size(), vector_of(operands[0].size())), attrs});
  return lowered(g, g.nodes[0], operands, lanes);
}
std::vector<double> wide(const std::vector<float>& x) { return {x.begin(), x.end()}; }
std::vector<double> reference(const std::string& op, const std::vector<std::vector<float>>& operands,
                              const Attrs& attrs) {
  const Graph g = graph_of({op, std::vector<Type>(operands.size(), vector_of(operands[0].size())), attrs});
  std::vector<RefTensor> in;
  for (const auto& v : operands) in.push_back({{static_cast<int64_t>(v.size())}, wide(v)});
  return g.nodes[0].op->reference(g.nodes[0], g, in, 1)[0].data;
}

/// The error in units in the last place of `size`, a number at least as large as the exact result. Results that are no
/// normal numbers may be 0.
double ulps(float got, double want, double size) {
  if (std::isnan(want)) return std::isnan(got) ? 0 : kInf;
  if (std::isnan(got)) return kInf;
  if (std::abs(want) > std::numeric_limits<float>::max())
    return std::abs(got) >= std::numeric_limits<float>::max() && (got > 0) == (want > 0) ? 0 : kInf;
  if (std::isinf(got))
    return std::abs(want) > 0.999999 * static_cast<double>(std::numeric_limits<float>::max()) ? 1 : kInf;
  const double error = std::abs(static_cast<double>(got) - want);
  if (std::max(std::abs(want), size) < kSmallest) return error <= kSmallest ? 0 : kInf;
  return error / std::ldexp(1.0, std::ilogb(std::max(std::abs(want), size)) - 23);
}

struct Worst {
  double ulps = 0, x = 0, got = 0, want = 0;
};
std::string show(const Worst& w) {
  return fmt::format("{:.2f} ulp at {:.9g}: {:.9g}, not {:.9g}", w.ulps, w.x, w.got, w.want);
}
Worst worst(const std::vector<float>& x, const std::vector<float>& got, const std::vector<double>& want,
            const std::function<double(double x)>& size) {
  Worst w;
  for (size_t i = 0; i < x.size(); ++i) {
    const double u = ulps(got[i], want[i], size ? size(static_cast<double>(x[i])) : 0);
    if (u > w.ulps) w = {u, static_cast<double>(x[i]), static_cast<double>(got[i]), want[i]};
  }
  return w;
}

double normal_share(double x) { return 0.5 * std::erfc(-x * std::sqrt(0.5)); }
double normal_density(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * std::acos(-1.0)); }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// The sum of the sizes of the terms, where they cancel at a root that is not 0.
const std::map<std::string, std::function<double(double)>> kTerms = {
    {"gelu_grad", [](double x) { return normal_share(x) + std::abs(x) * normal_density(x); }},
    {"gelu_tanh_grad",
     [](double x) {
       const double c = std::clamp(x, -20.0, 20.0), k = std::sqrt(2 / std::acos(-1.0)),
                    u = 2 * k * (c + 0.044715 * c * c * c);
       return sigmoid(u) * (1 + std::abs(c) * sigmoid(-u) * 2 * k * (1 + 3 * 0.044715 * c * c));
     }},
    {"silu_grad", [](double x) { return std::abs(x) > 1e3 ? 0 : sigmoid(x) * (1 + std::abs(x) * sigmoid(-x)); }},
    {"mish_grad",
     [](double x) {
       if (std::abs(x) > 1e3) return 0.0;
       const double t = std::tanh(std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))));
       return t + std::abs(x) * sigmoid(x) * (1 - t * t);
     }},
    {"sin", [](double x) { return std::abs(x) > 1e5 ? 1.0 : 0.0; }},  // of large angles the error is one of the circle
    {"cos", [](double x) { return std::abs(x) > 1e5 ? 1.0 : 0.0; }}};
std::function<double(double)> terms(const std::string& op) {
  const auto it = kTerms.find(op);
  return it == kTerms.end() ? nullptr : it->second;
}

std::vector<const OpDef*> stated() {
  std::vector<const OpDef*> all;
  for (const OpDef* op : netc::ops::registry().ops.ops)
    if (op->ulps >= 0) all.push_back(op);
  return all;
}
bool of_angle(const std::string& op) { return op == "sin" || op == "cos"; }

}  // namespace

TEST_CASE("functions are within their bounds over all floats") {
  const std::vector<float> all = sweep(4099);
  std::vector<float> angles = all;
  std::erase_if(angles, [](float x) { return std::abs(x) > 0x1p30f; });
  angles.resize(angles.size() / kLanes * kLanes);
  for (const OpDef* op : stated()) {
    const std::vector<float>& x = of_angle(op->name) ? angles : all;
    const Worst w = worst(x, lowered(op->name, {x}, attrs_of(op->name)), reference(op->name, {x}, attrs_of(op->name)),
                          terms(op->name));
    CHECK_MESSAGE(w.ulps <= op->ulps, op->name, ": ", show(w));
  }
}

TEST_CASE("gradients are within their bounds, as functions of what they read") {
  const std::vector<float> all = sweep(16411);
  for (const OpDef* op : stated()) {
    if (op->gradient_ulps < 0) continue;
    CAPTURE(op->name);
    // y may be any number between the function's results, and is taken as it is: what was lost before is not the
    // gradient's to answer for
    std::vector<float> x = all;
    if (of_angle(op->name)) std::erase_if(x, [](float v) { return std::abs(v) > 0x1p30f; });
    x.resize(x.size() / kLanes * kLanes);
    Graph g = graph_of({op->name, {vector_of(x.size())}, attrs_of(op->name)});
    Variable v;
    v.name = "dy";
    v.role = Role::input;
    GradContext ctx{g, 0, {g.add_variable(v, vector_of(x.size()))}, {true}, netc::ops::registry().ops};
    const ValueId grad = op->gradient(ctx)[0];
    std::vector<float> y = lowered(op->name, {x}, attrs_of(op->name)), dy(x.size());
    const ValueId result = g.nodes[0].results[0];
    const bool of_result = std::any_of(g.nodes.begin() + 1, g.nodes.end(), [&](const Node& n) {
      return std::count(n.inputs.begin(), n.inputs.end(), result) > 0;
    });
    if (of_result) {
      const auto [low, high] = std::minmax_element(y.begin(), y.end());
      for (size_t i = 0; i < x.size(); i += 2)
        if (x[i] >= *low && x[i] <= *high) y[i] = x[i];
    }
    for (size_t i = 0; i < dy.size(); ++i) dy[i] = i % 3 == 0 ? 1.0f : i % 3 == 1 ? -0.75f : 3.0f;
    std::map<ValueId, std::vector<float>> values = {{g.nodes[0].inputs[0], x},
                                                    {g.nodes[0].results[0], y},
                                                    {ctx.grads_out[0], dy}};
    std::map<ValueId, RefTensor> exact;
    for (const auto& [value, data] : values) exact[value] = {{static_cast<int64_t>(x.size())}, wide(data)};
    for (size_t n = 1; n < g.nodes.size(); ++n) {
      std::vector<std::vector<float>> in;
      std::vector<RefTensor> ref;
      for (const ValueId i : g.nodes[n].inputs) in.push_back(values.at(i)), ref.push_back(exact.at(i));
      values[g.nodes[n].results[0]] = lowered(g, g.nodes[n], in);
      exact[g.nodes[n].results[0]] = g.nodes[n].op->reference(g.nodes[n], g, ref, 1)[0];
    }
    const auto size = terms(op->name == "sin" ? "cos" : op->name == "cos" ? "sin" : op->name + "_grad");
    const auto scaled = [&](double at) { return size ? 3 * size(at) : 0; };
    const Worst w = worst(of_result ? y : x, values.at(grad), exact.at(grad).data,
                          size ? std::function<double(double)>(scaled) : nullptr);
    CHECK_MESSAGE(w.ulps <= op->gradient_ulps, op->name, ": ", show(w));
  }
}

TEST_CASE("what is no number or infinite gives what the limit is, also after arithmetic in the same kernel") {
  // By name: the values at infinity and at minus infinity.
  const std::map<std::string, std::pair<double, double>> limits = {{"exp", {kInf, 0}},
                                                                   {"log", {kInf, kNan}},
                                                                   {"sqrt", {kInf, kNan}},
                                                                   {"rsqrt", {0, kNan}},
                                                                   {"reciprocal", {0, 0}},
                                                                   {"squared", {kInf, kInf}},
                                                                   {"abs", {kInf, kInf}},
                                                                   {"sign", {1, -1}},
                                                                   {"sin", {kNan, kNan}},
                                                                   {"cos", {kNan, kNan}},
                                                                   {"erf", {1, -1}},
                                                                   {"clip", {0.75, -0.5}},
                                                                   {"relu", {kInf, 0}},
                                                                   {"relu6", {6, 0}},
                                                                   {"leaky_relu", {kInf, -kInf}},
                                                                   {"elu", {kInf, -1.3}},
                                                                   {"selu", {kInf, -1.75809934}},
                                                                   {"sigmoid", {1, 0}},
                                                                   {"hard_sigmoid", {1, 0}},
                                                                   {"tanh", {1, -1}},
                                                                   {"softplus", {kInf, 0}},
                                                                   {"softsign", {1, -1}},
                                                                   {"gelu", {kInf, 0}},
                                                                   {"gelu_tanh", {kInf, 0}},
                                                                   {"silu", {kInf, 0}},
                                                                   {"mish", {kInf, 0}},
                                                                   {"hard_swish", {kInf, 0}}};
  for (const OpDef* op : stated()) {
    CAPTURE(op->name);
    REQUIRE(limits.count(op->name) == 1);
    const float inf = static_cast<float>(kInf), nan = static_cast<float>(kNan);
    for (const int lanes : {1, kLanes}) {
      CAPTURE(lanes);
      const std::vector<float> x = {nan, inf,   -inf,   0,      -0.0f,   nan,   1e-45f, -1e-45f, nan,  nan,  1,
                                    -1,  3e38f, -3e38f, 1e-30f, -1e-30f, 0.1f,  0.5f,   0.7f,    1.5f, 2.5f, 4,
                                    7,   10,    -0.1f,  -0.5f,  -0.7f,   -1.5f, -2.5f,  -4,      -7,   -10};
      const std::vector<float> y = lowered(op->name, {x}, attrs_of(op->name), lanes);
      for (const size_t i : {0, 5, 8, 9}) CHECK(std::isnan(y[i]));
      CHECK(ulps(y[1], limits.at(op->name).first, 0) <= 1);
      CHECK(ulps(y[2], limits.at(op->name).second, 0) <= 1);
      const std::vector<double> want = reference(op->name, {x}, attrs_of(op->name));
      for (size_t i = 3; i < x.size(); ++i)
        if (!of_angle(op->name) || std::abs(x[i]) < 1e6f)
          CHECK_MESSAGE(ulps(y[i], want[i], 0) <= op->ulps, fmt::format("{} at {}", y[i], x[i]));
      // LLVM may take results of its sums for numbers; comparisons of them are not to decide.
      const Graph g = graph_of({op->name, {vector_of(x.size())}, attrs_of(op->name)});
      const Halide::Var i("i");
      const Halide::Expr in = Halide::Buffer<float>(const_cast<float*>(x.data()), static_cast<int>(x.size()))(i);
      Halide::Func f("result");
      const halide::LowerContext ctx{g.nodes[0], g, {}, Halide::Expr(1), {}};
      const auto& scalar = halide::lowering_of(*g.nodes[0].op).scalar;
      f(i) = scalar(ctx, {scalar(ctx, {in * 1.5f + 2.0f}, {i})[0] * in + 1.0f}, {i})[0];
      if (lanes > 1) f.vectorize(i, lanes);
      const Halide::Buffer<float> out = f.realize({static_cast<int>(x.size())});
      for (const int k : {0, 5, 8, 9}) CHECK(std::isnan(out(k)));
    }
  }
}

TEST_CASE("powers: exact where they are floats, and as the C library has them where an operand is special") {
  std::vector<float> a, b;
  for (int base = -20; base <= 20; ++base)
    for (int exponent = -6; exponent <= 6; ++exponent)
      a.push_back(static_cast<float>(base)), b.push_back(static_cast<float>(exponent));
  const float inf = static_cast<float>(kInf), nan = static_cast<float>(kNan);
  const std::vector<float> special = {0, -0.0f, 1, -1, 2, -2, 0.5f, -0.5f, 3, -3, 1e-40f, 16777216, inf, -inf, nan};
  for (const float x : special)
    for (const float y : special) a.push_back(x), b.push_back(y);
  std::mt19937 random(3);
  std::uniform_real_distribution<float> unit(-1, 1);
  while (a.size() < 60000 || a.size() % kLanes != 0) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(random()));
    a.push_back(a.size() % 2 == 0 ? std::exp(4 * unit(random)) : std::isfinite(x) ? std::abs(x) : 1);
    b.push_back(a.size() % 3 == 0 ? 40 * unit(random) : 3 * unit(random));
  }
  const std::vector<float> y = lowered("pow", {a, b}, {});
  Worst w;
  for (size_t i = 0; i < a.size(); ++i) {
    const double want = std::pow(static_cast<double>(a[i]), static_cast<double>(b[i])), u = ulps(y[i], want, 0);
    if (u > w.ulps) w = {u, static_cast<double>(a[i]), static_cast<double>(y[i]), want};
    const bool is_float = static_cast<double>(static_cast<float>(want)) == want;
    if (is_float)
      CHECK_MESSAGE(static_cast<double>(y[i]) == want, fmt::format("{}^{} is {}, not {}", a[i], b[i], y[i], want));
  }
  CHECK_MESSAGE(w.ulps <= 1, show(w));
}

TEST_CASE("losses of probabilities near 0 and 1, and of logits of any size") {
  const auto error = [](const char* op, std::vector<std::vector<float>> in, const Attrs& attrs) {
    for (auto& v : in) v.resize((in[0].size() + kLanes - 1) / kLanes * kLanes, v.back());
    return worst(in[0], lowered(op, in, attrs), reference(op, in, attrs), nullptr);
  };
  std::vector<float> logits, p, losses;
  for (int i = -870; i <= 870; ++i) logits.push_back(static_cast<float>(i) * 0.1f);
  for (int i = 1; i < 400; ++i) p.push_back(std::exp(-0.04f * static_cast<float>(i))), p.push_back(1 - p.back());
  for (int i = 1; i < 400; ++i) losses.push_back(std::exp(4 - 0.05f * static_cast<float>(i)));
  for (const float t : {0.0f, 1.0f}) {
    CAPTURE(t);
    const std::vector<float> of_logits(logits.size(), t), of_p(p.size(), t), one(logits.size(), 1.0f),
        ones(p.size(), 1.0f);
    Worst w = error("sigmoid_crossentropy", {logits, of_logits}, {});
    CHECK_MESSAGE(w.ulps <= 3, show(w));
    std::vector<float> small = logits;
    std::erase_if(small, [](float x) { return std::abs(x) > 20; });  // beyond, the reference has lost it
    w = error("sigmoid_crossentropy_grad",
              {small, std::vector<float>(small.size(), t), std::vector<float>(small.size(), 1.0f)},
              {{"of", int64_t{0}}});
    CHECK_MESSAGE(w.ulps <= 4, show(w));
    w = error("binary_crossentropy", {p, of_p}, {});
    CHECK_MESSAGE(w.ulps <= 3, show(w));
    w = error("binary_crossentropy_grad", {p, of_p, ones}, {{"of", int64_t{0}}});
    CHECK_MESSAGE(w.ulps <= 3, show(w));
  }
  for (const double gamma : {0.5, 2.0}) {
    Worst w = error("focal", {losses}, {{"gamma", gamma}});
    CHECK_MESSAGE(w.ulps <= 5, show(w));
    w = error("focal_grad", {losses, std::vector<float>(losses.size(), 1.0f)}, {{"gamma", gamma}});
    CHECK_MESSAGE(w.ulps <= 8, show(w));
  }
}
