// Whole models with products of bf16: they infer what float32 infers, nearly, and learn as it does.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "compiler/ops/ops.h"
#include "compiler/passes/pipeline.h"
#include "tests/models/contents.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/model_file.h"

using namespace netc;
using namespace netc::ir;

namespace {

constexpr int kBatch = 4;

struct Small {
  const char* file;
  double lr;
  std::vector<std::pair<std::string, std::string>> defines;
};
const Small kSmall[] = {
    {"resnet.net", 0.01, {{"depth", "18"}, {"size", "40"}, {"width", "16"}, {"classes", "3"}}},
    {"vit.net",
     1e-3,
     {{"size", "24"}, {"patch", "8"}, {"dim", "48"}, {"depth", "2"}, {"heads", "3"}, {"mlp", "64"}, {"classes", "3"}}},
};

passes::Program program(const Small& s, bool bf16) {
  passes::PipelineOptions how;
  how.verify = true;
  how.bf16 = bf16;
  return passes::run_pipeline(test::model_file(s.file, s.defines), ops::registry(), how);
}

using Contents = std::map<std::string, RefTensor>;

std::map<ValueId, RefTensor> run(const Graph& g, const Contents& c) {
  std::string error;
  auto values = run_kernels(g, host_machine(), c, kBatch, kBatch, 2, error);
  REQUIRE_MESSAGE(error.empty(), error);
  return values;
}

ValueId output(const Graph& g, const std::string& name) {
  for (const Output& o : g.outputs)
    if (o.name == name) return o.value;
  return kNone;
}

/// As training begins: no momentum, no biases, each sample of one class.
Contents beginning(const Graph& g) {
  Contents c = test::contents(g, kBatch);
  for (const Variable& v : g.variables) {
    if (v.role == Role::constant) continue;
    std::vector<double>& data = c.at(v.name).data;
    if (v.role == Role::slot || (v.role == Role::weight && v.init.kind == "zeros"))
      std::fill(data.begin(), data.end(), 0);
    if (v.role == Role::label)
      for (size_t i = 0; i < data.size(); ++i) data[i] = i % 3 == i / 3 % 3;
  }
  return c;
}

/// The loss before each of some steps on one batch.
std::vector<double> losses(const Graph& g, int steps, double lr) {
  Contents c = beginning(g);
  c["lr"].data = {lr};
  std::vector<double> all;
  for (int step = 1; step <= steps; ++step) {
    if (c.count("step")) c["step"].data = {static_cast<double>(step)};
    const auto values = run(g, c);
    all.push_back(values.at(output(g, "loss")).data[0]);
    for (const Update& u : g.updates) c[g.variables[static_cast<size_t>(u.variable)].name] = values.at(u.value);
  }
  return all;
}

}  // namespace

// Each product's operands are off by 2^-8 at most, mostly by far less, and errors of a sum's terms are of both signs:
// two dozen layers keep within 8 times that of the largest output.
TEST_CASE("inference of bf16 agrees with that of float32") {
  for (const Small& s : kSmall) {
    const Graph rounded = program(s, true).inference, whole = program(s, false).inference;
    const auto got = run(rounded, test::contents(rounded, kBatch)), want = run(whole, test::contents(whole, kBatch));
    const RefTensor &a = got.at(rounded.outputs[0].value), &b = want.at(whole.outputs[0].value);
    REQUIRE(a.data.size() == b.data.size());
    double scale = 0, apart = 0;
    for (size_t i = 0; i < b.data.size(); ++i) {
      scale = std::max(scale, std::abs(b.data[i]));
      apart = std::max(apart, std::isfinite(a.data[i]) ? std::abs(a.data[i] - b.data[i]) : INFINITY);
    }
    INFO(fmt::format("{}: {} of {}", s.file, apart, scale));
    CHECK(apart <= 8 * 0x1p-8 * scale);
    CHECK(apart > 0);
  }
}

TEST_CASE("training with bf16 lowers the loss as float32 does") {
  constexpr int kSteps = 4;
  for (const Small& s : kSmall) {
    const std::vector<double> rounded = losses(program(s, true).training, kSteps, s.lr),
                              whole = losses(program(s, false).training, kSteps, s.lr);
    for (int i = 0; i < kSteps; ++i) {
      INFO(fmt::format("{} step {}: {} and {}", s.file, i, rounded[i], whole[i]));
      CHECK(std::abs(rounded[i] - whole[i]) < 0.02 * whole[0]);
    }
    CHECK(rounded.back() < 0.3 * rounded[0]);
  }
}
