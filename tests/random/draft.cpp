#include "tests/random/draft.h"

#include <algorithm>
#include <cmath>

#include "compiler/ir/op_def.h"
#include "compiler/ops/ops.h"
#include "compiler/parse/parse.h"
#include "tests/random/generate.h"

namespace netc::random {

using namespace ir;

std::string declared(const std::vector<Parameter>& parameters) {
  std::string out;
  for (const Parameter& p : parameters)
    out += (out.empty() ? "" : ", ") + p.name + (hash_of(p.name) % 3 == 0 ? ": int(1..) = " : " = ") +
           std::to_string(p.value);
  return out;
}

std::string Draft::text() const {
  std::string out;
  for (const std::string& d : declarations) out += d + "\n";
  out += "net Main";
  if (!parameters.empty()) out += "(" + declared(parameters) + ")";
  out += " {\n";
  for (const auto* part : {&inputs, &body, &outputs})
    for (const std::string& s : *part) out += "  " + s + "\n";
  out += "}\n";
  if (train.empty()) return out;
  out += "train {\n";
  for (const std::string& s : train) out += "  " + s + "\n";
  return out + "}\n";
}

std::optional<sema::Model> analyse(const std::string& text) {
  const SourceFile file("random.net", text);
  Diagnostics diagnostics(file);
  const std::optional<ast::File> tree = parse(file, diagnostics);
  return tree ? sema::analyse(*tree, {}, ops::registry(), diagnostics) : std::nullopt;
}

namespace {

/// The names of the variables that a node reads, and the literals of constants.
std::vector<std::string> variables_of(const Graph& g, const Node& n) {
  std::vector<std::string> out;
  for (const ValueId v : n.inputs) {
    if (g.values[v].def != kNone) continue;
    const Variable& variable = g.variables[g.values[v].variable];
    std::string name = variable.name;
    if (variable.role == Role::constant)
      for (const float x : variable.literal) name += " " + std::to_string(x);
    out.push_back(name);
  }
  return out;
}

}  // namespace

bool sensible(const Node& n, const RefTensor& t, double limit) {
  std::vector<double> said;
  for (const auto& [name, value] : n.attrs)
    if (const double* x = std::get_if<double>(&value)) said.push_back(*x);
  return std::all_of(t.data.begin(), t.data.end(), [&](double x) {
    return std::abs(x) <= limit || std::find(said.begin(), said.end(), x) != said.end();
  });
}

bool Evaluation::extend(const Graph& g) {
  double work = 0;
  for (const Node& n : g.nodes) {
    for (const ValueId v : n.results) {
      const Type& t = g.type(v);
      if (!t.has_any_extent() && t.elements() > kMostElements) return false;
      if (!t.has_any_extent()) work += static_cast<double>(t.elements()) / 10;
    }
    if (n.op->cost) work += n.op->cost(n, g).macs;
  }
  for (const Variable& v : g.variables)
    if (!g.type(v.value).has_any_extent() && g.type(v.value).elements() > kMostElements) return false;
  if (work > kMostWork) return false;
  std::map<std::string, RefTensor> now = contents(g, kBatch, 0);
  const auto same = [&](size_t i) {
    const Node &a = nodes_[i], &b = g.nodes[i];
    if (a.op != b.op || a.inputs != b.inputs || a.results != b.results || !(a.attrs == b.attrs) ||
        variables_[i] != variables_of(g, b))
      return false;
    return std::all_of(variables_[i].begin(), variables_[i].end(), [&](const std::string& name) {
      const auto before = contents_.find(name), after = now.find(name);
      if (before == contents_.end() || after == now.end()) return before == contents_.end() && after == now.end();
      return before->second.dims == after->second.dims && before->second.data == after->second.data;
    });
  };
  size_t known = 0;
  while (known < std::min(nodes_.size(), g.nodes.size()) && same(known)) ++known;
  nodes_.resize(known), variables_.resize(known), values_.resize(g.values.size());
  for (const Variable& v : g.variables) {
    if (v.role != Role::constant) {
      values_[v.value] = now.at(v.name);
      continue;
    }
    values_[v.value] = RefTensor{g.type(v.value).dims, {v.literal.begin(), v.literal.end()}};
  }
  contents_ = std::move(now);
  for (; known < g.nodes.size(); ++known) {
    const Node& n = g.nodes[known];
    std::vector<RefTensor> in;
    for (const ValueId v : n.inputs) in.push_back(values_[v]);
    std::vector<RefTensor> out = n.op->reference(n, g, in, kBatch);
    for (size_t i = 0; i < out.size() && i < n.results.size(); ++i) {
      if (!sensible(n, out[i], kLargest)) return false;
      values_[n.results[i]] = std::move(out[i]);
    }
    nodes_.push_back(n), variables_.push_back(variables_of(g, n));
  }
  return true;
}

}  // namespace netc::random
