// The language beyond chains of layers: imports, ops, functions, destructuring, nets as layers, names of weights,
// settings, frozen.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "tests/frontend/support.h"

using namespace netc;
using namespace netc::frontend;

namespace {

sema::Model model(const std::string& text, std::vector<std::pair<std::string, std::string>> defines = {},
                  const std::string& net = "") {
  Result r = analyse_text(text, "test.net", net, std::move(defines));
  INFO(text);
  INFO(r.text);
  REQUIRE(r.model.has_value());
  CHECK(r.text == "");
  const std::vector<std::string> wrong = ir::verify(r.model->graph);
  CHECK_MESSAGE(wrong.empty(), (wrong.empty() ? "" : wrong[0]));
  return std::move(*r.model);
}

std::vector<std::string> weights(const sema::Model& m) {
  std::vector<std::string> out;
  for (const ir::Variable& v : m.graph.variables)
    if (v.role == ir::Role::weight && v.name.find(".weight") != std::string::npos) out.push_back(v.name);
  return out;
}

const ir::Variable& variable(const sema::Model& m, const std::string& name) {
  const int32_t i = m.graph.find_variable(name);
  REQUIRE_MESSAGE(i != ir::kNone, name);
  return m.graph.variables[static_cast<size_t>(i)];
}

/// The value of an integer expression: the width of a layer.
int64_t value(const std::string& expression, const std::string& before = "") {
  const sema::Model m = model("net A { input x: f32[4] " + before + " output y = x -> Dense(" + expression + ") }");
  return m.graph.type(m.graph.outputs[0].value).dims[0];
}

std::vector<std::string> ops_of(const sema::Model& m) {
  std::vector<std::string> out;
  for (const ir::Node& n : m.graph.nodes) out.push_back(n.op->name);
  return out;
}

}  // namespace

TEST_CASE("functions of compile-time values") {
  CHECK(value("floor(7.9)") == 7);
  CHECK(value("ceil(7.1)") == 8);
  CHECK(value("round(7.5)") == 8);
  CHECK(value("abs(0 - 5)") == 5);
  CHECK(value("int(sqrt(50))") == 7);
  CHECK(value("int(log2(1024))") == 10);
  CHECK(value("int(true) + int(2.9)") == 3);
  CHECK(value("len(str(128))") == 3);
  CHECK(value("sum(range(2, 9, 3))") == 15);
  CHECK(value("sum(range(5)) + len(range(0, 1, 0.25))") == 14);
  CHECK(value("reversed([1, 2, 3])[0] + [1, 2, 3][-1]") == 6);
  CHECK(value("zip([1, 2], [3, 4])[1][1]") == 4);
  CHECK(value("max(2, 3) * min([4, 5])") == 12);
  CHECK(value("(1, 2, 3)[1]") == 2);
  CHECK(value("sum([i * i for i in 0..5])") == 30);
  CHECK(value("sum([a * b for (a, b) in zip([1, 2], [3, 4])])") == 11);
  CHECK(value("sum([a * b for (i, (a, b)) in enumerate(zip([1, 2], [3, 4])) if i > 0])") == 8);
  CHECK(value("{ 18: [2, 3] }[18][1]") == 3);
  CHECK(value("a + b + c", "let (a, (b, c)) = (1, [2, 3])") == 6);
  CHECK(value("a", "var (a, b) = (1, 2) a = a + b") == 3);
  CHECK(value("a", "let (a, _) = (1, 2)") == 1);
}

TEST_CASE("functions that files define") {
  const std::string divisible =
      "fn make_divisible(v, divisor = 8) = max(divisor, floor((v + divisor / 2) / divisor) * divisor)";
  CHECK(value("make_divisible(33)", divisible) == 32);
  CHECK(value("make_divisible(37, divisor = 4)", divisible) == 36);
  CHECK(value("make_divisible(1)", divisible) == 8);
  CHECK(value("power(2, 10)", "fn power(a, n: int(0..)) = if n == 0 then 1 else a * power(a, n - 1)") == 1024);
  CHECK(value("scaled(3)", "let width = 5 fn scaled(n) = n * width") == 15);
  CHECK(value("late(2)", "fn late(a, b = a + 1) = a * b") == 6);
}

TEST_CASE("hyperparameters: types with ranges, lists and tuples, and their values from the command line") {
  const std::string text = R"(
  net A(rate: float(0..1) = 0.5, kernel: (int, int) = (3, 3), sizes: [int(1..)] = [8, 16], width: int(1..64) = 4, init = he_normal) {
    input x: f32[9, 9, 2]
    output y = x -> Conv(sizes[0], kernel, init = init) -> Flatten -> Dropout(rate) -> Dense(width)
  })";
  sema::Model m = model(
      text, {{"rate", "0.75"}, {"kernel", "(1, 5)"}, {"sizes", "4, 5"}, {"width", "8"}, {"init", "glorot_normal"}});
  CHECK(m.graph.type(variable(m, "conv1.weight").value).dims == std::vector<int64_t>{1, 5, 2, 4});
  CHECK(variable(m, "conv1.weight").init.kind == "glorot_normal");
  CHECK(m.hyperparameters[1].value == "[1, 5]");
  m = model(text);
  CHECK(variable(m, "conv1.weight").init.kind == "he_normal");
  CHECK(m.hyperparameters[4].value == "he_normal");
  using Define = std::pair<std::string, std::string>;
  for (const auto& [name, bad] :
       {Define{"rate", "1.01"}, {"kernel", "3"}, {"sizes", "[4, 0]"}, {"width", "65"}, {"width", "2.5"}}) {
    const Result r = analyse_text(text, "test.net", "", {{name, bad}});
    CHECK_MESSAGE(r.text.find("[hyperparameter_value]") != std::string::npos, name << "=" << bad);
  }
}

TEST_CASE("expressions of tensors are operators of the graph, numbers one constant each") {
  const sema::Model m = model("net A { input x: f32[4] output y = 2 * x + x * 2 - -x }");
  CHECK(ops_of(m) == std::vector<std::string>{"mul", "mul", "add", "scale", "sub"});
  CHECK(m.graph.layers.size() == 1);
  CHECK(m.graph.layers[0].text == "2 * x + x * 2 - -x");
  CHECK(m.graph.layers[0].output == m.graph.outputs[0].value);
  CHECK(std::count_if(m.graph.variables.begin(), m.graph.variables.end(),
                      [](const ir::Variable& v) { return v.role == ir::Role::constant; }) == 1);
  const sema::Model inside = model("net A { input x: f32[4] output y = (x + 1 -> Dense(4)) * x -> ReLU }");
  CHECK(inside.graph.layers.size() == 4);
}

TEST_CASE("ops: applied and called, with hyperparameters, several operands, reductions over named axes") {
  const sema::Model m = model(R"(
op Swish(x, beta = 1.0) = x * tanh(beta * x)
op Blend(a, b, share: float(0..1) = 0.5) = share * a + (1 - share) * b
net A(beta = 2.0) {
  input x: f32[6, 5, 4]
  op Twice(x) = Swish(Swish(x, beta), beta = 3)
  op Centre(x) = x - mean(x, [height, width])
  op Norm(x) = x * mean(x, channel) - mean(x, axis = -1) + mean(x)
  let swish = Swish(beta = 4)
  output y = x -> Swish -> Swish(5.0) -> swish -> swish -> Twice -> Blend(Swish(x), 0.25) -> Centre -> Norm
}
)");
  std::vector<std::string> kinds, axes;
  for (const ir::Layer& l : m.graph.layers) kinds.push_back(l.kind);
  CHECK(kinds ==
        std::vector<std::string>{"Swish", "Swish", "Swish", "Swish", "Twice", "Swish", "Blend", "Centre", "Norm"});
  for (const ir::Node& n : m.graph.nodes)
    if (n.attrs.has("axes")) {
      std::string s;
      for (const int64_t a : n.attrs.ints("axes")) s += std::to_string(a);
      axes.push_back(s);
    }
  if (!axes.empty()) CHECK(axes == std::vector<std::string>{"01", "2", "2", "012"});
}

TEST_CASE("nets with several inputs and outputs are layers; lists of tensors are operands") {
  const sema::Model m = model(R"(
net Pyramid {
  input a: f32[8]
  input b: f32[8]
  output small = a -> Dense(4)
  output large = b -> Dense(4)
}
net A {
  input x: f32[8]
  let p = x -> Pyramid(x)
  let (small, large) = [x, x] -> Pyramid
  block Both { input x  output first = x -> ReLU  output second = x }
  let towers = [x -> Dense(n) for n in [4, 4]]
  let both = small -> Both
  output y = p.small -> Add(p.large, p[0], large, towers, both.first, both.second) -> Dense(2)
}
)",
                              {}, "A");
  CHECK(weights(m).size() == 7);
}

TEST_CASE("names of weights: let, loops, lists, blocks and nets give them") {
  CHECK(weights(model(R"(net A {
    input x: f32[8]
    block Stage(n) {
      let narrow = Dense(n)
      narrow -> ReLU -> Dense(8)
    }
    let head = Dense(3)
    let towers = [Dense(8), Dense(8)]
    let (left, right) = (Dense(8), Stage(4))
    var v = x
    for n in [4, 5] {
      let stage = Stage(n)
      v = v -> stage
    }
    for n in 0..2 { v = v -> Stage(3) }
    for t in towers { v = v -> t }
    output y = v -> left -> right -> Dense(7) -> head
  })")) == std::vector<std::string>{"stage1.narrow.weight", "stage1.dense1.weight", "stage2.narrow.weight",
                                    "stage2.dense1.weight", "narrow.weight", "dense1.weight", "narrow_2.weight",
                                    "dense2.weight", "towers1.weight", "towers2.weight", "left.weight",
                                    "right.narrow.weight", "right.dense1.weight", "dense3.weight", "head.weight"});
}

TEST_CASE("imports: each file once, names of the importing file only, files are listed") {
  namespace fs = std::filesystem;
  const fs::path before = fs::current_path();
  fs::current_path(std::string(NETC_SOURCE_DIR) + "/tests/frontend/golden");
  const sema::Model m = model(R"(
import "parts/blocks.net"
import "./parts/../parts/blocks.net"
net A {
  input x: f32[5]
  output y = x -> Wide(twice(2)) -> Tail(4)
}
)");
  fs::current_path(before);
  CHECK(weights(m) == std::vector<std::string>{"dense1.weight", "dense2.weight"});
  CHECK(m.imported_files == std::vector<std::string>{"parts/blocks.net"});
}

TEST_CASE("initialisers, biases and constraints are arguments, and values") {
  const sema::Model m = model(R"(net A(he = true) {
    input x: f32[8]
    let init = truncated(0.02)
    default Dense(bias_init = constant(0.1), constraint = max_norm(3))
    output y = x -> Dense(4, init = init) -> Dense(4, init = orthogonal, bias_init = ones, constraint = non_neg) -> Dense(4, init = gaussian(0.01)) -> BatchNorm
      -> Dense(4, init = uniform(-1, b = 2)) -> Dense(2, init = if he then he_normal else zeros)
  })");
  using I = ir::Initializer;
  CHECK(variable(m, "dense1.weight").init == I{"truncated", 0, 0.02, 8, 4});
  CHECK(variable(m, "dense1.bias").init.kind == "constant");
  CHECK(variable(m, "dense1.bias").init.a == 0.1);
  CHECK(variable(m, "dense1.weight").constraint == ir::Constraint{"max_norm", 3});
  CHECK(variable(m, "dense1.bias").constraint == ir::Constraint{});
  CHECK(variable(m, "dense2.weight").init == I{"orthogonal", 1, 0, 4, 4});
  CHECK(variable(m, "dense2.weight").constraint.kind == "non_neg");
  CHECK(variable(m, "dense2.bias").init.kind == "ones");
  CHECK(variable(m, "dense3.weight").init == I{"normal", 0, 0.01, 4, 4});
  CHECK(variable(m, "norm1.beta").init.kind == "zeros");
  CHECK(variable(m, "dense4.weight").init == I{"uniform", -1, 2, 4, 4});
  CHECK(variable(m, "dense5.weight").init.kind == "he_normal");
}

TEST_CASE("biases of any rank are biases, and the dim of the outputs is the layer's") {
  const sema::Model m = model(R"(net A {
    input x: f32[4, 8]
    input image: f32[4, 4, 3]
    default GRU(constraint = max_norm(3))
    let (r, q) = (x -> GRU(5), x -> MultiHeadAttention(2, bias_init = ones, constraint = non_neg))
    let t = image -> ConvTranspose(7, 2, constraint = unit_norm)
    output y = r
    output z = q
    output w = t
  })");
  CHECK(variable(m, "gru1.bias").constraint == ir::Constraint{});  // f32[2, 15]
  CHECK(variable(m, "gru1.kernel").constraint.kind == "max_norm");
  CHECK(variable(m, "attention1.query.bias").init.kind == "ones");
  CHECK(variable(m, "attention1.query.bias").constraint == ir::Constraint{});
  CHECK(variable(m, "conv_transpose1.weight").constraint == ir::Constraint{"unit_norm", 0, 1});  // f32[2, 2, 7, 3]
}

TEST_CASE("weights behind an output that is a target are trained; those that only a penalty moves are not") {
  const auto text = [](const std::string& first, const std::string& loss) {
    return "net A { input x: f32[4]  output y = x -> Dense(3)  output z = x -> " + first +
           " }\ntrain { loss = " + loss + "  optimizer = sgd  batch = 2 }";
  };
  CHECK(analyse_text(text("Dense(3)", "mse(y, z)")).text == "");
  CHECK(analyse_text(text("Dense(2, l2 = 1)", "mse(y, label)")).text.find("untrained_weights") != std::string::npos);
  CHECK(analyse_text(text("Dense(2)", "mse(y, label)")).text.find("untrained_weights") != std::string::npos);
}

TEST_CASE("a default that is a negative literal gives its parameter's type") {
  const char* text =
      "block Side(axis = %) { input x  output x -> Flatten -> Dense(if axis < 0 then 2 else 3) }\nnet A { input x: "
      "f32[8]  output y = x -> Side(0.5) }";
  const auto with = [&](const std::string& literal) {
    std::string s = text;
    return s.replace(s.find('%'), 1, literal);
  };
  CHECK(analyse_text(with("-1")).text.find("an integer") != std::string::npos);
  CHECK(analyse_text(with("-1.0")).model.has_value());
}

TEST_CASE(
    "from: the file lies beside the .net file that names it; of two files for one weight the outer layer's counts") {
  const Result r = analyse_text(R"(
net Inner {
  input x: f32[8]
  output y = x -> Dense(4)
}
net Middle {
  input x: f32[8]
  let inner = Inner() from "inner.safetensors"
  let other = Dense(2) from "other.safetensors"
  output y = x -> inner -> other
}
net A {
  input x: f32[8]
  let base = Middle() from "../base.safetensors"
  let free = Middle()
  output y = x -> base -> Concat(x -> free) -> Dense(2) from "/root.safetensors"
}
)",
                                "models/nets/a.net");
  INFO(r.text);
  REQUIRE(r.model.has_value());
  std::vector<std::string> all;
  for (const sema::InitialWeights& w : r.model->initial_weights)
    all.push_back(w.prefix + " " + w.path + " " + w.written);
  CHECK(all == std::vector<std::string>{"base. models/base.safetensors ../base.safetensors",
                                        "free.inner. models/nets/inner.safetensors inner.safetensors",
                                        "free.other. models/nets/other.safetensors other.safetensors",
                                        "dense1. /root.safetensors /root.safetensors"});
}

TEST_CASE("frozen: not trained, as in inference; from: weights to start with, by prefix") {
  const Result r = analyse_text(R"(
net Base {
  input x: f32[8]
  output y = x -> Dense(4) -> BatchNorm -> Dropout(0.5) -> Dense(8)
}
net A {
  input x: f32[8]
  let base = Base() from "base.safetensors" frozen
  output y = x -> base -> Dense(8) frozen -> Base from "more.safetensors" -> Dense(2)
}
)");
  INFO(r.text);
  REQUIRE(r.model.has_value());
  const sema::Model& a = *r.model;
  CHECK(ir::verify(a.graph).empty());
  for (const char* name : {"base.dense1.weight", "base.dense2.bias", "base.norm1.gamma", "dense1.weight"})
    CHECK_MESSAGE(!variable(a, name).trainable, name);
  for (const char* name : {"base_2.dense1.weight", "base_2.norm1.gamma", "dense2.weight"})
    CHECK_MESSAGE(variable(a, name).trainable, name);
  REQUIRE(a.initial_weights.size() == 2);
  CHECK(a.initial_weights[0].prefix == "base.");
  CHECK(a.initial_weights[0].path == "base.safetensors");
  CHECK(a.initial_weights[0].written == "base.safetensors");
  CHECK(a.initial_weights[1].prefix == "base_2.");
  CHECK(a.graph.updates.size() == 2);  // the running statistics of the base that is trained
  const std::vector<std::string> ops = ops_of(a);
  CHECK(std::count(ops.begin(), ops.end(), "dropout") == 1);
  CHECK(std::count(ops.begin(), ops.end(), "batch_mean") == 1);
  CHECK(std::count(ops.begin(), ops.end(), "normalize") == 2);
}
