// Losses as the language builds them: values that can be worked out by hand, labels' types, errors for users, and
// gradients through all they are composed of.
#include <doctest/doctest.h>

#include <map>

#include "compiler/passes/passes.h"
#include "tests/ops/cases.h"

using namespace netc;
using namespace netc::ir;
using namespace netc::test;

namespace {

Type batched(std::vector<int64_t> d) { return {DType::f32, true, std::move(d)}; }
Type labels(std::vector<int64_t> d = {}) { return {DType::i32, true, std::move(d)}; }
using Given = std::map<std::string, ArgValue>;

const LossDef& find(const std::string& name) {
  for (const LossDef* l : ops::registry().losses)
    if (l->name == name) return *l;
  FAIL(name);
  return *ops::registry().losses[0];
}

std::vector<ArgValue> arguments(const LossDef& loss, const Given& given) {
  std::vector<ArgValue> args;
  for (const ArgDef& a : loss.args) args.push_back(given.count(a.name) ? given.at(a.name) : *a.fallback);
  return args;
}

/// loss(activation(x + w), label): `w` a weight of one sample's type, so that gradients have somewhere to go.
struct Built {
  Graph g;
  ValueId x, w, output, label, value;
  Built(const std::string& name, const Type& type, const Given& given = {}, const char* activation = nullptr) {
    const LossDef& loss = find(name);
    x = variable("x", Role::input, type);
    Type weight = type;
    weight.batched = false;
    w = variable("w", Role::weight, weight);
    g.variables.back().trainable = true;
    output = g.add(ops::registry().ops.at("add"), {x, w});
    if (activation) output = g.add(ops::registry().ops.at(activation), {output});
    label = variable("label", Role::label, loss.label_type(type));
    std::string error, help;
    CHECK((!loss.check || loss.check(g, output, arguments(loss, given), error, help)));
    value = loss.build(g, ops::registry().ops, output, label, arguments(loss, given));
    CHECK(g.type(value) == Type{DType::f32, false, {}});
    CHECK(verify(g).empty());
  }
  ValueId variable(const char* name, Role role, const Type& t) {
    Variable v;
    v.name = name;
    v.role = role;
    return g.add_variable(v, t);
  }
  std::vector<RefTensor> contents(std::vector<double> in, std::vector<double> truth, int64_t batch) const {
    std::vector<RefTensor> all;
    for (const Variable& v : g.variables) {
      RefTensor t{g.type(v.value).dims, {}};
      if (g.type(v.value).batched) t.dims.insert(t.dims.begin(), batch);
      int64_t n = 1;
      for (int64_t d : t.dims) n *= d;
      t.data.assign(static_cast<size_t>(n), 0.0);
      if (v.value == x) t.data = in;
      if (v.value == label) t.data = truth;
      if (v.role == Role::constant) t.data.assign(v.literal.begin(), v.literal.end());
      all.push_back(std::move(t));
    }
    return all;
  }
  double of(std::vector<double> in, std::vector<double> truth, int64_t batch = 1) const {
    return evaluate(g, contents(std::move(in), std::move(truth), batch), batch)[static_cast<size_t>(value)].data[0];
  }
};

double loss_of(const std::string& name, const Type& t, std::vector<double> in, std::vector<double> truth,
               const Given& given = {}, int64_t batch = 1) {
  return Built(name, t, given).of(std::move(in), std::move(truth), batch);
}

std::string wrong(const std::string& name, const Type& type, const Given& given = {},
                  const char* activation = nullptr) {
  Graph g;
  Variable v;
  v.name = "x", v.role = Role::input;
  ValueId output = g.add_variable(v, type);
  if (activation) output = g.add(ops::registry().ops.at(activation), {output});
  std::string error, help;
  const LossDef& loss = find(name);
  return loss.check(g, output, arguments(loss, given), error, help) ? "" : error;
}

doctest::Approx near(double v) { return doctest::Approx(v).epsilon(1e-6); }
const ArgValue kTrue{true};
ArgValue list(std::vector<double> v) { return v; }

}  // namespace

TEST_CASE("cross-entropy: from probabilities and logits, of rows, smoothed, weighted") {
  const Type t = batched({3});
  CHECK(loss_of("categorical_crossentropy", t, {0.2, 0.5, 0.3}, {1}) == near(-std::log(0.5)));
  CHECK(loss_of("categorical_crossentropy", t, {0.2, 0.5, 0.3, 0.1, 0.1, 0.8}, {1, 2}, {}, 2) ==
        near(-(std::log(0.5) + std::log(0.8)) / 2));
  CHECK(loss_of("categorical_crossentropy", t, {1, 2, 4}, {0}, {{"from_logits", kTrue}}) ==
        near(std::log(std::exp(1) + std::exp(2) + std::exp(4)) - 1));
  const double s = 0.3, smooth = -(std::log(0.2) * 0.1 + std::log(0.5) * (0.7 + 0.1) + std::log(0.3) * 0.1);
  CHECK(loss_of("sparse_categorical_crossentropy", t, {0.2, 0.5, 0.3}, {1}, {{"label_smoothing", s}}) == near(smooth));
  CHECK(loss_of("categorical_crossentropy", t, {0.2, 0.5, 0.3, 0.1, 0.1, 0.8}, {1, 2},
                {{"class_weights", list({1, 2, 3})}}, 2) == near(-(2 * std::log(0.5) + 3 * std::log(0.8)) / 2));
  CHECK(loss_of("categorical_crossentropy", batched({2, 2}), {0.4, 0.6, 0.9, 0.1}, {1, 0}) ==
        near(-(std::log(0.6) + std::log(0.9)) / 2));
  const std::vector<double> x = {0.3, -1, 2, 5, 5, -7};
  for (const char* loss : {"categorical_crossentropy", "categorical_focal"})  // after a softmax the logits are taken
    CHECK(Built(loss, t, {}, "softmax").of(x, {2, 0}, 2) ==
          near(loss_of(loss, t, x, {2, 0}, {{"from_logits", kTrue}}, 2)));
  CHECK(Built("categorical_crossentropy", t, {}, "softmax").of({1000, 0, -1000}, {2}) == near(2000));
}

TEST_CASE("binary cross-entropy: a class for one output, targets for several") {
  CHECK(loss_of("binary_crossentropy", batched({1}), {0.8, 0.3}, {1, 0}, {}, 2) ==
        near(-(std::log(0.8) + std::log(0.7)) / 2));
  CHECK(loss_of("binary_crossentropy", batched({2, 1, 1}), {0.8, 0.3}, {1, 0}) ==
        near(-(std::log(0.8) + std::log(0.7)) / 2));
  CHECK(loss_of("binary_crossentropy", batched({2}), {0.8, 0.3}, {1, 0}, {{"class_weights", list({5, 2})}}) ==
        near(-(2 * std::log(0.8) + 5 * std::log(0.7)) / 2));
  CHECK(loss_of("binary_crossentropy", batched({1}), {0.8}, {1}, {{"label_smoothing", 0.2}}) ==
        near(-(0.9 * std::log(0.8) + 0.1 * std::log(0.2))));
  CHECK(loss_of("binary_crossentropy", batched({1}), {2}, {1}, {{"from_logits", kTrue}}) ==
        near(std::log(1 + std::exp(-2))));
  CHECK(Built("binary_crossentropy", batched({1}), {}, "sigmoid").of({-900, 3}, {1, 0}, 2) ==
        near((900 + std::log(1 + std::exp(3))) / 2));
}

TEST_CASE("focal losses") {
  CHECK(loss_of("categorical_focal", batched({3}), {0.2, 0.5, 0.3}, {2}, {{"gamma", 3.0}, {"alpha", 0.5}}) ==
        near(-0.5 * std::pow(0.7, 3) * std::log(0.3)));
  CHECK(loss_of("binary_focal", batched({2}), {0.8, 0.3}, {1, 0}) ==
        near(-(0.25 * 0.04 * std::log(0.8) + 0.75 * 0.09 * std::log(0.7)) / 2));
  CHECK(loss_of("binary_focal", batched({1}), {0.8}, {1}, {{"gamma", 0.0}, {"alpha", 1.0}}) == near(-std::log(0.8)));
}

TEST_CASE("losses of values") {
  const Type t = batched({2});
  CHECK(loss_of("mse", t, {1, 5}, {0, 2}) == near(5));
  CHECK(loss_of("mae", t, {1, -5, 0, 0}, {0, 2, 0, 1}, {}, 2) == near(2.25));
  CHECK(loss_of("huber", t, {0.4, -5}, {0, 2}, {{"delta", 2.0}}) == near((0.08 + 2 * (7 - 1)) / 2));
  CHECK(loss_of("poisson", t, {2, 0.5}, {3, 0}) == near((2 - 3 * std::log(2) + 0.5) / 2));
  CHECK(loss_of("kl_divergence", t, {0.4, 0.6}, {0.5, 0.5}) == near(0.5 * std::log(1.25) + 0.5 * std::log(0.5 / 0.6)));
  CHECK(loss_of("kl_divergence", batched({2, 2}), {0.4, 0.6, 0.5, 0.5}, {0.5, 0.5, 0.5, 0.5}) ==
        near((0.5 * std::log(1.25) + 0.5 * std::log(0.5 / 0.6)) / 2));
  CHECK(loss_of("cosine", t, {3, 4}, {4, 3}) == near(1 - 24.0 / 25));
  CHECK(loss_of("cosine", t, {0, 0}, {4, 3}) == near(1));
  CHECK(loss_of("mse", batched({}), {3}, {1}) == near(4));
}

TEST_CASE("hinges and distances") {
  CHECK(loss_of("hinge", batched({1}), {0.3, 0.3}, {1, 0}, {}, 2) == near((0.7 + 1.3) / 2));
  CHECK(loss_of("squared_hinge", batched({2}), {0.3, 4}, {0, 1}) == near(1.69 / 2));
  CHECK(loss_of("categorical_hinge", batched({3}), {1, 2, 1.5, 0, 3, 1}, {0, 1}, {}, 2) == near(2.0 / 2));
  CHECK(loss_of("contrastive", batched({1}), {0.5, 0.5}, {0, 1}, {{"margin", 2.0}}, 2) == near((0.25 + 2.25) / 2));
  CHECK(loss_of("triplet", batched({3, 2}), {0, 0, 1, 0, 0, 2}, {0}, {{"margin", 4.0}}) == near(1 - 4 + 4));
  CHECK(loss_of("triplet", batched({3, 2}), {0, 0, 1, 0, 0, 2}, {0}) == 0);
}

TEST_CASE("labels' types") {
  CHECK(find("categorical_crossentropy").label_type(batched({4, 5, 3})) == labels({4, 5}));
  CHECK(find("binary_crossentropy").label_type(batched({1})) == labels());
  CHECK(find("binary_crossentropy").label_type(batched({4, 5, 1})) == batched({4, 5, 1}));
  CHECK(find("mse").label_type(batched({1})) == batched({1}));
  CHECK(find("triplet").label_type(batched({3, 8})) == labels());
}

TEST_CASE("what a loss cannot be taken of is said with the shape") {
  CHECK(wrong("categorical_crossentropy", batched({1})) ==
        "categorical_crossentropy needs an output for each class, but the output is f32[1]");
  CHECK(wrong("categorical_crossentropy", batched({})) ==
        "categorical_crossentropy needs an output of f32 values with 1 dimension or more, but it is f32[]");
  CHECK(wrong("mse", {DType::f32, true, {kAnyExtent, kAnyExtent, 3}}) != "");
  CHECK(wrong("cosine", {DType::u8, true, {3}}) != "");
  CHECK(wrong("triplet", batched({2, 8})) ==
        "triplet needs an output f32[3, D] of anchor, positive and negative, but it is f32[2, 8]");
  CHECK(wrong("binary_crossentropy", batched({2}), {{"class_weights", list({1})}}) ==
        "class_weights of binary_crossentropy has 1 number, but there are 2 classes");
  CHECK(wrong("binary_crossentropy", batched({2}), {{"from_logits", kTrue}}, "sigmoid") ==
        "binary_crossentropy is to take logits (from_logits = true), but the output comes from Sigmoid");
  CHECK(wrong("categorical_focal", batched({2}), {{"from_logits", kTrue}}) == "");
}

TEST_CASE("gradients of whole losses agree with finite differences") {
  std::mt19937 random(5);
  for (const LossDef* loss : ops::registry().losses) {
    CAPTURE(loss->name);
    const bool single =
        loss->name.find("categorical") == std::string::npos && loss->name != "triplet" && loss->name != "cosine";
    std::vector<Type> types = {batched({3, 4})};
    if (single) types.push_back(batched({1}));
    if (loss->name != "triplet") types.push_back(batched({2, 2, 3}));
    for (const Type& type : types) {
      // probabilities: every loss takes them
      for (const std::string activation : {"sigmoid", "softmax", "any target"}) {
        const bool any = activation == "any target";  // negative losses, where 1 - p is kept off 0
        if (any && loss->name != "binary_focal") continue;
        Given given;
        for (const ArgDef& a : loss->args)
          if (a.name == "label_smoothing") given[a.name] = 0.1;
        const Built b(loss->name, type, given, any ? "sigmoid" : activation.c_str());
        const int64_t batch = 2;
        std::vector<double> x = random_tensor(type, Fill::normal, batch, 1, random).data;
        const Type label = b.g.type(b.label);
        std::vector<RefTensor> vars = b.contents(x,
                                                 random_tensor(label,
                                                               label.dtype == DType::i32 ? Fill::label
                                                               : any                     ? Fill::normal
                                                                                         : Fill::probability,
                                                               batch, 2, random)
                                                     .data,
                                                 batch);
        Graph g = b.g;
        const auto gradients = passes::add_gradients(g, ops::registry(), b.value);
        const int32_t weight = g.find_variable("w");
        REQUIRE(gradients.count(weight) == 1);
        const RefTensor got = evaluate(g, vars, batch)[static_cast<size_t>(gradients.at(weight))];
        for (size_t i = 0; i < got.data.size(); ++i) {
          const double h = 1e-5;
          double side[2];
          for (int up : {0, 1}) {
            vars[static_cast<size_t>(weight)].data[i] = up ? h : -h;
            side[up] = evaluate(b.g, vars, batch)[static_cast<size_t>(b.value)].data[0];
          }
          vars[static_cast<size_t>(weight)].data[i] = 0;
          CHECK(got.data[i] == doctest::Approx((side[1] - side[0]) / (2 * h)).epsilon(1e-5).scale(1));
        }
      }
    }
  }
}
