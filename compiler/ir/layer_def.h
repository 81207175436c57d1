// What a layer, an optimiser, a loss or a metric of the language is: its arguments, its documentation, and how it writes itself into the graph.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/ir/op_def.h"

namespace netc::ir {

/// A compile-time value as a layer receives it.
using ArgValue = std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<int64_t>>;

enum class ArgType : uint8_t { boolean, integer, number, choice /*string out of `choices`*/, integer_or_pair, padding /*valid, same, or an integer*/ };

struct ArgDef {
  std::string name;
  ArgType type = ArgType::number;
  std::optional<ArgValue> fallback;           // none: required
  double min = -1e300, max = 1e300;           // inclusive
  std::vector<std::string> choices;
  std::string doc;
};

/// How a layer's build() talks to the elaborator.
class LayerBuilder {
 public:
  virtual ~LayerBuilder() = default;
  virtual Graph& graph() = 0;
  virtual const OpTable& ops() = 0;
  virtual const std::vector<ValueId>& in() = 0;              // the operands: the value on the arrow's left first, then tensor arguments
  virtual const Type& in_type(int i = 0) = 0;
  virtual bool b(const char* arg) = 0;
  virtual int64_t i(const char* arg) = 0;
  virtual double f(const char* arg) = 0;
  virtual std::string s(const char* arg) = 0;                // choices; padding: "valid", "same" or the number's digits
  virtual std::vector<int64_t> pair(const char* arg) = 0;    // integer_or_pair: always two, {height, width}
  /// A variable of this layer, "LAYER.name". The same layer applied again gets the same variable (weight sharing).
  virtual ValueId variable(const char* name, Type type, Initializer init, Role role = Role::weight, double l1 = 0, double l2 = 0) = 0;
  virtual ValueId emit(const std::string& op, std::vector<ValueId> inputs, Attrs attrs = {}) = 0;
  virtual void update(ValueId variable, ValueId value) = 0;  // running statistics
  /// The user's error: what is wrong, with shapes; and what to do about it. build() then returns kNone.
  virtual ValueId error(const std::string& message, const std::string& help = "") = 0;
};

struct LayerDef {
  std::string name;                           // "Conv"
  std::string doc;                            // one sentence, then the formula
  std::vector<ArgDef> args;                   // in positional order
  int tensor_inputs = 1;                      // Add: -2 = two or more
  std::function<ValueId(LayerBuilder&)> build;
  std::string section;                        // for the reference: "Convolution", "Normalisation", ...
  std::string weight_prefix;                  // lower case, names its variables: "conv", "dense", "norm"
};

/// A loss over an output: loss = categorical_crossentropy(emotion, label). Returns the mean over the batch, f32[].
struct LossDef {
  std::string name, doc;
  std::vector<ArgDef> args;
  /// The label's type for this output type: i32[] class index, or f32[...].
  std::function<Type(const Type& output)> label_type;
  /// What the output's values must mean for the loss to make sense. Null: anything.
  std::function<Meaning(const std::vector<ArgValue>& args)> expects;
  std::function<ValueId(Graph&, const OpTable&, ValueId output, ValueId label, const std::vector<ArgValue>& args)> build;
};

/// An optimiser: slots beside each weight and the update of one weight. `args` by ArgDef order; "lr" is always there and becomes the scalar variable "lr".
struct OptimizerDef {
  std::string name, doc;
  std::vector<ArgDef> args;
  std::vector<std::string> slots(const std::vector<ArgValue>& a) const { return slot_names(a); }
  std::function<std::vector<std::string>(const std::vector<ArgValue>&)> slot_names;      // "momentum"; "m", "v"
  /// New contents of {weight, slots...}. `lr` and `step` are scalar variables' values.
  std::function<std::vector<ValueId>(Graph&, const OpTable&, ValueId weight, ValueId gradient, const std::vector<ValueId>& slots, ValueId lr, ValueId step,
                                     const std::vector<ArgValue>& args)> build;
};

/// All that the language offers by name; assembled in compiler/ops/table.cpp and handed on by tool/ only.
/// A function of expressions over tensors, as user-defined operators are written with; also what the operators of such expressions mean: "+", "-", "*", "/", "^",
/// "neg". Operands broadcast: an unbatched one of lower rank along the leading dims, any extent of 1 along its dim.
struct FunctionDef {
  std::string name, doc;
  int min_args = 1, max_args = 1;             // tensors
  bool reduces = false;                       // takes axes, counted from 0 for the first dim of a sample: sum(x, channel); their extents become 1
  /// kNone and `error`, with the shapes, when the operands do not fit.
  std::function<ValueId(Graph&, const OpTable&, const std::vector<ValueId>& args, const std::vector<int64_t>& axes, int32_t layer, std::string& error)> build;
};

struct Registry {
  OpTable ops;
  std::vector<const LayerDef*> layers;
  std::vector<const LossDef*> losses;
  std::vector<const OptimizerDef*> optimizers;
  std::vector<const FunctionDef*> functions;
  // Operators that passes need, by what they do; a pass names no operator.
  const OpDef* penalty = nullptr;        // w -> f32[]: l1 * sum|w| + l2 * sum w^2; attributes "l1", "l2"
  const OpDef* penalty_grad = nullptr;   // w, g -> g with the penalty's gradient added; attributes "l1", "l2"
  const OpDef* accumulate = nullptr;     // a, b -> a + b; an unbatched operand of lower rank broadcasts along trailing dims
  const OpDef* multiply = nullptr;       // a, b -> a * b, likewise
  const OpDef* seed_gradient = nullptr;  // x -> a tensor of x's type, every element the attribute "value"
};

}  // namespace netc::ir

namespace netc::ops {
const ir::Registry& registry();
}
