// The table is complete, and every operator's lowering, reference and gradient agree.
#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <vector>

#include "compiler/halide/lowering.h"
#include "tests/ops/cases.h"

using namespace netc;
using namespace netc::ir;
using namespace netc::test;

TEST_CASE("every operator is complete") {
  std::set<std::string> names, tested;
  for (const Case& c : cases()) tested.insert(c.op);
  for (const OpDef* op : ops::registry().ops.ops) {
    CAPTURE(op->name);
    CHECK(names.insert(op->name).second);
    CHECK(tested.count(op->name) == 1);
    CHECK(op->doc.size() > 5);
    CHECK(op->shape);
    CHECK(op->cost);
    CHECK(op->reference);
    if (op->kind == Kind::elementwise) CHECK(halide::lowering_of(*op).scalar);
    else if (op->kind != Kind::view) CHECK(halide::lowering_of(*op).algorithm);
    CHECK((op->gradient != nullptr) != !op->no_gradient.empty());
  }
  CHECK(ops::registry().ops.find("no such operator") == nullptr);
}

TEST_CASE("every layer, loss and optimiser is documented") {
  std::set<std::string> names;
  for (const LayerDef* l : ops::registry().layers) {
    CAPTURE(l->name);
    CHECK(names.insert(l->name).second);
    CHECK(l->doc.size() > 10);
    CHECK(!l->section.empty());
    CHECK(!l->weight_prefix.empty());
    CHECK((l->build != nullptr) != (l->build_many != nullptr));
    for (const ArgDef& a : l->args) CHECK(!a.doc.empty());
  }
  for (const LossDef* l : ops::registry().losses) CHECK((l->build && l->label_type && !l->doc.empty()));
  for (const OptimizerDef* o : ops::registry().optimizers) {
    CHECK((o->build && o->slot_names && !o->doc.empty()));
    CHECK(o->args.at(0).name == "lr");
  }
}

TEST_CASE("lowering of what takes inputs in agrees with the reference") {  // all others: kernels_test.cpp
  for (const Case& c : cases()) {
    if (ops::registry().ops.at(c.op).kind != Kind::ingest) continue;
    const std::string name = name_of(c);
    CAPTURE(name);
    CHECK(lowering_error(c, {1, 3}) <= 1);
  }
}

TEST_CASE("gradient agrees with finite differences of the reference") {
  for (const Case& c : cases()) {
    if (!ops::registry().ops.at(c.op).gradient) continue;
    const std::string name = name_of(c);
    CAPTURE(name);
    for (int64_t batch : {1, 3}) {
      CAPTURE(batch);
      const double error = gradient_error(c, batch);
      CHECK(error < 1e-5);
    }
  }
}

TEST_CASE("shape rules reject operands that do not fit, with the shapes in the message") {
  std::vector<Type> out;
  std::string error;
  const std::vector<Type> in = {{DType::f32, true, {8}}, {DType::f32, false, {7, 3}}};
  CHECK(!ops::registry().ops.at("matmul").shape(in, {}, out, error));
  CHECK(error.find(to_string(in[0])) != std::string::npos);
  CHECK(error.find(to_string(in[1])) != std::string::npos);
}
