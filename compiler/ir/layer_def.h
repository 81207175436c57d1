// What a layer, an optimiser, a loss or a metric of the language is: its arguments, its documentation, and how it
// writes itself into the graph.
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
using ArgValue = std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<int64_t>,
                              std::vector<double>, std::vector<std::string>, Initializer, Constraint>;

enum class ArgType : uint8_t {
  boolean,
  integer,
  number,
  choice,  // a string out of `choices`
  integer_or_pair,
  padding,   // valid, same, an integer, [h, w] or [top, bottom, left, right]
  numbers,   // a number or a list of numbers: a vector<double>, not empty
  words,     // one out of `choices` or a list of them: a vector<string>, not empty
  axis,      // a word of kAxisWords, or an integer: from 0, a sample's first dim, or from -1, its last
  integers,  // a list, or one; where it is the last argument, also 2, 3, 5
  // one of Registry::settings: he_normal, gaussian(0.01). "bias_init" holds for a layer's biases, without the layer's
  // doing
  initializer,
  constraint,  // likewise: max_norm(2). "constraint" holds for a layer's weights but biases, without the layer's doing
};

/// What an axis is called: the last dim of a sample, the one before, the one before that.
inline constexpr const char* kAxisWords[] = {"channel", "width", "height"};

inline constexpr double kUnbounded = 1e300;  // beyond any number that is meant

struct ArgDef {
  std::string name;
  ArgType type = ArgType::number;
  std::optional<ArgValue> fallback;            // none: required
  double min = -kUnbounded, max = kUnbounded;  // inclusive
  std::vector<std::string> choices;
  std::string doc;
};

/// How a layer's build() talks to the elaborator.
class LayerBuilder {
 public:
  virtual ~LayerBuilder() = default;
  virtual Graph& graph() = 0;
  virtual const OpTable& ops() = 0;
  // the operands: the value on the arrow's left first, then tensor arguments
  virtual const std::vector<ValueId>& in() = 0;
  virtual const Type& in_type(int i = 0) = 0;
  virtual bool b(const char* arg) = 0;
  virtual int64_t i(const char* arg) = 0;
  virtual double f(const char* arg) = 0;
  virtual std::string s(const char* arg) = 0;  // choices; padding, axis: the word, or the numbers: "1", "1, 2"
  virtual std::vector<int64_t> pair(const char* arg) = 0;  // integer_or_pair: always two, {height, width}
  virtual std::vector<double> numbers(const char* arg) = 0;
  virtual std::vector<std::string> words(const char* arg) = 0;
  virtual std::vector<int64_t> ints(const char* arg) = 0;  // integers
  virtual Initializer initializer(const char* arg) = 0;    // without the fans
  /// A variable of this layer, "LAYER.name". The same layer applied again gets the same variable (weight sharing).
  virtual ValueId variable(const char* name, Type type, Initializer init, Role role = Role::weight, double l1 = 0,
                           double l2 = 0) = 0;
  virtual ValueId emit(const std::string& op, std::vector<ValueId> inputs, Attrs attrs = {}) = 0;
  /// Running statistics: in a training step `variable` becomes next(what it was), after the applications of the layer
  /// before this one.
  virtual void update(ValueId variable, const std::function<ValueId(ValueId)>& next) = 0;
  /// The user's error: what is wrong, with shapes; and what to do about it. build() then returns kNone.
  virtual ValueId error(const std::string& message, const std::string& help = "") = 0;
};

struct LayerDef {
  std::string name;          // "Conv"
  std::string doc;           // one sentence, then the formula
  std::vector<ArgDef> args;  // in positional order
  int tensor_inputs = 1;     // Add: -2 = two or more
  std::function<ValueId(LayerBuilder&)> build;
  std::function<std::vector<ValueId>(LayerBuilder&)>
      build_many;              // instead of build: x -> Split(2) is a list of tensors
  std::string section;         // for the reference: "Convolution", "Normalisation", ...
  std::string weight_prefix;   // lower case, names its variables: "conv", "dense", "norm"
  int64_t dim_of_outputs = 0;  // of its weights, counted from the last
};

/// A loss over an output: loss = categorical_crossentropy(emotion, label). Returns the mean over the batch, f32[].
struct LossDef {
  std::string name, doc;
  std::vector<ArgDef> args;
  /// The label's type for this output type: class indices i32[...], one for each row of the last dim, or f32 values of
  /// the output's own type.
  std::function<Type(const Type& output)> label_type;
  /// What f32 labels must lie between.
  double least = -kUnbounded, most = kUnbounded;
  /// False when the loss cannot be taken of this output: what is wrong, with its shape, and what to do about it. Null:
  /// of any.
  std::function<bool(const Graph&, ValueId output, const std::vector<ArgValue>& args, std::string& error,
                     std::string& help)>
      check;
  /// What the output's values must mean for the loss to make sense. Null: anything.
  std::function<Meaning(const std::vector<ArgValue>& args)> expects;
  std::function<ValueId(Graph&, const OpTable&, ValueId output, ValueId label, const std::vector<ArgValue>& args)>
      build;
};

/// An optimiser: slots beside each weight and the update of one weight. `args` by ArgDef order; "lr" is always there
/// and becomes the scalar variable "lr".
struct OptimizerDef {
  std::string name, doc;
  std::vector<ArgDef> args;
  std::vector<std::string> slots(const std::vector<ArgValue>& a) const { return slot_names(a); }
  std::function<std::vector<std::string>(const std::vector<ArgValue>&)> slot_names;  // "momentum"; "m", "v"
  /// New contents of {weight, slots...}. `lr` and `step` are scalar variables' values.
  std::function<std::vector<ValueId>(Graph&, const OpTable&, ValueId weight, ValueId gradient,
                                     const std::vector<ValueId>& slots, ValueId lr, ValueId step,
                                     const std::vector<ArgValue>& args)>
      build;
};

/// A metric: metrics = [accuracy, top(2), precision(threshold = 0.4)]. The runtime counts it (runtime/train/metrics.h).
struct MetricDef {
  std::string name, doc;
  std::vector<ArgDef> args;
  /// The name in results, which tells the runtime all: "top2", "precision@0.4". Null: the name itself.
  std::function<std::string(const std::vector<ArgValue>& args)> text;
  /// False when it cannot be counted from this output and label: what is wrong, with their shapes, and what to do about
  /// it.
  std::function<bool(const Type& output, const Type& label, const std::vector<ArgValue>& args, std::string& error,
                     std::string& help)>
      check;
};

/// A function of expressions over tensors, as user-defined operators are written with; also what the operators of such
/// expressions mean: "+", "-", "*", "/", "^", "neg". Operands broadcast: an unbatched one of lower rank along the
/// leading dims, any extent of 1 along its dim.
struct FunctionDef {
  std::string name, doc;
  int min_args = 1, max_args = 1;  // tensors
  /// takes axes, counted from 0 for the first dim of a sample: sum(x, channel); their extents become 1
  bool reduces = false;
  /// kNone and `error`, with the shapes, when the operands do not fit.
  std::function<ValueId(Graph&, const OpTable&, const std::vector<ValueId>& args, const std::vector<int64_t>& axes,
                        int32_t layer, std::string& error)>
      build;
};

/// A value that an argument of type initializer or constraint takes: he_normal, max_norm(2).
struct SettingDef {
  std::string name, doc;
  ArgType type = ArgType::initializer;
  std::vector<ArgDef> args;
  std::function<ArgValue(const std::vector<ArgValue>& args)> make;
};

/// All that the language offers by name; assembled in compiler/ops/table.cpp and handed on by tool/ only.
struct Registry {
  OpTable ops;
  std::vector<const LayerDef*> layers;
  std::vector<const LossDef*> losses;
  std::vector<const OptimizerDef*> optimizers;
  std::vector<const MetricDef*> metrics;
  std::vector<const FunctionDef*> functions;
  std::vector<const SettingDef*> settings;
  // Operators that passes need, by what they do; a pass names no operator.
  const OpDef* penalty = nullptr;       // w -> f32[]: l1 * sum|w| + l2 * sum w^2; attributes "l1", "l2"
  const OpDef* penalty_grad = nullptr;  // w, g -> g with the penalty's gradient added; attributes "l1", "l2"
  const OpDef* accumulate =
      nullptr;                      // a, b -> a + b; an unbatched operand of lower rank broadcasts along trailing dims
  const OpDef* multiply = nullptr;  // a, b -> a * b, likewise
  /// A weight's new contents, changed to what its constraint asks for.
  std::function<ValueId(Graph&, ValueId weight, const Constraint&, int32_t layer)> constrain;
  const OpDef* round = nullptr;          // x f32 -> the nearest bf16
  const OpDef* widen = nullptr;          // and back
  const OpDef* copy = nullptr;           // x -> x, in memory of its own
  const OpDef* seed_gradient = nullptr;  // x -> a tensor of x's type, every element the attribute "value"
};

}  // namespace netc::ir

namespace netc::ops {
const ir::Registry& registry();
}
