#include "tests/random/generate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/ops/ops.h"
#include "compiler/parse/parse.h"
#include "tests/random/draft.h"

using namespace netc;
using namespace netc::random;

namespace {

/// What a text writes: names that are called or applied, operators, words, and arguments as "Conv.stride".
class Written {
 public:
  explicit Written(const std::string& text) {
    const SourceFile file("written.net", text);
    Diagnostics diagnostics(file);
    const auto tree = parse(file, diagnostics);
    REQUIRE(tree.has_value());
    for (const ast::Stmt& s : tree->declarations) statement(s);
    for (const ast::Net& n : tree->nets)
      for (const ast::Stmt& s : n.body) statement(s);
    for (const ast::Section& s : tree->sections)
      for (const ast::Entry& e : s.entries) expression(*e.value);
  }
  std::set<std::string> all;

 private:
  void statement(const ast::Stmt& s) {
    if (s.value) expression(*s.value);
    for (const ast::Stmt& i : s.body) statement(i);
    for (const ast::Stmt& i : s.otherwise) statement(i);
  }
  void expression(const ast::Expr& e) {
    if (e.kind == ast::ExprKind::name || e.kind == ast::ExprKind::binary) all.insert(e.text);
    if (e.kind == ast::ExprKind::unary && e.text == "-") all.insert("neg");
    for (const auto& i : e.items) expression(*i);
    for (const ast::Arg& a : e.args) {
      if (e.kind == ast::ExprKind::call && !a.name.empty()) all.insert(e.items[0]->text + "." + a.name);
      expression(*a.value);
    }
  }
};

}  // namespace

TEST_CASE("the same seed gives the same text, another another") {
  CHECK(generate(3).text == generate(3).text);
  CHECK(generate(3).text != generate(4).text);
}

TEST_CASE("every text is a net that trains, and all that the registry offers occurs") {
  std::set<std::string> written;
  const ir::Registry& r = ops::registry();
  // A seed wants one layer, and a function or a setting.
  const uint64_t seeds = std::max({uint64_t{100}, r.layers.size(), 2 * r.functions.size(), 2 * r.settings.size()});
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    const Generated g = generate(seed);
    INFO(g.text);
    const auto model = analyse(g.text);
    REQUIRE(model.has_value());
    CHECK(model->train.present);
    written.merge(Written(g.text).all);
  }
  std::vector<std::string> missing;
  const auto look = [&](const auto& table) {
    for (const auto* def : table)
      if (!written.count(def->name)) missing.push_back(def->name);
  };
  look(r.layers), look(r.functions), look(r.losses), look(r.optimizers), look(r.settings);
  CHECK_MESSAGE(missing.empty(), fmt::format("never drawn: {}", fmt::join(missing, ", ")));
}

TEST_CASE("contents suit what reads them") {
  const auto model = analyse(R"(
    net A {
      input tokens: i32[5]
      input photo: u8[*, *, 3]
      let words = tokens -> Embedding(11, 4)
      let seen = photo -> Resize(5, 4) -> Flatten -> Dense(4)
      output y = words + mean(words, 0) * 2 -> Flatten -> Dense(4) -> Add(seen) -> Softmax
    })");
  REQUIRE(model.has_value());
  for (uint64_t draw = 0; draw < 20; ++draw) {
    const auto all = contents(model->graph, 3, draw);
    const ir::RefTensor &tokens = all.at("tokens"), &photo = all.at("photo");
    CHECK(tokens.dims == std::vector<int64_t>{3, 5});
    for (const double t : tokens.data) CHECK((t >= 0 && t < 11 && t == static_cast<int64_t>(t)));
    REQUIRE(photo.dims.size() == 4);
    for (const double p : photo.data) CHECK((p >= 0 && p <= 255));
    CHECK(contents(model->graph, 3, draw).at("tokens").data == tokens.data);
  }
  CHECK(contents(model->graph, 3, 0).at("tokens").data != contents(model->graph, 3, 1).at("tokens").data);
}

TEST_CASE("labels are numbers, shares or classes as their losses want") {
  const ir::Registry& r = ops::registry();
  const auto of = [&](const char* loss) {
    ir::Graph g;
    ir::Variable y, label;
    y.name = "y", y.role = ir::Role::input, label.name = "label", label.role = ir::Role::label;
    const ir::Type type{ir::DType::f32, true, {4}};
    const ir::ValueId output = g.add_variable(y, type);
    for (const ir::LossDef* l : r.losses) {
      if (l->name != loss) continue;
      std::vector<ir::ArgValue> args;
      for (const ir::ArgDef& a : l->args) args.push_back(*a.fallback);
      l->build(g, r.ops, output, g.add_variable(label, l->label_type(type)), args);
    }
    std::vector<double> values;
    for (uint64_t draw = 0; draw < 10; ++draw) {
      const auto all = contents(g, 6, draw);
      values.insert(values.end(), all.at("label").data.begin(), all.at("label").data.end());
    }
    return values;
  };
  for (const double v : of("categorical_crossentropy")) CHECK((v >= 0 && v <= 3 && v == static_cast<int64_t>(v)));
  for (const double v : of("binary_crossentropy")) CHECK((v >= 0 && v <= 1));
  for (const double v : of("hinge")) CHECK((v >= 0 && v <= 1));
  for (const double v : of("kl_divergence")) CHECK((v >= 0 && v <= 1));
  const std::vector<double> any = of("mse");
  CHECK(std::any_of(any.begin(), any.end(), [](double v) { return v < 0; }));
  CHECK(std::any_of(any.begin(), any.end(), [](double v) { return v > 1; }));
}
