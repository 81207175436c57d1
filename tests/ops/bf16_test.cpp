// Products of bf16 as the compiler runs them: against the reference on the same rounded operands, and against float32.
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include <fmt/format.h>

#include "compiler/ir/interpret.h"
#include "compiler/ir/layer_def.h"
#include "compiler/report/code.h"
#include "compiler/lower/lower.h"
#include "compiler/schedule/make_plan.h"
#include "tests/support/kernel_runner.h"

using namespace netc;
using namespace netc::ir;

namespace {

using Contents = std::map<std::string, RefTensor>;

/// Contractions of the same operands, as they are or rounded first.
struct Net {
  Graph g;
  bool rounds;
  const OpTable& ops = ops::registry().ops;
  explicit Net(bool rounds) : rounds(rounds) { g.name = "bf16"; }
  ValueId operand(bool batched, std::vector<int64_t> dims) {
    Variable v;
    v.name = fmt::format("operand{}", g.variables.size());
    v.role = batched ? Role::input : Role::weight;
    const ValueId x = g.add_variable(v, Type{DType::f32, batched, std::move(dims)});
    return rounds ? g.add(ops.at("round_bf16"), {x}) : x;
  }
  ValueId op(const char* name, std::vector<ValueId> in, Attrs a = {}) {
    return g.add(ops.at(name), std::move(in), std::move(a));
  }
  void out(ValueId v) { g.outputs.push_back({fmt::format("out{}", g.outputs.size()), v}); }
};

Attrs window(int64_t stride, int64_t pad) {
  return {{"stride_h", stride}, {"stride_w", stride}, {"pad_top", pad},
          {"pad_left", pad},    {"pad_bottom", pad},  {"pad_right", pad}};
}
Attrs with(Attrs a, std::initializer_list<std::pair<const char*, int64_t>> more) {
  for (const auto& [k, v] : more) a.set(k, v);
  return a;
}

void convolutions(Net& n) {
  // in pairs, of odd and of few channels
  for (const auto& [c, k] : {std::pair<int64_t, int64_t>{32, 64}, {6, 48}, {48, 10}, {9, 16}, {16, 7}})
    for (int64_t stride : {1, 2}) {
      const int64_t h = (15 + 2 - 3) / stride + 1;
      const ValueId x = n.operand(true, {15, 13, c}), w = n.operand(false, {3, 3, c, k}),
                    dy = n.operand(true, {h, (13 + 2 - 3) / stride + 1, k});
      n.out(n.op("conv", {x, w}, window(stride, 1)));
      n.out(n.op("conv_data_grad", {dy, w}, with(window(stride, 1), {{"in_h", 15}, {"in_w", 13}})));
      n.out(n.op("conv_weight_grad", {x, dy}, with(window(stride, 1), {{"kh", 3}, {"kw", 3}})));
    }
  const ValueId x = n.operand(true, {8, 10, 32}), grouped = n.operand(false, {3, 3, 16, 32}),
                depthwise = n.operand(false, {3, 3, 1, 32});
  n.out(n.op("conv", {x, grouped}, with(window(1, 1), {{"groups", 2}})));
  n.out(n.op("dwconv", {x, depthwise}, window(1, 1)));
  n.out(n.op("dwconv_data_grad", {x, depthwise}, with(window(1, 1), {{"in_h", 8}, {"in_w", 10}, {"in_c", 32}})));
  n.out(n.op("dwconv_weight_grad", {x, x}, with(window(1, 1), {{"kh", 3}, {"kw", 3}})));
  n.out(n.op("conv", {x, n.operand(false, {1, 1, 32, 64})}, window(1, 0)));
}

void products(Net& n) {
  for (const std::vector<int64_t>& rows : {std::vector<int64_t>{}, {11}})
    for (const auto& [k, u] : {std::pair<int64_t, int64_t>{64, 96}, {37, 48}, {40, 5}}) {
      std::vector<int64_t> in = rows, out = rows;
      in.push_back(k), out.push_back(u);
      const ValueId x = n.operand(true, in), w = n.operand(false, {k, u}), dy = n.operand(true, out);
      n.out(n.op("matmul", {x, w}));
      n.out(n.op("matmul_data_grad", {dy, w}));
      n.out(n.op("matmul_weight_grad", {x, dy}));
    }
  n.out(n.op("matmul", {n.operand(true, {9000}), n.operand(false, {9000, 300})}));  // streamed
  for (bool a : {false, true})
    for (bool b : {false, true}) {
      const ValueId x = n.operand(true, a ? std::vector<int64_t>{2, 24, 13} : std::vector<int64_t>{2, 13, 24});
      const ValueId y = n.operand(true, b ? std::vector<int64_t>{2, 17, 24} : std::vector<int64_t>{2, 24, 17});
      n.out(n.op("batch_matmul", {x, y}, {{"transpose_a", a}, {"transpose_b", b}}));
    }
}

Contents contents(const Graph& g, int batch) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  Contents all;
  for (const Variable& v : g.variables) {
    RefTensor t{g.type(v.value).dims, {}};
    int64_t n = g.type(v.value).elements();
    if (g.type(v.value).batched) t.dims.insert(t.dims.begin(), batch), n *= batch;
    for (int64_t i = 0; i < n; ++i) t.data.push_back(static_cast<float>(normal(random)));
    all[v.name] = t;
  }
  return all;
}

Contents sizes(Contents all) {
  for (auto& [name, t] : all)
    for (double& v : t.data) v = std::abs(v);
  return all;
}

/// What this machine can run.
std::vector<const char*> targets() {
  std::vector<const char*> all = {"x86-64-avx2"};
  const Machine host = host_machine();
  if (host.vector_floats > 8) all.push_back("x86-64-avx512");
  if (host.bf16_dot) all.push_back("x86-64-avx512-bf16");
  return all;
}

void check(void (*fill)(Net&), int batch) {
  Net rounded(true), whole(false);
  fill(rounded), fill(whole);
  const Contents in = contents(whole.g, batch);
  const auto same = interpret(rounded.g, in, batch), exact = interpret(whole.g, in, batch),
             size = interpret(whole.g, sizes(in), batch);
  for (const char* target : targets()) {
    Machine m;
    REQUIRE(machine_for(target, m));
    std::string error;
    const auto got = run_kernels(rounded.g, m, in, batch, 6, 2, error);
    REQUIRE_MESSAGE(error.empty(), error);
    for (size_t o = 0; o < rounded.g.outputs.size(); ++o) {
      const ValueId v = rounded.g.outputs[o].value, u = whole.g.outputs[o].value;
      const RefTensor& t = got.at(v);
      double apart = 0, outside = 0;
      for (size_t i = 0; i < t.data.size(); ++i) {
        const double sum = size[u].data[i];  // of the products' sizes
        apart = std::max(apart, std::abs(t.data[i] - same[v].data[i]) / sum);
        outside = std::max(outside, std::abs(t.data[i] - exact[u].data[i]) / sum);
        if (!std::isfinite(t.data[i])) apart = INFINITY;
      }
      const std::string what =
          fmt::format("{} {} at batch {} on {}", whole.g.values[u].name, to_string(whole.g.type(u)), batch, target);
      INFO(fmt::format("{}: {} from the same products, {} from float32's", what, apart, outside));
      CHECK(apart < 1e-5);                           // float32's sums, of transformed tiles too
      CHECK(outside < 2 * 0x1p-8 + 0x1p-16 + 1e-5);  // each operand of 8 bits is off by 2^-8 at most
    }
  }
}

}  // namespace

TEST_CASE("kernels of bf16 convolutions add the products of rounded operands in float32") {
  for (int batch : {1, 5}) check(convolutions, batch);
}

TEST_CASE("kernels of bf16 matrix products add the products of rounded operands in float32") {
  for (int batch : {1, 6}) check(products, batch);
}

// No processor is needed to read code.
TEST_CASE("where the target has dot products of bf16, inner loops are made of them, else of multiply-adds") {
  Net n(true);
  n.out(n.op("conv", {n.operand(true, {14, 14, 64}), n.operand(false, {3, 3, 64, 64})}, window(1, 1)));
  n.out(n.op("conv_data_grad", {n.operand(true, {14, 14, 64}), n.operand(false, {3, 3, 64, 64})},
             with(window(1, 1), {{"in_h", 14}, {"in_w", 14}})));
  n.out(n.op("matmul", {n.operand(true, {48, 64}), n.operand(false, {64, 128})}));
  n.out(n.op("matmul_data_grad", {n.operand(true, {48, 128}), n.operand(false, {64, 128})}));
  for (const char* target : {"x86-64-avx2", "x86-64-avx512", "x86-64-avx512-bf16"}) {
    Machine m;
    REQUIRE(machine_for(target, m));
    const bool dots = std::string(target) == "x86-64-avx512-bf16";
    CHECK(m.bf16_dot == dots);
    const plan::Plan plan = schedule::make_plan(n.g, m, 4);
    std::vector<lower::Object> objects;
    std::string error;
    REQUIRE_MESSAGE(lower::lower_all(plan, m, {}, objects, error), error);
    int contractions = 0;
    for (size_t k = 0; k < plan.kernels.size(); ++k) {
      const std::string& strategy = plan.kernels[k].strategy.name;
      if (strategy != "conv_lanes" && strategy != "tokens") continue;
      report::Code code;
      REQUIRE_MESSAGE(report::inspect(objects[k].object, m.cpu, code, error), error);
      const report::Counts& inner = code.inner;
      INFO(fmt::format("{} on {}: {} of {} are dot products, {} bits, {} spills", plan.kernels[k].name, target,
                       inner.dot, inner.fma, inner.vector_bits, inner.spills));
      CHECK(code.inner.fma >= 8);
      CHECK(code.inner.dot == (dots ? code.inner.fma : 0));
      CHECK(code.inner.vector_bits == (m.vector_floats == 16 ? 512 : 256));
      if (dots) CHECK(code.inner.spills == 0);
      CHECK(plan.kernels[k].strategy.get("pairs", 0) == dots);
      ++contractions;
    }
    // without them, convolutions of 3 x 3 take Winograd's form: half as many products of bf16 cost less than its tiles
    // at this size
    CHECK(contractions == (dots ? 4 : 2));
  }
}
