// A whole training step of the shipped models at a small size, every kernel scheduled and fused, against the
// interpreter.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <random>

#include <fmt/format.h>

#include "compiler/ir/interpret.h"
#include "compiler/parse/parse.h"
#include "compiler/passes/passes.h"
#include "compiler/passes/pipeline.h"
#include "compiler/sema/model.h"
#include "compiler/verify/compare.h"
#include "tests/support/kernel_runner.h"

using namespace netc;
using namespace netc::ir;

namespace {

sema::Model load(const std::string& text) {
  SourceFile file("test.net", text);
  Diagnostics diagnostics(file);
  auto tree = parse(file, diagnostics);
  std::optional<sema::Model> model;
  if (tree) model = sema::analyse(*tree, {}, ops::registry(), diagnostics);
  REQUIRE_MESSAGE(model.has_value(), diagnostics.render(false));
  return std::move(*model);
}

std::map<std::string, RefTensor> random_variables(const Graph& g, int batch) {
  std::mt19937 rng(7);
  std::normal_distribution<double> normal;
  std::map<std::string, RefTensor> variables;
  for (auto& v : g.variables) {
    if (v.role == Role::constant) continue;
    const Type& type = g.type(v.value);
    RefTensor t;
    if (type.batched) t.dims.push_back(batch);
    for (int64_t d : type.dims) t.dims.push_back(d);
    int64_t n = 1;
    for (int64_t d : t.dims) n *= d;
    for (int64_t i = 0; i < n; ++i) {
      double x = normal(rng);
      if (v.role == Role::label) x = static_cast<double>(rng() % 3);
      else if (type.dtype == DType::u8) x = static_cast<double>(rng() % 256);
      else if (v.role == Role::scalar) x = v.name == "lr" ? 0.01 : 3;
      else if (v.role == Role::slot || v.role == Role::state) x = 0.5 + std::abs(x);
      else x *= 0.2;
      t.data.push_back(static_cast<float>(x));
    }
    variables[v.name] = t;
  }
  return variables;
}

void check(const Graph& g, int batch, double tolerance) {
  auto variables = random_variables(g, batch);
  auto want = interpret(g, variables, batch);
  Machine m = host_machine();
  std::string error;
  auto got = run_kernels(g, m, variables, batch, 8, 2, error);
  REQUIRE_MESSAGE(error.empty(), error);
  REQUIRE(!got.empty());
  for (auto& [v, t] : got) {
    const double worst = verify::compare(want[v], t, {}).error;
    CHECK_MESSAGE(worst < tolerance,
                  fmt::format("{} {}: relative error {}", g.values[v].name, to_string(g.type(v)), worst));
  }
}

const char* kSmallFaces = R"(
net Small() {
  input photo: f32[26, 30, 3]
  output emotion = photo -> Rescale(1/255)
    -> Conv(6, 3, l2 = 1e-3) -> ReLU -> BatchNorm -> MaxPool(2) -> Dropout(0.2)
    -> Conv(16, 3, l2 = 1e-3) -> ReLU -> BatchNorm -> MaxPool(2) -> Flatten
    -> Dense(40, l2 = 1e-3) -> ReLU -> BatchNorm -> Dropout(0.2) -> Dense(3) -> Softmax
}
train { loss = categorical_crossentropy(emotion, label)  optimizer = adam(lr = 1e-3)  batch = 8  epochs = 1 }
)";

}  // namespace

TEST_CASE("LeNet-5: a training step and inference") {
  std::ifstream f(NETC_SOURCE_DIR "/models/lenet5.net");
  auto model = load({std::istreambuf_iterator<char>(f), {}});
  auto program = passes::run_pipeline(model, ops::registry(), {.verify = true});
  for (int batch : {1, 8}) {
    check(program.training, batch, 2e-3);
    check(program.evaluation, batch, 1e-3);
  }
}

TEST_CASE("LeNet for faces, small: batch norm, dropout, penalties, Adam") {
  auto model = load(kSmallFaces);
  auto program = passes::run_pipeline(model, ops::registry(), {.verify = true});
  check(program.training, 8, 5e-3);
  check(program.training, 5, 5e-3);
  check(program.evaluation, 3, 1e-3);
}

TEST_CASE("LeNet for faces, whole: every gradient, from the photograph to the loss") {
  std::ifstream f(NETC_SOURCE_DIR "/models/lenet.net");
  std::string text{std::istreambuf_iterator<char>(f), {}};
  auto replace = [&](const std::string& what, const std::string& with) {
    REQUIRE(text.find(what) != std::string::npos);
    text.replace(text.find(what), what.size(), with);
  };
  replace("u8[*, *, 3]", "u8[256, 256, 3]");  // photographs are resized one by one before the batch
  replace("-> Resize(256, 256)", "");
  auto model = load(text);
  auto program = passes::run_pipeline(model, ops::registry());
  Graph& g = program.training;
  for (auto& [variable, gradient] : program.gradients)
    g.outputs.push_back({"gradient of " + g.variables[static_cast<size_t>(variable)].name, gradient});
  g.updates.clear();
  REQUIRE(program.gradients.size() == 18);
  check(passes::remove_dead(g), 7, 5e-3);
}
