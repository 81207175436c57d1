// Fresh weights by seed, and weights from files.
#include "runtime/core/weights.h"

#include <algorithm>
#include <cmath>

#include "tests/runtime/support.h"

using namespace netc::rt;
using namespace netc::rt::test;

namespace {

std::vector<VarInfo> variables() {
  return {variable("conv1.weight", {3, 3, 2, 4}, VarRole::weight, {"glorot_uniform", 0, 0, 18, 36}),
          variable("conv1.bias", {4}), variable("norm1.variance", {4}, VarRole::state, {"ones", 0, 0, 1, 1}),
          variable("conv1.weight.m", {3, 3, 2, 4}, VarRole::slot)};
}

struct Moments {
  double mean = 0, deviation = 0, least = 1e300, most = -1e300;
};

Moments moments(const std::vector<float>& x) {
  Moments m;
  for (const float v : x) m.mean += v, m.least = std::min<double>(m.least, v), m.most = std::max<double>(m.most, v);
  m.mean /= static_cast<double>(x.size());
  for (const float v : x) m.deviation += (v - m.mean) * (v - m.mean);
  m.deviation = std::sqrt(m.deviation / static_cast<double>(x.size()));
  return m;
}

}  // namespace

TEST_CASE("initialise: the statistics of each initialiser") {
  constexpr int64_t kCount = 1 << 20, kIn = 400, kOut = 100;
  const double in = kIn, both = kIn + kOut;
  struct Expected {
    Init init;
    double mean, deviation, least, most;
  };
  const double cut = 2 / 0.87962566103423978;  // where a truncated normal of deviation 1 ends
  const std::vector<Expected> all = {
      {{"zeros", 0, 0, kIn, kOut}, 0, 0, 0, 0},
      {{"ones", 0, 0, kIn, kOut}, 1, 0, 1, 1},
      {{"constant", 0.25, 0, kIn, kOut}, 0.25, 0, 0.25, 0.25},
      {{"uniform", -1, 3, kIn, kOut}, 1, 4 / std::sqrt(12.), -1, 3},
      {{"normal", 0.5, 2, kIn, kOut}, 0.5, 2, -20, 20},
      {{"truncated", 0, 0.1, kIn, kOut}, 0, 0.087962566103423978, -0.2, 0.2},
      {{"glorot_uniform", 0, 0, kIn, kOut}, 0, std::sqrt(2 / both), -std::sqrt(6 / both), std::sqrt(6 / both)},
      {{"he_uniform", 0, 0, kIn, kOut}, 0, std::sqrt(2 / in), -std::sqrt(6 / in), std::sqrt(6 / in)},
      {{"glorot_normal", 0, 0, kIn, kOut},
       0,
       std::sqrt(2 / both),
       -cut * std::sqrt(2 / both),
       cut * std::sqrt(2 / both)},
      {{"he_normal", 0, 0, kIn, kOut}, 0, std::sqrt(2 / in), -cut * std::sqrt(2 / in), cut * std::sqrt(2 / in)},
      {{"lecun_normal", 0, 0, kIn, kOut}, 0, std::sqrt(1 / in), -cut * std::sqrt(1 / in), cut * std::sqrt(1 / in)},
  };
  for (const Expected& e : all) {
    CAPTURE(e.init.kind);
    VariablesModel model({variable("w", {kCount}, VarRole::weight, e.init)});
    initialise(model, 3);
    const Moments m = moments(model.data[0]);
    CHECK(std::abs(m.mean - e.mean) <= 5 * e.deviation / std::sqrt(double{kCount}));
    CHECK(std::abs(m.deviation - e.deviation) <= 0.01 * e.deviation);
    CHECK(m.least >= e.least - 1e-6);
    CHECK(m.most <= e.most + 1e-6);
    if (e.deviation > 0 && std::string_view(e.init.kind) != "normal") {  // the whole range is used
      CHECK(m.least <= e.least + 0.05 * (e.most - e.least));
      CHECK(m.most >= e.most - 0.05 * (e.most - e.least));
    }
  }
}

TEST_CASE("initialise: orthogonal columns, or rows where those are fewer, of the length asked for") {
  for (const std::vector<int64_t>& dims : {std::vector<int64_t>{3, 3, 2, 7}, {5, 24}, {6, 6}, {4}, {1, 1}}) {
    const VarInfo v = variable("w", dims, VarRole::weight, {"orthogonal", 1.5, 0, 1, 1});
    VariablesModel model({v});
    initialise(model, 5);
    const std::vector<float>& w = model.data[0];
    const size_t columns = static_cast<size_t>(dims.back()), rows = w.size() / columns;
    const bool tall = rows >= columns;
    for (size_t a = 0; a < (tall ? columns : rows); ++a)
      for (size_t b = 0; b <= a; ++b) {
        double dot = 0;
        for (size_t i = 0; i < (tall ? rows : columns); ++i)
          dot += double(w[tall ? i * columns + a : a * columns + i]) * w[tall ? i * columns + b : b * columns + i];
        CHECK(dot == doctest::Approx(a == b ? 2.25 : 0).epsilon(1e-5));
      }
    CHECK(initial_value(v, 5, w.size() - 1) == w.back());
  }
}

TEST_CASE("initialise: ones in a range of the elements, as the forget gate's biases") {
  const VarInfo v = variable("bias", {12}, VarRole::weight, {"ones_between", 3, 6, 12, 12});
  VariablesModel model({v});
  initialise(model, 5);
  CHECK(model.data[0] == std::vector<float>{0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0});
  CHECK(initial_value(v, 5, 5) == 1);
}

TEST_CASE("initialise: neighbours and variables are not correlated") {
  const Init init{"normal", 0, 1, 1, 1};
  VariablesModel model(
      {variable("a", {1 << 18}, VarRole::weight, init), variable("b", {1 << 18}, VarRole::weight, init)});
  initialise(model, 1);
  double next = 0, other = 0;
  const size_t n = model.data[0].size() - 1;
  for (size_t i = 0; i < n; ++i)
    next += model.data[0][i] * model.data[0][i + 1], other += model.data[0][i] * model.data[1][i];
  CHECK(std::abs(next / n) < 5 / std::sqrt(double(n)));
  CHECK(std::abs(other / n) < 5 / std::sqrt(double(n)));
}

TEST_CASE("initialise: the same bits whatever the order, the other variables and the threads") {
  const Init init{"he_normal", 0, 0, 9, 9};
  const VarInfo large = variable("large", {1 << 20}, VarRole::weight, init),
                small = variable("small", {5, 3}, VarRole::weight, init);
  VariablesModel one({large, small}), two({small, variable("more", {8}), large}), again({large}), seed({large});
  initialise(one, 42);
  initialise(two, 42);
  initialise(again, 42);
  initialise(seed, 43);
  CHECK(one.data[0] == two.data[2]);
  CHECK(one.data[1] == two.data[0]);
  CHECK(one.data[0] == again.data[0]);
  CHECK(one.data[0] != seed.data[0]);
  bool single = true;
  for (const size_t i : {size_t{0}, size_t{1}, size_t{77777}, (size_t{1} << 20) - 1})
    single = single && initial_value(large, 42, i) == one.data[0][i];
  CHECK(single);
  CHECK(std::equal(one.data[1].begin(), one.data[1].end(), one.data[0].begin()) == false);  // the name counts
}

TEST_CASE("weights: saved without slots, loaded by copying or binding") {
  const TempFolder folder;
  VariablesModel from(variables()), copied(variables()), bound(variables());
  initialise(from, 9);
  REQUIRE(save_weights(from, folder / "w", {{"epoch", "3"}}));
  const auto file = WeightsFile::open(folder / "w");
  REQUIRE(file);
  CHECK((*file)->tensors().size() == 3);
  CHECK((*file)->find("conv1.weight.m") == nullptr);
  CHECK((*file)->metadata().at("epoch") == "3");
  CHECK((*file)->metadata().at("source_hash") == "1234");
  REQUIRE(load_weights(copied, **file, false));
  for (size_t i = 0; i < 3; ++i) CHECK(copied.data[i] == from.data[i]);
  CHECK(copied.data[3] == std::vector<float>(72, -7.f));
  REQUIRE(load_weights(bound, **file, true));
  CHECK(bound.bound[0] == (*file)->find("conv1.weight")->data);
  CHECK(bound.bound[3] == nullptr);
  CHECK(bound.data[0] == std::vector<float>(72, -7.f));
}

TEST_CASE("weights: tensors that are missing or of another shape are named, and the model is unchanged") {
  const TempFolder folder;
  const std::vector<float> data(200, 1.f);
  const auto load = [&](std::vector<TensorView> tensors, bool bind) {
    REQUIRE(write_safetensors(folder / "w", std::move(tensors), {}));
    VariablesModel model(variables());
    const auto file = WeightsFile::open(folder / "w");
    REQUIRE(file);
    const auto r = load_weights(model, **file, bind);
    if (!r) {
      for (const auto& d : model.data) CHECK(std::all_of(d.begin(), d.end(), [](float x) { return x == -7; }));
      for (const float* p : model.bound) CHECK(p == nullptr);
      CHECK(r.error().rfind(folder / "w: ", 0) == 0);
    }
    return r ? std::string() : r.error().substr((folder / "w: ").size());
  };
  const TensorView weight{"conv1.weight", {3, 3, 2, 4}, data.data(), 72}, bias{"conv1.bias", {4}, data.data(), 4};
  const TensorView variance{"norm1.variance", {4}, data.data(), 4};
  for (const bool bind : {false, true}) {
    CHECK(load({weight, bias, variance, {"unknown", {1}, data.data(), 1}}, bind) == "");
    CHECK(load({weight, {"conv1.bias", {8}, data.data(), 8}}, bind) ==
          "2 of Toy's 3 tensors do not fit (the weights are of another version of the network: train again, or compile "
          "the version they are of):\n"
          "  conv1.bias is [8], the network needs [4]\n  norm1.variance [4] is missing");
    CHECK(load({{"conv1.weight", {3, 3, 4, 2}, data.data(), 72}, bias, variance}, bind)
              .find("conv1.weight is [3, 3, 4, 2], the network needs [3, 3, 2, 4]") != std::string::npos);
    CHECK(load({{"x", {1}, data.data(), 1}}, bind).find("the file is of another network") != std::string::npos);
    std::vector<float> broken(72, 1.f);
    broken[3] = NAN, broken[70] = -INFINITY;
    CHECK(load({{"conv1.weight", {3, 3, 2, 4}, broken.data(), 72}, bias, variance}, bind) ==
          "holds values that are not finite, as a training that diverged leaves them (conv1.weight has 2 of 72); take "
          "weights of an earlier epoch");
    CHECK(load({weight, bias, variance, {"unknown", {72}, broken.data(), 72}}, bind) == "");  // nobody needs it
  }
}

TEST_CASE(
    "weights to start with: below a prefix, named by the rest or by the whole name; all files are checked before any "
    "tensor changes") {
  const TempFolder folder;
  const std::vector<float> ones(200, 1.f), twos(200, 2.f);
  const std::string body = folder / "body", head = folder / "head";
  VariablesModel model({variable("body.conv1.weight", {3, 3, 2, 4}), variable("body.norm1.mean", {4}, VarRole::state),
                        variable("body.conv1.weight.m", {3, 3, 2, 4}, VarRole::slot), variable("head.weight", {4, 2}),
                        variable("bodyguard.weight", {2})});
  std::vector<InitialWeights> from{{"body.", body.c_str(), "body"}, {"head.", head.c_str(), "head"}};
  model.info_.initial_weights = from;
  const auto error = [&] {
    const auto r = load_initial_weights(model);
    for (const auto& d : model.data) CHECK(std::all_of(d.begin(), d.end(), [](float x) { return x == -7; }));
    REQUIRE_FALSE(r);
    return r.error();
  };
  const TensorView weight{"conv1.weight", {3, 3, 2, 4}, ones.data(), 72}, mean{"norm1.mean", {4}, ones.data(), 4};
  CHECK(error() == body +
                       ": there is no such file, and body starts from it; put it there, or as body where the program "
                       "was started, or give all of Toy's weights (--weights FILE)");
  write(body, "no weights");
  CHECK(error().find(body + ": ") == 0);
  CHECK(error().find("; body starts from this file") != std::string::npos);
  REQUIRE(write_safetensors(body, {weight, {"norm1.mean", {8}, ones.data(), 8}}, {}));
  CHECK(error() == body +
                       ": 1 of body's 2 tensors do not fit (the file is of another version of body: train that again, "
                       "or compile with the version it is of):\n"
                       "  norm1.mean is [8], the network needs [4]");
  REQUIRE(write_safetensors(body, {{"x", {1}, ones.data(), 1}}, {}));
  CHECK(error().find("2 of body's 2 tensors do not fit (the file is of another network: its tensors are not called as "
                     "in body):\n  conv1.weight [3, 3, 2, 4] is missing") != std::string::npos);
  REQUIRE(write_safetensors(body, {weight, mean, {"head.weight", {1}, ones.data(), 1}}, {}));
  CHECK(error().find(head + ": there is no such file, and head starts from it") == 0);
  REQUIRE(write_safetensors(head, {{"head.weight", {4, 2}, twos.data(), 8}}, {}));
  const auto paths = load_initial_weights(model);
  REQUIRE(paths);
  CHECK(*paths == std::vector<std::string>{body, head});
  CHECK(model.data == std::vector<std::vector<float>>{std::vector<float>(72, 1.f), std::vector<float>(4, 1.f),
                                                      std::vector<float>(72, -7.f), std::vector<float>(8, 2.f),
                                                      std::vector<float>(2, -7.f)});
}

TEST_CASE("weights: of many problems the first five are named") {
  const TempFolder folder;
  const std::vector<std::string> names{"a", "b", "c", "d", "e", "f", "g"};
  std::vector<VarInfo> many;
  for (const std::string& n : names) many.push_back(variable(n.c_str(), {1}));
  VariablesModel model(many);
  REQUIRE(write_safetensors(folder / "w", {}, {}));
  const auto file = WeightsFile::open(folder / "w");
  REQUIRE(file);
  const auto r = load_weights(model, **file, false);
  REQUIRE_FALSE(r);
  CHECK(r.error().find("e [1] is missing\n  and 2 more") != std::string::npos);
  CHECK(r.error().find("f [1]") == std::string::npos);
}

TEST_CASE("weights: a file that cannot be written leaves the old one") {
  const TempFolder folder;
  VariablesModel model(variables());
  const auto r = save_weights(model, folder / "none/w");
  REQUIRE_FALSE(r);
  CHECK(r.error().find("No such file or directory") != std::string::npos);
}
