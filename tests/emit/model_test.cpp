// The generated driver against the interpreter, and what rt::Model promises.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <random>

#include <fmt/format.h>

#include "compiler/ir/interpret.h"
#include "runtime/core/weights.h"
#include "tests/emit/support.h"

using namespace netc;
using support::load;
using support::load_product;

namespace {

std::vector<float> random_batch(const rt::PortInfo& port, int n, void* to) {
  std::mt19937 rng(5);
  size_t count = static_cast<size_t>(n);
  for (int i = 0; i < port.rank; ++i) count *= static_cast<size_t>(port.dims[i]);
  std::vector<float> values;
  for (size_t i = 0; i < count; ++i) {
    if (port.dtype == rt::DType::u8) values.push_back(static_cast<float>(static_cast<uint8_t*>(to)[i] = static_cast<uint8_t>(rng() % 256)));
    else values.push_back(static_cast<float*>(to)[i] = static_cast<float>(rng() % 1000) / 500.0f - 1);
  }
  return values;
}

std::map<std::string, ir::RefTensor> contents(const support::Net& net, rt::Model& m, const ir::Graph& g, int batch, const std::vector<float>& input, double lr, int seed, int step) {
  std::map<std::string, ir::RefTensor> v;
  for (const ir::Variable& variable : g.variables) {
    ir::RefTensor t;
    if (g.type(variable.value).batched) t.dims.push_back(batch);
    for (int64_t d : g.type(variable.value).dims) t.dims.push_back(d);
    if (variable.role == ir::Role::constant) continue;
    if (variable.role == ir::Role::input) t.data.assign(input.begin(), input.end());
    else if (variable.role == ir::Role::label) t.data.assign(static_cast<int32_t*>(m.labels()), static_cast<int32_t*>(m.labels()) + batch);
    else if (variable.role == ir::Role::scalar) t.data = {variable.name == "lr" ? lr : variable.name == "seed" ? seed : step};
    else {
      const auto infos = m.info().variables;
      for (size_t i = 0; i < infos.size(); ++i)
        if (infos[i].name == variable.name) t.data.assign(m.variable(i), m.variable(i) + infos[i].elements());
    }
    v[variable.name] = t;
  }
  return v;
}

void close(const float* got, const std::vector<double>& want, double tolerance, const std::string& what) {
  double worst = 0, scale = 1e-3;
  for (double x : want) scale = std::max(scale, std::abs(x));
  for (size_t i = 0; i < want.size(); ++i) worst = std::max(worst, std::isfinite(got[i]) ? std::abs(got[i] - want[i]) / scale : 1e9);
  CHECK_MESSAGE(worst < tolerance, fmt::format("{}: relative error {}", what, worst));
}

void against_the_interpreter(const support::Net& net, int batch) {
  auto product = load_product(net);
  std::string error;
  auto m = product->create({.threads = 2, .training = true}, error);
  REQUIRE_MESSAGE(m, error);
  rt::initialise(*m, 3);
  auto* labels = static_cast<int32_t*>(m->labels());
  const std::vector<float> input = random_batch(m->info().input, batch, m->input());
  for (int i = 0; i < batch; ++i) labels[i] = i % 3;
  for (int step = 1; step <= 2; ++step) {
    const ir::Graph& e = net.program.evaluation;
    auto values = ir::interpret(e, contents(net, *m, e, batch, input, 0.01, 9, step), batch);
    const float loss = m->evaluate(batch);
    close(&loss, values[e.outputs.back().value].data, 1e-3, "evaluation's loss");
    close(m->output(), values[e.outputs[0].value].data, 1e-3, "evaluation's output");
    const ir::Graph& t = net.program.training;
    values = ir::interpret(t, contents(net, *m, t, batch, input, 0.01, 9, step), batch);
    const float trained = m->train_step(batch, 0.01f, 9, static_cast<uint32_t>(step));
    close(&trained, values[t.outputs.back().value].data, 2e-3, "training's loss");
    const auto infos = m->info().variables;
    for (const ir::Update& u : t.updates)
      for (size_t i = 0; i < infos.size(); ++i)
        if (t.variables[u.variable].name == infos[i].name) close(m->variable(i), values[u.value].data, 5e-3, infos[i].name);
  }
}

}  // namespace

TEST_CASE("a training step and evaluation of LeNet-5") { against_the_interpreter(*load("lenet5", "models/lenet5.net", 8), 5); }
TEST_CASE("a training step and evaluation: dropout, penalty") { against_the_interpreter(*load("tiny", support::kTinyNet, 8), 8); }

TEST_CASE("batches out of range, weights that are missing, training where there is none") {
  auto net = load("tiny", support::kTinyNet, 4);
  auto product = load_product(*net);
  std::string error;
  CHECK(!product->create({.max_batch = 5}, error));
  CHECK(error.find("at most 4") != std::string::npos);
  auto m = product->create({.threads = 1, .own_weights = false}, error);
  REQUIRE(m);
  CHECK(m->infer(1) == nullptr);
  CHECK(std::isnan(m->train_step(1, 0.1f, 1, 1)));
  auto owner = product->create({.threads = 1}, error);
  rt::initialise(*owner, 1);
  CHECK(owner->infer(0) == nullptr);
  CHECK(owner->infer(5) == nullptr);
  random_batch(m->info().input, 4, m->input());
  random_batch(m->info().input, 4, owner->input());
  std::vector<std::vector<float>> unaligned;  // a mapped file promises four bytes only
  for (size_t i = 0; i < m->info().variables.size(); ++i) {
    if (m->info().variables[i].role == rt::VarRole::slot) continue;
    const size_t n = m->info().variables[i].elements();
    unaligned.emplace_back(n + 1);
    std::memcpy(unaligned.back().data() + 1, owner->variable(i), 4 * n);
    m->bind_variable(i, unaligned.back().data() + 1);
  }
  const float* got = m->infer(4);
  const float* want = owner->infer(4);
  REQUIRE(got);
  for (int i = 0; i < 12; ++i) CHECK(got[i] == want[i]);
}
