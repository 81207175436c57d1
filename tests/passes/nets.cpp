#include "tests/passes/nets.h"

#include <cmath>

#include "compiler/verify/compare.h"

namespace netc::test {

using namespace ir;

namespace {

struct Net {
  Graph g;
  const OpTable& ops = netc::ops::registry().ops;

  ValueId variable(const std::string& name, Role role, Type type, bool trainable = false, double l1 = 0,
                   double l2 = 0) {
    Variable v;
    v.name = name;
    v.role = role;
    v.trainable = trainable;
    v.l1 = l1;
    v.l2 = l2;
    return g.add_variable(v, std::move(type));
  }
  ValueId weight(const std::string& name, std::vector<int64_t> dims, double l1 = 0, double l2 = 0) {
    return variable(name, Role::weight, {DType::f32, false, std::move(dims)}, true, l1, l2);
  }
  ValueId add(const char* op, std::vector<ValueId> in, Attrs a = {}) {
    return g.add(ops.at(op), std::move(in), std::move(a));
  }

  ValueId norm(const std::string& name, ValueId x) {
    const Type t{DType::f32, false, {g.type(x).dims.back()}};
    const ValueId gamma = weight(name + ".gamma", t.dims), beta = weight(name + ".beta", t.dims);
    const ValueId running = variable(name + ".mean", Role::state, t),
                  running_var = variable(name + ".variance", Role::state, t);
    const ValueId mean = add("batch_mean", {x, running}), var = add("batch_variance", {x, mean, running_var});
    const ValueId y = add("normalize", {x, mean, var, gamma, beta}, {{"eps", 1e-3}});
    update(running, add("running_update", {running, mean}, {{"momentum", 0.9}}));
    update(running_var, add("running_update", {running_var, var}, {{"momentum", 0.9}}));
    return y;
  }
  void update(ValueId variable, ValueId value) { g.updates.push_back({g.values[variable].variable, value}); }
};

}  // namespace

Graph small_net(bool dropout, bool shared_sum) {
  Net n;
  n.g.name = "Small";
  n.g.layers.push_back({"conv", "Conv", "Conv(4, 3)", 3, kNone, {"conv.weight", "conv.bias"}});
  const ValueId image = n.variable("image", Role::input, {DType::f32, true, {6, 6, 2}});
  const Attrs window = {{"stride_h", int64_t{1}},   {"stride_w", int64_t{1}}, {"pad_top", int64_t{1}},
                        {"pad_bottom", int64_t{1}}, {"pad_left", int64_t{1}}, {"pad_right", int64_t{1}}};
  ValueId x = n.add("conv", {image, n.weight("conv.weight", {3, 3, 2, 4}, 0.01, 0.02)}, window);
  x = n.add("bias_add", {x, n.weight("conv.bias", {4})});
  n.g.layers[0].output = x;
  x = n.add("sigmoid", {n.norm("norm", x)});
  Attrs pool = {{"stride_h", int64_t{2}},   {"stride_w", int64_t{2}}, {"pad_top", int64_t{0}},
                {"pad_bottom", int64_t{0}}, {"pad_left", int64_t{0}}, {"pad_right", int64_t{0}},
                {"kernel_h", int64_t{2}},   {"kernel_w", int64_t{2}}};
  x = n.norm("norm2", n.add("tanh", {n.add("max_pool", {x}, pool)}));
  if (shared_sum) x = n.add("add", {x, n.add("mul", {x, x})});
  if (dropout) {
    const ValueId seed = n.variable("seed", Role::scalar, {DType::u32, false, {}}),
                  step = n.variable("step", Role::scalar, {DType::u32, false, {}});
    x = n.add("dropout", {x, seed, step}, {{"rate", 0.3}, {"stream", int64_t{1}}});
  }
  x = n.add("reshape", {x}, {{"dims", std::vector<int64_t>{36}}});
  x = n.add("matmul", {x, n.weight("dense.weight", {36, 3})});
  x = n.add("softmax", {n.add("bias_add", {x, n.weight("dense.bias", {3})})});
  n.g.outputs.push_back({"probs", x});
  return n.g;
}

sema::Model model_of(Graph g, const std::string& optimizer) {
  const Registry& r = netc::ops::registry();
  sema::Model m;
  m.graph = std::move(g);
  m.train.present = true;
  for (const LossDef* l : r.losses) {
    if (l->name == "categorical_crossentropy") m.train.losses.push_back({l, {}, m.graph.outputs[0].name, "label"});
  }
  for (const OptimizerDef* o : r.optimizers) {
    if (o->name == optimizer) m.train.optimizer = o;
  }
  for (const ArgDef& a : m.train.losses.front().loss->args) m.train.losses.front().args.push_back(*a.fallback);
  for (const ArgDef& a : m.train.optimizer->args) m.train.optimizer_args.push_back(*a.fallback);
  return m;
}

Contents contents_of(const Graph& g, int64_t batch, unsigned seed) {
  Contents c;
  for (const Variable& v : g.variables) {
    if (v.role == Role::constant) continue;
    // a variable is the same in every graph
    std::mt19937 random(seed + static_cast<unsigned>(std::hash<std::string>()(v.name) % 1000));
    std::normal_distribution<double> normal;
    const Type& t = g.type(v.value);
    RefTensor r{t.dims, {}};
    if (t.batched) r.dims.insert(r.dims.begin(), batch);
    int64_t n = 1;
    for (int64_t d : r.dims) n *= d;
    for (int64_t i = 0; i < n; ++i) {
      double x = 0.5 * normal(random);
      if (v.name.find("variance") != std::string::npos) x = 0.5 + x * x;
      if (v.role == Role::label) x = static_cast<double>(random() % 3);
      if (v.role == Role::slot) x = x * x;
      if (v.role == Role::scalar) x = v.name == "lr" ? 0.1 : v.name == "seed" ? 5 : 1;
      r.data.push_back(x);
    }
    c[v.name] = r;
  }
  return c;
}

ValueId output(const Graph& g, const std::string& name) {
  for (const Output& o : g.outputs) {
    if (o.name == name) return o.value;
  }
  return kNone;
}

double difference(const RefTensor& a, const RefTensor& b) {
  return a.dims == b.dims && !a.data.empty() ? verify::compare(a, b, {}).error : INFINITY;
}

int count_kind(const Graph& g, const std::string& op) {
  int n = 0;
  for (const Node& node : g.nodes) n += node.op->name == op;
  return n;
}

}  // namespace netc::test
