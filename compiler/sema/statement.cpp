// Statements of nets and blocks.
#include <algorithm>

#include "compiler/base/counted.h"
#include "compiler/sema/elaborator.h"

namespace netc::sema {
namespace {
using K = Value::Kind;
constexpr int64_t kMaxExtent = 1 << 20;
constexpr size_t kMaxRank = 4;
constexpr double kMaxSample = 1e9;

bool is_layer(const Value& v) { return v.is(K::layer) || (v.is(K::callable) && !v.callable->function); }

/// A layer, or a list with one.
bool holds_layer(const Value& v) {
  return is_layer(v) || (v.is(K::list) && std::any_of(v.items->begin(), v.items->end(), holds_layer));
}
}  // namespace

Elaborator::Elaborator(const ast::File& file, const ir::Registry& registry, Diagnostics& diagnostics)
    : file_(file),
      registry_(registry),
      diagnostics_(diagnostics) {
  builtins_ = new_env(nullptr);
  for (const ir::LayerDef* l : registry.layers) {
    auto c = std::make_shared<Callable>();
    c->builtin = l;
    builtins_->names[l->name].value = Value::of_callable(std::move(c));
  }
  file_env_ = file_scope(file);
}

EnvPtr Elaborator::file_scope(const ast::File& file) {
  if (const auto known = scopes_.find(&file); known != scopes_.end()) return known->second;
  const EnvPtr imported = new_env(builtins_), env = new_env(imported);
  scopes_[&file] = env;
  for (const ast::Import& i : file.imports) {
    if (!i.file) continue;
    for (const auto& [name, n] : file_scope(*i.file)->names) {
      const auto there = imported->names.find(name);
      if (there == imported->names.end()) {
        imported->names[name] = {n.value, false, false, false, n.span};
      } else if (there->second.value.callable != n.value.callable) {
        Diagnostic& d = fail(DiagId::duplicate_name, i.span, name);
        d.notes = {{there->second.span, "declared here"}, {n.span, "and here"}};
      }
    }
  }
  for (const ast::Net& n : file.nets) {
    auto c = std::make_shared<Callable>();
    c->net = &n, c->env = env;
    declare(env, n.name, Value::of_callable(std::move(c)), n.name_span);
  }
  for (const ast::Stmt& s : file.declarations) declare_callable(s, env);
  return env;
}

void Elaborator::declare_callable(const ast::Stmt& s, const EnvPtr& env) {
  auto c = std::make_shared<Callable>();
  c->env = env;
  (s.kind == ast::StmtKind::block ? c->block : s.kind == ast::StmtKind::op ? c->op : c->function) = &s;
  const bool tensor = std::any_of(s.params.begin(), s.params.end(),
                                  [](const ast::Param& p) { return p.type.name.empty() && !p.fallback; });
  if (c->op && !tensor)
    fail(DiagId::missing_input, s.name_span, s.name)
        .help.push_back(fmt::format("a parameter without type and default is a tensor: op {}(x) = ...", s.name));
  std::set<std::string> names;
  for (const ast::Param& p : s.params)
    if (!names.insert(p.name).second) fail(DiagId::duplicate_name, p.span, p.name);
  declare(env, s.name, Value::of_callable(std::move(c)), s.name_span);
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
  env->names[name] = {std::move(v), assignable, false, warn, span};
  return true;
}

namespace {

/// let NAME = Layer names it, and the layers of a list NAME1, NAME2; in a loop they are numbered when they are applied.
/// A layer's name without parentheses is one layer, too.
void name_layers(const std::string& name, Value& v, bool loop) {
  const auto give = [&](Value& l, std::string wanted) {
    if (l.is(K::callable) && !l.named && (l.callable->builtin || l.callable->block || l.callable->net))
      l.named = std::make_shared<NamedLayer>(NamedLayer{wanted, loop, nullptr});
    if (!l.is(K::layer) || !l.layer->wanted_name.empty() || l.layer->applications > 0) return;
    l.layer->wanted_name = std::move(wanted), l.layer->numbered = loop;
  };
  give(v, name);
  if (!v.is(K::list)) return;
  for (size_t i = 0; i < v.items->size(); ++i) give((*v.items)[i], fmt::format("{}{}{}", name, i + 1, loop ? "_" : ""));
}

}  // namespace

void Elaborator::destructure(const ast::Pattern& p, const Value& v, Span span, const EnvPtr& env, bool assignable,
                             bool warn) {
  if (p.items.empty()) {
    if (p.name == "_") return;
    bool loop = false;
    for (Env* e = env.get(); e && !loop; e = e->kind == Env::Kind::body ? nullptr : e->parent.get())
      loop = e->kind == Env::Kind::loop;
    Value named = v;
    if (warn) name_layers(p.name, named, loop);
    declare(env, p.name, std::move(named), p.span, assignable, warn && p.name[0] != '_');
    return;
  }
  const bool matches = v.is(K::list) && v.items->size() == p.items.size();
  if (!v.error() && !matches)
    fail(DiagId::expected_type, span, "what " + source(p.span) + " takes apart",
         fmt::format("a list of {}", p.items.size()),
         v.is(K::list) ? fmt::format("a list of {}", v.items->size()) : kind_of(v));
  for (size_t i = 0; i < p.items.size(); ++i)
    destructure(p.items[i], matches ? (*v.items)[i] : Value(), span, env, assignable, warn);
}

void Elaborator::warn_unused(const Env& env) {
  for (const auto& [name, n] : env.names)
    if (n.warn && !n.used && !n.value.error()) {
      Diagnostic& d = fail(DiagId::unused_value, n.span, name);
      if (is_layer(n.value)) d.help = {fmt::format("it is a layer: x -> {} applies it", name)};
    }
}

Value Elaborator::run(const std::vector<ast::Stmt>& body, const EnvPtr& env, Frame& frame, bool wanted) {
  Value result;
  for (size_t i = 0; i < body.size() && !exhausted_; ++i)
    statement(body[i], env, frame, wanted && i + 1 == body.size(), result);
  warn_unused(*env);
  return result;
}

void Elaborator::statement(const ast::Stmt& s, const EnvPtr& env, Frame& frame, bool last, Value& result) {
  if (!spend(s.span)) return;
  switch (s.kind) {
    case ast::StmtKind::input: return input(s, env, frame);
    case ast::StmtKind::loop: return loop(s, env, frame);
    case ast::StmtKind::block:
    case ast::StmtKind::op:
    case ast::StmtKind::function: return declare_callable(s, env);
    case ast::StmtKind::let:
    case ast::StmtKind::var: {
      destructure(s.pattern, eval(*s.value, env), s.value->span, env, s.kind == ast::StmtKind::var, true);
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
        fail(DiagId::not_assignable, s.name_span, s.name)
            .help.push_back(fmt::format("declare it with var {} = ...", s.name));
      } else {
        n->value = std::move(v);
      }
      return;
    }
    case ast::StmtKind::check: {
      const std::optional<bool> ok = condition(*s.value, env, "what is asserted");
      if (ok && !*ok) fail(DiagId::assert_failed, s.value->span, s.message);
      return;
    }
    case ast::StmtKind::choose: {
      const std::optional<bool> c = choice(*s.value, env);
      if (!c) return;
      const Value v = run(*c ? s.body : s.otherwise, new_env(env), frame, last);
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
        const std::string example =
            fmt::format("name it: default {}({} = ...)", s.name, known.empty() ? "NAME" : known[0]);
        if (a.name.empty()) fail(DiagId::misplaced, a.span, "an argument without a name").help.push_back(example);
        else if (k == known.size()) suggest(fail(DiagId::unknown_argument, a.span, s.name, a.name), a.name, known);
        else convert(s.name, layer->args[k], *a.value, env, ignored);
      }
      env->defaults[s.name] = &s.args;
      return;
    }
    case ast::StmtKind::output: {
      Value v = eval(*s.value, env);
      if (!v.error() && (v.is(K::layer) || v.is(K::callable)) && !frame.top && !frame.is_net &&
          frame.inputs_taken == 0) {
        const Value l = as_layer(v, s.value->span, env);
        frame.inputs_taken = 1;
        v = l.error() ? Value() : apply(l.layer, frame.operands[0], frame.operand_spans[0], l.layer->span);
      }
      if (!v.error() && !v.is(K::tensor)) {
        Diagnostic& d = fail(DiagId::expected_type, s.value->span, "an output", "a tensor", kind_of(v));
        if (holds_layer(v) && d.help.empty())
          d.help.push_back("is -> missing before it? A layer on its own is given nothing");
        v = {};
      }
      const std::string name = s.name.empty() ? "output" : s.name;
      if (frame.top && name == "loss")
        fail(DiagId::misplaced, s.name_span, "the name loss")
            .help.push_back("training gives this name a meaning: choose another");
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
      const bool layer = holds_layer(v);
      const bool result_here = last && !frame.top && !(layer && (frame.inputs_taken > 0 || !frame.outputs.empty()));
      if (result_here) result = v;
      else if (layer)
        fail(DiagId::never_applied, s.span, source(s.span))
            .help.push_back("is -> missing before it? A layer on its own is given nothing");
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
  bool ok = t.dims.size() <= kMaxRank;
  if (!ok)
    fail(DiagId::bad_dimension, t.span,
         fmt::format("a sample has at most {} dimensions, but {} has {}", kMaxRank, source(t.span), t.dims.size()));
  double elements = 1;
  for (const auto& d : t.dims) {
    if (!d) {
      type.dims.push_back(ir::kAnyExtent);
      continue;
    }
    const Value v = eval(*d, env);
    if (v.error()) {
      ok = false;
      continue;
    }
    if (!v.is(K::integer) || v.integer < 1 || v.integer > kMaxExtent) {
      fail(DiagId::bad_dimension, d->span,
           fmt::format("an extent must be an integer from 1 to {}, or *, but is {}", grouped(kMaxExtent), show(v)));
      ok = false;
      continue;
    }
    type.dims.push_back(v.integer);
    elements *= static_cast<double>(v.integer);
  }
  if (ok && elements > kMaxSample) {
    const bool countable = elements < 9e18;
    const std::string most = grouped(static_cast<int64_t>(kMaxSample));
    const std::string has = countable ? grouped(static_cast<int64_t>(elements)) : fmt::format("{:g}", elements);
    fail(DiagId::bad_dimension, t.span,
         fmt::format("a sample has at most {} values, but {} has {}", most, source(t.span), has));
    ok = false;
  }
  return ok ? std::optional(type) : std::nullopt;
}

void Elaborator::input(const ast::Stmt& s, const EnvPtr& env, Frame& frame) {
  std::optional<ir::Type> type;
  if (s.type.present) type = tensor_type(s.type, env);
  if (frame.top) {
    if (!s.type.present)
      fail(DiagId::expected_type, s.name_span, "an input of a net", "declared with its type, like u8[28, 28, 1]",
           "not");
    ++frame.inputs_taken;
    Value v;
    for (const char* reserved : {"lr", "seed", "step", "label"}) {
      if (s.name != reserved) continue;
      fail(DiagId::misplaced, s.name_span, fmt::format("the name {}", s.name))
          .help.push_back("training gives this name a meaning: choose another");
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
    fail(DiagId::operand_count, s.span, frame.what, "more inputs", are(static_cast<int64_t>(frame.operands.size())));
    declare(env, s.name, {}, s.name_span);
    return;
  }
  const size_t k = frame.inputs_taken++;
  const Value& v = frame.operands[k];
  if (type && v.is(K::tensor)) {
    const ir::Type& given = graph_->type(v.tensor);
    bool fits = given.dtype == type->dtype && given.rank() == type->rank();
    for (int i = 0; fits && i < given.rank(); ++i)
      fits = type->dims[i] == ir::kAnyExtent || given.dims[i] == type->dims[i];
    if (!fits) {
      fail(DiagId::input_type, frame.operand_spans[k], s.name, frame.what, ir::shape_for_user(*type),
           ir::shape_for_user(given));
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
    inner->kind = Env::Kind::loop;
    destructure(s.pattern, v, s.value->span, inner, false, false);
    if (diagnostics_.errors() > before) return;
    const size_t names = inner->names.size();
    context_.push_back({s.pattern.span, fmt::format("in the iteration {} = {}", source(s.pattern.span), show(v))});
    run(s.body, inner, frame, false);
    context_.pop_back();
    if (inner->names.size() <= names) inner->names.clear();
  }
}

}  // namespace netc::sema
