// Every strategy that the tuner may try computes what the compiler's own does, and what crashes or computes something
// else is not taken. No time is looked at.
#include <doctest/doctest.h>

#include <filesystem>
#include <map>

#include <fmt/format.h>

#include "compiler/emit/process.h"
#include "compiler/nests/nest.h"
#include "compiler/schedule/make_plan.h"
#include "compiler/tune/measure.h"
#include "compiler/tune/ranking.h"
#include "compiler/tune/tuner.h"
#include "tests/tune/support.h"

using namespace netc;
using namespace netc::schedule;

namespace {

emit::Toolchain toolchain() {
  emit::Toolchain t;
  std::string error;
  REQUIRE_MESSAGE(emit::find_toolchain(t, error), error);
  return t;
}

std::vector<lower::Object> objects_of(const Plan& p, const Kernel& k, const std::vector<Strategy>& ways,
                                      const Machine& m) {
  Plan some = p;
  some.kernels.clear();
  for (const Strategy& s : ways) some.kernels.push_back(k), some.kernels.back().strategy = s;
  std::vector<lower::Object> objects;
  std::string error;
  REQUIRE_MESSAGE(lower::lower_all(some, m, {}, objects, error), error);
  return objects;
}

bool measure(const Plan& p, const Kernel& k, const std::vector<lower::Object>& objects, const tune::How& how,
             std::vector<tune::Measured>& measured, std::string& error) {
  const tune::Subject subject{&p, {}, {&k}};
  std::vector<tune::Way> ways;
  for (const lower::Object& o : objects) ways.push_back({&subject, {o}});
  return tune::measure(ways, how, toolchain(), measured, error);
}

/// Strategies that differ from the kernel's own in one number, and in all of them.
std::vector<Strategy> ways_of(const Plan& p, const Kernel& k, const Machine& m) {
  std::vector<Strategy> ways = {k.strategy};
  for (const Strategy& s : nests::neighbours({p, k, m}, k.strategy, 2)) ways.push_back(s);
  Strategy far = k.strategy;
  for (int steps = 0; steps < 3; ++steps)
    if (const auto near = nests::neighbours({p, k, m}, far, 1); !near.empty())
      far = near[static_cast<size_t>(steps * 7) % near.size()];
  if (far.text() != ways.back().text()) ways.push_back(far);
  return ways;
}

/// By strategy: how many ways were tried.
std::map<std::string, int> check(const std::string& net, bool training, int batch) {
  const passes::Program program = support::program(net);
  const Machine m = support::machine();
  const Plan p = make_plan(training ? program.training : program.inference, m, batch);
  std::map<std::string, int> tried;
  for (const Kernel& k : p.kernels) {
    if (k.phase == Phase::prepare || k.phase == Phase::ingest) continue;
    const std::vector<Strategy> ways = ways_of(p, k, m);
    if (ways.size() < 2) continue;
    std::vector<tune::Measured> measured;
    std::string error;
    REQUIRE_MESSAGE(measure(p, k, objects_of(p, k, ways, m), {.batches = {batch, 1}, .seconds = 0}, measured, error),
                    error);
    for (size_t i = 0; i < ways.size(); ++i)
      CHECK_MESSAGE(measured[i].works, fmt::format("{}: {}", k.name, ways[i].text()));
    tried[k.strategy.name] += static_cast<int>(ways.size()) - 1;
  }
  return tried;
}

const std::string kTrain =
    "train { loss = sparse_categorical_crossentropy(y, label)  optimizer = adam(lr = 1e-3)  batch = 5  epochs = 1 }\n";

}  // namespace

TEST_CASE("small convolutions and dense layers, with their gradients") {
  auto tried = check(
      "net A { input x: f32[13, 12, 3]  output y = x -> Conv(6, 3, padding = same) -> ReLU -> MaxPool(2) -> Conv(16, "
      "3) -> ReLU -> Flatten"
      " -> Dense(24) -> ReLU -> Dense(5) -> Softmax }\n" +
          kTrain,
      true, 5);
  for (const char* strategy :
       {"conv_planes", "conv_lanes", "conv_dot", "gemm", "dot", "outer", "taps_lanes", "taps_planes"})
    CHECK_MESSAGE(tried[strategy] > 0, strategy);
}

TEST_CASE("Winograd's tiles, and large weights") {
  auto tried = check(
      "net B { input x: f32[12, 12, 16]  output y = x -> Conv(32, 3, padding = same) -> ReLU -> Conv(16, 4) -> Flatten "
      "-> Dense(5) -> Softmax }\n",
      false, 3);
  for (const char* strategy : {"winograd", "conv_lanes", "gemm"}) CHECK_MESSAGE(tried[strategy] > 0, strategy);
}

TEST_CASE("products of rows") {
  auto tried = check(
      "net C { input x: f32[9, 16]  output y = x -> Dense(24) -> GELU -> LayerNorm -> Flatten -> Dense(5) -> Softmax "
      "}\n",
      false, 3);
  CHECK(tried["tokens"] > 0);
  CHECK(tried["rows"] > 0);
}

TEST_CASE("a way without code, or with other results, does not work; without a first way nothing is measured") {
  const passes::Program program =
      support::program("net D { input x: f32[16]  output y = x -> Dense(24) -> Tanh -> Dense(24) -> Sigmoid }\n");
  const Machine m = support::machine();
  const Plan p = make_plan(program.inference, m, 4);
  REQUIRE(p.kernels.size() >= 2);
  const Kernel &first = p.kernels[0], &other = p.kernels.back();
  std::vector<lower::Object> ways = objects_of(p, first, {first.strategy}, m);
  ways.push_back({});
  ways.push_back(objects_of(p, other, {other.strategy}, m)[0]);  // another function of another operand
  std::vector<tune::Measured> measured;
  std::string error;
  REQUIRE_MESSAGE(measure(p, first, ways, {.batches = {4}, .seconds = 0}, measured, error), error);
  CHECK(measured[0].works);
  CHECK(!measured[1].works);
  CHECK(!measured[2].works);
  ways[0].object.clear();
  CHECK(!measure(p, first, ways, {.batches = {4}, .seconds = 0}, measured, error));
  CHECK(error.find(first.name) != std::string::npos);
}

TEST_CASE("the tuner fills a tuning that the next plan uses whole, and measures nothing twice") {
  const passes::Program program = support::program(
      "net E { input x: f32[8, 8, 16]  output y = x -> Conv(16, 3, padding = same) -> ReLU -> Flatten -> Dense(5) -> "
      "Softmax }\n");
  const Machine m = support::machine();
  const std::vector<tune::Job> jobs = {{"inference", &program.inference, 4, {4, 1}}};
  tune::Options options{.seconds = 1e6, .rounds = 1, .lower = {}, .toolchain = toolchain(), .progress = {}};
  emit::TempFolder cache;
  options.lower.cache_dir = cache.file("cache");
  Tuning tuning;
  tune::Outcome first, second;
  std::string error;
  REQUIRE_MESSAGE(tune::tune(jobs, m, options, tuning, first, error), error);
  CHECK(tuning.entries.size() >= 3);
  REQUIRE(first.rows[0].form);
  // in blocks, tiles of three sizes, as it is: all but one besides the compiler's own, and all give the same
  CHECK(first.rows[0].tried >= 4);
  CHECK(make_plan(program.inference, m, 4, &tuning).tuned == static_cast<int>(tuning.entries.size()));
  const std::string before = print(tuning);
  REQUIRE_MESSAGE(tune::tune(jobs, m, options, tuning, second, error), error);
  for (const tune::Row& r : second.rows) CHECK_MESSAGE(r.tried == 0, r.name);
  CHECK(print(tuning) == before);
  CHECK(text(first).find("Kendall's tau") != std::string::npos);
}

TEST_CASE("rank correlations") {
  CHECK(tune::kendall({{1, 10}, {2, 20}, {3, 30}}) == doctest::Approx(1));
  CHECK(tune::kendall({{1, 30}, {2, 20}, {3, 10}}) == doctest::Approx(-1));
  CHECK(tune::kendall({{1, 1}, {2, 3}, {3, 2}}) == doctest::Approx(1.0 / 3));
  CHECK(tune::kendall({{1, 1}, {1, 2}, {2, 3}}) == doctest::Approx(2 / std::sqrt(6.0)));
  CHECK(tune::kendall({{1, 1}}) == 0);
  CHECK(tune::spearman({{1, 1}, {2, 3}, {3, 2}}) == doctest::Approx(0.5));
  CHECK(tune::spearman({{5, 1}, {6, 2}, {700, 3}}) == doctest::Approx(1));
  CHECK(tune::spearman({{1, 1}, {1, 2}}) == 0);
  CHECK(tune::spearman({}) == 0);
}
