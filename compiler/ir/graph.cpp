#include "compiler/ir/graph.h"

#include <cstdio>
#include <cstdlib>

#include "compiler/ir/op_def.h"

namespace netc::ir {

ValueId Graph::add_variable(Variable v, Type type) {
  ValueId id = static_cast<ValueId>(values.size());
  Value value;
  value.type = std::move(type);
  value.name = unique_name(v.name);
  value.variable = static_cast<int32_t>(variables.size());
  values.push_back(std::move(value));
  v.value = id;
  variables.push_back(std::move(v));
  return id;
}

std::vector<ValueId> Graph::add_nodes_results(const OpDef& op, std::vector<ValueId> inputs, Attrs attrs, int32_t layer,
                                              std::string name) {
  std::vector<Type> in, out;
  for (ValueId v : inputs) in.push_back(values[v].type);
  std::string error;
  if (!op.takes(in.size()) || !op.shape(in, attrs, out, error)) {
    std::fprintf(stderr, "netc: internal error: %s rejects its operands: %s\n", op.name.c_str(), error.c_str());
    std::abort();
  }
  Node node{&op, std::move(inputs), std::move(attrs), {}, layer};
  NodeId id = static_cast<NodeId>(nodes.size());
  for (size_t i = 0; i < out.size(); ++i) {
    Value value;
    value.type = out[i];
    value.name = unique_name(name.empty() ? op.name : name);
    value.def = id;
    value.result = static_cast<int>(i);
    node.results.push_back(static_cast<ValueId>(values.size()));
    values.push_back(std::move(value));
  }
  nodes.push_back(std::move(node));
  return nodes.back().results;
}

std::string Graph::unique_name(const std::string& wanted) const {
  if (names_.indexed > values.size()) names_ = {};
  for (; names_.indexed < values.size(); ++names_.indexed) names_.last.emplace(values[names_.indexed].name, 1);
  const auto known = names_.last.find(wanted);
  if (known == names_.last.end()) return wanted;
  for (int& i = known->second;;)
    if (std::string s = wanted + "_" + std::to_string(++i); !names_.last.count(s)) return s;
}

int32_t Graph::find_variable(const std::string& name) const {
  for (size_t i = 0; i < variables.size(); ++i)
    if (variables[i].name == name) return static_cast<int32_t>(i);
  return kNone;
}

ValueId GradContext::emit(const std::string& op, std::vector<ValueId> inputs, Attrs attrs) const {
  return graph.add(ops.at(op), std::move(inputs), std::move(attrs), graph.nodes[node].layer);
}

}  // namespace netc::ir
