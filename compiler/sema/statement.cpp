// Statements of nets and blocks.
#include <algorithm>

#include "compiler/sema/elaborator.h"

namespace netc::sema {
namespace {
using K = Value::Kind;
constexpr int64_t kMaxExtent = 1 << 20;
}  // namespace

Elaborator::Elaborator(const ast::File& file, const ir::Registry& registry, Diagnostics& diagnostics)
    : file_(file), registry_(registry), diagnostics_(diagnostics) {
  const EnvPtr builtins = new_env(nullptr);
  for (const ir::LayerDef* l : registry.layers) {
    auto c = std::make_shared<Callable>();
    c->builtin = l;
    builtins->names[l->name].value = Value::of_callable(std::move(c));
  }
  file_env_ = new_env(builtins);
  for (const ast::Net& n : file.nets) {
    auto c = std::make_shared<Callable>();
    c->net = &n, c->env = file_env_;
    declare(file_env_, n.name, Value::of_callable(std::move(c)), n.name_span);
  }
}

Elaborator::~Elaborator() {
  for (const EnvPtr& e : envs_) e->names.clear();
}

bool Elaborator::declare(const EnvPtr& env, const std::string& name, Value v, Span span, bool assignable, bool warn) {
  if (auto it = env->names.find(name); it != env->names.end()) {
    Diagnostic& d = fail(DiagId::duplicate_name, span, name);
    if (it->second.span.end > 0) d.notes.insert(d.notes.begin(), {it->second.span, "first declared here"});
    it->second.used = true;
    return false;
  }
  if (v.is(K::layer) && v.layer->wanted_name.empty() && v.layer->applications == 0) v.layer->wanted_name = name;
  env->names[name] = {std::move(v), assignable, false, warn, span};
  return true;
}

void Elaborator::warn_unused(const Env& env) {
  for (const auto& [name, n] : env.names)
    if (n.warn && !n.used && !n.value.error()) fail(DiagId::unused_value, n.span, name);
}

Value Elaborator::run(const std::vector<ast::Stmt>& body, const EnvPtr& env, Frame& frame) {
  Value result;
  for (size_t i = 0; i < body.size() && !exhausted_; ++i) statement(body[i], env, frame, i + 1 == body.size(), result);
  warn_unused(*env);
  return result;
}

void Elaborator::statement(const ast::Stmt& s, const EnvPtr& env, Frame& frame, bool last, Value& result) {
  if (!spend(s.span)) return;
  switch (s.kind) {
    case ast::StmtKind::input: return input(s, env, frame);
    case ast::StmtKind::loop: return loop(s, env, frame);
    case ast::StmtKind::block: {
      auto c = std::make_shared<Callable>();
      c->block = &s, c->env = env;
      declare(env, s.name, Value::of_callable(std::move(c)), s.name_span);
      return;
    }
    case ast::StmtKind::let:
    case ast::StmtKind::var: {
      Value v = eval(*s.value, env);
      declare(env, s.name, std::move(v), s.name_span, s.kind == ast::StmtKind::var, true);
      return;
    }
    case ast::StmtKind::assign: {
      Value v = eval(*s.value, env);
      Env::Name* n = env->find(s.name);
      if (!n) {
        Diagnostic& d = fail(DiagId::unknown_name, s.name_span, s.name);
        suggest(d, s.name, visible(env, false));
        if (d.help.empty()) d.help.push_back(fmt::format("declare it: let {} = ...", s.name));
      } else if (!n->assignable) {
        fail(DiagId::not_assignable, s.name_span, s.name).help.push_back(fmt::format("declare it with var {} = ...", s.name));
      } else {
        n->value = std::move(v);
      }
      return;
    }
    case ast::StmtKind::check: {
      const std::optional<bool> ok = condition(*s.value, env, "what is asserted");
      if (ok && !*ok) fail(DiagId::assert_failed, s.value->span, s.second);
      return;
    }
    case ast::StmtKind::choose: {
      const std::optional<bool> c = choice(*s.value, env);
      if (!c) return;
      const Value v = run(*c ? s.body : s.otherwise, new_env(env), frame);
      if (last) result = v;
      return;
    }
    case ast::StmtKind::defaults: {
      const ir::LayerDef* layer = nullptr;
      std::vector<std::string> names;
      for (const ir::LayerDef* l : registry_.layers) {
        names.push_back(l->name);
        if (l->name == s.name) layer = l;
      }
      if (!layer) {
        suggest(fail(DiagId::unknown_layer, s.name_span, s.name), s.name, names);
        return;
      }
      std::vector<std::string> known;
      for (const ir::ArgDef& a : layer->args) known.push_back(a.name);
      for (const ast::Arg& a : s.args) {
        const size_t k = std::find(known.begin(), known.end(), a.name) - known.begin();
        ir::ArgValue ignored;
        const std::string example = fmt::format("name it: default {}({} = ...)", s.name, known.empty() ? "NAME" : known[0]);
        if (a.name.empty()) fail(DiagId::misplaced, a.span, "an argument without a name").help.push_back(example);
        else if (k == known.size()) suggest(fail(DiagId::unknown_argument, a.span, s.name, a.name), a.name, known);
        else convert(s.name, layer->args[k], *a.value, env, ignored);
      }
      env->defaults[s.name] = &s.args;
      return;
    }
    case ast::StmtKind::output: {
      Value v = eval(*s.value, env);
      if (!v.error() && (v.is(K::layer) || v.is(K::callable)) && !frame.top && !frame.is_net && frame.inputs_taken == 0) {
        const Value l = as_layer(v, s.value->span, env);
        frame.inputs_taken = 1;
        v = l.error() ? Value() : apply(l.layer, frame.operands[0], frame.operand_spans[0], l.layer->span);
      }
      if (!v.error() && !v.is(K::tensor)) {
        fail(DiagId::expected_type, s.value->span, "an output", "a tensor", kind_of(v));
        v = {};
      }
      const std::string name = s.name.empty() ? "output" : s.name;
      for (const auto& [other, value] : frame.outputs)
        if (other == name) {
          fail(DiagId::duplicate_name, s.name_span, name);
          return;
        }
      frame.outputs.push_back({name, std::move(v)});
      frame.output_spans.push_back(s.span);
      if (!s.name.empty() && !env->names.count(s.name)) declare(env, s.name, frame.outputs.back().second, s.name_span);
      return;
    }
    case ast::StmtKind::expr: {
      const Value v = eval(*s.value, env);
      if (last && !frame.top) result = v;
      else if (!v.error()) fail(DiagId::unused_value, s.span, "this expression");
      return;
    }
  }
}

std::optional<ir::Type> Elaborator::tensor_type(const ast::TensorType& t, const EnvPtr& env) {
  ir::Type type;
  type.batched = true;
  const std::vector<std::string> names{"f32", "u8", "i32", "u32"};
  const size_t k = std::find(names.begin(), names.end(), t.dtype) - names.begin();
  if (k == names.size()) {
    Diagnostic& d = fail(DiagId::unknown_type, t.span, t.dtype);
    suggest(d, t.dtype, names);
    if (d.help.empty()) d.help.push_back("the element types are f32, u8, i32 and u32");
    return std::nullopt;
  }
  constexpr ir::DType kTypes[] = {ir::DType::f32, ir::DType::u8, ir::DType::i32, ir::DType::u32};
  type.dtype = kTypes[k];
  bool ok = t.dims.size() <= 4;
  if (!ok) fail(DiagId::bad_dimension, t.span, kMaxExtent, fmt::format("one of {}, where 4 is the most", t.dims.size()));
  double elements = 1;
  for (const auto& d : t.dims) {
    if (!d) {
      type.dims.push_back(ir::kAnyExtent);
      continue;
    }
    const Value v = eval(*d, env);
    if (v.error()) { ok = false; continue; }
    if (!v.is(K::integer) || v.integer < 1 || v.integer > kMaxExtent) {
      fail(DiagId::bad_dimension, d->span, kMaxExtent, show(v));
      ok = false;
      continue;
    }
    type.dims.push_back(v.integer);
    elements *= static_cast<double>(v.integer);
  }
  if (ok && elements > 1e9) {
    fail(DiagId::bad_dimension, t.span, kMaxExtent, fmt::format("one of a sample of {} elements", elements));
    ok = false;
  }
  return ok ? std::optional(type) : std::nullopt;
}

void Elaborator::input(const ast::Stmt& s, const EnvPtr& env, Frame& frame) {
  std::optional<ir::Type> type;
  if (s.type.present) type = tensor_type(s.type, env);
  if (frame.top) {
    if (!s.type.present) fail(DiagId::expected_type, s.name_span, "an input of a net", "declared with its type, like u8[28, 28, 1]", "not");
    ++frame.inputs_taken;
    Value v;
    for (const char* reserved : {"lr", "seed", "step", "label"}) {
      if (s.name != reserved) continue;
      fail(DiagId::misplaced, s.name_span, fmt::format("the name {}", s.name)).help.push_back("training gives this name a meaning: choose another");
    }
    if (type && graph_->find_variable(s.name) == ir::kNone) {
      ir::Variable variable;
      variable.name = s.name, variable.role = ir::Role::input;
      v = Value::of_tensor(graph_->add_variable(std::move(variable), *type));
    }
    declare(env, s.name, v, s.name_span, false, true);
    return;
  }
  if (frame.inputs_taken >= frame.operands.size()) {
    fail(DiagId::operand_count, s.span, frame.what, "more inputs", fmt::format("{} are", frame.operands.size()));
    declare(env, s.name, {}, s.name_span);
    return;
  }
  const size_t k = frame.inputs_taken++;
  const Value& v = frame.operands[k];
  if (type && v.is(K::tensor)) {
    const ir::Type& given = graph_->type(v.tensor);
    bool fits = given.dtype == type->dtype && given.rank() == type->rank();
    for (int i = 0; fits && i < given.rank(); ++i) fits = type->dims[i] == ir::kAnyExtent || given.dims[i] == type->dims[i];
    if (!fits) {
      fail(DiagId::input_type, frame.operand_spans[k], s.name, frame.what, ir::shape_for_user(*type), ir::shape_for_user(given));
      declare(env, s.name, {}, s.name_span);
      return;
    }
  }
  declare(env, s.name, v, s.name_span, false, true);
}

void Elaborator::loop(const ast::Stmt& s, const EnvPtr& env, Frame& frame) {
  const Value over = eval(*s.value, env);
  if (over.error()) return;
  if (!over.is(K::list)) {
    fail(DiagId::expected_type, s.value->span, "what a loop goes over", "a range or a list", kind_of(over));
    return;
  }
  const int before = diagnostics_.errors();
  for (const Value& v : *over.items) {
    if (exhausted_ || diagnostics_.errors() > before) return;  // the first failing iteration says it
    const EnvPtr inner = new_env(env);
    if (s.second.empty()) {
      declare(inner, s.name, v, s.name_span);
    } else if (v.is(K::list) && v.items->size() == 2) {
      declare(inner, s.name, (*v.items)[0], s.name_span);
      declare(inner, s.second, (*v.items)[1], s.name_span);
    } else {
      fail(DiagId::expected_type, s.value->span, "each element", "a pair", kind_of(v));
      return;
    }
    context_.push_back({s.name_span, fmt::format("in the iteration {} = {}", s.second.empty() ? s.name : fmt::format("({}, {})", s.name, s.second), show(v))});
    run(s.body, inner, frame);
    context_.pop_back();
    if (inner->names.size() <= 2) inner->names.clear();
  }
}

bool Elaborator::check_param(const ast::Param& p, Value& v, Span span, const EnvPtr& env, const std::string& help, DiagId id) {
  const auto wrong = [&](const std::string& want) {
    Diagnostic& d = fail(id, span, p.name, want, show(v));
    if (d.help.empty()) d.help.push_back(help);
    return false;
  };
  std::string type = p.type;
  if (type == "one_of") {
    std::vector<Value> choices;
    std::string list;
    for (const auto& e : p.type_args) {
      Value c = e->kind == ast::ExprKind::name && !env->find(e->text) ? Value::of_string(e->text) : eval(*e, env);
      if (c.error()) return false;
      if (equal(c, v)) return true;
      list += (list.empty() ? "" : ", ") + show(c);
    }
    return wrong("one of " + list);
  }
  const bool declared = !type.empty();
  if (!declared && p.fallback) {
    switch (p.fallback->kind) {
      case ast::ExprKind::integer: type = "int"; break;
      case ast::ExprKind::number: type = "float"; break;
      case ast::ExprKind::string: type = "string"; break;
      case ast::ExprKind::boolean: type = "bool"; break;
      case ast::ExprKind::list: type = "list"; break;
      default: break;
    }
  }
  if (type.empty()) return true;
  if (type == "int") {
    if (v.is(K::number) && v.quotient && v.number > -9e15 && v.number < 9e15) v = Value::of_int(static_cast<int64_t>(v.number) - (v.number < 0));
    // `classes = 1000` may be given a list's length only; a block's padding may be given a word.
    return v.is(K::integer) || (!declared && !v.numeric() && id != DiagId::hyperparameter_value) || wrong("an integer");
  }
  if (type == "float") {
    if (v.is(K::integer)) v = Value::of_number(static_cast<double>(v.integer));
    return v.is(K::number) || wrong("a number");
  }
  if (type == "bool") return v.is(K::boolean) || wrong("true or false");
  if (type == "string") return v.is(K::string) || wrong("a string");
  if (type == "list") return v.is(K::list) || wrong("a list");
  suggest(fail(DiagId::unknown_type, p.type_span, type), type, {"int", "float", "bool", "string", "list", "one_of"}, true);
  return false;
}

}  // namespace netc::sema
