// What would lose digits for all results: means of values that lie far from 0 and close to each other, whose error is
// divided by the standard deviation; and what a probability near 1 leaves to the others.
#include <doctest/doctest.h>

#include <Halide.h>

#include <cmath>
#include <random>

#include "compiler/halide/lowering.h"
#include "compiler/ir/layer_def.h"
#include "compiler/ops/ops.h"

using namespace netc;
using namespace netc::ir;

namespace {

constexpr double kFar = 1000, kHalfUnit = kFar * 0x1p-24;  // half a unit in the last place, or more
constexpr int kChannels = 8, kPositions = 512;

struct Operand {
  Type type;
  std::vector<float> data;
};

/// Result 0 of an operator of one sample, in float32, unscheduled, by Halide.
std::vector<float> lowered(const char* op, const Attrs& attrs, const std::vector<Operand>& operands, size_t elements) {
  Graph g;
  std::vector<ValueId> in;
  for (const Operand& o : operands) {
    Variable v;
    v.name = "operand" + std::to_string(in.size());
    v.role = o.type.batched ? Role::input : Role::weight;
    in.push_back(g.add_variable(v, o.type));
  }
  g.add_nodes_results(ops::registry().ops.at(op), in, attrs);
  halide::LowerContext ctx{g.nodes[0], g, {}, Halide::Expr(1), {}};
  const auto dims = [](const Type& t) {  // innermost first, then the batch
    std::vector<int> d(t.dims.rbegin(), t.dims.rend());
    if (t.batched) d.push_back(1);
    return d;
  };
  for (const Operand& o : operands) {
    Halide::Buffer<float> data(const_cast<float*>(o.data.data()), dims(o.type));
    Halide::Func f("operand");
    const std::vector<Halide::Var> v(static_cast<size_t>(data.dimensions()));
    const Halide::Expr element = data(std::vector<Halide::Expr>(v.begin(), v.end()));
    f(v) = o.type.dtype == DType::i32 ? Halide::cast<int>(element) : element;
    ctx.in.push_back(f);
  }
  const halide::Lowered l = halide::lowering_of(*g.nodes[0].op).algorithm(ctx);
  for (Halide::Func h : l.folds) h.compute_root();
  std::vector<float> y(elements);
  Halide::Func result = l.funcs[0];
  Halide::Buffer<float> out(y.data(), dims(g.type(g.nodes[0].results[0])));
  result.realize(out);
  return y;
}

/// x[position][channel] near kFar, and the result of an operator of it and vectors of equal numbers.
struct Run {
  std::vector<float> x, y;

  Run(const char* op, const Attrs& attrs, const std::vector<float>& others, bool per_channel)
      : x(kPositions * kChannels) {
    std::mt19937 random(3);
    std::normal_distribution<float> noise(0, 0.02f);
    for (float& v : x) v = static_cast<float>(kFar) + noise(random);
    std::vector<Operand> operands{{{DType::f32, true, {kPositions, kChannels}}, x}};
    for (float value : others)
      operands.push_back({{DType::f32, false, {kChannels}}, std::vector<float>(kChannels, value)});
    y = lowered(op, attrs, operands, per_channel ? kChannels : x.size());
  }
};

/// Worst error of (x - mean) / sqrt(variance + eps) where rows are `size` numbers in memory.
double worst(const Run& r, size_t size, double eps) {
  double error = 0;
  for (size_t at = 0; at < r.x.size(); at += size) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < size; ++i) mean += r.x[at + i] / static_cast<double>(size);
    for (size_t i = 0; i < size; ++i) variance += std::pow(r.x[at + i] - mean, 2) / static_cast<double>(size);
    for (size_t i = 0; i < size; ++i)
      error = std::max(error, std::abs(r.y[at + i] - (r.x[at + i] - mean) / std::sqrt(variance + eps)));
  }
  return error;
}

// One rounding of a mean, half a unit, moves all of a row by that over the standard deviation; what else is rounded is
// 1000 times less.
const double kBound = 1.2 * kHalfUnit / 0.01;

}  // namespace

TEST_CASE("the mean of a batch is rounded once") {
  const Run r("batch_mean", {}, {0.0f}, true);
  for (int c = 0; c < kChannels; ++c) {
    double mean = 0;
    for (int p = 0; p < kPositions; ++p)
      mean += r.x[static_cast<size_t>(p * kChannels + c)] / static_cast<double>(kPositions);
    CHECK(std::abs(r.y[static_cast<size_t>(c)] - mean) <= 1.01 * kHalfUnit);
  }
}

TEST_CASE("rows that are nearly constant keep their digits when they are normalised") {
  CHECK(worst(Run("group_norm", {{"eps", 1e-8}, {"groups", int64_t{1}}}, {1.0f, 0.0f}, false), kPositions * kChannels,
              1e-8) <= kBound);
  CHECK(worst(Run("layer_norm", {{"eps", 1e-8}}, {1.0f, 0.0f}, false), kChannels, 1e-8) <= kBound);
}

// A row whose first class is `gap` ahead: the others have a share of about 4 exp(-gap), of which 1 - p would keep no
// digit from a gap of 17 on.
TEST_CASE("a class that is nearly certain leaves the others' share, to the last digits") {
  constexpr double kBound = 2e-6;
  for (const float gap : {0.5f, 5.0f, 12.0f, 20.0f, 45.0f, 80.0f}) {
    CAPTURE(gap);
    const std::vector<float> x{3 + gap, 3, 2.5f, 2, 3};
    double others = 0;
    for (size_t i = 1; i < x.size(); ++i) others += std::exp(static_cast<double>(x[i]) - static_cast<double>(x[0]));
    const double log_p = -std::log1p(others), left = others / (1 + others), p = 1 / (1 + others);
    const Type row{DType::f32, true, {5}}, one{DType::f32, true, {}}, index{DType::i32, true, {}};
    const auto near = [&](double got, double want) { return std::abs(got - want) <= kBound * std::abs(want); };
    const std::vector<float> y = lowered("log_softmax", {}, {{row, x}}, 5);
    CHECK(std::abs(y[0] - log_p) <= kBound * std::abs(log_p) + 0x1p-53);  // log_softmax sums in double
    for (size_t i = 1; i < 5; ++i) CHECK(near(y[i], static_cast<double>(x[i]) - static_cast<double>(x[0]) + log_p));
    const std::vector<float> dx = lowered("log_softmax_grad", {}, {{row, {1, 0, 0, 0, 0}}, {row, y}}, 5);
    CHECK(std::abs(dx[0] - left) <= kBound * left + 0x1p-53);
    const Attrs plain = {{"smoothing", 0.0}};
    CHECK(near(lowered("softmax_crossentropy", plain, {{row, x}, {index, {0}}}, 1)[0], -log_p));
    const std::vector<float> d = lowered("softmax_crossentropy_grad", plain, {{row, x}, {index, {0}}, {one, {1}}}, 5);
    CHECK(near(d[0], -left));
    for (size_t i = 1; i < 5; ++i)
      CHECK(near(d[i], p * std::exp(static_cast<double>(x[i]) - static_cast<double>(x[0]))));
  }
}

TEST_CASE("rows with several largest elements, and with none that is a number") {
  const Type row{DType::f32, true, {3}};
  const std::vector<float> y = lowered("log_softmax", {}, {{row, {7, 7, 7}}}, 3);
  for (float v : y) CHECK(v == doctest::Approx(-std::log(3.0)).epsilon(1e-6));
  for (float v : lowered("log_softmax", {}, {{row, {1, NAN, 2}}}, 3)) CHECK(std::isnan(v));
}
