// Chains and the application of layers: what writes the graph.
#include <algorithm>

#include "compiler/sema/elaborator.h"

namespace netc::sema {
namespace {
using K = Value::Kind;
constexpr size_t kMaxFrames = 32;
constexpr size_t kMaxNodes = 100000;
}  // namespace

/// A layer's build() sees its arguments and operands, and writes nodes and variables, through this.
class Builder final : public ir::LayerBuilder {
 public:
  Builder(Elaborator& e, LayerValue& layer, std::vector<ir::ValueId> in, Span span, int32_t index)
      : e_(e), layer_(layer), in_(std::move(in)), span_(span), index_(index) {}

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

  ir::ValueId variable(const char* name, ir::Type type, ir::Initializer init, ir::Role role, double l1, double l2) override {
    ir::Graph& g = *e_.graph_;
    if (auto it = layer_.variables.find(name); it != layer_.variables.end()) {
      const ir::ValueId v = g.variables[it->second].value;
      if (g.type(v) == type) return v;
      e_.fail(DiagId::shared_shape, span_, layer_.name, name, ir::to_string(type), ir::to_string(g.type(v)))
          .help.push_back("a layer that is applied twice needs inputs of the same shape; construct a second one where the weights are not to be shared");
      failed = true;
      ir::Variable stand_in;  // of the wanted type, so that build() goes on; the graph is given up
      stand_in.name = fmt::format("{}.{}@{}", layer_.name, name, g.variables.size());
      return g.add_variable(std::move(stand_in), type);
    }
    ir::Variable v;
    v.name = layer_.name + "." + name;
    v.role = role, v.trainable = role == ir::Role::weight, v.init = init, v.l1 = l1, v.l2 = l2;
    const std::string full = v.name;
    const ir::ValueId id = g.add_variable(std::move(v), type);
    layer_.variables[name] = g.values[id].variable;
    g.layers[index_].variables.push_back(full);
    return id;
  }
  ir::ValueId emit(const std::string& op, std::vector<ir::ValueId> inputs, ir::Attrs attrs) override {
    return e_.graph_->add(e_.registry_.ops.at(op), std::move(inputs), std::move(attrs), index_);
  }
  void update(ir::ValueId variable, ir::ValueId value) override {
    ir::Graph& g = *e_.graph_;
    const int32_t v = g.values[variable].variable;
    for (ir::Update& u : g.updates)
      if (u.variable == v) {
        u.value = value;  // applied again: the last application's statistics stay
        return;
      }
    g.updates.push_back({v, value});
  }
  ir::ValueId error(const std::string& message, const std::string& help) override {
    failed = true;
    Diagnostic& d = e_.fail(DiagId::layer_error, span_, message);
    d.beside = in_.empty() ? "" : e_.origin(in_[0]);
    if (!help.empty() && d.help.empty()) d.help.push_back(help);
    return ir::kNone;
  }

  bool failed = false;

 private:
  const ir::ArgValue& at(const char* arg) const {
    const auto& defs = layer_.made_by->builtin->args;
    for (size_t k = 0; k < defs.size(); ++k)
      if (defs[k].name == arg) return layer_.args[k];
    fmt::print(stderr, "netc: layer {} reads the argument {} that it does not declare\n", layer_.made_by->name(), arg);
    std::abort();
  }
  Elaborator& e_;
  LayerValue& layer_;
  std::vector<ir::ValueId> in_;
  Span span_;
  int32_t index_;
};

std::string Elaborator::origin(ir::ValueId v) const {
  const ir::Value& value = graph_->values[v];
  if (value.def == ir::kNone) return value.variable == ir::kNone ? "" : fmt::format("input is {}", graph_->variables[value.variable].name);
  const int32_t layer = graph_->nodes[value.def].layer;
  if (layer == ir::kNone) return "";
  return fmt::format("input comes from {} at line {}", graph_->layers[layer].kind, graph_->layers[layer].line);
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
    const Callable &a = *old->made_by, &b = *layer->made_by;
    if (a.builtin == b.builtin && a.block == b.block && a.net == b.net && old->args == layer->args) {
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
  if (layer.wanted_name.empty()) {
    do layer.name = fmt::format("{}{}{}", scope_, prefix, ++counters_[scope_ + prefix]);
    while (layer_names_.count(layer.name));
  } else {
    layer.name = scope_ + layer.wanted_name;
    for (int k = 2; layer_names_.count(layer.name); ++k) layer.name = fmt::format("{}{}_{}", scope_, layer.wanted_name, k);
  }
  layer_names_.insert(layer.name);
}

Value Elaborator::as_layer(const Value& v, Span span, const EnvPtr& env) {
  if (v.is(K::layer) || v.error()) return v;
  static const std::vector<ast::Arg> kNoArgs;
  if (v.is(K::callable)) return construct(v.callable, kNoArgs, span, env);
  fail(DiagId::not_a_layer, span, source(span), kind_of(v));
  return {};
}

Value Elaborator::chain(const ast::Expr& e, const EnvPtr& env) {
  Value v = eval(*e.items[0], env);
  Span from = e.items[0]->span;
  const bool sequence = v.is(K::layer) || v.is(K::callable);
  std::vector<std::shared_ptr<LayerValue>> layers;
  bool ok = !v.error();
  if (ok && !sequence && !v.is(K::tensor)) {
    fail(DiagId::expected_type, from, "what stands before ->", "a tensor or a layer", kind_of(v));
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
    const Value next = as_layer(item.kind == ast::ExprKind::name ? name(item, env, true) : eval(item, env), item.span, env);
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
  if (layer->made_by && layer->made_by->builtin) return input.is(K::tensor) ? apply_builtin(*layer, input, span) : Value();
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
    for (const auto& l : layer->sequence) v = apply(l, v, span, l->span);
    scope_ = outer;
  }
  --depth_;
  return v;
}

Value Elaborator::apply_builtin(LayerValue& layer, const Value& input, Span span) {
  const ir::LayerDef& def = *layer.made_by->builtin;
  if (graph_->nodes.size() > kMaxNodes) {
    if (!exhausted_) fail(DiagId::too_much_work, span, fmt::format("the net has more than {} operations", kMaxNodes));
    exhausted_ = true;
    return {};
  }
  std::string prefix = def.weight_prefix;
  if (prefix.empty())
    for (const char c : def.name) prefix += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  give_name(layer, prefix);
  std::vector<ir::ValueId> in{input.tensor};
  for (const Value& t : layer.tensors) in.push_back(t.tensor);
  const int32_t index = static_cast<int32_t>(graph_->layers.size());
  ir::Layer record;
  record.name = layer.applications++ == 0 ? layer.name : fmt::format("{}@{}", layer.name, layer.applications);
  record.kind = def.name, record.text = source(layer.span), record.line = diagnostics_.file().place(layer.span.begin).line;
  graph_->layers.push_back(std::move(record));
  sources_.push_back({layer.span, call_with_values(def, layer.args)});
  Builder builder(*this, layer, std::move(in), span, index);
  const ir::ValueId out = def.build(builder);
  if (out == ir::kNone && !builder.failed) builder.error(fmt::format("{} cannot take this input", def.name), "");
  if (builder.failed) return {};
  graph_->layers[index].output = out;
  return Value::of_tensor(out);
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
  frame.operands.push_back(input);
  frame.operand_spans.push_back(input_span);
  for (const Value& t : layer.tensors) frame.operands.push_back(t), frame.operand_spans.push_back(span);
  const EnvPtr env = new_env(c.env);
  const std::string outer = scope_;
  if (!layer.wanted_name.empty()) {
    give_name(layer, "");
    scope_ = layer.name + ".";
  }
  ++layer.applications;
  context_.push_back({span, fmt::format("in {}, applied here", source(layer.span))});
  frames_.push_back(&frame);
  const std::vector<ast::Param>& params = c.block ? c.block->params : c.net->params;
  for (const ast::Param& p : params) {
    const auto it = layer.bound.find(p.name);
    declare(env, p.name, it != layer.bound.end() ? it->second : eval(*p.fallback, env), p.span);
  }
  Value result = run(c.block ? c.block->body : c.net->body, env, frame);
  const Span at = c.block ? c.block->name_span : c.net->name_span;
  Value out;
  if (!frame.outputs.empty()) {
    if (frame.outputs.size() > 1) fail(DiagId::single_output, at, what, frame.outputs.size());
    else out = frame.outputs[0].second;
  } else if (result.is(K::layer) || result.is(K::callable)) {
    if (frame.inputs_taken > 0) {
      fail(DiagId::missing_output, at, what).help.push_back("write: output x -> ...");
    } else {
      const Value l = as_layer(result, at, env);
      frame.inputs_taken = 1;
      if (!l.error()) out = apply(l.layer, input, input_span, l.layer->span);
    }
  } else if (result.is(K::tensor)) {
    out = result;
  } else if (result.kind != K::error || c.net || c.block->body.empty() || c.block->body.back().kind != ast::StmtKind::expr) {
    fail(DiagId::missing_output, at, what).help.push_back("a block ends with a chain of layers, or names its output");
  }
  frames_.pop_back();
  context_.pop_back();
  scope_ = outer;
  if (frame.inputs_taken < frame.operands.size() && frame.inputs_taken > 0)
    fail(DiagId::operand_count, span, what, fmt::format("{} inputs", frame.inputs_taken), fmt::format("{} are", frame.operands.size()));
  else if (frame.inputs_taken == 0 && frame.is_net)
    fail(DiagId::missing_input, at, what);
  if (!out.error() && !out.is(K::tensor)) {
    fail(DiagId::expected_type, at, "the output of " + what, "a tensor", kind_of(out));
    return {};
  }
  return out;
}

}  // namespace netc::sema
