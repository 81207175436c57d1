// Every loss and its gradient as scheduled kernels, against the interpreter: of a vector, of rows with a label each, of
// an image.
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include <fmt/format.h>

#include "compiler/ir/interpret.h"
#include "compiler/passes/passes.h"
#include "compiler/verify/compare.h"
#include "tests/support/kernel_runner.h"

using namespace netc;
using namespace netc::ir;

namespace {

/// The loss and its gradient in w: loss(activation(x + w), label).
Graph graph_of(const LossDef& loss, const Type& type, const char* activation, std::vector<ArgValue> args) {
  Graph g;
  g.name = "test";
  const auto variable = [&](const char* name, Role role, const Type& t) {
    Variable v;
    v.name = name;
    v.role = role;
    v.trainable = role == Role::weight;
    return g.add_variable(v, t);
  };
  Type fixed = type;
  fixed.batched = false;
  const OpTable& ops = ops::registry().ops;
  const ValueId sum = g.add(ops.at("add"), {variable("x", Role::input, type), variable("w", Role::weight, fixed)});
  const ValueId output = g.add(ops.at(activation), {sum});
  const ValueId label = variable("label", Role::label, loss.label_type(type));
  const ValueId value = loss.build(g, ops, output, label, args);
  g.outputs.push_back({"loss", value, OutputKind::loss});
  g.outputs.push_back({"gradient", passes::add_gradients(g, ops::registry(), value).at(g.find_variable("w"))});
  return passes::remove_dead(g);
}

void check(const Graph& g, int batch, int max_batch) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  std::map<std::string, RefTensor> variables;
  for (const Variable& v : g.variables) {
    if (v.role == Role::constant) continue;
    const Type& type = g.type(v.value);
    RefTensor t{type.dims, {}};
    if (type.batched) t.dims.insert(t.dims.begin(), batch);
    int64_t n = 1;
    for (int64_t d : t.dims) n *= d;
    for (int64_t i = 0; i < n; ++i)
      t.data.push_back(v.role == Role::label ? static_cast<double>(random() % 2) : static_cast<float>(normal(random)));
    variables[v.name] = t;
  }
  auto want = interpret(g, variables, batch);
  std::string error;
  auto got = run_kernels(g, host_machine(), variables, batch, max_batch, 2, error);
  REQUIRE_MESSAGE(error.empty(), error);
  REQUIRE(!got.empty());
  for (auto& [v, t] : got) {
    const double worst = verify::compare(want[static_cast<size_t>(v)], t, {}).error;
    CHECK_MESSAGE(worst < 2e-4, fmt::format("{} {}: relative error {}", g.values[static_cast<size_t>(v)].name,
                                            to_string(g.type(v)), worst));
  }
}

std::vector<ArgValue> arguments(const LossDef& loss, int64_t classes) {
  std::vector<ArgValue> args;
  for (const ArgDef& a : loss.args) {
    if (a.name == "label_smoothing") args.push_back(0.1);
    else if (a.name == "class_weights") args.push_back(std::vector<double>(static_cast<size_t>(classes), 1.5));
    else args.push_back(*a.fallback);
  }
  return args;
}

}  // namespace

TEST_CASE("losses and their gradients in kernels") {
  for (const LossDef* loss : ops::registry().losses) {
    if (loss->name == "sparse_categorical_crossentropy") continue;  // the same
    CAPTURE(loss->name);
    const bool classes = loss->name.find("categorical") == 0;
    const Type vector{DType::f32, true, {classes ? 5 : 1}}, rows{DType::f32, true, {3, 11}},
        image{DType::f32, true, {4, 9, 3}};
    if (loss->name == "triplet") {
      check(graph_of(*loss, rows, "tanh", arguments(*loss, 2)), 5, 8);
      continue;
    }
    check(graph_of(*loss, vector, classes ? "softmax" : "sigmoid", arguments(*loss, classes ? 5 : 2)), 5, 8);
    check(graph_of(*loss, classes ? rows : image, classes ? "softmax" : "sigmoid", arguments(*loss, classes ? 11 : 2)),
          3, 4);
  }
  for (const LossDef* loss : ops::registry().losses) {
    if (loss->name != "categorical_crossentropy") continue;
    const Type image{DType::f32, true, {4, 9, 3}};
    check(graph_of(*loss, image, "sigmoid", arguments(*loss, 3)), 3, 4);  // probabilities
  }
}
