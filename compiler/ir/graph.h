// The graph: typed SSA over tensors. Values are results of nodes, or variables (what exists before a step begins).
#pragma once
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "compiler/ir/attr.h"
#include "compiler/ir/type.h"

namespace netc::ir {

struct OpDef;

using ValueId = int32_t;  // index into Graph::values
using NodeId = int32_t;   // index into Graph::nodes
constexpr int32_t kNone = -1;

enum class Role : uint8_t {
  input,     // data of one batch, named as in the source
  label,     // the target of one batch, i32[] class index or f32[...]
  weight,    // saved; the optimiser's unless !trainable
  state,     // saved, not trained: running statistics
  slot,      // optimiser state beside a weight: saved in a checkpoint, zero at start
  scalar,    // rank 0, set by the driver before a step: "lr", "seed" (u32), "step" (u32, 1 for the first)
  constant,  // literal, filled at construction
};

struct Initializer {
  /// zeros ones constant glorot_uniform glorot_normal he_uniform he_normal lecun_normal uniform normal truncated
  /// orthogonal ones_between
  std::string kind = "zeros";
  /// constant: a; uniform: [a, b); normal, truncated: mean a, stddev b; orthogonal: gain a; ones_between: from element
  /// a to b, else 0
  double a = 0, b = 0;
  int64_t fan_in = 0, fan_out = 0;
  bool operator==(const Initializer&) const = default;
};

/// What a weight must satisfy after each update; "" is nothing.
struct Constraint {
  std::string kind;  // max_norm unit_norm non_neg
  double limit = 0;  // max_norm: the largest norm
  int64_t dim = 0;   // the weight's dim over a layer's outputs, counted from the last
  bool operator==(const Constraint&) const = default;
};

struct Variable {
  std::string name;  // stable: "stage1.conv.weight"
  Role role = Role::weight;
  ValueId value = kNone;
  bool trainable = false;
  Initializer init;
  double l1 = 0, l2 = 0;       // regularisers of a weight: l1*sum|w| + l2*sum w^2, as Keras counts
  Constraint constraint;       // of a weight
  std::string of;              // a slot: the weight it belongs to
  std::vector<float> literal;  // a constant's elements, row-major
};

struct Value {
  Type type;
  std::string name;          // for people; unique in the graph after Graph::unique_name
  NodeId def = kNone;        // kNone: a variable
  int result = 0;            // which result of def
  int32_t variable = kNone;  // index into Graph::variables when def == kNone
};

struct Node {
  const OpDef* op = nullptr;
  std::vector<ValueId> inputs;
  Attrs attrs;
  std::vector<ValueId> results;
  int32_t layer = kNone;  // index into Graph::layers: what the user wrote; gradients carry their layer's
};

/// One layer as the user wrote it, for summaries, messages and the generated code's comments.
struct Layer {
  std::string name;  // "stage1.conv"
  std::string kind;  // "Conv"
  std::string text;  // "Conv(6, 3, padding = valid)"
  int32_t line = 0;
  ValueId output = kNone;
  std::vector<std::string> variables;
};

enum class OutputKind : uint8_t {
  result,    // one that the net declares
  loss,      // f32[]: the batch's mean with penalties
  term,      // f32[]: of one of several losses, the batch's mean without its weight
  gradient,  // of the weight that it is called like
};
struct Output {
  std::string name;
  ValueId value = kNone;
  OutputKind kind = OutputKind::result;
};
/// At the end of a step `variable` takes `value`'s contents.
struct Update {
  int32_t variable = kNone;
  ValueId value = kNone;
};

struct Graph {
  std::string name;
  std::vector<Variable> variables;
  std::vector<Value> values;
  std::vector<Node> nodes;  // in topological order
  std::vector<Layer> layers;
  /// the net's outputs, then in a training graph "loss" (f32[]), the batch's mean with penalties
  std::vector<Output> outputs;
  std::vector<Update> updates;
  /// one step of training, even where nothing is updated: what depends on the weights alone is computed in each
  bool training = false;
  bool trains() const { return training || !updates.empty(); }

  ValueId add_variable(Variable v, Type type);
  /// Appends a node; result types come from the operator's shape rule. An op that rejects its operands is a bug here:
  /// users' errors are found before.
  std::vector<ValueId> add_nodes_results(const OpDef& op, std::vector<ValueId> inputs, Attrs attrs,
                                         int32_t layer = kNone, std::string name = "");
  ValueId add(const OpDef& op, std::vector<ValueId> inputs, Attrs attrs = {}, int32_t layer = kNone,
              std::string name = "") {
    return add_nodes_results(op, std::move(inputs), std::move(attrs), layer, std::move(name)).front();
  }
  const Type& type(ValueId v) const { return values[v].type; }
  /// `wanted`, or with the first number after it that makes it unique among the values.
  std::string unique_name(const std::string& wanted) const;
  int32_t find_variable(const std::string& name) const;  // kNone if absent

 private:
  /// The names of values[0, indexed), each with the last number tried after it.
  struct Names {
    size_t indexed = 0;
    std::unordered_map<std::string, int> last;
  };
  mutable Names names_;
};

std::string print(const Graph&);
/// Parses what print() wrote. `ops` finds an operator by name. On failure: nullopt and a message with the line.
std::optional<Graph> parse(const std::string& text, const struct OpTable& ops, std::string& error);
/// Empty when the graph is well formed; else one message per violation.
std::vector<std::string> verify(const Graph&);

}  // namespace netc::ir
