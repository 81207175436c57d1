#include "compiler/ir/interpret.h"

namespace netc::ir {
namespace {

RefTensor zeros(const Type& t, int64_t batch) {
  RefTensor r;
  if (t.batched) r.dims.push_back(batch);
  for (int64_t d : t.dims) r.dims.push_back(d == kAnyExtent ? 1 : d);
  int64_t n = 1;
  for (int64_t d : r.dims) n *= d;
  r.data.assign(static_cast<size_t>(n), 0.0);
  return r;
}

}  // namespace

std::vector<RefTensor> interpret(const Graph& g, const std::map<std::string, RefTensor>& variables, int64_t batch) {
  return interpret(g, variables, batch,
                   [&](const Node& n, const std::vector<RefTensor>& in) { return n.op->reference(n, g, in, batch); });
}

std::vector<RefTensor> interpret(const Graph& g, const std::map<std::string, RefTensor>& variables, int64_t batch,
                                 const Evaluate& evaluate) {
  std::vector<RefTensor> values(g.values.size());
  for (const Variable& v : g.variables) {
    const auto given = variables.find(v.name);
    RefTensor& t = values[v.value];
    t = given != variables.end() ? given->second : zeros(g.type(v.value), batch);
    if (given == variables.end() && v.role == Role::constant) t.data.assign(v.literal.begin(), v.literal.end());
  }
  for (const Node& n : g.nodes) {
    std::vector<RefTensor> in;
    for (ValueId v : n.inputs) in.push_back(values[v]);
    std::vector<RefTensor> out = evaluate(n, in);
    for (size_t i = 0; i < out.size() && i < n.results.size(); ++i) values[n.results[i]] = std::move(out[i]);
  }
  return values;
}

}  // namespace netc::ir
