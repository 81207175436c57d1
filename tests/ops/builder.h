// Builds layers as the language's elaborator does, and checks gradients that run through several operators.
#pragma once
#include <map>

#include "tests/ops/cases.h"

namespace netc::test {

/// An elaborator that keeps everything in a map.
struct FakeBuilder : ir::LayerBuilder {
  ir::Graph g;
  const ir::LayerDef* layer = nullptr;
  std::vector<ir::ValueId> operands;
  std::map<std::string, ir::ArgValue> args;
  std::string message, help;

  explicit FakeBuilder(const ir::Type& input) {
    ir::Variable v;
    v.name = "x";
    v.role = ir::Role::input;
    operands = {g.add_variable(v, input)};
  }
  ir::ValueId apply(const char* name, std::map<std::string, ir::ArgValue> a = {}) {
    for (const ir::LayerDef* l : netc::ops::registry().layers) {
      if (l->name == name) layer = l;
    }
    args.clear();
    for (const ir::ArgDef& d : layer->args) {
      if (d.fallback) args[d.name] = *d.fallback;
    }
    for (auto& [k, v] : a) args[k] = v;
    const ir::ValueId y = layer->build(*this);
    if (y != ir::kNone) operands = {y};
    return y;
  }
  ir::Graph& graph() override { return g; }
  const ir::OpTable& ops() override { return netc::ops::registry().ops; }
  const std::vector<ir::ValueId>& in() override { return operands; }
  const ir::Type& in_type(int i = 0) override { return g.type(operands[static_cast<size_t>(i)]); }
  bool b(const char* a) override { return std::get<bool>(args.at(a)); }
  int64_t i(const char* a) override { return std::get<int64_t>(args.at(a)); }
  double f(const char* a) override { return std::get<double>(args.at(a)); }
  std::string s(const char* a) override { return std::get<std::string>(args.at(a)); }
  std::vector<int64_t> pair(const char* a) override {
    if (const int64_t* n = std::get_if<int64_t>(&args.at(a))) return {*n, *n};
    return std::get<std::vector<int64_t>>(args.at(a));
  }
  std::vector<double> numbers(const char* a) override { return std::get<std::vector<double>>(args.at(a)); }
  std::vector<std::string> words(const char* a) override { return std::get<std::vector<std::string>>(args.at(a)); }
  std::vector<int64_t> ints(const char* a) override { return std::get<std::vector<int64_t>>(args.at(a)); }
  ir::Initializer initializer(const char* a) override { return std::get<ir::Initializer>(args.at(a)); }
  ir::ValueId variable(const char* name, ir::Type type, ir::Initializer init, ir::Role role, double l1,
                       double l2) override {
    ir::Variable v;
    v.name = layer->weight_prefix + std::to_string(g.nodes.size()) + "." + name;
    v.role = role;
    v.trainable = role == ir::Role::weight;
    v.init = init;
    v.l1 = l1;
    v.l2 = l2;
    return g.add_variable(v, type);
  }
  ir::ValueId emit(const std::string& op, std::vector<ir::ValueId> in, ir::Attrs a) override {
    return g.add(ops().at(op), std::move(in), std::move(a));
  }
  void update(ir::ValueId variable, const std::function<ir::ValueId(ir::ValueId)>& next) override {
    g.updates.push_back({g.values[static_cast<size_t>(variable)].variable, next(variable)});
  }
  ir::ValueId error(const std::string& m, const std::string& h) override {
    message = m;
    help = h;
    return ir::kNone;
  }
};

inline ir::Type batched(std::vector<int64_t> d) { return {ir::DType::f32, true, std::move(d)}; }
inline ir::ArgValue num(int64_t n) { return n; }

/// Random contents of every variable.
std::vector<ir::RefTensor> contents(const ir::Graph& g, int64_t batch, std::mt19937& random);
/// Largest error of the gradient of sum(dy * y) in every f32 variable, against central differences.
double check_gradient(ir::Graph g, ir::ValueId y, int64_t batch);

}  // namespace netc::test
