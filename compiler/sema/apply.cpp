// Chains and the application of layers: what writes the graph.
#include <algorithm>
#include <filesystem>

#include "compiler/base/counted.h"
#include "compiler/sema/elaborator.h"

namespace netc::sema {
namespace {
using K = Value::Kind;
constexpr size_t kMaxFrames = 32;
}  // namespace

/// A layer's build() sees its arguments and operands, and writes nodes and variables, through this.
class Builder final : public ir::LayerBuilder {
 public:
  Builder(Elaborator& e, LayerValue& layer, std::vector<ir::ValueId> in, Span span, int32_t index)
      : e_(e),
        layer_(layer),
        in_(std::move(in)),
        span_(span),
        index_(index) {}

  ir::Graph& graph() override { return *e_.graph_; }
  const ir::OpTable& ops() override { return e_.registry_.ops; }
  const std::vector<ir::ValueId>& in() override { return in_; }
  const ir::Type& in_type(int i) override { return e_.graph_->type(in_[i]); }
  bool b(const char* arg) override { return std::get<bool>(at(arg)); }
  int64_t i(const char* arg) override {
    const ir::ArgValue& v = at(arg);
    return std::holds_alternative<int64_t>(v) ? std::get<int64_t>(v) : static_cast<int64_t>(std::get<double>(v));
  }
  double f(const char* arg) override {
    const ir::ArgValue& v = at(arg);
    return std::holds_alternative<double>(v) ? std::get<double>(v) : static_cast<double>(std::get<int64_t>(v));
  }
  std::string s(const char* arg) override { return std::get<std::string>(at(arg)); }
  std::vector<int64_t> pair(const char* arg) override {
    const ir::ArgValue& v = at(arg);
    if (const auto* one = std::get_if<int64_t>(&v)) return {*one, *one};
    return std::get<std::vector<int64_t>>(v);
  }
  std::vector<double> numbers(const char* arg) override { return std::get<std::vector<double>>(at(arg)); }
  std::vector<std::string> words(const char* arg) override { return std::get<std::vector<std::string>>(at(arg)); }
  std::vector<int64_t> ints(const char* arg) override { return std::get<std::vector<int64_t>>(at(arg)); }
  ir::Initializer initializer(const char* arg) override { return std::get<ir::Initializer>(at(arg)); }

  ir::ValueId variable(const char* name, ir::Type type, ir::Initializer init, ir::Role role, double l1,
                       double l2) override {
    ir::Graph& g = *e_.graph_;
    if (auto it = layer_.variables.find(name); it != layer_.variables.end()) {
      const ir::ValueId v = g.variables[it->second].value;
      if (e_.frozen_ > 0) g.variables[it->second].trainable = false;
      if (g.type(v) == type) return v;
      e_.fail(DiagId::shared_shape, span_, layer_.name, name, ir::to_string(type), ir::to_string(g.type(v)))
          .help.push_back(
              "a layer that is applied twice needs inputs of the same shape; construct a second one where the weights "
              "are not to be shared");
      failed = true;
      ir::Variable stand_in;  // of the wanted type, so that build() goes on; the graph is given up
      stand_in.name = fmt::format("{}.{}@{}", layer_.name, name, g.variables.size());
      return g.add_variable(std::move(stand_in), type);
    }
    ir::Variable v;
    v.name = layer_.name + "." + name;
    v.role = role, v.trainable = role == ir::Role::weight && e_.frozen_ == 0, v.init = init, v.l1 = l1, v.l2 = l2;
    if (role == ir::Role::weight) arguments_of_weight(v, name);
    if (e_.ops_ > 0 && role != ir::Role::constant) {
      e_.fail(DiagId::misplaced, layer_.span, fmt::format("{}, a layer with weights,", layer_.made_by->name()))
          .help.push_back("an op is an expression: write a block");
      failed = true;
    }
    if (e_.fits(type, v.name, span_)) e_.weights_ += static_cast<double>(type.elements());
    else failed = true;
    const std::string full = v.name;
    const ir::ValueId id = g.add_variable(std::move(v), type);
    layer_.variables[name] = g.values[id].variable;
    g.layers[index_].variables.push_back(full);
    return id;
  }
  ir::ValueId emit(const std::string& op, std::vector<ir::ValueId> inputs, ir::Attrs attrs) override {
    ir::Graph& g = *e_.graph_;
    const ir::ValueId out = g.add(e_.registry_.ops.at(op), std::move(inputs), std::move(attrs), index_);
    const ir::NodeId node = g.values[out].def;
    for (const ir::ValueId v : g.nodes[node].results)
      if (!e_.fits(g.type(v), "the result of " + layer_.made_by->name(), span_)) failed = true;
    if (e_.frozen_ == 0 || !g.nodes[node].op->inference) return out;
    // As in inference; a node that nobody reads then goes again.
    const std::vector<ir::ValueId> replaced = g.nodes[node].op->inference(g, node);
    const bool unread = static_cast<size_t>(node) + 1 == g.nodes.size() &&
                        std::all_of(replaced.begin(), replaced.end(), [&](ir::ValueId v) { return v < out; });
    if (unread) g.nodes.pop_back(), g.values.resize(static_cast<size_t>(out));
    return replaced.front();
  }
  void update(ir::ValueId variable, const std::function<ir::ValueId(ir::ValueId)>& next) override {
    if (e_.frozen_ > 0) return;
    ir::Graph& g = *e_.graph_;
    const int32_t v = g.values[variable].variable;
    const auto known =
        std::find_if(g.updates.begin(), g.updates.end(), [&](const ir::Update& u) { return u.variable == v; });
    if (known == g.updates.end()) g.updates.push_back({v, next(variable)});
    else known->value = next(known->value);  // applied again: one update after the other
  }
  ir::ValueId error(const std::string& message, const std::string& help) override {
    failed = true;
    Diagnostic& d = e_.fail(DiagId::layer_error, span_, message);
    d.beside = in_.empty() ? "" : e_.origin(in_[0], span_);
    if (!help.empty() && d.help.empty()) d.help.push_back(help);
    return ir::kNone;
  }

  bool failed = false;

 private:
  const ir::ArgValue* find(const std::string& arg) const {
    const auto& defs = layer_.made_by->builtin->args;
    for (size_t k = 0; k < defs.size(); ++k)
      if (defs[k].name == arg) return &layer_.args[k];
    return nullptr;
  }
  /// What holds for all weights of a layer that has these arguments, see ir::ArgType.
  void arguments_of_weight(ir::Variable& v, std::string_view name) const {
    const bool bias = name == "bias" || name.ends_with(".bias");
    const ir::ArgValue *init = bias ? find("bias_init") : nullptr, *constraint = bias ? nullptr : find("constraint");
    if (const auto* i = init ? std::get_if<ir::Initializer>(init) : nullptr) {
      const ir::Initializer own = v.init;
      v.init = *i, v.init.fan_in = own.fan_in, v.init.fan_out = own.fan_out;
    }
    if (const auto* c = constraint ? std::get_if<ir::Constraint>(constraint) : nullptr)
      v.constraint = *c, v.constraint.dim = layer_.made_by->builtin->dim_of_outputs;
  }
  const ir::ArgValue& at(const char* arg) const {
    if (const ir::ArgValue* v = find(arg)) return *v;
    fmt::print(stderr, "netc: layer {} reads the argument {} that it does not declare\n", layer_.made_by->name(), arg);
    std::abort();
  }
  Elaborator& e_;
  LayerValue& layer_;
  std::vector<ir::ValueId> in_;
  Span span_;
  int32_t index_;
};

namespace {

/// Outputs as a list whose items are also properties: f.features. An error when one of them is.
Value several(const std::vector<std::pair<std::string, Value>>& outputs) {
  std::vector<Value> items;
  auto names = std::make_shared<std::vector<std::string>>();
  for (const auto& [name, value] : outputs) {
    if (value.error()) return {};
    items.push_back(value);
    names->push_back(name);
  }
  Value v = Value::of_list(std::move(items));
  v.names = std::move(names);
  return v;
}

}  // namespace

std::string Elaborator::origin(ir::ValueId v, Span from) const {
  const ir::Value& value = graph_->values[v];
  if (value.def == ir::kNone)
    return value.variable == ir::kNone ? "" : fmt::format("input is {}", graph_->variables[value.variable].name);
  const int32_t layer = graph_->nodes[value.def].layer;
  if (layer == ir::kNone) return "";
  return fmt::format("input comes from {} at {}", graph_->layers[layer].kind,
                     diagnostics_.place_text(sources_[layer].span, from));
}

EnvPtr Elaborator::new_env(EnvPtr parent) {
  auto env = std::make_shared<Env>();
  env->parent = std::move(parent);
  envs_.push_back(env);
  return env;
}

std::shared_ptr<LayerValue> Elaborator::remember(std::shared_ptr<LayerValue> layer) {
  if (frames_.empty() || !frames_.back()->owner) return layer;
  Frame& f = *frames_.back();
  auto& inner = f.owner->inner;
  if (f.cursor < inner.size()) {
    const auto& old = inner[f.cursor];
    if (old->made_by->same(*layer->made_by) && old->args == layer->args) {
      old->tensors = layer->tensors, old->bound = layer->bound;
      ++f.cursor;
      return old;
    }
    inner.resize(f.cursor);  // the shapes led another way: from here on nothing is shared
  }
  inner.push_back(layer);
  ++f.cursor;
  return layer;
}

void Elaborator::give_name(LayerValue& layer, const std::string& prefix) {
  if (!layer.name.empty()) return;
  if (layer.wanted_name.empty() || layer.numbered) {
    const std::string base = scope_ + (layer.wanted_name.empty() ? prefix : layer.wanted_name);
    do layer.name = fmt::format("{}{}", base, ++counters_[base]);
    while (layer_names_.count(layer.name));
  } else {
    layer.name = scope_ + layer.wanted_name;
    for (int k = 2; layer_names_.count(layer.name); ++k)
      layer.name = fmt::format("{}{}_{}", scope_, layer.wanted_name, k);
  }
  layer_names_.insert(layer.name);
}

Value Elaborator::as_layer(const Value& v, Span span, const EnvPtr& env) {
  if (v.is(K::layer) || v.error()) return v;
  static const std::vector<ast::Arg> kNoArgs;
  if (v.is(K::callable) && v.named) {
    NamedLayer& named = *v.named;
    if (named.layer) return Value::of_layer(named.layer);
    const Value made = construct(v.callable, kNoArgs, span, env);
    if (made.is(K::layer)) {
      named.layer = made.layer;
      if (made.layer->applications == 0) made.layer->wanted_name = named.name, made.layer->numbered = named.numbered;
    }
    return made;
  }
  if (v.is(K::callable) && !v.callable->function) return construct(v.callable, kNoArgs, span, env);
  Diagnostic& d = fail(DiagId::not_a_layer, span, source(span), kind_of(v));
  if (v.is(K::tensor) && d.help.empty())
    d.help.push_back(fmt::format("to join two tensors: x -> Add({0}), or [x, {0}] -> Concat", source(span)));
  if (v.is(K::integer) && d.help.empty())
    d.help.push_back(fmt::format("a layer takes it as an argument: x -> Dense({})", source(span)));
  return {};
}

Value Elaborator::chain(const ast::Expr& e, const EnvPtr& env) {
  Value v = eval(*e.items[0], env);
  Span from = e.items[0]->span;
  const bool sequence = v.is(K::layer) || v.is(K::callable);
  std::vector<std::shared_ptr<LayerValue>> layers;
  bool ok = !v.error();
  if (ok && !sequence && tensors_of(v).empty()) {
    fail(DiagId::expected_type, from, "what stands before ->", "a tensor, a list of tensors or a layer", kind_of(v));
    ok = false, v = {};
  }
  if (sequence) {
    const Value first = as_layer(v, from, env);
    ok = !first.error();
    if (ok) layers.push_back(first.layer);
  }
  for (size_t i = 1; i < e.items.size(); ++i) {
    const ast::Expr& item = *e.items[i];
    if (exhausted_) return {};
    const Value next =
        as_layer(item.kind == ast::ExprKind::name ? name(item, env, true) : eval(item, env), item.span, env);
    if (next.error()) {
      ok = false, v = {};
      continue;
    }
    if (sequence) layers.push_back(next.layer);
    else v = apply(next.layer, v, from, item.span);
    from = item.span;
  }
  if (!sequence) return v;
  if (!ok) return {};
  auto all = std::make_shared<LayerValue>();
  for (const auto& l : layers) all->depth = std::max(all->depth, l->depth + 1);
  all->sequence = std::move(layers), all->span = e.span;
  return bounded(Value::of_layer(std::move(all)), e.span);
}

Value Elaborator::apply(const std::shared_ptr<LayerValue>& layer, const Value& input, Span input_span, Span span) {
  if (!spend(span)) return {};
  if (!layer->weights.empty() && layer->wanted_name.empty() && layer->name.empty() &&
      !(layer->made_by && layer->made_by->builtin)) {
    const std::string made = layer->made_by ? layer->made_by->name() : "loaded";
    // its weights need a prefix
    for (const char c : made) layer->wanted_name += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  const bool first = layer->applications == 0;
  frozen_ += layer->frozen;
  const Value out = apply_unmodified(layer, input, input_span, span);
  frozen_ -= layer->frozen;
  if (first && !layer->weights.empty() && !layer->name.empty()) start_from(*layer);
  return out;
}

void Elaborator::start_from(const LayerValue& layer) {
  const std::filesystem::path folder =
      std::filesystem::path(diagnostics_.file_of(layer.weights_span).path()).parent_path();
  const std::string prefix = layer.name + ".";
  auto& all = model_->initial_weights;
  // this file has them
  all.erase(std::remove_if(all.begin(), all.end(),
                           [&](const InitialWeights& inner) { return inner.prefix.starts_with(prefix); }),
            all.end());
  all.push_back({prefix, (folder / layer.weights).lexically_normal().string(), layer.weights});
}

Value Elaborator::apply_unmodified(const std::shared_ptr<LayerValue>& layer, const Value& input, Span input_span,
                                   Span span) {
  if (layer->made_by && layer->made_by->builtin) return input.error() ? Value() : apply_builtin(*layer, input, span);
  if (layer->made_by && layer->made_by->op) {
    std::vector<Value> operands = tensors_of(input);
    operands.insert(operands.end(), layer->tensors.begin(), layer->tensors.end());
    const auto& params = layer->made_by->params();
    const size_t wanted = std::count_if(params.begin(), params.end(),
                                        [](const ast::Param& p) { return p.type.name.empty() && !p.fallback; });
    ++layer->applications;
    if (input.error()) return {};
    if (operands.size() == wanted) return apply_op(*layer->made_by, operands, layer->bound, span);
    fail(DiagId::operand_count, span, layer->made_by->name(), counted(static_cast<int64_t>(wanted), "operand"),
         are(static_cast<int64_t>(operands.size())));
    return {};
  }
  if (depth_ >= 800) {
    exhausted_ = true;
    fail(DiagId::too_much_work, span, "layers nest too deeply");
    return {};
  }
  ++depth_;
  Value v = input;
  if (layer->made_by) {
    v = apply_composite(*layer, input, input_span, span);
  } else {
    const std::string outer = scope_;
    if (!layer->wanted_name.empty()) {
      give_name(*layer, "");
      scope_ = layer->name + ".";
    }
    ++layer->applications;
    for (const auto& l : layer->sequence) v = apply(l, v, span, l->span);
    scope_ = outer;
  }
  --depth_;
  return v;
}

Value Elaborator::apply_builtin(LayerValue& layer, const Value& input, Span span) {
  const ir::LayerDef& def = *layer.made_by->builtin;
  if (!room_for_nodes(span)) return {};
  std::vector<ir::ValueId> in;
  for (const Value& t : tensors_of(input)) in.push_back(t.tensor);
  for (const Value& t : layer.tensors) in.push_back(t.tensor);
  const int have = static_cast<int>(in.size()), want = def.tensor_inputs;
  if (want > 0 ? have != want : have < -want) {
    const std::string takes = want == 1  ? "one operand"
                              : want > 0 ? fmt::format("{} operands", want)
                                         : fmt::format("{} operands or more", -want);
    fail(DiagId::operand_count, span, def.name, takes, have == 1 ? std::string("only the one before -> is") : are(have))
        .help.push_back(
            want == 1 ? "take one of the list: x[0]"
                      : fmt::format("the operands beside the arrow's stand in the parentheses: x -> {}(y)", def.name));
    return {};
  }
  std::string prefix = def.weight_prefix;
  if (prefix.empty())
    for (const char c : def.name) prefix += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  give_name(layer, prefix);
  ir::Layer record;
  record.name = layer.applications++ == 0 ? layer.name : fmt::format("{}@{}", layer.name, layer.applications);
  record.kind = def.name;
  const int32_t index = add_layer(std::move(record), layer.span, call_with_values(def, layer.args));
  Builder builder(*this, layer, std::move(in), span, index);
  const std::vector<ir::ValueId> out =
      def.build_many ? def.build_many(builder) : std::vector<ir::ValueId>{def.build(builder)};
  if (std::count(out.begin(), out.end(), ir::kNone) && !builder.failed)
    builder.error(fmt::format("{} cannot take this input", def.name), "");
  if (builder.failed) return {};
  graph_->layers[index].output = out[0];
  if (!def.build_many) return Value::of_tensor(out[0]);
  std::vector<Value> parts;
  for (const ir::ValueId v : out) parts.push_back(Value::of_tensor(v));
  return Value::of_list(std::move(parts));
}

Value Elaborator::apply_composite(LayerValue& layer, const Value& input, Span input_span, Span span) {
  const Callable& c = *layer.made_by;
  const std::string what = c.name();
  bool recursive = frames_.size() >= kMaxFrames;
  if (c.net)
    for (const Frame* f : frames_) recursive = recursive || (f->is_net && f->what == what);
  if (recursive) {
    fail(DiagId::recursive, span, what);
    return {};
  }
  Frame frame;
  frame.owner = &layer, frame.is_net = c.net != nullptr, frame.what = what;
  frame.operands = tensors_of(input);
  if (frame.operands.empty()) frame.operands.push_back(input);  // an error, which was reported
  frame.operand_spans.assign(frame.operands.size(), input_span);
  for (const Value& t : layer.tensors) frame.operands.push_back(t), frame.operand_spans.push_back(span);
  const EnvPtr env = new_env(c.env);
  env->kind = Env::Kind::body;
  const std::string outer = scope_;
  if (!layer.wanted_name.empty()) {
    give_name(layer, "");
    scope_ = layer.name + ".";
  }
  ++layer.applications;
  context_.push_back({span, fmt::format("in {}, applied here", source(layer.span))});
  frames_.push_back(&frame);
  for (const ast::Param& p : c.params()) {
    const auto it = layer.bound.find(p.name);
    declare(env, p.name, it != layer.bound.end() ? it->second : fallback(p, what, env), p.span);
  }
  Value result = run(c.block ? c.block->body : c.net->body, env, frame);
  const Span at = c.name_span();
  Value out;
  if (!frame.outputs.empty()) {
    out = frame.outputs[0].second;
    if (frame.outputs.size() > 1) out = several(frame.outputs);
  } else if (result.is(K::layer) || result.is(K::callable)) {
    if (frame.inputs_taken > 0) {
      fail(DiagId::missing_output, at, what).help.push_back("write: output x -> ...");
    } else {
      const Value l = as_layer(result, at, env);
      frame.inputs_taken = 1;
      if (!l.error()) out = apply(l.layer, input, input_span, l.layer->span);
    }
  } else if (!tensors_of(result).empty()) {
    out = result;
  } else if (result.kind != K::error || c.net || c.block->body.empty() ||
             c.block->body.back().kind != ast::StmtKind::expr) {
    fail(DiagId::missing_output, at, what).help.push_back("a block ends with a chain of layers, or names its output");
  }
  frames_.pop_back();
  context_.pop_back();
  scope_ = outer;
  if (frame.inputs_taken < frame.operands.size() && frame.inputs_taken > 0)
    fail(DiagId::operand_count, span, what, counted(static_cast<int64_t>(frame.inputs_taken), "input"),
         are(static_cast<int64_t>(frame.operands.size())));
  else if (frame.inputs_taken == 0 && frame.is_net) fail(DiagId::missing_input, at, what);
  if (!out.error() && tensors_of(out).empty()) {
    fail(DiagId::expected_type, at, "the output of " + what, "a tensor", kind_of(out));
    return {};
  }
  return out;
}

}  // namespace netc::sema
