// Training within a memory limit: the same step from less memory.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "compiler/ir/interpret.h"
#include "compiler/ops/ops.h"
#include "compiler/passes/passes.h"
#include "compiler/passes/pipeline.h"
#include "compiler/schedule/limit.h"
#include "compiler/schedule/make_plan.h"
#include "compiler/verify/compare.h"
#include "tests/models/contents.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/model_file.h"

using namespace netc;
using namespace netc::ir;

namespace {

constexpr int kBatch = 3;
constexpr double kTolerance = 1e-3;  // of the largest element of a tensor: kernels fused otherwise round otherwise

struct Small {
  const char* file;
  std::vector<std::pair<std::string, std::string>> defines;
};

const Small kSmall[] = {
    {"resnet.net", {{"depth", "18"}, {"size", "40"}, {"width", "8"}, {"classes", "3"}}},
    {"densenet.net", {{"blocks", "[2, 2]"}, {"growth", "4"}, {"size", "32"}, {"classes", "3"}}},
    {"vit.net",
     {{"size", "24"}, {"patch", "8"}, {"dim", "24"}, {"depth", "2"}, {"heads", "3"}, {"mlp", "40"}, {"classes", "3"}}},
    {"unet.net", {{"size", "12"}, {"width", "3"}}},
    {"gpt.net", {{"vocabulary", "11"}, {"length", "7"}, {"dim", "16"}, {"depth", "2"}, {"heads", "2"}}},  // dropout
};

Graph training(const Small& s) {
  return passes::run_pipeline(test::model_file(s.file, s.defines), ops::registry(), {.verify = true}).training;
}

/// Relative to the largest element.
double difference(const RefTensor& want, const RefTensor& got) { return verify::compare(want, got, {}).error; }

}  // namespace

TEST_CASE("what is recomputed is the same, dropout too, and each state is updated once") {
  int64_t copied_random = 0;
  for (const Small& s : kSmall) {
    CAPTURE(s.file);
    const Graph g = training(s);
    const schedule::LimitedPlan least = schedule::plan_within(g, host_machine(), kBatch, 0);
    const Graph& again = *least.plan.graph;
    for (const std::string& e : ir::verify(again)) FAIL_CHECK(e);
    REQUIRE(!least.recomputed.empty());
    REQUIRE(again.updates.size() == g.updates.size());
    const auto random = [](const Graph& g) {
      return std::count_if(g.nodes.begin(), g.nodes.end(), [](const Node& n) { return n.op->random; });
    };
    CHECK(random(again) >= random(g));
    copied_random += random(again) - random(g);
    const auto variables = test::contents(g, kBatch);
    const auto want = interpret(g, variables, kBatch), got = interpret(again, variables, kBatch);
    const auto same = [&](ValueId a, ValueId b) {
      CHECK(difference(want[static_cast<size_t>(a)], got[static_cast<size_t>(b)]) < 1e-9);
    };
    for (size_t u = 0; u < g.updates.size(); ++u) same(g.updates[u].value, again.updates[u].value);
    for (size_t o = 0; o < g.outputs.size(); ++o) same(g.outputs[o].value, again.outputs[o].value);
  }
  CHECK(copied_random > 0);
}

TEST_CASE("a limit that can be reached is, with no more recomputation than it takes") {
  for (const Small& s : kSmall) {
    CAPTURE(s.file);
    const Graph g = training(s);
    const Machine m = host_machine();
    const int64_t all = schedule::make_plan(g, m, 32).arena_bytes;
    const schedule::LimitedPlan free = schedule::plan_within(g, m, 32, all),
                                some = schedule::plan_within(g, m, 32, all * 9 / 10);
    const schedule::LimitedPlan least = schedule::plan_within(g, m, 32, 0);
    CHECK(free.recomputed.empty());
    CHECK(some.plan.arena_bytes <= all * 9 / 10);
    CHECK(least.plan.arena_bytes <= some.plan.arena_bytes);
    CHECK(some.recomputed.size() <= least.recomputed.size());
  }
}

TEST_CASE("compiled kernels of a step within a limit agree with those without") {
  for (const Small& s : kSmall) {
    const Graph g = training(s);
    const Machine m = host_machine();
    const schedule::LimitedPlan least = schedule::plan_within(g, m, kBatch, 0);
    const auto variables = test::contents(g, kBatch);
    std::string error;
    const auto want = run_kernels(g, m, variables, kBatch, kBatch, 2, error);
    REQUIRE_MESSAGE(error.empty(), error);
    const auto got = run_plan(least.plan, m, variables, kBatch, 2, error);
    REQUIRE_MESSAGE(error.empty(), error);
    const Graph& again = *least.plan.graph;
    const auto agree = [&](ValueId a, ValueId b, const std::string& what) {
      const double off = difference(want.at(a), got.at(b));
      CHECK_MESSAGE(off < kTolerance, fmt::format("{}: {}: {}", s.file, what, off));
    };
    for (size_t u = 0; u < g.updates.size(); ++u)
      agree(g.updates[u].value, again.updates[u].value, g.variables[static_cast<size_t>(g.updates[u].variable)].name);
    for (size_t o = 0; o < g.outputs.size(); ++o) agree(g.outputs[o].value, again.outputs[o].value, g.outputs[o].name);
  }
}

TEST_CASE("without a limit, what takes next to no time is computed again") {
  const Graph g =
      passes::run_pipeline(test::model_file("resnet.net", {{"depth", "18"}}), ops::registry(), {.verify = true})
          .training;
  const Machine m = host_machine();
  const auto us = [](const plan::Plan& p) {
    double sum = 0;
    for (const plan::Kernel& k : p.kernels) sum += k.strategy.cost_us;
    return sum;
  };
  const plan::Plan all = schedule::make_plan(g, m, 32), some = schedule::plan_sparing(g, m, 32);
  CHECK(some.arena_bytes < all.arena_bytes * 9 / 10);
  CHECK(us(some) < us(all) * 1.02);
}
