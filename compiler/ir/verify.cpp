// What a well-formed graph is. Every pass may rely on it and must keep it.
#include <exception>
#include <set>

#include <fmt/format.h>

#include "compiler/ir/op_def.h"
#include "compiler/ir/print.h"

namespace netc::ir {
namespace {

class Verifier {
 public:
  explicit Verifier(const Graph& g) : g_(g) {}

  std::vector<std::string> run() {
    check_values();
    check_variables();
    for (NodeId n = 0; n < static_cast<NodeId>(g_.nodes.size()); ++n) check_node(n);
    check_ends();
    return std::move(errors_);
  }

 private:
  template <class... Args>
  void error(fmt::format_string<Args...> text, Args&&... args) {
    errors_.push_back(fmt::format(text, std::forward<Args>(args)...));
  }
  bool is_value(ValueId v) const { return v >= 0 && v < static_cast<ValueId>(g_.values.size()); }
  bool is_gone(ValueId v) const { return g_.values[v].def == kNone && g_.values[v].variable == kNone; }
  bool is_layer(int32_t l) const { return l >= 0 && l < static_cast<int32_t>(g_.layers.size()); }

  /// Every value is the result of the node it names, or the variable it names; names are unique.
  void check_values() {
    std::set<std::string> names;
    for (ValueId id = 0; id < static_cast<ValueId>(g_.values.size()); ++id) {
      const Value& v = g_.values[id];
      if (!names.insert(v.name).second) error("%{}: the name {} is taken", id, quoted(v.name));
      if (v.def == kNone) {
        if (v.variable == kNone) continue;  // its node is gone; nobody may read it
        const bool known = v.variable >= 0 && v.variable < static_cast<int32_t>(g_.variables.size());
        if (!known || g_.variables[v.variable].value != id) error("%{} belongs to no variable and no node", id);
        continue;
      }
      if (v.def < 0 || v.def >= static_cast<NodeId>(g_.nodes.size())) {
        error("%{} is defined by node {}, which is not there", id, v.def);
        continue;
      }
      const std::vector<ValueId>& results = g_.nodes[v.def].results;
      const bool listed = v.result >= 0 && v.result < static_cast<int>(results.size()) && results[v.result] == id;
      if (!listed) error("%{} is not result {} of node {}", id, v.result, v.def);
      if (v.variable != kNone) error("%{} is a variable and a node's result", id);
    }
  }

  void check_variables() {
    std::set<std::string> names;
    for (int32_t i = 0; i < static_cast<int32_t>(g_.variables.size()); ++i) {
      const Variable& v = g_.variables[i];
      if (v.name.empty() || !names.insert(v.name).second)
        error("variable {}: the name {} is empty or taken", i, quoted(v.name));
      if (!is_value(v.value) || g_.values[v.value].def != kNone || g_.values[v.value].variable != i) {
        error("variable {} has no value of its own", quoted(v.name));
        continue;
      }
      const Type& t = g_.type(v.value);
      const bool data = v.role == Role::input || v.role == Role::label;
      if (t.batched && !data)
        error("variable {} is a {} and may not be batched, but is {}", quoted(v.name), to_string(v.role), to_string(t));
      if (t.has_any_extent() && v.role != Role::input)
        error("variable {} must have known extents, but is {}", quoted(v.name), to_string(t));
      if (v.trainable && v.role != Role::weight)
        error("variable {} is trainable but a {}", quoted(v.name), to_string(v.role));
      if (v.role == Role::scalar && t.rank() != 0) error("scalar {} has type {}", quoted(v.name), to_string(t));
      const size_t literal = v.role == Role::constant && !t.has_any_extent() ? static_cast<size_t>(t.elements()) : 0;
      if (v.literal.size() != literal)
        error("variable {} of type {} has {} literal elements", quoted(v.name), to_string(t), v.literal.size());
      if (v.role != Role::slot) continue;
      const int32_t of = g_.find_variable(v.of);
      if (of == kNone) error("slot {} belongs to {}, which is not there", quoted(v.name), quoted(v.of));
      else if (is_value(g_.variables[of].value) && g_.type(g_.variables[of].value) != t)
        error("slot {} and its weight differ in type", quoted(v.name));
    }
  }

  void check_node(NodeId id) {
    const Node& n = g_.nodes[id];
    if (n.op == nullptr) return error("node {} has no operator", id);
    const std::string me = fmt::format("node {} ({})", id, n.op->name);
    bool ok = true;
    if (!n.op->takes(n.inputs.size())) {
      error("{} has {} inputs, not {}", me, n.inputs.size(),
            n.op->inputs < 0 ? "one or more" : std::to_string(n.op->inputs));
      ok = false;
    }
    if (static_cast<int>(n.results.size()) != n.op->results) {
      error("{} has {} results, not {}", me, n.results.size(), n.op->results);
      ok = false;
    }
    for (ValueId v : n.inputs) {
      if (!is_value(v)) {
        error("{} reads %{}, which is not there", me, v);
        ok = false;
      } else if (is_gone(v)) {
        error("{} reads %{}, which belongs to no variable and no node", me, v);
      } else if (g_.values[v].def >= id) {
        error("{} reads %{} before it is defined", me, v);
      }
    }
    for (int i = 0; i < static_cast<int>(n.results.size()); ++i) {
      const ValueId v = n.results[i];
      const bool mine = is_value(v) && g_.values[v].def == id && g_.values[v].result == i;
      if (!mine) error("{}'s result {} is %{}, which is not its own", me, i, v);
      ok = ok && mine;
    }
    if (n.layer != kNone && !is_layer(n.layer)) error("{} names layer {}, which is not there", me, n.layer);
    if (ok) check_types(n, me);
  }

  void check_types(const Node& n, const std::string& me) {
    std::vector<Type> in, out;
    for (ValueId v : n.inputs) in.push_back(g_.type(v));
    std::string why;
    try {  // Attrs throws when an attribute is missing or of another type
      if (!n.op->shape(in, n.attrs, out, why)) return error("{}: {}", me, why);
    } catch (const std::exception&) {
      return error("{} lacks an attribute or has one of another type: {}", me, to_string(n.attrs));
    }
    if (out.size() != n.results.size())
      return error("{}'s shape rule gives {} types for {} results", me, out.size(), n.results.size());
    for (size_t i = 0; i < out.size(); ++i) {
      const Type& t = g_.type(n.results[i]);
      if (t != out[i])
        error("{}'s result {} is {}, but its shape rule says {}", me, i, to_string(t), to_string(out[i]));
    }
  }

  void check_ends() {
    std::set<std::string> names;
    for (const Output& o : g_.outputs) {
      if (!is_value(o.value)) error("output {} is %{}, which is not there", quoted(o.name), o.value);
      else if (is_gone(o.value))
        error("output {} is %{}, which belongs to no variable and no node", quoted(o.name), o.value);
      if (!names.insert(o.name).second) error("output {} is there twice", quoted(o.name));
    }
    std::set<int32_t> updated;
    for (const Update& u : g_.updates) {
      if (u.variable < 0 || u.variable >= static_cast<int32_t>(g_.variables.size()) || !is_value(u.value)) {
        error("an update sets variable {} to %{}: one of them is not there", u.variable, u.value);
        continue;
      }
      const Variable& v = g_.variables[u.variable];
      if (is_gone(u.value))
        error("the update of {} is %{}, which belongs to no variable and no node", quoted(v.name), u.value);
      if (!updated.insert(u.variable).second) error("variable {} is updated twice", quoted(v.name));
      if (is_value(v.value) && g_.type(v.value) != g_.type(u.value)) {
        error("variable {} is {}, but its update is {}", quoted(v.name), to_string(g_.type(v.value)),
              to_string(g_.type(u.value)));
      }
      const bool lasting = v.role == Role::weight || v.role == Role::state || v.role == Role::slot;
      if (!lasting) error("variable {} is a {} and has an update", quoted(v.name), to_string(v.role));
    }
    for (const Layer& l : g_.layers) {
      if (l.output != kNone && !is_value(l.output))
        error("layer {}'s output is %{}, which is not there", quoted(l.name), l.output);
    }
  }

  const Graph& g_;
  std::vector<std::string> errors_;
};

}  // namespace

std::vector<std::string> verify(const Graph& g) { return Verifier(g).run(); }

}  // namespace netc::ir
