#include "tests/ops/builder.h"

#include <algorithm>

namespace netc::test {

using namespace ir;

std::vector<RefTensor> contents(const Graph& g, int64_t batch, std::mt19937& random) {
  std::vector<RefTensor> v;
  for (const Variable& x : g.variables) {
    const Type& t = g.type(x.value);
    v.push_back(random_tensor(t,
                              t.dtype == DType::f32 ? Fill::normal
                              : t.batched           ? Fill::label
                                                    : Fill::counter,
                              batch, 3, random));
  }
  return v;
}

namespace {

/// Reverse mode over the graph's nodes, as the autodiff pass does it: gradients of sum(dy * y) by value.
std::map<ValueId, ValueId> differentiate(Graph& g, ValueId y, ValueId dy) {
  const OpTable& table = netc::ops::registry().ops;
  std::map<ValueId, ValueId> grad{{y, dy}};
  for (NodeId n = static_cast<NodeId>(g.nodes.size()) - 1; n >= 0; --n) {
    const Node node = g.nodes[static_cast<size_t>(n)];
    if (!grad.count(node.results[0]) || !node.op->gradient) continue;
    GradContext ctx{g, n, {grad[node.results[0]]}, {}, table};
    for (ValueId v : node.inputs) ctx.wanted.push_back(g.type(v).dtype == DType::f32);
    const std::vector<ValueId> r = node.op->gradient(ctx);
    for (size_t i = 0; i < r.size(); ++i) {
      if (r[i] == kNone) continue;
      ValueId& slot = grad.try_emplace(node.inputs[i], kNone).first->second;
      slot = slot == kNone ? r[i] : g.add(table.at("add"), {slot, r[i]});
    }
  }
  return grad;
}

}  // namespace

double check_gradient(Graph g, ValueId y, int64_t batch) {
  std::mt19937 random(3);
  const size_t forward = g.variables.size();
  Variable v;
  v.name = "dy";
  v.role = Role::input;
  const Type t = g.type(y);
  const ValueId dy = g.add_variable(v, t);
  std::vector<RefTensor> vars = contents(g, batch, random);
  Graph differentiated = g;
  const std::map<ValueId, ValueId> grad = differentiate(differentiated, y, dy);
  const std::vector<RefTensor> values = evaluate(differentiated, vars, batch);
  auto objective = [&] {
    const std::vector<RefTensor> all = evaluate(g, vars, batch);
    double sum = 0;
    for (size_t i = 0; i < all[y].data.size(); ++i) sum += all[y].data[i] * vars.back().data[i];
    return sum;
  };
  double worst = 0;
  for (size_t i = 0; i < forward; ++i) {
    const ValueId value = g.variables[i].value;
    if (g.type(value).dtype != DType::f32) continue;
    for (size_t j = 0; j < vars[i].data.size(); j += 1 + vars[i].data.size() / 16) {
      const double x = vars[i].data[j], h = 1e-5;
      vars[i].data[j] = x + h;
      const double up = objective();
      vars[i].data[j] = x - h;
      const double down = objective();
      vars[i].data[j] = x;
      const double want = (up - down) / (2 * h), got = grad.count(value) ? values[grad.at(value)].data[j] : 0;
      worst = std::max(worst, std::abs(want - got) / std::max(1.0, std::abs(want)));
    }
  }
  return worst;
}

}  // namespace netc::test
