// How exact means are where values lie far from 0 and close to each other: then a mean's error, divided by the standard deviation, is that of all results.
#include <doctest/doctest.h>

#include <Halide.h>

#include <cmath>
#include <random>

#include "compiler/ir/layer_def.h"
#include "compiler/ops/ops.h"

using namespace netc;
using namespace netc::ir;

namespace {

constexpr double kFar = 1000, kHalfUnit = kFar * 0x1p-24;  // half a unit in the last place, or more
constexpr int kChannels = 8, kPositions = 512;

/// x[position][channel] near kFar, and the result of an operator of it alone (mean 0 and variance 1, scale 1 and shift 0 for its other operands).
struct Run {
  std::vector<float> x, y;

  Run(const char* op, const Attrs& attrs, std::vector<float> others, bool per_channel) : x(kPositions * kChannels), y(per_channel ? kChannels : x.size()) {
    std::mt19937 random(3);
    std::normal_distribution<float> noise(0, 0.02f);
    for (float& v : x) v = static_cast<float>(kFar) + noise(random);
    Graph g;
    const Type image{DType::f32, true, {kPositions, kChannels}}, vector{DType::f32, false, {kChannels}};
    std::vector<ValueId> in;
    for (size_t i = 0; i <= others.size(); ++i) {
      Variable v;
      v.name = "operand" + std::to_string(i);
      v.role = i == 0 ? Role::input : Role::weight;
      in.push_back(g.add_variable(v, i == 0 ? image : vector));
    }
    g.add_nodes_results(ops::registry().ops.at(op), in, attrs);
    LowerContext ctx{g.nodes[0], g, {}, Halide::Expr(1), {}};
    const Halide::Var c("c"), p("p"), n("n");
    Halide::Buffer<float> data(x.data(), kChannels, kPositions, 1);
    Halide::Func f("x");
    f(c, p, n) = data(c, p, n);
    ctx.in.push_back(f);
    ctx.extents = {Halide::Expr(kChannels), Halide::Expr(kPositions), Halide::Expr(1)};
    for (float value : others) {
      Halide::Func constant("constant");
      constant(c) = value;
      ctx.in.push_back(constant);
    }
    const Lowered l = g.nodes[0].op->lower(ctx);
    for (Halide::Func h : l.helpers) h.compute_root();
    Halide::Func result = l.funcs[0];
    Halide::Buffer<float> out = per_channel ? Halide::Buffer<float>(y.data(), kChannels) : Halide::Buffer<float>(y.data(), kChannels, kPositions, 1);
    result.realize(out);
  }
};

/// Worst error of (x - mean) / sqrt(variance + eps) where rows are `size` numbers in memory.
double worst(const Run& r, size_t size, double eps) {
  double error = 0;
  for (size_t at = 0; at < r.x.size(); at += size) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < size; ++i) mean += r.x[at + i] / static_cast<double>(size);
    for (size_t i = 0; i < size; ++i) variance += std::pow(r.x[at + i] - mean, 2) / static_cast<double>(size);
    for (size_t i = 0; i < size; ++i) error = std::max(error, std::abs(r.y[at + i] - (r.x[at + i] - mean) / std::sqrt(variance + eps)));
  }
  return error;
}

// One rounding of a mean, half a unit, moves all of a row by that over the standard deviation; what else is rounded is 1000 times less.
const double kBound = 1.2 * kHalfUnit / 0.01;

}  // namespace

TEST_CASE("the mean of a batch is rounded once") {
  const Run r("batch_mean", {}, {0.0f}, true);
  for (int c = 0; c < kChannels; ++c) {
    double mean = 0;
    for (int p = 0; p < kPositions; ++p) mean += r.x[static_cast<size_t>(p * kChannels + c)] / static_cast<double>(kPositions);
    CHECK(std::abs(r.y[static_cast<size_t>(c)] - mean) <= 1.01 * kHalfUnit);
  }
}

TEST_CASE("rows that are nearly constant keep their digits when they are normalised") {
  CHECK(worst(Run("group_norm", {{"eps", 1e-8}, {"groups", int64_t{1}}}, {1.0f, 0.0f}, false), kPositions * kChannels, 1e-8) <= kBound);
  CHECK(worst(Run("layer_norm", {{"eps", 1e-8}}, {1.0f, 0.0f}, false), kChannels, 1e-8) <= kBound);
}
