// Passes one by one: what a graph computes before and after, by the interpreter in double.
#include <doctest/doctest.h>

#include <cmath>
#include <tuple>

#include "compiler/passes/pipeline.h"
#include "tests/passes/nets.h"

using namespace netc;
using namespace netc::ir;
using namespace netc::passes;
using namespace netc::test;

namespace {

constexpr int64_t kBatch = 3;
const Registry& reg() { return ops::registry(); }

RefTensor result(const Graph& g, const char* name, const Contents& c) {
  return interpret(g, c, kBatch)[output(g, name)];
}

void check_verified(const Graph& g) {
  for (const std::string& e : verify(g)) FAIL_CHECK(e);
}

}  // namespace

TEST_CASE("gradients of a convolutional net match finite differences") {
  for (const bool shared : {false, true}) {
    for (const bool dropout : {false, true}) {
      CAPTURE(shared);
      CAPTURE(dropout);
      const sema::Model m = model_of(small_net(dropout, shared), "sgd");
      PipelineOptions options;
      options.verify = true;
      const Program p = run_pipeline(m, reg(), options);
      Contents c = contents_of(p.training, kBatch);
      const std::vector<RefTensor> values = interpret(p.training, c, kBatch);
      CHECK(p.gradients.size() == 8);  // two of conv, norm, norm2, dense
      const ValueId loss = output(p.training, "loss");
      for (const auto& [variable, gradient] : p.gradients) {
        const std::string name = p.training.variables[variable].name;
        CAPTURE(name);
        RefTensor& w = c[name];
        REQUIRE(values[gradient].dims == w.dims);
        for (size_t i = 0; i < w.data.size(); i += std::max<size_t>(1, w.data.size() / 10)) {
          const double x = w.data[i], h = 1e-5;
          w.data[i] = x + h;
          const double up = interpret(p.training, c, kBatch)[loss].data[0];
          w.data[i] = x - h;
          const double down = interpret(p.training, c, kBatch)[loss].data[0];
          w.data[i] = x;
          CHECK(values[gradient].data[i] == doctest::Approx((up - down) / (2 * h)).epsilon(1e-4).scale(1e-2));
        }
      }
    }
  }
}

TEST_CASE("several terms: weights, one variable for each label, an output as a target") {
  Graph g = small_net(false);
  g.outputs.push_back({"again", g.outputs[0].value});
  sema::Model m = model_of(std::move(g), "sgd");
  const sema::LossTerm one = m.train.losses[0];
  for (const auto& [output, label, weight] : {std::tuple{"again", "other", 0.25}, std::tuple{"again", "label", 2.0}}) {
    sema::LossTerm t = one;
    t.output = output, t.label = label, t.weight = weight;
    m.train.losses.push_back(t);
  }
  PipelineOptions options;
  options.verify = true;
  const Program p = run_pipeline(m, reg(), options);
  for (const Graph* graph : {&p.training, &p.evaluation}) {
    int labels = 0;
    for (const Variable& v : graph->variables) labels += v.role == Role::label;
    CHECK(labels == 2);
    const Contents c = contents_of(*graph, kBatch);
    const std::vector<RefTensor> values = interpret(*graph, c, kBatch);
    double sum = 0;
    const double weights[] = {1, 0.25, 2};
    for (int i = 0; i < 3; ++i) sum += weights[i] * values[output(*graph, "loss:" + std::to_string(i))].data[0];
    double penalties = 0;
    for (const double w : c.at("conv.weight").data) penalties += 0.01 * std::abs(w) + 0.02 * w * w;
    CHECK(values[output(*graph, "loss")].data[0] == doctest::Approx(sum + penalties));
    CHECK(graph->outputs.back().name == "loss");
    CHECK(values[output(*graph, "loss:0")].data[0] == doctest::Approx(values[output(*graph, "loss:2")].data[0]));
  }
  CHECK(p.inference.find_variable("other") == kNone);
}

TEST_CASE("no gradient is taken of the data") {
  const Program p = run_pipeline(model_of(small_net(false), "sgd"), reg());
  CHECK(count_kind(p.training, "conv_weight_grad") == 1);
  CHECK(count_kind(p.training, "conv_data_grad") == 0);
}

TEST_CASE("a step moves the weights against the gradient and fills the slots") {
  for (const char* optimizer : {"sgd", "adam"}) {
    CAPTURE(optimizer);
    const Program p = run_pipeline(model_of(small_net(true), optimizer), reg(), {});
    check_verified(p.training);
    Contents c = contents_of(p.training, kBatch);
    for (const Variable& v : p.training.variables) {
      if (v.role == Role::slot) std::fill(c[v.name].data.begin(), c[v.name].data.end(), 0.0);
    }
    c["lr"].data[0] = 1e-2;
    const double before = interpret(p.training, c, kBatch)[output(p.training, "loss")].data[0];
    for (int step = 0; step < 5; ++step) {
      const std::vector<RefTensor> values = interpret(p.training, c, kBatch);
      for (const Update& u : p.training.updates) c[p.training.variables[u.variable].name] = values[u.value];
    }
    CHECK(interpret(p.training, c, kBatch)[output(p.training, "loss")].data[0] < before);
    if (std::string(optimizer) == "adam") {
      const int32_t m = p.training.find_variable("conv.weight.m");
      REQUIRE(m != kNone);
      CHECK(p.training.variables[m].of == "conv.weight");
      CHECK(p.training.updates.size() == 4 + 8 * 3);  // running statistics, weights with two slots each
    }
  }
}

TEST_CASE("constraints hold after a step") {
  Graph g = small_net(false);
  for (Variable& v : g.variables) {
    if (v.name == "conv.weight") v.constraint = {"max_norm", 0.5};
    if (v.name == "dense.weight") v.constraint = {"unit_norm", 0};
    if (v.name == "norm.gamma") v.constraint = {"non_neg", 0};
  }
  const Program p = run_pipeline(model_of(std::move(g), "adam"), reg(), {});
  check_verified(p.training);
  Contents c = contents_of(p.training, kBatch);
  // one column is small enough
  for (int64_t i = 0; i < 4; ++i) c["conv.weight"].data[static_cast<size_t>(4 * i)] = 0.01;
  const std::vector<RefTensor> values = interpret(p.training, c, kBatch);
  int seen = 0;
  for (const Update& u : p.training.updates) {
    const std::string& name = p.training.variables[u.variable].name;
    const RefTensor& w = values[u.value];
    const size_t columns = static_cast<size_t>(w.dims.back());
    for (size_t k = 0; k < columns; ++k) {
      double norm = 0;
      for (size_t i = k; i < w.data.size(); i += columns) norm += w.data[i] * w.data[i];
      if (name == "conv.weight") CHECK(std::sqrt(norm) <= 0.5 + 1e-9);
      if (name == "dense.weight") CHECK(std::sqrt(norm) == doctest::Approx(1));
      if (name == "norm.gamma") CHECK(w.data[k] >= 0);
    }
    seen += name == "conv.weight" || name == "dense.weight" || name == "norm.gamma";
  }
  CHECK(seen == 3);
}

TEST_CASE("inference drops what trains and computes with the running statistics") {
  const Graph net = small_net(true);
  const Graph g = to_inference(net);
  check_verified(g);
  CHECK(g.updates.empty());
  CHECK(count_kind(g, "dropout") == 0);
  CHECK(count_kind(g, "batch_mean") == 0);
  CHECK(g.find_variable("seed") == kNone);
  CHECK(g.find_variable("norm.mean") != kNone);
}

TEST_CASE("folding affine maps keeps the result") {
  const Graph plain = to_inference(small_net(false));
  const Graph folded = fold_affine(plain, reg());
  check_verified(folded);
  CHECK(count_kind(plain, "normalize") == 2);
  CHECK(count_kind(folded, "normalize") == 0);
  CHECK(count_kind(folded, "conv") == 1);
  CHECK(count_kind(folded, "bias_add") == 2);
  const Contents c = contents_of(plain, kBatch);
  CHECK(difference(result(plain, "probs", c), result(folded, "probs", c)) < 1e-12);
}

TEST_CASE(
    "scales fold into grouped and depthwise convolutions, whose last weight dimension is their output's; not into a "
    "transposed one, whose is not") {
  const Attrs window = {{"stride_h", int64_t{1}},   {"stride_w", int64_t{1}}, {"pad_top", int64_t{1}},
                        {"pad_bottom", int64_t{1}}, {"pad_left", int64_t{1}}, {"pad_right", int64_t{1}}};
  struct Conv {
    const char* op;
    std::vector<int64_t> weight;
    std::vector<std::pair<const char*, int64_t>> more;
    int64_t channels;
    bool folds;
  };
  for (const Conv& conv : {Conv{"conv", {3, 3, 2, 6}, {{"groups", 2}}, 6, true},
                           {"conv", {2, 1, 1, 8}, {{"groups", 4}, {"dilation_h", 2}}, 8, true},
                           {"dwconv", {3, 3, 1, 4}, {}, 4, true},
                           {"dwconv", {3, 2, 1, 8}, {}, 8, true},
                           {"conv_data_grad", {3, 3, 5, 4}, {{"in_h", 5}, {"in_w", 4}}, 5, false},
                           {"conv_data_grad", {3, 3, 4, 4}, {{"in_h", 5}, {"in_w", 4}}, 4, false}}) {
    CAPTURE(conv.op);
    Small s;
    Attrs a = window;
    for (const auto& [name, value] : conv.more) a.set(name, value);
    const ValueId x = s.var("x", Role::input, {5, 4, 4}, true), w = s.var("w", Role::weight, conv.weight);
    std::vector<ValueId> in{s.add("bias_add", {s.add(conv.op, {x, w}, a), s.var("b", Role::weight, {conv.channels})})};
    for (const char* part : {"mean", "variance"}) in.push_back(s.var(part, Role::state, {conv.channels}));
    for (const char* part : {"gamma", "beta"}) in.push_back(s.var(part, Role::weight, {conv.channels}));
    s.g.outputs.push_back({"y", s.add("normalize", in, {{"eps", 1e-3}})});
    const Graph folded = fold_affine(s.g, reg());
    check_verified(folded);
    CHECK(count_kind(folded, "normalize") == 0);
    bool reads_weight = false;  // the convolution itself: then nothing was folded into it
    for (const Node& n : folded.nodes)
      if (n.op->name == conv.op) reads_weight = folded.values[n.inputs[1]].variable != kNone;
    CHECK(reads_weight != conv.folds);
    const Contents c = contents_of(s.g, kBatch);
    CHECK(difference(result(s.g, "y", c), result(folded, "y", c)) < 1e-12);
  }
}

TEST_CASE("a contraction that others read is not folded into") {
  Graph net = to_inference(small_net(false));
  for (const Node& n : net.nodes) {
    if (n.op->name == "conv") net.outputs.push_back({"raw", n.results[0]});
  }
  const Graph folded = fold_affine(net, reg());
  check_verified(folded);
  CHECK(count_kind(folded, "conv") == 1);
  const Contents c = contents_of(net, kBatch);
  CHECK(difference(result(net, "probs", c), result(folded, "probs", c)) < 1e-12);
  CHECK(difference(result(net, "raw", c), result(folded, "raw", c)) == 0);
}

TEST_CASE("a normalisation right after a contraction makes its own offset, two in a row stay right") {
  Small s;
  const ValueId x = s.var("x", Role::input, {4}, true), w = s.var("w", Role::weight, {4, 3});
  ValueId y = s.add("matmul", {x, w});
  for (const char* name : {"a", "b"}) {
    const std::string n = name;
    std::vector<ValueId> in{y};
    for (const char* part : {".mean", ".variance"}) in.push_back(s.var((n + part).c_str(), Role::state, {3}));
    for (const char* part : {".gamma", ".beta"}) in.push_back(s.var((n + part).c_str(), Role::weight, {3}));
    y = s.add("normalize", in, {{"eps", 1e-3}});
  }
  s.g.outputs.push_back({"y", y});
  const Graph folded = fold_affine(s.g, reg());
  check_verified(folded);
  CHECK(count_kind(folded, "matmul") == 1);
  CHECK(count_kind(folded, "normalize") == 0);
  const Contents c = contents_of(s.g, kBatch);
  CHECK(difference(result(s.g, "y", c), result(folded, "y", c)) < 1e-12);
}

TEST_CASE("common subexpressions merge, random ones do not") {
  Small s;
  const ValueId x = s.var("x", Role::input, {4}, true);
  const ValueId a = s.add("scale", {x}, {{"factor", 2.0}}), b = s.add("scale", {x}, {{"factor", 2.0}}),
                d = s.add("scale", {x}, {{"factor", 3.0}});
  Variable seed, step;
  seed.name = "seed";
  step.name = "step";
  seed.role = step.role = Role::scalar;
  const ValueId key = s.g.add_variable(seed, {DType::u32, false, {}}),
                count = s.g.add_variable(step, {DType::u32, false, {}});
  const Attrs drop = {{"rate", 0.5}, {"stream", int64_t{1}}};
  const ValueId p = s.add("dropout", {a, key, count}, drop), q = s.add("dropout", {b, key, count}, drop);
  s.g.outputs.push_back({"y", s.add("add", {s.add("add", {s.add("relu", {a}), s.add("relu", {b})}),
                                            s.add("add", {d, s.add("add", {p, q})})})});
  const Graph merged = merge_common(s.g);
  check_verified(merged);
  CHECK(count_kind(merged, "scale") == 2);
  CHECK(count_kind(merged, "relu") == 1);
  CHECK(count_kind(merged, "dropout") == 2);
  const Contents c = contents_of(s.g, kBatch);
  CHECK(difference(result(s.g, "y", c), result(merged, "y", c)) == 0);
}

TEST_CASE("dead nodes and unread constants go, inputs and weights stay") {
  Small s;
  const ValueId x = s.var("x", Role::input, {4}, true);
  s.var("unread", Role::weight, {4});
  const ValueId one = s.var("one", Role::constant, {4}, false, {1, 1, 1, 1});
  s.add("add", {x, one});
  s.g.outputs.push_back({"y", s.add("relu", {x})});
  const Graph g = remove_dead(s.g);
  check_verified(g);
  CHECK(g.nodes.size() == 1);
  CHECK(g.find_variable("unread") != kNone);
  CHECK(g.find_variable("one") == kNone);
  const Contents c = contents_of(s.g, kBatch);
  CHECK(difference(result(s.g, "y", c), result(g, "y", c)) == 0);
}

TEST_CASE("constants fold") {
  Small s;
  const ValueId x = s.var("x", Role::input, {2}, true);
  const ValueId a = s.var("a", Role::constant, {2}, false, {1, 2}), b = s.var("b", Role::constant, {2}, false, {3, 4});
  const ValueId sum = s.add("add", {a, b});
  s.g.outputs.push_back({"y", s.add("add", {x, s.add("scale", {sum}, {{"factor", 0.5}})})});
  const Graph g = fold_constants(s.g);
  check_verified(g);
  CHECK(g.nodes.size() == 1);
  const Contents c = contents_of(s.g, kBatch);
  CHECK(difference(result(s.g, "y", c), result(g, "y", c)) == 0);
}

TEST_CASE("the pipeline: evaluation is inference with the loss, all is deterministic and printed on demand") {
  const sema::Model m = model_of(small_net(true), "adam");
  PipelineOptions options;
  std::vector<std::string> printed;
  std::vector<std::pair<std::string, double>> timings;
  options.verify = true;
  options.print_after = "cse";
  options.on_print = [&](const std::string& pass, const Graph&) { printed.push_back(pass); };
  options.timings = &timings;
  const Program p = run_pipeline(m, reg(), options);
  CHECK(printed == std::vector<std::string>{"inference/cse", "training/cse", "evaluation/cse"});
  CHECK(timings.size() == 7 + 8 + 8);
  CHECK(p.training.outputs.size() == 2);
  CHECK(p.evaluation.outputs[0].name == "probs");
  CHECK(p.evaluation.outputs[1].name == "loss");
  const Contents c = contents_of(p.evaluation, kBatch);
  CHECK(difference(result(p.inference, "probs", c), result(p.evaluation, "probs", c)) == 0);
  const RefTensor probs = result(p.evaluation, "probs", c);
  double want = 0;
  for (int64_t n = 0; n < kBatch; ++n)
    want -= std::log(probs.data[n * 3 + static_cast<int64_t>(c.at("label").data[n])]) / kBatch;
  for (double w : c.at("conv.weight").data) want += 0.01 * std::abs(w) + 0.02 * w * w;
  CHECK(result(p.evaluation, "loss", c).data[0] == doctest::Approx(want));
  const Program again = run_pipeline(m, reg(), {});
  CHECK(print(p.training) == print(again.training));
  CHECK(print(p.evaluation) == print(again.evaluation));
  CHECK(p.gradients == again.gradients);
  sema::Model bare = m;
  bare.train = {};
  const Program forward = run_pipeline(bare, reg());
  CHECK(forward.training.nodes.empty());
  CHECK(forward.evaluation.nodes.empty());
  CHECK(print(forward.inference) == print(p.inference));
}

TEST_CASE("a mean over windows goes before a 1 x 1 convolution where that saves products") {
  const auto window = [](int64_t stride, int64_t pad) {
    return Attrs{{"stride_h", stride}, {"stride_w", stride}, {"pad_top", pad},
                 {"pad_bottom", pad},  {"pad_left", pad},    {"pad_right", pad}};
  };
  const auto pool = [&](int64_t size, int64_t stride, int64_t pad) {
    Attrs a = window(stride, pad);
    a.set("kernel_h", size), a.set("kernel_w", size);
    return a;
  };
  struct Case {
    const char* what;
    int64_t taps;
    Attrs conv, pool;
    const char* op;
    bool read_twice, moves;
  };
  const Attrs halves = pool(2, 2, 0), one = window(1, 0);
  for (const Case& t : {Case{"mean", 1, one, halves, "avg_pool", false, true},
                        {"partly outside", 1, one, pool(2, 2, 1), "avg_pool", false, true},
                        {"others read it", 1, one, halves, "avg_pool", true, false},
                        {"several taps", 3, window(1, 1), halves, "avg_pool", false, false},
                        {"a stride", 1, window(2, 0), halves, "avg_pool", false, false},
                        {"no fewer pixels", 1, one, pool(1, 1, 0), "avg_pool", false, false},
                        {"no mean", 1, one, halves, "max_pool", false, false}}) {
    CAPTURE(t.what);
    Small s;
    const ValueId x = s.var("x", Role::input, {8, 8, 4}, true), w = s.var("w", Role::weight, {t.taps, t.taps, 4, 3}),
                  y = s.add("conv", {x, w}, t.conv);
    s.g.outputs.push_back({"y", s.add(t.op, {y}, t.pool)});
    if (t.read_twice) s.g.outputs.push_back({"whole", y});
    const Graph moved = pool_first(s.g);
    check_verified(moved);
    REQUIRE(moved.nodes.size() == 2);
    CHECK((moved.nodes[0].op->name == t.op) == t.moves);
    const Contents c = contents_of(s.g, kBatch);
    CHECK(difference(result(s.g, "y", c), result(moved, "y", c)) < 1e-12);
  }
}
