// Layers as the language's elaborator builds them: shapes, variables, errors for users; and gradients that run through several operators.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "tests/ops/cases.h"

using namespace netc;
using namespace netc::ir;
using namespace netc::test;

namespace {

/// An elaborator that keeps everything in a map.
struct FakeBuilder : LayerBuilder {
  Graph g;
  const LayerDef* layer = nullptr;
  std::vector<ValueId> operands;
  std::map<std::string, ArgValue> args;
  std::string message, help;

  explicit FakeBuilder(const Type& input) {
    Variable v;
    v.name = "x";
    v.role = Role::input;
    operands = {g.add_variable(v, input)};
  }
  ValueId apply(const char* name, std::map<std::string, ArgValue> a = {}) {
    for (const LayerDef* l : netc::ops::registry().layers) {
      if (l->name == name) layer = l;
    }
    args.clear();
    for (const ArgDef& d : layer->args) {
      if (d.fallback) args[d.name] = *d.fallback;
    }
    for (auto& [k, v] : a) args[k] = v;
    const ValueId y = layer->build(*this);
    if (y != kNone) operands = {y};
    return y;
  }
  Graph& graph() override { return g; }
  const OpTable& ops() override { return netc::ops::registry().ops; }
  const std::vector<ValueId>& in() override { return operands; }
  const Type& in_type(int i = 0) override { return g.type(operands[static_cast<size_t>(i)]); }
  bool b(const char* a) override { return std::get<bool>(args.at(a)); }
  int64_t i(const char* a) override { return std::get<int64_t>(args.at(a)); }
  double f(const char* a) override { return std::get<double>(args.at(a)); }
  std::string s(const char* a) override { return std::get<std::string>(args.at(a)); }
  std::vector<int64_t> pair(const char* a) override {
    if (const int64_t* n = std::get_if<int64_t>(&args.at(a))) return {*n, *n};
    return std::get<std::vector<int64_t>>(args.at(a));
  }
  ValueId variable(const char* name, Type type, Initializer init, Role role, double l1, double l2) override {
    Variable v;
    v.name = layer->weight_prefix + std::to_string(g.nodes.size()) + "." + name;
    v.role = role;
    v.trainable = role == Role::weight;
    v.init = init;
    v.l1 = l1;
    v.l2 = l2;
    return g.add_variable(v, type);
  }
  ValueId emit(const std::string& op, std::vector<ValueId> in, Attrs a) override { return g.add(ops().at(op), std::move(in), std::move(a)); }
  void update(ValueId variable, ValueId value) override { g.updates.push_back({g.values[static_cast<size_t>(variable)].variable, value}); }
  ValueId error(const std::string& m, const std::string& h) override {
    message = m;
    help = h;
    return kNone;
  }
};

Type batched(std::vector<int64_t> d) { return {DType::f32, true, std::move(d)}; }
ArgValue num(int64_t n) { return n; }

std::vector<RefTensor> contents(const Graph& g, int64_t batch, std::mt19937& random) {
  std::vector<RefTensor> v;
  for (const Variable& x : g.variables) {
    const Type& t = g.type(x.value);
    v.push_back(random_tensor(t, t.dtype == DType::f32 ? Fill::normal : t.batched ? Fill::label : Fill::counter, batch, 3, random));
  }
  return v;
}

/// Reverse mode over the graph's nodes, as the autodiff pass does it: gradients of sum(dy * y) by value.
std::map<ValueId, ValueId> differentiate(Graph& g, ValueId y, ValueId dy) {
  const OpTable& table = netc::ops::registry().ops;
  std::map<ValueId, ValueId> grad{{y, dy}};
  for (NodeId n = static_cast<NodeId>(g.nodes.size()) - 1; n >= 0; --n) {
    const Node node = g.nodes[static_cast<size_t>(n)];
    if (!grad.count(node.results[0]) || !node.op->gradient) continue;
    GradContext ctx{g, n, {grad[node.results[0]]}, {}, table};
    for (ValueId v : node.inputs) ctx.wanted.push_back(g.type(v).dtype == DType::f32);
    const std::vector<ValueId> r = node.op->gradient(ctx);
    for (size_t i = 0; i < r.size(); ++i) {
      if (r[i] == kNone) continue;
      ValueId& slot = grad.try_emplace(node.inputs[i], kNone).first->second;
      slot = slot == kNone ? r[i] : g.add(table.at("add"), {slot, r[i]});
    }
  }
  return grad;
}

/// Largest error of the gradient of sum(dy * y) in every f32 variable, against central differences.
double check_gradient(Graph g, ValueId y, int64_t batch) {
  std::mt19937 random(3);
  const size_t forward = g.variables.size();
  Variable v;
  v.name = "dy";
  v.role = Role::input;
  const Type t = g.type(y);
  const ValueId dy = g.add_variable(v, t);
  std::vector<RefTensor> vars = contents(g, batch, random);
  Graph differentiated = g;
  const std::map<ValueId, ValueId> grad = differentiate(differentiated, y, dy);
  const std::vector<RefTensor> values = evaluate(differentiated, vars, batch);
  auto objective = [&] {
    const std::vector<RefTensor> all = evaluate(g, vars, batch);
    double sum = 0;
    for (size_t i = 0; i < all[y].data.size(); ++i) sum += all[y].data[i] * vars.back().data[i];
    return sum;
  };
  double worst = 0;
  for (size_t i = 0; i < forward; ++i) {
    const ValueId value = g.variables[i].value;
    if (g.type(value).dtype != DType::f32) continue;
    for (size_t j = 0; j < vars[i].data.size(); j += 1 + vars[i].data.size() / 16) {
      const double x = vars[i].data[j], h = 1e-5;
      vars[i].data[j] = x + h;
      const double up = objective();
      vars[i].data[j] = x - h;
      const double down = objective();
      vars[i].data[j] = x;
      const double want = (up - down) / (2 * h), got = grad.count(value) ? values[grad.at(value)].data[j] : 0;
      worst = std::max(worst, std::abs(want - got) / std::max(1.0, std::abs(want)));
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("shapes and variables of layers") {
  FakeBuilder b({DType::u8, true, {kAnyExtent, kAnyExtent, 3}});
  CHECK(b.apply("Flatten") == kNone);
  CHECK(b.apply("Resize", {{"height", num(16)}, {"width", num(12)}}) != kNone);
  CHECK(b.apply("Rescale", {{"scale", 1 / 255.0}}) != kNone);
  CHECK(b.apply("Conv", {{"filters", num(5)}, {"kernel", num(3)}, {"stride", num(2)}, {"padding", std::string("same")}}) != kNone);
  CHECK(b.in_type() == batched({8, 6, 5}));
  CHECK(b.apply("Conv", {{"filters", num(4)}, {"kernel", std::vector<int64_t>{3, 1}}, {"padding", std::string("1")}}) != kNone);
  CHECK(b.in_type() == batched({8, 8, 4}));
  CHECK(b.apply("BatchNorm", {{"scale", false}}) != kNone);
  CHECK(b.g.updates.size() == 2);
  CHECK(b.apply("MaxPool", {{"size", num(3)}, {"stride", num(2)}}) != kNone);
  CHECK(b.in_type() == batched({3, 3, 4}));
  CHECK(b.apply("Dense", {{"units", num(7)}}) == kNone);
  CHECK(b.message == "Dense(7) needs a flat input, but its input is f32[3, 3, 4]");
  CHECK(b.help == "put Flatten (36 values) or GlobalAvgPool (4 values) before it");
  CHECK(b.apply("Conv", {{"filters", num(1)}, {"kernel", num(5)}}) == kNone);
  CHECK(b.apply("Resize", {{"height", num(16)}, {"width", num(12)}}) == kNone);
  CHECK(b.apply("Flatten") != kNone);
  CHECK(b.apply("Dense", {{"units", num(7)}, {"l2", 0.1}}) != kNone);
  CHECK(b.in_type() == batched({7}));
  int literals = 0;
  for (const Variable& v : b.g.variables) {
    if (v.role != Role::constant) continue;
    ++literals;
    CHECK((v.literal == std::vector<float>(4, 1.0f)));
  }
  CHECK(literals == 1);
}

TEST_CASE("gradient of batch normalisation through its own statistics") {
  for (const Type& t : {batched({3, 2, 4}), batched({5})}) {
    FakeBuilder b(t);
    const ValueId y = b.apply("BatchNorm");
    CHECK(check_gradient(b.g, y, 3) < 1e-5);
  }
}

TEST_CASE("gradient of a small network with each loss") {
  for (const LossDef* loss : netc::ops::registry().losses) {
    if (loss->name.find("crossentropy") == std::string::npos) continue;   // the others: loss_test.cpp
    CAPTURE(loss->name);
    for (bool activated : {true, false}) {
      FakeBuilder b(batched({6, 5, 2}));
      b.apply("Conv", {{"filters", num(3)}, {"kernel", num(3)}, {"padding", std::string("same")}});
      b.apply("Tanh");
      b.apply("BatchNorm");
      b.apply("MaxPool");
      b.apply("Dropout", {{"rate", 0.3}});
      b.apply("AvgPool", {{"size", num(2)}, {"stride", num(1)}});
      b.apply("Flatten");
      b.apply("Dense", {{"units", num(3)}});
      b.apply(loss->name == "binary_crossentropy" ? "Sigmoid" : "Softmax");
      if (!activated) b.apply("Dropout", {{"rate", 1e-12}});  // hides the activation from the loss, which then takes probabilities
      Variable label;
      label.name = "label";
      label.role = Role::label;
      const ValueId target = b.g.add_variable(label, loss->label_type(b.in_type()));
      std::vector<ArgValue> args;
      for (const ArgDef& a : loss->args) args.push_back(*a.fallback);
      const ValueId y = loss->build(b.g, netc::ops::registry().ops, b.in()[0], target, args);
      CHECK(b.g.type(y) == Type{DType::f32, false, {}});
      CHECK(check_gradient(b.g, y, 3) < 1e-5);
    }
  }
}

TEST_CASE("inference forms: dropout vanishes, statistics are the running ones, normalize is affine") {
  FakeBuilder b(batched({4}));
  const ValueId x = b.in()[0];
  b.apply("Dropout");
  CHECK(b.g.nodes[0].op->inference(b.g, 0) == std::vector<ValueId>{x});
  b.apply("BatchNorm");
  Graph& g = b.g;
  for (NodeId n : {1, 2}) {
    const std::vector<ValueId> r = g.nodes[static_cast<size_t>(n)].op->inference(g, n);
    for (Node& node : g.nodes) {
      if (node.op->name == "normalize") node.inputs[static_cast<size_t>(n)] = r[0];
    }
  }
  const NodeId normalize = 3;
  ValueId scale = kNone, shift = kNone;
  REQUIRE(g.nodes[normalize].op->affine(g, normalize, scale, shift));
  std::mt19937 random(5);
  std::vector<RefTensor> vars = contents(g, 2, random);
  for (RefTensor& t : vars) {
    for (double& v : t.data) v = std::abs(v) + 0.1;
  }
  const std::vector<RefTensor> all = evaluate(g, vars, 2);
  const ValueId in = g.nodes[normalize].inputs[0], out = g.nodes[normalize].results[0];
  for (size_t i = 0; i < 8; ++i) CHECK(all[out].data[i] == doctest::Approx(all[in].data[i] * all[scale].data[i % 4] + all[shift].data[i % 4]));
}

TEST_CASE("optimisers give a new content for the weight and each slot") {
  const OpTable& table = netc::ops::registry().ops;
  for (const OptimizerDef* o : netc::ops::registry().optimizers) {
    std::vector<ArgValue> args;
    for (const ArgDef& a : o->args) args.push_back(a.name == "momentum" ? ArgValue{0.9} : *a.fallback);
    Graph g;
    auto var = [&](const std::string& name, Type t) {
      Variable v;
      v.name = name;
      return g.add_variable(v, t);
    };
    const Type w{DType::f32, false, {3, 2}};
    const ValueId weight = var("w", w), gradient = var("g", w), lr = var("lr", {DType::f32, false, {}}), step = var("step", {DType::u32, false, {}});
    std::vector<ValueId> slots;
    for (const std::string& s : o->slots(args)) slots.push_back(var(s, w));
    const std::vector<ValueId> r = o->build(g, table, weight, gradient, slots, lr, step, args);
    REQUIRE(r.size() == 1 + slots.size());
    for (ValueId v : r) CHECK(g.type(v) == w);
  }
}

TEST_CASE("dropout drops its share, differently per step, the same for equal seeds") {
  const Case c{"dropout", {batched({4096}), {DType::u32, false, {}}, {DType::u32, false, {}}}, {{"rate", 0.25}, {"stream", int64_t{1}}}};
  const Graph g = graph_of(c);
  auto run = [&](double seed, double step) {
    const RefTensor ones{{2, 4096}, std::vector<double>(8192, 1.0)};
    return g.nodes[0].op->reference(g.nodes[0], g, {ones, RefTensor{{}, {seed}}, RefTensor{{}, {step}}}, 2)[0].data;
  };
  const std::vector<double> a = run(1, 1);
  CHECK(std::count(a.begin(), a.end(), 0.0) / 8192.0 == doctest::Approx(0.25).epsilon(0.08));
  CHECK(a == run(1, 1));
  CHECK(a != run(1, 2));
  CHECK(a != run(2, 1));
}
