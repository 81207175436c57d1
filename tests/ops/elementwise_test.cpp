// Element-wise layers, reductions and random layers; what is stable where exponentials overflow; the functions of
// expressions.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tests/ops/builder.h"

using namespace netc;
using namespace netc::ir;
using namespace netc::test;

namespace {

Type fixed(std::vector<int64_t> d) { return {DType::f32, false, std::move(d)}; }
using Words = std::vector<std::string>;

/// A further input, as the operand of the next layer that takes several.
ValueId operand(FakeBuilder& b, const char* name, Type type) {
  Variable v;
  v.name = name;
  v.role = Role::input;
  return b.g.add_variable(v, std::move(type));
}

/// The value of the last layer from the contents of the variables.
RefTensor run(const FakeBuilder& b, const std::vector<RefTensor>& variables, int64_t batch) {
  return evaluate(b.g, variables, batch)[static_cast<size_t>(b.operands[0])];
}

const double kExtremes[] = {1e-30, -1e-30, 20, -20, 80, -80, 100, -100, 1e4, -1e4, 1e10, -1e10, 1e30, -1e30};

/// The worst error of the lowering in bounds, each extreme by itself; `at` puts it into the operands.
double error_at_extremes(Case c, const std::function<void(std::vector<RefTensor>&, double)>& at) {
  c.fix = [at](std::vector<RefTensor>& in, int64_t batch) {
    at(in, static_cast<double>(static_cast<float>(kExtremes[batch - 1])));
  };
  std::vector<int64_t> batches;
  for (size_t i = 0; i < std::size(kExtremes); ++i) batches.push_back(static_cast<int64_t>(i) + 1);
  return lowering_error(c, batches);
}

void fill(RefTensor& t, double v) { std::fill(t.data.begin(), t.data.end(), v); }

}  // namespace

TEST_CASE("activations and their gradients are right for values of any size") {
  struct Tested {
    std::string op;
    bool of_result;
  };
  const std::vector<Tested> all = {{"relu", true},     {"relu6", true},    {"leaky_relu", true},   {"elu", true},
                                   {"selu", true},     {"sigmoid", true},  {"hard_sigmoid", true}, {"tanh", true},
                                   {"softplus", true}, {"softsign", true}, {"gelu", false},        {"gelu_tanh", false},
                                   {"silu", false},    {"mish", false},    {"hard_swish", false}};
  for (const Tested& t : all) {
    CAPTURE(t.op);
    const Attrs attrs = t.op == "leaky_relu" ? Attrs{{"slope", 0.1}} : t.op == "elu" ? Attrs{{"alpha", 1.0}} : Attrs{};
    const Case forward{t.op, {batched({1})}, attrs};
    CHECK(error_at_extremes(forward, [](std::vector<RefTensor>& in, double x) { fill(in[0], x); }) <= 1);
    const Graph g = graph_of(forward);
    const Case backward{t.op + "_grad", {batched({1}), batched({1})}, attrs};
    CHECK(error_at_extremes(backward, [&](std::vector<RefTensor>& in, double x) {
            fill(in[0], 1);
            const RefTensor at{{1, 1}, {x}};
            fill(in[1], t.of_result ? static_cast<double>(static_cast<float>(
                                          g.nodes[0].op->reference(g.nodes[0], g, {at}, 1)[0].data[0]))
                                    : x);
          }) <= 1);
  }
  for (const char* op : {"erf", "log_softmax", "softmax"}) {
    CAPTURE(op);
    CHECK(error_at_extremes({op, {batched({3})}}, [](std::vector<RefTensor>& in, double x) {
            for (size_t i = 0; i < in[0].data.size(); ++i) in[0].data[i] = i % 3 == 1 ? x : 1;
          }) <= 1);
  }
}

TEST_CASE("powers of negative numbers") {
  Case c{"pow", {batched({3, 5}), fixed({5})}};
  c.fix = [](std::vector<RefTensor>& in, int64_t) { in[1].data = {2, -1, 3, -2, 1}; };
  CHECK(lowering_error(c, {1, 3}) <= 1);
}

TEST_CASE("what broadcasts and what does not") {
  std::vector<Type> out;
  std::string error;
  const OpDef& add = netc::ops::registry().ops.at("add");
  const auto combined = [&](Type a, Type b) {
    const std::vector<Type> in = {a, b};
    return add.shape(in, {}, out, error) ? to_string(out[0]) : "error: " + error;
  };
  CHECK(combined(batched({4, 1, 3}), batched({1, 5, 3})) == "f32[N, 4, 5, 3]");
  CHECK(combined(fixed({2}), batched({4, 1})) == "f32[N, 4, 2]");
  CHECK(combined(fixed({4, 2}), fixed({4, 1})) == "f32[4, 2]");
  CHECK(combined(batched({4, 2}), batched({3, 2})) == "error: cannot combine f32[N, 4, 2] and f32[N, 3, 2]");
  CHECK(combined(batched({2}), batched({4, 2})) == "error: cannot combine f32[N, 2] and f32[N, 4, 2]");
  CHECK(combined(batched({2}), fixed({4, 2})) == "error: cannot combine f32[N, 2] and f32[4, 2]");
  CHECK(combined(batched({2}), {DType::u8, true, {2}}) == "error: cannot combine f32[N, 2] and u8[N, 2]");
}

TEST_CASE("activations as layers") {
  const std::vector<std::pair<const char*, std::map<std::string, ArgValue>>> layers = {
      {"ReLU", {}},
      {"ReLU6", {}},
      {"LeakyReLU", {{"slope", 0.2}}},
      {"PReLU", {{"start", 0.3}}},
      {"ELU", {{"alpha", 0.5}}},
      {"SELU", {}},
      {"GELU", {}},
      {"GELU", {{"form", std::string("tanh")}}},
      {"SiLU", {}},
      {"Mish", {}},
      {"HardSwish", {}},
      {"Sigmoid", {}},
      {"HardSigmoid", {}},
      {"Tanh", {}},
      {"Softplus", {}},
      {"Softsign", {}},
      {"LogSoftmax", {}}};
  for (const auto& [name, args] : layers) {
    CAPTURE(name);
    FakeBuilder b(batched({3, 2, 4}));
    const ValueId y = b.apply(name, args);
    REQUIRE(y != kNone);
    CHECK(b.in_type() == batched({3, 2, 4}));
    CHECK(check_gradient(b.g, y, 2) < 1e-5);
    FakeBuilder bytes({DType::u8, true, {3, 2, 4}});
    CHECK(bytes.apply(name, args) == kNone);
    CHECK(bytes.message == std::string(name) + " needs f32 values, but its input is u8[3, 2, 4]");
  }
  FakeBuilder b(batched({3, 2, 4}));
  b.apply("PReLU", {{"start", 0.3}});
  REQUIRE(b.g.variables.size() == 2);
  CHECK(b.g.type(b.g.variables[1].value) == fixed({4}));
  CHECK((b.g.variables[1].init.kind == "constant" && b.g.variables[1].init.a == 0.3 && b.g.variables[1].trainable));
  for (const char* name : {"PReLU", "LogSoftmax", "L2Normalise"}) {
    FakeBuilder scalar(batched({}));
    CHECK(scalar.apply(name) == kNone);
    CHECK(scalar.message.find("single number") != std::string::npos);
  }
}

TEST_CASE("merging layers: values, shapes, gradients, errors") {
  const std::vector<std::pair<const char*, double (*)(double, double)>> layers = {
      {"Add", [](double a, double b) { return a + b; }},
      {"Sub", [](double a, double b) { return a - b; }},
      {"Mul", [](double a, double b) { return a * b; }},
      {"Div", [](double a, double b) { return a / b; }},
      {"Min", [](double a, double b) { return std::min(a, b); }},
      {"Max", [](double a, double b) { return std::max(a, b); }},
      {"Average", [](double a, double b) { return (a + b) / 2; }}};
  for (const auto& [name, f] : layers) {
    CAPTURE(name);
    FakeBuilder b(batched({2, 1}));
    b.operands.push_back(operand(b, "y", batched({2, 3})));
    const ValueId y = b.apply(name);
    REQUIRE(y != kNone);
    CHECK(b.in_type() == batched({2, 3}));
    CHECK(check_gradient(b.g, y, 2) < 1e-4);
    const RefTensor a{{1, 2, 1}, {2, -3}}, c{{1, 2, 3}, {1, 2, 4, -1, -3, 5}};
    const RefTensor r = run(b, {a, c}, 1);
    for (size_t i = 0; i < 6; ++i) CHECK(r.data[i] == doctest::Approx(f(a.data[i / 3], c.data[i])));
    FakeBuilder wrong(batched({2, 4}));
    wrong.operands.push_back(operand(wrong, "y", batched({2, 3})));
    CHECK(wrong.apply(name) == kNone);
    CHECK(wrong.message == std::string(name) + " needs operands of one shape, but they are f32[2, 4] and f32[2, 3]");
    CHECK(!wrong.help.empty());
  }
  FakeBuilder three(batched({2}));
  three.operands.push_back(operand(three, "y", batched({2})));
  three.operands.push_back(operand(three, "z", batched({2})));
  three.apply("Average");
  CHECK(run(three, {{{1, 2}, {1, 2}}, {{1, 2}, {2, 4}}, {{1, 2}, {6, 0}}}, 1).data == std::vector<double>{3, 2});
}

TEST_CASE("reductions: axes, extents kept and dropped, errors") {
  const RefTensor x{{1, 2, 2, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
  const auto reduced = [&](const char* name, Words axes, bool keep, std::vector<int64_t> dims) {
    FakeBuilder b(batched({2, 2, 3}));
    const ValueId y = b.apply(name, {{"axes", axes}, {"keep", keep}});
    REQUIRE(y != kNone);
    CHECK(b.in_type() == batched(dims));
    CHECK(check_gradient(b.g, y, 2) < 1e-5);
    return run(b, {x}, 1).data;
  };
  CHECK(reduced("Sum", {"height", "width"}, false, {3}) == std::vector<double>{22, 26, 30});
  CHECK(reduced("Sum", {"width", "height", "width"}, true, {1, 1, 3}) == std::vector<double>{22, 26, 30});
  CHECK(reduced("Mean", {"channel"}, false, {2, 2}) == std::vector<double>{2, 5, 8, 11});
  CHECK(reduced("ReduceMax", {"height"}, true, {1, 2, 3}) == std::vector<double>{7, 8, 9, 10, 11, 12});
  CHECK(reduced("ReduceMax", {"all"}, false, {}) == std::vector<double>{12});
  CHECK(reduced("Variance", {"width"}, false, {2, 3}) == std::vector<double>(6, 2.25));
  CHECK(reduced("Sum", {"all"}, true, {1, 1, 1}) == std::vector<double>{78});
  FakeBuilder sequence(batched({5, 4}));
  CHECK(sequence.apply("Mean", {{"axes", Words{"position"}}}) != kNone);
  CHECK(sequence.in_type() == batched({4}));
  CHECK(sequence.apply("Mean", {{"axes", Words{"height", "channel"}}}) == kNone);
  CHECK(sequence.message == "Mean over height needs an input that has it, but its input is f32[4]");
  CHECK(sequence.help == "a flat input has channel only");
  FakeBuilder scalar(batched({}));
  CHECK(scalar.apply("Variance") == kNone);
  CHECK(scalar.message == "Variance needs an input with dimensions, but its input is a single number");
}

TEST_CASE("normalisation by constants, and to length one") {
  const auto numbers = [](std::vector<double> v) { return ArgValue{std::move(v)}; };
  FakeBuilder b({DType::u8, true, {1, 2, 2}});
  REQUIRE(b.apply("Normalise", {{"mean", numbers({10, 20})}, {"stddev", numbers({2, 5})}}) != kNone);
  CHECK(b.in_type() == batched({1, 2, 2}));
  std::vector<RefTensor> variables = {{{1, 1, 2, 2}, {10, 30, 14, 15}}};
  for (size_t v = 1; v < b.g.variables.size(); ++v) {
    CHECK(b.g.variables[v].role == Role::constant);
    variables.push_back({{2}, {b.g.variables[v].literal.begin(), b.g.variables[v].literal.end()}});
  }
  const std::vector<double> got = run(b, variables, 1).data, want = {0, 2, 2, -1};
  for (size_t i = 0; i < 4; ++i) CHECK(got[i] == doctest::Approx(want[i]));
  FakeBuilder one(batched({3}));
  CHECK(one.apply("Normalise", {{"mean", numbers({1})}, {"stddev", numbers({4})}}) != kNone);
  CHECK(run(one, {{{1, 3}, {1, 5, -3}}}, 1).data == std::vector<double>{0, 1, -1});
  CHECK(one.apply("Normalise", {{"mean", numbers({1, 2})}, {"stddev", numbers({4})}}) == kNone);
  CHECK(one.message == "Normalise has 2 numbers as mean, but its input is f32[3]");
  CHECK(one.help == "write one number, or 3: one for each channel");
  FakeBuilder unit(batched({2, 2}));
  const ValueId y = unit.apply("L2Normalise");
  CHECK(check_gradient(unit.g, y, 2) < 1e-5);
  const std::vector<double> u = run(unit, {{{1, 2, 2}, {3, 4, 0, -2}}}, 1).data;
  for (size_t i = 0; i < 4; ++i) CHECK(u[i] == doctest::Approx(std::vector<double>{0.6, 0.8, 0, -1}[i]));
}

TEST_CASE(
    "random layers: whole channels, whole samples, normal numbers; identity in inference; a stream of their own each") {
  const int64_t batch = 64;
  const auto drawn = [&](const char* name, std::map<std::string, ArgValue> args, double step) {
    FakeBuilder b(batched({3, 3, 16}));
    REQUIRE(b.apply(name, std::move(args)) != kNone);
    const Node& n = b.g.nodes[0];
    CHECK(n.op->random);
    CHECK(n.op->inference(b.g, 0) == std::vector<ValueId>{n.inputs[0]});
    const RefTensor ones{{batch, 3, 3, 16}, std::vector<double>(static_cast<size_t>(batch) * 144, 1.0)};
    return run(b, {ones, {{}, {9}}, {{}, {step}}}, batch).data;
  };
  for (const char* name : {"SpatialDropout", "DropPath"}) {
    CAPTURE(name);
    const std::vector<double> y = drawn(name, {{"rate", 0.25}}, 1);
    const size_t together = std::string(name) == "DropPath" ? 144 : 16;
    double zeros = 0;
    for (size_t i = 0; i < y.size(); ++i) {
      CHECK(y[i] == (together == 144 ? y[i / 144 * 144] : y[i / 144 * 144 + i % 16]));
      zeros += y[i] == 0;
      CHECK((y[i] == 0 || y[i] == doctest::Approx(1 / 0.75)));
    }
    CHECK(zeros / static_cast<double>(y.size()) == doctest::Approx(0.25).epsilon(0.5));
    CHECK(y == drawn(name, {{"rate", 0.25}}, 1));
    CHECK(y != drawn(name, {{"rate", 0.25}}, 2));
  }
  const std::vector<double> noise = drawn("Noise", {{"stddev", 2.0}}, 1);
  double mean = 0, square = 0;
  for (double v : noise)
    mean += (v - 1) / static_cast<double>(noise.size()),
        square += (v - 1) * (v - 1) / static_cast<double>(noise.size());
  CHECK(std::abs(mean) < 0.1);
  CHECK(square == doctest::Approx(4).epsilon(0.05));
  FakeBuilder b(batched({3, 3, 16}));
  b.apply("Noise", {{"stddev", 1.0}});
  for (const char* name : {"SpatialDropout", "Dropout", "DropPath"}) b.apply(name);
  std::set<int64_t> streams;
  for (const Node& n : b.g.nodes) streams.insert(n.attrs.i("stream"));
  CHECK(streams.size() == 4);
  for (const char* name : {"SpatialDropout", "DropPath"})
    CHECK(FakeBuilder(batched({2, 2, 2})).apply(name, {{"rate", 0.0}}) == 0);
}

TEST_CASE("functions of expressions: each has a value, a gradient and an error with the shapes") {
  const Registry& r = netc::ops::registry();
  const std::map<std::string, double (*)(double, double)> known = {
      {"+", [](double a, double b) { return a + b; }},
      {"-", [](double a, double b) { return a - b; }},
      {"*", [](double a, double b) { return a * b; }},
      {"/", [](double a, double b) { return a / b; }},
      {"^", [](double a, double b) { return std::pow(a, b); }},
      {"pow", [](double a, double b) { return std::pow(a, b); }},
      {"min", [](double a, double b) { return std::min(a, b); }},
      {"max", [](double a, double b) { return std::max(a, b); }},
      {"neg", [](double a, double) { return -a; }},
      {"exp", [](double a, double) { return std::exp(a); }},
      {"log", [](double a, double) { return std::log(a); }},
      {"sqrt", [](double a, double) { return std::sqrt(a); }},
      {"abs", [](double a, double) { return std::abs(a); }},
      {"sin", [](double a, double) { return std::sin(a); }},
      {"cos", [](double a, double) { return std::cos(a); }},
      {"tanh", [](double a, double) { return std::tanh(a); }},
      {"sigmoid", [](double a, double) { return 1 / (1 + std::exp(-a)); }},
      {"erf", [](double a, double) { return std::erf(a); }},
      {"relu", [](double a, double) { return std::max(a, 0.0); }},
      {"square", [](double a, double) { return a * a; }},
      {"sum", [](double a, double b) { return a + b; }},
      {"mean", [](double a, double b) { return (a + b) / 2; }},
      {"variance", [](double a, double b) { return (a - b) * (a - b) / 4; }}};
  std::set<std::string> names;
  for (const FunctionDef* f : r.functions) {
    CAPTURE(f->name);
    CHECK(names.insert(f->name).second);
    CHECK(f->doc.size() > 1);
    REQUIRE((f->min_args >= 1 && f->max_args >= f->min_args));
    Graph g;
    std::vector<ValueId> args;
    for (int i = 0; i < (f->reduces ? 1 : std::min(f->max_args, 2)); ++i) {
      Variable v;
      v.name = "x" + std::to_string(i);
      v.role = Role::input;
      args.push_back(g.add_variable(v, f->reduces ? batched({2, 2}) : i == 0 ? batched({2, 2}) : batched({1, 2})));
    }
    std::string error;
    const ValueId y =
        f->build(g, r.ops, args, f->reduces ? std::vector<int64_t>{1} : std::vector<int64_t>{}, kNone, error);
    REQUIRE_MESSAGE(y != kNone, error);
    CHECK(error.empty());
    CHECK(g.type(y) == batched(f->reduces ? std::vector<int64_t>{2, 1} : std::vector<int64_t>{2, 2}));
    std::vector<RefTensor> values = {{{1, 2, 2}, {0.5, 1.5, 2.5, 0.75}}};
    if (args.size() == 2) values.push_back({{1, 1, 2}, {2, 0.25}});
    const std::vector<double> got = evaluate(g, values, 1)[static_cast<size_t>(y)].data;
    if (const auto it = known.find(f->name); it != known.end()) {
      for (size_t i = 0; i < got.size(); ++i) {
        const double a = values[0].data[f->reduces ? 2 * i : i], b = f->reduces         ? values[0].data[2 * i + 1]
                                                                     : args.size() == 2 ? values[1].data[i % 2]
                                                                                        : 0;
        CHECK(got[i] == doctest::Approx(it->second(a, b)));
      }
    }
    // elsewhere random values are fine
    const bool positive =
        std::set<std::string>{"log", "sqrt", "rsqrt", "reciprocal", "^", "pow", "/"}.count(f->name) == 1;
    if (!positive) CHECK(check_gradient(g, y, 2) < 1e-4);
    Variable bytes;
    bytes.name = "bytes";
    bytes.role = Role::input;
    args[0] = g.add_variable(bytes, {DType::u8, true, {2, 2}});
    CHECK(f->build(g, r.ops, args, {}, kNone, error) == kNone);
    CHECK(error.find("u8[2, 2]") != std::string::npos);
  }
  for (const auto& [name, value] : known) CHECK_MESSAGE(names.count(name) == 1, name);
}

TEST_CASE("functions of expressions: operands that do not fit, axes that are not there, exponents that are constants") {
  const Registry& r = netc::ops::registry();
  const auto function = [&](const char* name) -> const FunctionDef& {
    return **std::find_if(r.functions.begin(), r.functions.end(),
                          [&](const FunctionDef* f) { return f->name == name; });
  };
  Graph g;
  const auto input = [&](const char* name, Type t, std::vector<float> literal = {}) {
    Variable v;
    v.name = name;
    v.role = literal.empty() ? Role::input : Role::constant;
    v.literal = std::move(literal);
    return g.add_variable(v, std::move(t));
  };
  const ValueId a = input("a", batched({4, 2})), b = input("b", batched({3, 2})),
                any = input("any", {DType::f32, true, {kAnyExtent, 2}});
  std::string error;
  CHECK(function("+").build(g, r.ops, {a, b}, {}, kNone, error) == kNone);
  CHECK(error == "+ cannot combine f32[4, 2] and f32[3, 2]: along each dimension extents must be equal, or 1");
  error.clear();
  CHECK(function("exp").build(g, r.ops, {any}, {}, kNone, error) == kNone);
  CHECK(error == "exp needs operands whose extents are known, but one is f32[*, 2]");
  error.clear();
  CHECK(function("sum").build(g, r.ops, {a}, {2}, kNone, error) == kNone);
  CHECK(error == "sum folds a dim that is not there: its operand is f32[4, 2]");
  error.clear();
  CHECK(g.type(function("mean").build(g, r.ops, {a}, {}, kNone, error)) == batched({1, 1}));
  const std::pair<float, const char*> exponents[] = {{2.0f, "squared"}, {3.0f, "mul"},         {0.5f, "sqrt"},
                                                     {-0.5f, "rsqrt"},  {-1.0f, "reciprocal"}, {1.5f, "pow"}};
  for (const auto& [e, op] : exponents) {
    const ValueId y = function("^").build(g, r.ops, {a, input(op, fixed({}), {e})}, {}, kNone, error);
    CHECK(g.nodes[static_cast<size_t>(g.values[static_cast<size_t>(y)].def)].op->name == op);
  }
  CHECK(function("^").build(g, r.ops, {a, input("one", fixed({}), {1.0f})}, {}, kNone, error) == a);
  CHECK(g.type(function("max").build(g, r.ops, {a, a, a}, {}, kNone, error)) == batched({4, 2}));
}
