// Runs a net's statements while compiling and writes the graph. One instance per product.
#pragma once
#include <optional>
#include <set>

#include "compiler/sema/model.h"
#include "compiler/sema/value.h"

namespace netc::sema {

class Elaborator {
 public:
  Elaborator(const ast::File& file, const ir::Registry& registry, Diagnostics& diagnostics);

  ~Elaborator();  // scopes and blocks refer to each other: names are dropped here

  /// Elaborates `net` as the product into model.graph, then the data and train sections.
  void product(const ast::Net& net, const Options& options, Model& model);

  // expressions (eval.cpp)
  Value eval(const ast::Expr& e, const EnvPtr& env);
  /// Text that the user wrote.
  std::string source(Span s) const;

 private:
  friend class Builder;
  struct Frame {  // one block or net being applied
    LayerValue* owner = nullptr;
    size_t cursor = 0;            // into owner->inner
    std::vector<Value> operands;  // what is applied: one per `input`
    std::vector<Span> operand_spans;
    size_t inputs_taken = 0;
    bool is_net = false, top = false;
    std::string what;
    std::vector<std::pair<std::string, Value>> outputs;
    std::vector<Span> output_spans;
  };

  // Reports with the chain of blocks and iterations that led here.
  template <class... Args>
  Diagnostic& fail(DiagId id, Span span, const Args&... args) {
    Diagnostic& d = diagnostics_.report(id, span, args...);
    if (d.notes.empty())
      for (size_t i = context_.size(); i-- > 0 && d.notes.size() < 8;)
        // what calls itself is said once
        if (d.notes.empty() || d.notes.back().second != context_[i].second) d.notes.push_back(context_[i]);
    return d;
  }
  /// What is called, without its arguments.
  static Span called(const ast::Expr& e) { return e.kind == ast::ExprKind::call ? e.items[0]->span : e.span; }
  /// Adds "did you mean"; with `list_all`, what there is where nothing is near.
  void suggest(Diagnostic& d, const std::string& name, const std::vector<std::string>& known, bool list_all = false);
  bool spend(Span span);  // false: the step budget is used up
  /// Reports a list or layer that is nested too deep, or a list with too many values. The value, or an error.
  Value bounded(Value v, Span span);

  /// Names and values of what `file` imports and declares.
  EnvPtr file_scope(const ast::File& file);
  Value name(const ast::Expr& e, const EnvPtr& env, bool layer);
  Value eval_inner(const ast::Expr& e, const EnvPtr& env);
  Value list(const ast::Expr& e, const EnvPtr& env);
  Value index(const ast::Expr& e, const EnvPtr& env);
  Value member(const ast::Expr& e, const EnvPtr& env);
  Value unary(const ast::Expr& e, const EnvPtr& env);
  Value each(const ast::Expr& e, const EnvPtr& env);
  Value modified(const ast::Expr& e, const EnvPtr& env);
  Value binary(const ast::Expr& e, const EnvPtr& env);
  Value arithmetic(const ast::Expr& e, const Value& a, const Value& b);
  std::optional<bool> condition(const ast::Expr& e, const EnvPtr& env, const char* what);
  /// The condition of an if; one that is written as a constant is warned of.
  std::optional<bool> choice(const ast::Expr& e, const EnvPtr& env);
  std::vector<std::string> visible(const EnvPtr& env, bool layers) const;

  // calls and layers (call.cpp, apply.cpp)
  Value call(const ast::Expr& e, const EnvPtr& env);

  // functions of compile-time values (function.cpp)
  Value function(const std::string& name, const std::vector<Value>& v, Span span);
  Value call_function(const Callable& f, const std::vector<ast::Arg>& args, Span span, const EnvPtr& env);

  // expressions of tensors (formula.cpp)
  /// Runs `f`, whose tensor operations are one layer of the graph, that of the outermost formula.
  template <class F>
  Value formula(Span span, F f) {
    if (formula_.open) return f();
    open_formula(span);
    return close_formula(f());
  }
  void open_formula(Span span, const std::string& kind = "");
  Value close_formula(Value v);
  /// A call by name of what the language itself offers: functions of tensors and of compile-time values, initialisers.
  Value named_call(const std::string& name, const ast::Expr& e, const EnvPtr& env);
  /// exp(x), x + y: by the registry's table. `shown` is what the user wrote.
  Value tensor_function(const ir::FunctionDef& f, const std::vector<Value>& operands, const std::vector<int64_t>& axes,
                        Span span);
  const ir::FunctionDef* find_function(const std::string& name) const;
  ir::ValueId constant(double v, Span span);
  /// Says where a number is none in float32: false when it is too large.
  bool representable(double v, Span span);
  std::optional<int64_t> axis(const Value& v, int rank, Span span);
  Value apply_op(const Callable& op, const std::vector<Value>& tensors, const std::map<std::string, Value>& bound,
                 Span span);

  // initialisers and constraints (setting.cpp)
  const ir::SettingDef* find_setting(const std::string& name) const;
  Value setting(const ir::SettingDef& def, const std::vector<ast::Arg>& args, Span span, const EnvPtr& env);
  bool convert_setting(const std::string& what, const ir::ArgDef& def, const ast::Expr& e, const EnvPtr& env,
                       ir::ArgValue& out);

  Value construct(const std::shared_ptr<Callable>& c, const std::vector<ast::Arg>& args, Span span, const EnvPtr& env);
  Value construct_builtin(const std::shared_ptr<Callable>& c, const std::vector<ast::Arg>& args, Span span,
                          const EnvPtr& env);
  Value construct_composite(const std::shared_ptr<Callable>& c, const std::vector<ast::Arg>& args, Span span,
                            const EnvPtr& env);
  /// Arguments by ArgDef order; `tensors` takes tensor arguments where a layer has them. False after an error.
  bool bind(const std::string& what, const std::vector<ir::ArgDef>& defs, const std::vector<const ast::Arg*>& args,
            Span span, const EnvPtr& env, std::vector<ir::ArgValue>& out, std::vector<Value>* tensors,
            const std::vector<ast::Arg>* defaults = nullptr);
  /// False after reporting an argument by position behind a named one.
  bool in_order(const std::vector<const ast::Arg*>& args);
  Diagnostic& too_many(const std::string& what, size_t most, size_t given, Span span);
  /// Says how a decimal is written where `after` and the argument before it are one number with a comma: lr = 0,01.
  void decimal_comma(Diagnostic& d, const std::vector<const ast::Arg*>& args, const ast::Arg* after) const;
  bool convert(const std::string& what, const ir::ArgDef& def, const ast::Expr& e, const EnvPtr& env,
               ir::ArgValue& out);
  Value as_layer(const Value& v, Span span, const EnvPtr& env);
  Value chain(const ast::Expr& e, const EnvPtr& env);
  Value apply(const std::shared_ptr<LayerValue>& layer, const Value& input, Span input_span, Span span);
  /// What `layer from "FILE"` asks for, once the layer has its name.
  void start_from(const LayerValue& layer);
  Value apply_unmodified(const std::shared_ptr<LayerValue>& layer, const Value& input, Span input_span, Span span);
  Value apply_builtin(LayerValue& layer, const Value& input, Span span);
  Value apply_composite(LayerValue& layer, const Value& input, Span input_span, Span span);
  std::shared_ptr<LayerValue> remember(std::shared_ptr<LayerValue> layer);
  void give_name(LayerValue& layer, const std::string& prefix);
  EnvPtr new_env(EnvPtr parent);
  /// "input comes from Conv at line 9", for a message about `from`.
  std::string origin(ir::ValueId v, Span from) const;
  int32_t add_layer(ir::Layer layer, Span span, std::string call);
  /// False after reporting that a tensor is larger than can be computed with.
  bool fits(const ir::Type& t, const std::string& what, Span span);
  bool room_for_nodes(Span span);

  // statements (statement.cpp)
  /// The value of the last expression statement, if any; `wanted`: the block's or net's result may be that.
  Value run(const std::vector<ast::Stmt>& body, const EnvPtr& env, Frame& frame, bool wanted = true);
  void statement(const ast::Stmt& s, const EnvPtr& env, Frame& frame, bool last, Value& result);
  void input(const ast::Stmt& s, const EnvPtr& env, Frame& frame);
  void loop(const ast::Stmt& s, const EnvPtr& env, Frame& frame);
  std::optional<ir::Type> tensor_type(const ast::TensorType& t, const EnvPtr& env);
  /// Gives the names of a pattern the values that `v` holds.
  void destructure(const ast::Pattern& p, const Value& v, Span span, const EnvPtr& env, bool assignable, bool warn);
  bool declare(const EnvPtr& env, const std::string& name, Value v, Span span, bool assignable = false,
               bool warn = false);
  void declare_callable(const ast::Stmt& s, const EnvPtr& env);
  void warn_unused(const Env& env);

  // hyperparameters (parameter.cpp)
  /// What `v`, perhaps converted, would have to be; "" when it fits, nothing after an error in the type itself.
  std::optional<std::string> misfit(const ast::ParamType& t, Value& v, const EnvPtr& env);
  /// The same for the declared type or else the one that a literal as the default gives.
  std::optional<std::string> misfit(const ast::Param& p, Value& v, const EnvPtr& env);
  /// A value of -D; an error, which says what could be written, when it does not fit.
  Value defined(const ast::Param& p, const std::string& text, const EnvPtr& env);
  /// Values of a net's or block's hyperparameters checked against the declared type.
  bool check_param(const ast::Param& p, Value& v, Span span, const EnvPtr& env, const std::string& help, DiagId id);

  /// The default of a hyperparameter of a block, net or op, checked likewise.
  Value fallback(const ast::Param& p, const std::string& owner, const EnvPtr& env);

  // sections (sections.cpp, loss.cpp)
  void hyperparameters(const ast::Net& net, const Options& options, const EnvPtr& env, Model& model);
  void data(const ast::Section& s, const EnvPtr& env, Model& model);
  void train(const ast::Section& s, const EnvPtr& env, Model& model);
  /// A sum of terms, each a loss or a loss times a number.
  void loss(const ast::Expr& e, double weight, const EnvPtr& env, Model& model);
  void loss_term(const ast::Expr& e, double weight, const EnvPtr& env, Model& model);
  bool loss_operands(const ast::Expr& e, const std::vector<const ast::Arg*>& args, LossTerm& term, Model& model);
  void optimizer(const ast::Expr& e, const EnvPtr& env, Model& model);
  void augment(const ast::Expr& e, const EnvPtr& env, Model& model);
  std::string data_spec(const ast::Expr& e, const EnvPtr& env);
  std::string data_path(const std::string& word, const std::vector<const ast::Arg*>& args, const EnvPtr& env, bool& ok);
  // metrics.cpp
  void metric(const ast::Expr& e, const EnvPtr& env, Model& model);
  void callback(const ast::Expr& e, const EnvPtr& env, Model& model);

  const ast::File& file_;
  const ir::Registry& registry_;
  Diagnostics& diagnostics_;
  EnvPtr builtins_, file_env_;
  std::map<const ast::File*, EnvPtr> scopes_;  // of imported files
  ir::Graph* graph_ = nullptr;
  std::vector<LayerSource> sources_;  // of graph_->layers
  std::vector<std::pair<Span, std::string>> context_;
  std::vector<Frame*> frames_;
  std::map<std::string, int> counters_;  // "scope.prefix" to how many
  std::set<std::string> layer_names_;
  std::string scope_;  // "tower."
  std::vector<EnvPtr> envs_;
  struct Formula {
    bool open = false;
    Span span;
    std::string kind;
    int32_t layer = ir::kNone;
  } formula_;
  std::map<double, ir::ValueId> constants_;
  double weights_ = 0;  // elements of all weights
  Model* model_ = nullptr;
  int frozen_ = 0, ops_ = 0;  // frozen layers and ops being applied
  int64_t steps_ = 0;
  int depth_ = 0;
  bool exhausted_ = false;
};

/// Functions of compile-time values that the language offers.
bool is_function(const std::string& name);
std::vector<std::string> function_names();

/// The parts of a call: name and arguments; a bare name has none. False when `e` is neither.
bool call_parts(const ast::Expr& e, std::string& name, std::vector<const ast::Arg*>& args);

}  // namespace netc::sema
