// Where values are rounded to bf16, and where they are not.
#include <doctest/doctest.h>

#include "compiler/passes/pipeline.h"
#include "tests/passes/nets.h"

using namespace netc;
using namespace netc::ir;
using namespace netc::passes;
using namespace netc::test;

namespace {

constexpr int64_t kBatch = 3;
const Registry& reg() { return ops::registry(); }

struct WithProducts : Small {
  ValueId product(ValueId x, const char* weights, int64_t units) {
    return add("matmul", {x, var(weights, Role::weight, {g.type(x).dims.back(), units})});
  }
};

const Node& def(const Graph& g, ValueId v) {
  return g.nodes[static_cast<size_t>(g.values[static_cast<size_t>(v)].def)];
}

}  // namespace

TEST_CASE("operands of contractions are rounded once each, their results and all else stay f32") {
  const sema::Model m = model_of(small_net(true, true), "adam");
  PipelineOptions options;
  options.verify = options.bf16 = true;
  const Program p = run_pipeline(m, reg(), options);
  for (const Graph* g : {&p.training, &p.evaluation, &p.inference}) {
    std::map<ValueId, int> rounded;
    int contractions = 0, of_bf16 = 0;
    for (const Node& n : g->nodes) {
      if (n.op == reg().round) CHECK(++rounded[n.inputs[0]] == 1);
      for (ValueId v : n.results)
        CHECK((g->type(v).dtype != DType::bf16 || n.op == reg().round || n.op->kind == Kind::view));
      if (n.op->kind != Kind::contraction) {
        for (ValueId v : n.inputs)
          CHECK((g->type(v).dtype != DType::bf16 || n.op == reg().widen || n.op->kind == Kind::view));
        continue;
      }
      ++contractions;
      const bool first = g->type(n.inputs[0]).dtype == DType::bf16;
      CHECK((g->type(n.inputs[1]).dtype == DType::bf16) == first);
      of_bf16 += first;
    }
    // the convolution and its gradient in the weights read the image, which is as it is
    CHECK(contractions == (g == &p.training ? 5 : 2));
    CHECK(of_bf16 == (g == &p.training ? 3 : 1));
    for (const Output& o : g->outputs) CHECK(g->type(o.value).dtype == DType::f32);
    for (const Update& u : g->updates) CHECK(g->type(u.value).dtype == DType::f32);
    for (const Variable& v : g->variables) CHECK(g->type(v.value).dtype != DType::bf16);
  }
  for (const auto& [variable, gradient] : p.gradients) CHECK(p.training.type(gradient).dtype == DType::f32);
  CHECK(run_pipeline(m, reg()).training.nodes.size() < p.training.nodes.size());
}

TEST_CASE("what is stored rounded is what a residual sum reads too; what a fold reads stays f32") {
  WithProducts s;
  const ValueId x = s.product(s.var("x", Role::input, {6}, true), "w0", 8);  // of the input: f32
  const ValueId trunk = s.add("relu", {x}), folded = s.add("tanh", {x});
  s.g.outputs.push_back({"sum", s.add("add", {s.product(trunk, "w1", 8), trunk})});
  s.g.outputs.push_back({"rows", s.add("add", {s.product(folded, "w2", 8), s.add("softmax", {folded})})});
  const Graph g = round_products(s.g, reg());
  for (const std::string& e : verify(g)) FAIL_CHECK(e);
  const Node& sum = def(g, output(g, "sum"));
  REQUIRE(def(g, sum.inputs[1]).op == reg().widen);
  CHECK(def(g, def(g, sum.inputs[1]).inputs[0]).op == reg().round);
  // the one that the product reads
  CHECK(def(g, def(g, sum.inputs[1]).inputs[0]).results == std::vector<ValueId>{def(g, sum.inputs[0]).inputs[0]});
  const Node& rows = def(g, def(g, output(g, "rows")).inputs[1]);
  CHECK(g.type(rows.inputs[0]).dtype == DType::f32);
  CHECK(def(g, rows.inputs[0]).op->name == "tanh");
  const Contents c = contents_of(s.g, kBatch);
  for (const char* name : {"sum", "rows"}) {
    const auto rounded = interpret(g, c, kBatch), whole = interpret(s.g, c, kBatch);
    const double apart =
        difference(rounded[static_cast<size_t>(output(g, name))], whole[static_cast<size_t>(output(s.g, name))]);
    CHECK(apart > 0);
    CHECK(apart < 0.1);
  }
}

TEST_CASE("views are of rounded values, and a net's output is never rounded") {
  WithProducts s;
  const ValueId x = s.add("relu", {s.product(s.var("x", Role::input, {6}, true), "w0", 8)});
  s.g.outputs.push_back({"x", x});
  s.g.outputs.push_back({"y", s.add("matmul", {s.add("reshape", {x}, {{"dims", std::vector<int64_t>{2, 4}}}),
                                               s.var("w1", Role::weight, {4, 3})})});
  const Graph g = round_products(s.g, reg());
  for (const std::string& e : verify(g)) FAIL_CHECK(e);
  CHECK(def(g, output(g, "x")).op->name == "relu");
  const Node& view = def(g, def(g, output(g, "y")).inputs[0]);
  CHECK(view.op->kind == Kind::view);
  CHECK(def(g, view.inputs[0]).op == reg().round);
}
