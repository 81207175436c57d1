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

  ~Elaborator();   // scopes and blocks refer to each other: names are dropped here

  /// Elaborates `net` as the product into model.graph, then the data and train sections.
  void product(const ast::Net& net, const Options& options, Model& model);

  // expressions (eval.cpp, operators.cpp)
  Value eval(const ast::Expr& e, const EnvPtr& env);
  /// Text that the user wrote.
  std::string source(Span s) const;

 private:
  friend class Builder;
  struct Frame {                       // one block or net being applied
    LayerValue* owner = nullptr;
    size_t cursor = 0;                 // into owner->inner
    std::vector<Value> operands;       // what is applied: one per `input`
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
      for (size_t i = context_.size(); i-- > 0 && d.notes.size() < 8;) d.notes.push_back(context_[i]);
    return d;
  }
  /// What is called, without its arguments.
  static Span called(const ast::Expr& e) { return e.kind == ast::ExprKind::call ? e.items[0]->span : e.span; }
  /// Adds "did you mean"; with `list_all`, what there is where nothing is near.
  void suggest(Diagnostic& d, const std::string& name, const std::vector<std::string>& known, bool list_all = false);
  bool spend(Span span);               // false: the step budget is used up
  /// Reports a list or layer that is nested too deep, or a list with too many values. The value, or an error.
  Value bounded(Value v, Span span);

  Value name(const ast::Expr& e, const EnvPtr& env, bool layer);
  Value eval_inner(const ast::Expr& e, const EnvPtr& env);
  Value list(const ast::Expr& e, const EnvPtr& env);
  Value index(const ast::Expr& e, const EnvPtr& env);
  Value member(const ast::Expr& e, const EnvPtr& env);
  Value unary(const ast::Expr& e, const EnvPtr& env);
  Value binary(const ast::Expr& e, const EnvPtr& env);
  Value arithmetic(const ast::Expr& e, const Value& a, const Value& b);
  std::optional<bool> condition(const ast::Expr& e, const EnvPtr& env, const char* what);
  /// The condition of an if; one that is written as a constant is warned of.
  std::optional<bool> choice(const ast::Expr& e, const EnvPtr& env);
  std::vector<std::string> visible(const EnvPtr& env, bool layers) const;

  // calls and layers (call.cpp, apply.cpp)
  Value call(const ast::Expr& e, const EnvPtr& env);
  Value function(const std::string& name, const ast::Expr& e, const EnvPtr& env);
  Value construct(const std::shared_ptr<Callable>& c, const std::vector<ast::Arg>& args, Span span, const EnvPtr& env);
  Value construct_builtin(const std::shared_ptr<Callable>& c, const std::vector<ast::Arg>& args, Span span, const EnvPtr& env);
  Value construct_composite(const std::shared_ptr<Callable>& c, const std::vector<ast::Arg>& args, Span span, const EnvPtr& env);
  /// Arguments by ArgDef order; `tensors` takes tensor arguments where a layer has them. False after an error.
  bool bind(const std::string& what, const std::vector<ir::ArgDef>& defs, const std::vector<const ast::Arg*>& args, Span span, const EnvPtr& env,
            std::vector<ir::ArgValue>& out, std::vector<Value>* tensors, const std::vector<ast::Arg>* defaults = nullptr);
  bool convert(const std::string& what, const ir::ArgDef& def, const ast::Expr& e, const EnvPtr& env, ir::ArgValue& out);
  Value as_layer(const Value& v, Span span, const EnvPtr& env);
  Value chain(const ast::Expr& e, const EnvPtr& env);
  Value apply(const std::shared_ptr<LayerValue>& layer, const Value& input, Span input_span, Span span);
  Value apply_builtin(LayerValue& layer, const Value& input, Span span);
  Value apply_composite(LayerValue& layer, const Value& input, Span input_span, Span span);
  std::shared_ptr<LayerValue> remember(std::shared_ptr<LayerValue> layer);
  void give_name(LayerValue& layer, const std::string& prefix);
  EnvPtr new_env(EnvPtr parent);
  std::string origin(ir::ValueId v) const;

  // statements (statement.cpp)
  /// The value of the last expression statement, if any.
  Value run(const std::vector<ast::Stmt>& body, const EnvPtr& env, Frame& frame);
  void statement(const ast::Stmt& s, const EnvPtr& env, Frame& frame, bool last, Value& result);
  void input(const ast::Stmt& s, const EnvPtr& env, Frame& frame);
  void loop(const ast::Stmt& s, const EnvPtr& env, Frame& frame);
  std::optional<ir::Type> tensor_type(const ast::TensorType& t, const EnvPtr& env);
  bool declare(const EnvPtr& env, const std::string& name, Value v, Span span, bool assignable = false, bool warn = false);
  void warn_unused(const Env& env);
  /// Values of a net's or block's hyperparameters checked against the declared type.
  bool check_param(const ast::Param& p, Value& v, Span span, const EnvPtr& env, const std::string& help, DiagId id);

  // sections (sections.cpp)
  void hyperparameters(const ast::Net& net, const Options& options, const EnvPtr& env, Model& model);
  void data(const ast::Section& s, const EnvPtr& env, Model& model);
  void train(const ast::Section& s, const EnvPtr& env, Model& model);
  void loss(const ast::Expr& e, const EnvPtr& env, Model& model);
  void optimizer(const ast::Expr& e, const EnvPtr& env, Model& model);
  void metric(const ast::Expr& e, const EnvPtr& env, Model& model);
  void callback(const ast::Expr& e, const EnvPtr& env, Model& model);
  void augment(const ast::Expr& e, const EnvPtr& env, Model& model);
  std::string data_spec(const ast::Expr& e, const EnvPtr& env);

  const ast::File& file_;
  const ir::Registry& registry_;
  Diagnostics& diagnostics_;
  EnvPtr file_env_;
  ir::Graph* graph_ = nullptr;
  std::vector<LayerSource> sources_;             // of graph_->layers
  std::vector<std::pair<Span, std::string>> context_;
  std::vector<Frame*> frames_;
  std::map<std::string, int> counters_;          // "scope.prefix" to how many
  std::set<std::string> layer_names_;
  std::string scope_;                            // "tower."
  std::vector<EnvPtr> envs_;
  int64_t steps_ = 0;
  int depth_ = 0;
  bool exhausted_ = false;
};

/// The parts of a call: name and arguments; a bare name has none. False when `e` is neither.
bool call_parts(const ast::Expr& e, std::string& name, std::vector<const ast::Arg*>& args);

}  // namespace netc::sema
