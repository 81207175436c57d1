// The models that ship: parameter counts, names of weights, overrides.
#include <doctest/doctest.h>

#include "tests/frontend/support.h"

using namespace netc;
using namespace netc::frontend;

namespace {

struct Count {
  int64_t total = 0, trainable = 0;
};

Count count(const sema::Model& m) {
  Count c;
  for (const ir::Variable& v : m.graph.variables) {
    if (v.role != ir::Role::weight && v.role != ir::Role::state) continue;
    const int64_t n = m.graph.type(v.value).elements();
    c.total += n;
    if (v.trainable) c.trainable += n;
  }
  return c;
}

std::vector<std::string> weights(const sema::Model& m) {
  std::vector<std::string> out;
  for (const ir::Variable& v : m.graph.variables)
    if (v.role == ir::Role::weight || v.role == ir::Role::state)
      out.push_back(v.name + " " + ir::to_string(m.graph.type(v.value)));
  return out;
}

sema::Model model(const std::string& file, std::vector<std::pair<std::string, std::string>> defines = {}) {
  Result r = analyse_file(std::string(NETC_SOURCE_DIR) + "/models/" + file, "", std::move(defines));
  INFO(r.text);
  REQUIRE(r.model.has_value());
  CHECK(r.text == "");
  CHECK(ir::verify(r.model->graph).empty());
  return std::move(*r.model);
}

}  // namespace

TEST_CASE("lenet: parameters as Keras counts them") {
  const sema::Model m = model("lenet.net");
  const Count c = count(m);
  CHECK(c.total == 63118451);
  CHECK(c.trainable == 63116103);
  CHECK(m.classes == std::vector<std::string>{"angry", "happy", "sad"});
  CHECK(m.train.batch == 32);
  REQUIRE(m.train.losses.size() == 1);
  CHECK(m.train.losses[0].output == "emotion");
  CHECK(m.train.losses[0].label == "label");
  CHECK(m.data.train == "faces/train");
  CHECK(m.doc == "LeNet for photographs of faces (three emotions).");
  for (const char* name : {"conv1.weight", "conv2.bias", "norm1.gamma", "norm4.variance", "dense3.bias"})
    CHECK(m.graph.find_variable(name) != ir::kNone);
}

/// The graph without what its layers were written as, and where.
std::string computation(const sema::Model& m) {
  ir::Graph g = m.graph;
  for (ir::Layer& l : g.layers) l.text.clear(), l.line = 0;
  return ir::print(g);
}

TEST_CASE("lenet: three styles are one graph with the same names of weights") {
  const sema::Model chain = model("lenet.net"), nested = model("lenet_nested.net"), blocks = model("lenet_blocks.net");
  CHECK(weights(chain) == weights(nested));
  CHECK(weights(chain) == weights(blocks));
  CHECK(computation(chain) == computation(nested));
  CHECK(computation(chain) == computation(blocks));
}

TEST_CASE("lenet5: parameters") {
  const sema::Model m = model("lenet5.net");
  CHECK(count(m).total == 61706);
  CHECK(m.data.train == "synthetic:digits");
}

TEST_CASE("a loss is a sum of weighted terms; targets are labels of the data, inputs or outputs") {
  const Result r = analyse_text(R"(
net Two(w = 0.5) {
  input x: f32[6]
  let h = x -> Dense(8) -> ReLU
  output kind = h -> Dense(3) -> Softmax
  output side = h -> Dense(2) -> Softmax
}
train {
  loss = 2 * (categorical_crossentropy(kind, label) + w * categorical_crossentropy(side, half)) + categorical_focal(side, half) * 3 / 2
  optimizer = adam(lr = 1e-3)
}
data { train = pairs(cifar("c"))  valid = csv("a.csv")  test = synthetic(xor) }
)");
  INFO(r.text);
  REQUIRE(r.model.has_value());
  const auto& losses = r.model->train.losses;
  REQUIRE(losses.size() == 3);
  CHECK((losses[0].output == "kind" && losses[0].label == "label" && losses[0].weight == 2));
  CHECK((losses[1].output == "side" && losses[1].label == "half" && losses[1].weight == 1));
  CHECK((losses[2].loss->name == "categorical_focal" && losses[2].weight == 1.5));
  CHECK(r.model->data.train == "pairs:cifar:c");
  CHECK(r.model->data.valid == "csv:a.csv");
  CHECK(r.model->data.test == "synthetic:xor");
}

TEST_CASE("overrides are checked by type and recorded") {
  const sema::Model m = model("lenet.net", {{"filters", "12"}, {"classes", "a,b"}});
  CHECK(m.classes.size() == 2);
  CHECK(m.hyperparameters[1].name == "filters");
  CHECK(m.hyperparameters[1].value == "12");
  CHECK(m.hyperparameters[1].overridden);
  const Result bad = analyse_file(std::string(NETC_SOURCE_DIR) + "/models/lenet.net", "", {{"filters", "many"}});
  CHECK(!bad.model);
  CHECK(bad.text.find("[hyperparameter_value]") != std::string::npos);
}

TEST_CASE("a layer is a value: applied twice, its weights are shared") {
  const Result r = analyse_text(R"(
net Twin {
  input a: f32[8]
  input b: f32[8]
  let tower = Dense(4)
  block Head(n) { Dense(n) -> ReLU }
  let head = Head(4)
  output y = a -> tower -> head -> Add(b -> tower -> head) -> Dense(2)
}
)");
  INFO(r.text);
  REQUIRE(r.model.has_value());
  CHECK(count(*r.model).total == 8 * 4 + 4 + 4 * 4 + 4 + 4 * 2 + 2);
  CHECK(r.model->graph.find_variable("tower.weight") != ir::kNone);
  CHECK(r.model->graph.find_variable("head.dense1.weight") != ir::kNone);
}

TEST_CASE("hyperparameters compute: tables, loops, quotients, shapes, shortcuts") {
  const Result r = analyse_text(R"(
net Res(depth: one_of(18, 34) = 18, width: int = 8) {
  input image: f32[16, 16, 3]
  default Conv(bias = false)
  block ConvNorm(n, kernel, stride = 1) { Conv(n, kernel, stride = stride, padding = kernel / 2) -> BatchNorm }
  block Basic(n, stride) {
    input x
    let shortcut = if stride == 1 and x.channels == n then x else x -> ConvNorm(n, 1, stride)
    output x -> ConvNorm(n, 3, stride) -> ReLU -> ConvNorm(n, 3) -> Add(shortcut) -> ReLU
  }
  let counts = { 18: [1, 2], 34: [2, 3] }[depth]
  assert len(counts) == 2, "two stages"
  var x = image -> ConvNorm(width, 3)
  for (stage, count) in enumerate(counts) {
    for i in 0..count { x = x -> Basic(width * 2^stage, stride = if stage > 0 and i == 0 then 2 else 1) }
  }
  output label = x -> GlobalAvgPool -> Dense(10) -> Softmax
}
)");
  INFO(r.text);
  REQUIRE(r.model.has_value());
  CHECK(r.text == "");
  CHECK(r.model->graph.find_variable("conv8.weight") != ir::kNone);
  CHECK(r.model->graph.find_variable("conv9.weight") == ir::kNone);
  CHECK(r.model->graph.find_variable("conv1.bias") == ir::kNone);
}

TEST_CASE("arguments that are words, numbers, or lists of them") {
  const Result r = analyse_text(R"(
net A(mean = [0.5, 0.4, 0.3]) {
  input image: u8[8, 8, 3]
  let x = image -> Normalise(mean, stddev = 0.25)
  let over = ["height", "width"]
  let scale = x -> Mean([height, width], keep = true) -> Sigmoid
  output y = x -> Mul(scale) -> Sub(x) -> Mean(over) -> Mean(channel) -> Average(x -> Variance)
  output z = x -> Normalise([1], 2) -> ReduceMax(all)
}
)");
  INFO(r.text);
  REQUIRE(r.model.has_value());
  CHECK(r.text == "");
  REQUIRE(r.model->graph.outputs.size() == 2);
  for (const ir::Output& o : r.model->graph.outputs) CHECK(ir::to_string(r.model->graph.type(o.value)) == "f32[N]");
}
