// The generated driver against the interpreter, and what rt::Model promises.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include <fmt/format.h>

#include "compiler/ir/interpret.h"
#include "compiler/verify/compare.h"
#include "runtime/core/weights.h"
#include "tests/emit/support.h"

using namespace netc;
using support::load;
using support::load_product;

namespace {

std::vector<float> random_batch(const rt::PortInfo& port, int n, void* to) {
  std::mt19937 rng(5);
  const size_t count = port.elements() * static_cast<size_t>(n);
  std::vector<float> values;
  for (size_t i = 0; i < count; ++i) {
    if (port.dtype == rt::DType::u8)
      values.push_back(static_cast<float>(static_cast<uint8_t*>(to)[i] = static_cast<uint8_t>(rng() % 256)));
    else if (port.dtype == rt::DType::i32)
      values.push_back(static_cast<float>(static_cast<int32_t*>(to)[i] = static_cast<int32_t>(rng() % 3)));
    else values.push_back(static_cast<float*>(to)[i] = static_cast<float>(rng() % 1000) / 500.0f - 1);
  }
  return values;
}

/// What was fed, by port.
using Fed = std::map<std::string, std::vector<float>>;

std::map<std::string, ir::RefTensor> contents(rt::Model& m, const ir::Graph& g, int batch, const Fed& fed, double lr,
                                              int seed, int step) {
  std::map<std::string, ir::RefTensor> v;
  for (const ir::Variable& variable : g.variables) {
    ir::RefTensor t;
    if (g.type(variable.value).batched) t.dims.push_back(batch);
    for (int64_t d : g.type(variable.value).dims) t.dims.push_back(d);
    if (variable.role == ir::Role::constant) continue;
    if (variable.role == ir::Role::input || variable.role == ir::Role::label)
      t.data.assign(fed.at(variable.name).begin(), fed.at(variable.name).end());
    else if (variable.role == ir::Role::scalar)
      t.data = {variable.name == "lr" ? lr : variable.name == "seed" ? seed : step};
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
  const double worst = verify::compare({{}, want}, {{}, {got, got + want.size()}}, {}).error;
  CHECK_MESSAGE(worst < tolerance, fmt::format("{}: relative error {}", what, worst));
}

ir::ValueId output(const ir::Graph& g, const std::string& name) {
  for (const ir::Output& o : g.outputs)
    if (o.name == name) return o.value;
  return ir::kNone;
}

void check_outputs(rt::Model& m, const ir::Graph& g, const std::vector<ir::RefTensor>& values, double tolerance,
                   const std::string& what) {
  for (size_t i = 0; i < m.info().outputs.size(); ++i) {
    REQUIRE(m.output(i));
    close(m.output(i), values[output(g, m.info().outputs[i].name)].data, tolerance,
          what + " output " + m.info().outputs[i].name);
  }
  CHECK(m.output(m.info().outputs.size()) == nullptr);
  const size_t terms = m.info().losses.size() > 1 ? m.info().losses.size() : 0;
  for (size_t i = 0; i < terms; ++i) {
    const float term = m.loss_of(i);
    close(&term, values[output(g, "loss:" + std::to_string(i))].data, tolerance, what + " term");
  }
  CHECK(std::isnan(m.loss_of(terms)));
}

/// Images of any size are fed at odd sizes through ingest(), which must leave what the interpreter's first operator
/// gives.
Fed feed(rt::Model& m, int batch) {
  Fed fed;
  for (size_t i = 0; i < m.info().inputs.size(); ++i) {
    const rt::PortInfo& port = m.info().inputs[i];
    REQUIRE(m.input(i));
    if (port.sized()) {
      fed[port.name] = random_batch(port, batch, m.input(i));
      continue;
    }
    const rt::PortInfo one{"", port.dtype, 3, {7, 9, port.dims[2]}};  // the interpreter takes one size for the batch
    std::vector<uint8_t> pixels(one.bytes() * static_cast<size_t>(batch));
    fed[port.name] = random_batch(one, batch, pixels.data());
    for (int k = 0; k < batch; ++k) {
      m.ingest(i, pixels.data() + one.bytes() * static_cast<size_t>(k), 7, 9, static_cast<int>(port.dims[2]),
               static_cast<char*>(m.input(i)) + m.info().ingested[i].bytes() * static_cast<size_t>(k));
    }
  }
  for (size_t i = 0; i < m.info().labels.size(); ++i)
    fed[m.info().labels[i].name] = random_batch(m.info().labels[i], batch, m.labels(i));
  CHECK(m.input(m.info().inputs.size()) == nullptr);
  CHECK(m.labels(m.info().labels.size()) == nullptr);
  return fed;
}

void against_the_interpreter(const support::Net& net, int batch) {
  auto product = load_product(net);
  std::string error;
  auto m = product->create({.threads = 2, .training = true}, error);
  REQUIRE_MESSAGE(m, error);
  rt::initialise(*m, 3);
  const Fed fed = feed(*m, batch);
  const bool images = !m->info().input().sized();
  auto inputs = [&](const ir::Graph& g, int step) {
    auto v = contents(*m, g, batch, fed, 0.01, 9, step);
    for (const ir::Variable& variable : g.variables)  // '*' extents as they were fed
      if (images && variable.role == ir::Role::input && g.type(variable.value).has_any_extent())
        v[variable.name].dims = {batch, 7, 9, g.type(variable.value).dims[2]};
    return v;
  };
  for (int step = 1; step <= 2; ++step) {
    const ir::Graph& e = net.program.evaluation;
    auto values = ir::interpret(e, inputs(e, step), batch);
    const float loss = m->evaluate(batch);
    close(&loss, values[e.outputs.back().value].data, 1e-3, "evaluation's loss");
    check_outputs(*m, e, values, 1e-3, "evaluation's");
    const ir::Graph& t = net.program.training;
    values = ir::interpret(t, inputs(t, step), batch);
    const float trained = m->train_step(batch, 0.01f, 9, static_cast<uint32_t>(step));
    close(&trained, values[t.outputs.back().value].data, 2e-3, "training's loss");
    check_outputs(*m, t, values, 2e-3, "training's");
    const auto infos = m->info().variables;
    for (const ir::Update& u : t.updates)
      for (size_t i = 0; i < infos.size(); ++i)
        if (t.variables[u.variable].name == infos[i].name)
          close(m->variable(i), values[u.value].data, 5e-3, infos[i].name);
  }
}

}  // namespace

TEST_CASE("a training step and evaluation of LeNet-5") {
  against_the_interpreter(*load("lenet5", "models/lenet5.net", 8), 5);
}
TEST_CASE("a training step and evaluation: dropout, penalty") {
  against_the_interpreter(*load("tiny", support::kTinyNet, 8), 8);
}
TEST_CASE("a training step and evaluation: two inputs, two outputs, two labels") {
  against_the_interpreter(*load("two", support::kTwoNet, 8), 5);
}
TEST_CASE("a training step and evaluation: an autoencoder") {
  against_the_interpreter(*load("auto_", support::kAutoNet, 8), 7);
}

TEST_CASE("evaluation in slices of a batch, the last of them smaller, is that of the batch") {
  for (const char* name : {"two", "auto_"}) {
    const char* source = std::string(name) == "two" ? support::kTwoNet : support::kAutoNet;
    netc::Machine small = netc::host_machine();
    std::set<int> slices;
    for (small.l3 = 64; small.l3 < 1 << 20 && slices.size() < 2; small.l3 += small.l3 / 2) {
      const auto net = load(name, source, 8, true, &small);
      if (net->infer.slice == 0 || 7 % net->infer.slice == 0 || !slices.insert(net->infer.slice).second) continue;
      against_the_interpreter(*net, 7);
    }
    CHECK_MESSAGE(!slices.empty(), name);
  }
}

TEST_CASE("a net of many ports: what info() says, and buffers of others") {
  auto net = load("two", support::kTwoNet, 4);
  auto product = load_product(*net);
  std::string error;
  auto m = product->create({.threads = 1}, error), other = product->create({.threads = 1}, error);
  REQUIRE(m);
  const rt::ModelInfo& info = m->info();
  REQUIRE((info.inputs.size() == 2 && info.ingested.size() == 2 && info.outputs.size() == 2 &&
           info.labels.size() == 2 && info.losses.size() == 2));
  CHECK(
      (std::string(info.inputs[0].name) == "photo" && info.inputs[0].dims[0] == -1 && info.ingested[0].dims[1] == 16));
  CHECK((std::string(info.labels[1].name) == "corner" && info.labels[1].dtype == rt::DType::f32 &&
         info.labels[1].dims[0] == 4));
  CHECK((info.losses[1].weight == 0.5 && info.losses[1].output == 1 && info.losses[1].target == 1 &&
         info.losses[1].target_kind == rt::TargetKind::label));
  CHECK(std::string(info.loss) == "sparse_categorical_crossentropy(kind, label) + 0.5 * squared_error(place, corner)");
  auto aligned = [](size_t n) { return (n + 63) / 64 * 64; };
  CHECK(info.memory.data_buffers ==
        aligned(4 * info.ingested[0].bytes()) + aligned(4 * 12) + aligned(4 * 4) + aligned(4 * 16));

  rt::initialise(*m, 1);
  rt::initialise(*other, 1);
  feed(*m, 4);
  const void* inputs[] = {m->input(0), m->input(1)};
  other->use_buffers(inputs, {});
  const float* a = m->infer(4);
  const float* b = other->infer(4);
  REQUIRE((a && b));
  for (int i = 0; i < 12; ++i) CHECK(a[i] == b[i]);
  for (int i = 0; i < 16; ++i) CHECK(m->output(1)[i] == other->output(1)[i]);
  other->use_buffers({}, {});
  b = other->infer(4);
  bool differs = false;
  for (int i = 0; i < 12; ++i) differs |= a[i] != b[i];
  CHECK(differs);
}

TEST_CASE("an inference product of many ports has no labels") {
  auto net = load("two", support::kTwoNet, 4, false);
  auto product = load_product(*net);
  std::string error;
  auto m = product->create({.threads = 1}, error);
  REQUIRE(m);
  CHECK(m->info().labels.empty());
  CHECK(m->info().losses.empty());
  CHECK(m->labels(0) == nullptr);
  rt::initialise(*m, 1);
  feed(*m, 3);
  CHECK(m->infer(3));
  CHECK(m->output(1));
}

TEST_CASE("what no product can be made of") {
  CHECK(support::refused("net A { input x: u8[*, *, 1]  output y = x -> Rescale(1/255) }")
            .find("the output y of net A is f32[*, *, 1]; a compiled") == 0);
  CHECK(support::refused("net A { input x: f32[4]  input n: i32[2]  output y = x -> Dense(2)  output z = n }")
            .find("the output z of net A is i32[2]") == 0);
}

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
  random_batch(m->info().input(), 4, m->input());
  random_batch(m->info().input(), 4, owner->input());
  std::vector<std::vector<float>> unaligned;  // a mapped file promises four bytes only
  for (size_t i = 0; i < m->info().variables.size(); ++i) {
    if (m->info().variables[i].role == rt::VarRole::slot) continue;
    const size_t n = m->info().variables[i].elements();
    unaligned.emplace_back(n + 1);
    std::memcpy(unaligned.back().data() + 1, owner->variable(i), 4 * n);
    m->bind_variable(i, unaligned.back().data() + 1, nullptr);
  }
  const float* got = m->infer(4);
  const float* want = owner->infer(4);
  REQUIRE(got);
  for (int i = 0; i < 12; ++i) CHECK(got[i] == want[i]);
}

TEST_CASE(
    "weights of a file take no memory once they are stored in another way, and are there when they are asked for") {
  auto net = load("wide",
                  "net Wide { input x: f32[12, 12, 64]  output y = x -> Conv(128, 3) -> ReLU -> Conv(128, 3) -> ReLU "
                  "-> GlobalAvgPool -> Dense(3) }",
                  2, false);
  auto product = load_product(*net);
  std::string error;
  auto owner = product->create({.threads = 1}, error), m = product->create({.threads = 1, .own_weights = false}, error);
  REQUIRE((owner && m));
  rt::initialise(*owner, 1);
  const std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("netc-forget-{}.safetensors", getpid())).string();
  REQUIRE(rt::save_weights(*owner, path));
  const auto file = rt::WeightsFile::open(path);
  REQUIRE(file);
  REQUIRE(rt::load_weights(*m, **file, true));
  const auto resident = [&] {  // KB of the tensors in this process's memory
    long pages = 0;
    for (const rt::TensorView& t : (*file)->tensors()) {
      const uintptr_t begin = reinterpret_cast<uintptr_t>(t.data) / 4096 * 4096,
                      end = reinterpret_cast<uintptr_t>(t.data + t.elements);
      std::vector<unsigned char> in((end - begin + 4095) / 4096);
      REQUIRE(mincore(reinterpret_cast<void*>(begin), end - begin, in.data()) == 0);
      for (const unsigned char page : in) pages += page & 1;
    }
    return pages * 4;
  };
  const auto same = [&] {
    for (size_t i = 0; i < m->info().variables.size(); ++i)
      CHECK(std::memcmp(m->variable(i), owner->variable(i), 4 * m->info().variables[i].elements()) == 0);
  };
  random_batch(m->info().input(), 2, m->input());
  std::memcpy(owner->input(), m->input(), 2 * m->info().input().bytes());
  for (int again = 0; again < 2; ++again) {
    same();  // reads all of it, and has it prepared anew
    const long all = resident();
    CHECK(all > 9 * (64 + 128) * 128 * 4 / 1024);
    const float* got = m->infer(2);
    const float* want = owner->infer(2);
    REQUIRE(got);
    for (int i = 0; i < 6; ++i) CHECK(got[i] == want[i]);
    CHECK(resident() < all / 2);
  }
  std::filesystem::remove(path);
}
