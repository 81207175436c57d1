// Layers as the language's elaborator builds them: shapes, variables, errors for users; and gradients that run through
// several operators.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/ops/builder.h"

using namespace netc;
using namespace netc::ir;
using namespace netc::test;

TEST_CASE("shapes and variables of layers") {
  FakeBuilder b({DType::u8, true, {kAnyExtent, kAnyExtent, 3}});
  CHECK(b.apply("Flatten") == kNone);
  CHECK(b.apply("Resize", {{"height", num(16)}, {"width", num(12)}}) != kNone);
  CHECK(b.apply("Rescale", {{"scale", 1 / 255.0}}) != kNone);
  CHECK(b.apply("Conv",
                {{"filters", num(5)}, {"kernel", num(3)}, {"stride", num(2)}, {"padding", std::string("same")}}) !=
        kNone);
  CHECK(b.in_type() == batched({8, 6, 5}));
  CHECK(b.apply("Conv", {{"filters", num(4)}, {"kernel", std::vector<int64_t>{3, 1}}, {"padding", std::string("1")}}) !=
        kNone);
  CHECK(b.in_type() == batched({8, 8, 4}));
  CHECK(b.apply("BatchNorm", {{"scale", false}}) != kNone);
  CHECK(b.g.updates.size() == 2);
  CHECK(b.apply("MaxPool", {{"size", num(3)}, {"stride", num(2)}}) != kNone);
  CHECK(b.in_type() == batched({3, 3, 4}));
  CHECK(b.apply("Dense", {{"units", num(7)}}) == kNone);
  CHECK(b.message == "Dense(7) needs a flat input, but its input is f32[3, 3, 4]");
  CHECK(b.help == "put Flatten (36 values) or GlobalAvgPool (4 values) before it");
  CHECK(b.apply("Conv", {{"filters", num(1)}, {"kernel", num(5)}}) == kNone);
  CHECK(b.apply("Resize", {{"height", num(6)}, {"width", num(2)}}) != kNone);
  CHECK(b.in_type() == batched({6, 2, 4}));
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
    if (loss->name.find("crossentropy") == std::string::npos) continue;  // the others: loss_test.cpp
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
      // hides the activation from the loss, which then takes probabilities
      if (!activated) b.apply("Dropout", {{"rate", 1e-12}});
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
  for (size_t i = 0; i < 8; ++i)
    CHECK(all[out].data[i] == doctest::Approx(all[in].data[i] * all[scale].data[i % 4] + all[shift].data[i % 4]));
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
    const ValueId weight = var("w", w), gradient = var("g", w), lr = var("lr", {DType::f32, false, {}}),
                  step = var("step", {DType::u32, false, {}});
    std::vector<ValueId> slots;
    for (const std::string& s : o->slots(args)) slots.push_back(var(s, w));
    const std::vector<ValueId> r = o->build(g, table, weight, gradient, slots, lr, step, args);
    REQUIRE(r.size() == 1 + slots.size());
    for (ValueId v : r) CHECK(g.type(v) == w);
  }
}

TEST_CASE("dropout drops its share, differently per step, the same for equal seeds") {
  const Case c{"dropout",
               {batched({4096}), {DType::u32, false, {}}, {DType::u32, false, {}}},
               {{"rate", 0.25}, {"stream", int64_t{1}}}};
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
