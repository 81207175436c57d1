// The IR's text and its verifier.
#include <doctest/doctest.h>

#include <functional>
#include <limits>

#include "compiler/ir/interpret.h"
#include "compiler/ir/layer_def.h"
#include "compiler/ir/print.h"

using namespace netc;
using namespace netc::ir;

namespace {

bool contains(const std::vector<std::string>& errors, const std::string& part) {
  for (const std::string& e : errors) {
    if (e.find(part) != std::string::npos) return true;
  }
  return false;
}

/// An operator with any attributes, and one with two results.
OpTable fakes() {
  static const OpDef one = [] {
    OpDef d;
    d.name = "fake";
    d.shape = [](std::span<const Type> in, const Attrs&, std::vector<Type>& out, std::string&) {
      out = {in[0]};
      return true;
    };
    return d;
  }();
  static const OpDef two = [] {
    OpDef d;
    d.name = "split";
    d.results = 2;
    d.shape = [](std::span<const Type> in, const Attrs&, std::vector<Type>& out, std::string&) {
      out = {in[0], in[0]};
      return true;
    };
    return d;
  }();
  OpTable t = ops::registry().ops;
  t.ops.push_back(&one);
  t.ops.push_back(&two);
  return t;
}

Graph sample() {
  static const OpTable table = fakes();
  Graph g;
  g.name = "A \"net\"\\ with\nall";
  Variable v;
  v.name = "image";
  v.role = Role::input;
  const ValueId x = g.add_variable(v, {DType::f32, true, {2}});
  v.name = "photo";
  g.add_variable(v, {DType::u8, true, {kAnyExtent, kAnyExtent, 3}});
  v = {};
  v.name = "dense.weight";
  v.trainable = true;
  v.init = {"uniform", -0.1, 1.0 / 3, 5, 7};
  v.l1 = 1e-30;
  v.l2 = 0.02;
  v.constraint = {"max_norm", 2.5, 1};
  const ValueId w = g.add_variable(v, {DType::f32, false, {2, 2}});
  v = {};
  v.name = "dense.weight.m";
  v.role = Role::slot;
  v.of = "dense.weight";
  g.add_variable(v, {DType::f32, false, {2, 2}});
  v = {};
  v.name = "c";
  v.role = Role::constant;
  v.literal = {0.1f, std::numeric_limits<float>::max()};
  const ValueId c = g.add_variable(v, {DType::f32, false, {2}});
  v = {};
  v.name = "lr";
  v.role = Role::scalar;
  g.add_variable(v, {DType::f32, false, {}});
  v.name = "label";
  v.role = Role::label;
  g.add_variable(v, {DType::i32, true, {}});
  g.layers.push_back({"dense", "Dense", "Dense(2, init = \"x\")", 4, kNone, {"dense.weight", "c"}});
  const ValueId m = g.add(table.at("matmul"), {x, w}, {}, 0);
  const ValueId y = g.add(table.at("bias_add"), {m, c}, {}, 0);
  g.layers[0].output = y;
  const Attrs all = {{"b", true},
                     {"d", 2.0},
                     {"e", 0.1},
                     {"h", 1e300},
                     {"i", int64_t{-3}},
                     {"l", std::vector<int64_t>{1, -2}},
                     {"none", std::vector<int64_t>{}},
                     {"s", std::string("same \"{}\"")}};
  const ValueId f = g.add(table.at("fake"), {y}, all);
  const std::vector<ValueId> two = g.add_nodes_results(table.at("split"), {f}, {});
  g.outputs = {{"left", two[0]}, {"right", two[1]}};
  g.updates.push_back({g.find_variable("dense.weight"), g.add(table.at("scale"), {w}, {{"factor", 0.5}})});
  return g;
}

}  // namespace

TEST_CASE("text and back is the same graph") {
  const Graph g = sample();
  REQUIRE(verify(g).empty());
  const std::string text = print(g);
  std::string error;
  const std::optional<Graph> back = parse(text, fakes(), error);
  REQUIRE_MESSAGE(back.has_value(), error);
  CHECK(verify(*back).empty());
  CHECK(print(*back) == text);
  CHECK(back->name == g.name);
  REQUIRE(back->nodes.size() == g.nodes.size());
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    CHECK(back->nodes[i].op == g.nodes[i].op);
    CHECK(back->nodes[i].attrs == g.nodes[i].attrs);
    CHECK(back->nodes[i].inputs == g.nodes[i].inputs);
    CHECK(back->nodes[i].layer == g.nodes[i].layer);
  }
  REQUIRE(back->variables.size() == g.variables.size());
  for (size_t i = 0; i < g.variables.size(); ++i) {
    const Variable &a = g.variables[i], &b = back->variables[i];
    CHECK(a.name == b.name);
    CHECK(a.role == b.role);
    CHECK(a.trainable == b.trainable);
    CHECK(a.init.kind == b.init.kind);
    CHECK(a.init.a == b.init.a);
    CHECK(a.init.b == b.init.b);
    CHECK(a.init.fan_in == b.init.fan_in);
    CHECK(a.init.fan_out == b.init.fan_out);
    CHECK(a.l1 == b.l1);
    CHECK(a.l2 == b.l2);
    CHECK(a.constraint == b.constraint);
    CHECK(a.of == b.of);
    CHECK(a.literal == b.literal);
    CHECK(g.type(a.value) == back->type(b.value));
  }
  CHECK(back->layers[0].text == g.layers[0].text);
  CHECK(back->layers[0].variables == g.layers[0].variables);
  CHECK(back->layers[0].output == g.layers[0].output);
}

TEST_CASE("malformed text gives an error with its line, never a graph") {
  const char* const bad[][2] = {
      {"nonsense", "line 1: unknown statement 'nonsense'"},
      {"graph \"a", "line 1: a string does not end"},
      {"graph \"a\"\nvariable \"x\" = %0 \"x\" : f64[2] role=input", "line 2: unknown element type 'f64'"},
      {"variable \"x\" = %0 \"x\" : f32[2, N] role=input", "line 1: N must be the first dimension"},
      {"variable \"x\" = %0 \"x\" : f32[2] role=guest", "line 1: unknown role 'guest'"},
      {"variable \"x\" = %0 \"x\" : f32[2] colour=3", "line 1: unknown property 'colour'"},
      {"variable \"x\" = %0 \"x\" : f32[2\n", "line 1: expected ']'"},
      {"variable \"x\" = %99999999999 \"x\" : f32[2]", "line 1: expected an integer in range"},
      {"variable \"x\" = %1 \"x\" : f32[2] role=weight", "%0 is defined nowhere"},
      {"variable \"x\" = %0 \"x\" : f32[2]\nvariable \"y\" = %0 \"y\" : f32[2]", "line 2: %0 is defined twice"},
      {"%1 \"y\" : f32[2] = relu(%0)", "line 1: %0 is not defined before its use"},
      {"%0 \"y\" : f32[2] = relu(%0)", "line 1: %0 is not defined before its use"},
      {"variable \"x\" = %0 \"x\" : f32[2]\n%1 \"y\" : f32[2] = frobnicate(%0)", "line 2: no operator 'frobnicate'"},
      {"variable \"x\" = %0 \"x\" : f32[2]\n%1 \"y\" : f32[2] = relu(%0) {a = }", "line 2: expected a number"},
      {"variable \"x\" = %0 \"x\" : f32[2]\n%1 \"y\" : f32[2] = relu(%0) layer=7", "there is no layer 7"},
      {"variable \"x\" = %0 \"x\" : f32[2] role=input trailing", "line 1: expected '='"},
      {"output \"y\" = %4", "line 1: %4 is not defined before its use"},
      {"update \"w\" = %0", "line 1: no variable \"w\""}};
  for (const auto& [text, want] : bad) {
    CAPTURE(text);
    std::string error;
    CHECK(!parse(text, ops::registry().ops, error).has_value());
    CHECK_MESSAGE(error.find(want) != std::string::npos, error);
  }
  // Whatever a cut or a changed byte makes of good text: a graph or an error.
  const std::string good = print(sample());
  std::string error;
  for (size_t i = 0; i < good.size(); ++i) {
    (void)parse(good.substr(0, i), fakes(), error);
    for (char c : {'\0', '"', '%', '9', '\n', '['}) {
      std::string changed = good;
      changed[i] = c;
      const std::optional<Graph> g = parse(changed, fakes(), error);
      if (g) (void)verify(*g);
      else CHECK(!error.empty());
    }
  }
}

TEST_CASE("the verifier finds each violation") {
  struct Violation {
    const char* message;
    std::function<void(Graph&)> make;
  };
  const Violation all[] = {
      {"reads %", [](Graph& g) { g.nodes[0].inputs[0] = g.nodes[1].results[0]; }},
      {"which is not there", [](Graph& g) { g.nodes[0].inputs[0] = 1000; }},
      {"inputs, not", [](Graph& g) { g.nodes[0].inputs.pop_back(); }},
      {"results, not", [](Graph& g) { g.nodes[0].results.push_back(0); }},
      {"which is not its own", [](Graph& g) { g.nodes[0].results[0] = g.nodes[1].results[0]; }},
      {"has no operator", [](Graph& g) { g.nodes[0].op = nullptr; }},
      {"names layer", [](Graph& g) { g.nodes[0].layer = 9; }},
      {"shape rule says", [](Graph& g) { g.values[g.nodes[0].results[0]].type.dims = {5}; }},
      {"matmul", [](Graph& g) { std::swap(g.nodes[0].inputs[0], g.nodes[0].inputs[1]); }},
      {"is taken", [](Graph& g) { g.values[0].name = g.values[1].name; }},
      {"belongs to no variable and no node",
       [](Graph& g) {
         g.values.push_back({{}, "orphan"}), g.outputs.push_back({"o", static_cast<ValueId>(g.values.size()) - 1});
       }},
      {"has no value of its own", [](Graph& g) { g.variables[0].value = g.variables[1].value; }},
      {"is empty or taken", [](Graph& g) { g.variables[0].name = g.variables[1].name; }},
      {"may not be batched", [](Graph& g) { g.values[g.variables[2].value].type.batched = true; }},
      {"known extents", [](Graph& g) { g.values[g.variables[2].value].type.dims[0] = kAnyExtent; }},
      {"trainable but", [](Graph& g) { g.variables[0].trainable = true; }},
      {"scalar", [](Graph& g) { g.values[g.variables[g.find_variable("lr")].value].type.dims = {1}; }},
      {"literal elements", [](Graph& g) { g.variables[g.find_variable("c")].literal.pop_back(); }},
      {"belongs to", [](Graph& g) { g.variables[g.find_variable("dense.weight.m")].of = "gone"; }},
      {"differ in type",
       [](Graph& g) { g.values[g.variables[g.find_variable("dense.weight.m")].value].type.dims = {4}; }},
      {"output", [](Graph& g) { g.outputs[0].value = -7; }},
      {"is there twice", [](Graph& g) { g.outputs[1].name = g.outputs[0].name; }},
      {"but its update is", [](Graph& g) { g.updates[0].value = g.nodes[1].results[0]; }},
      {"updated twice", [](Graph& g) { g.updates.push_back(g.updates[0]); }},
      {"one of them is not there", [](Graph& g) { g.updates[0].variable = 99; }},
      {"and has an update", [](Graph& g) { g.updates[0].variable = g.find_variable("lr"); }},
      {"layer \"dense\"'s output", [](Graph& g) { g.layers[0].output = 500; }},
      {"lacks an attribute", [](Graph& g) { g.nodes.back().op = &ops::registry().ops.at("sum_to"); }}};
  for (const Violation& v : all) {
    CAPTURE(v.message);
    Graph g = sample();
    v.make(g);
    CHECK(contains(verify(g), v.message));
    CHECK(!print(g).empty());
  }
}

TEST_CASE("an operator of any number of operands takes one or more") {
  const OpTable& table = ops::registry().ops;
  Graph g;
  Variable v;
  v.name = "x";
  v.role = Role::input;
  const ValueId x = g.add_variable(v, {DType::f32, true, {2}});
  const ValueId y = g.add(table.at("concat"), {x, x, x}, {{"axis", int64_t{0}}});
  CHECK(verify(g).empty());
  CHECK(g.type(y).dims == std::vector<int64_t>{6});
  std::string error;
  const std::optional<Graph> back = parse(print(g), table, error);
  REQUIRE_MESSAGE(back.has_value(), error);
  CHECK(print(*back) == print(g));
  g.nodes[0].inputs.clear();
  CHECK(contains(verify(g), "has 0 inputs, not one or more"));
}

TEST_CASE("the interpreter runs references in double") {
  const OpTable& table = ops::registry().ops;
  Graph g;
  Variable v;
  v.name = "x";
  v.role = Role::input;
  const ValueId x = g.add_variable(v, {DType::f32, true, {2}});
  v = {};
  v.name = "b";
  v.role = Role::constant;
  v.literal = {10, 20};
  const ValueId y =
      g.add(table.at("bias_add"), {g.add(table.at("relu"), {x}), g.add_variable(v, {DType::f32, false, {2}})});
  const std::vector<RefTensor> values = interpret(g, {{"x", {{2, 2}, {1, -2, -3, 4}}}}, 2);
  CHECK(values[y].dims == std::vector<int64_t>{2, 2});
  CHECK(values[y].data == std::vector<double>{11, 20, 10, 24});
  CHECK(interpret(g, {}, 1)[y].data == std::vector<double>{10, 20});
}
