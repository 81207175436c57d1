// Hyperparameters: their types, and values from the command line.
#include <algorithm>
#include <cmath>

#include "compiler/sema/definition.h"
#include "compiler/sema/elaborator.h"

namespace netc::sema {
namespace {
using K = Value::Kind;
/// A quotient of integers is rounded down where an integer is wanted.
void round_quotient(Value& v) {
  if (v.is(K::number) && v.quotient && std::abs(v.number) < 9e15)
    v = Value::of_int(static_cast<int64_t>(std::floor(v.number)));
}

}  // namespace

std::optional<std::string> Elaborator::misfit(const ast::ParamType& t, Value& v, const EnvPtr& env) {
  const bool ranged = t.name == "int" || t.name == "float";
  for (const ast::TypeArg& a : t.args)
    if ((t.name != "one_of" && !ranged) || (ranged ? a.value != nullptr || t.args.size() > 1 : a.value == nullptr)) {
      fail(DiagId::misplaced, t.span, "what stands in these parentheses")
          .help.push_back("write int(1..), float(0..1) or one_of(a, b)");
      return std::nullopt;
    }
  if (t.name == "one_of") {
    std::string list;
    for (const ast::TypeArg& a : t.args) {
      const Env::Name* own = a.value->kind == ast::ExprKind::name ? env->find(a.value->text) : nullptr;
      // a number of that name does not change it
      const bool word = a.value->kind == ast::ExprKind::name && !(own && own->value.is(K::callable));
      const Value c = word ? Value::of_string(a.value->text) : eval(*a.value, env);
      if (c.error()) return std::nullopt;
      if (equal(c, v)) return "";
      list += (list.empty() ? "" : ", ") + show(c);
    }
    return "one of " + list;
  }
  if (ranged) {
    const bool integer = t.name == "int";
    if (integer) round_quotient(v);
    else if (v.is(K::integer)) v = Value::of_number(static_cast<double>(v.integer));
    bool good = v.is(integer ? K::integer : K::number);
    std::string want = integer ? "an integer" : "a number";
    for (const ast::TypeArg& a : t.args) {  // both ends belong to the range
      for (const auto& [end, word] : {std::pair{a.low.get(), a.high ? " from " : " of at least "},
                                      std::pair{a.high.get(), a.low ? " to " : " of at most "}}) {
        if (!end) continue;
        const Value bound = eval(*end, env);
        if (!bound.error() && !bound.numeric())
          fail(DiagId::expected_type, end->span, "the end of a range", "a number", kind_of(bound));
        if (!bound.numeric()) return std::nullopt;
        want += word + show(bound);
        good = good && (end == a.low.get() ? v.real() >= bound.real() : v.real() <= bound.real());
      }
    }
    return good ? "" : want;
  }
  if (t.name == "[" || t.name == "(") {
    const bool tuple = t.name == "(";
    std::string want = tuple ? fmt::format("a tuple of {}", t.items.size()) : "a list";
    if (!v.is(K::list) || (tuple && v.items->size() != t.items.size())) return want;
    std::vector<Value> items = *v.items;
    for (size_t i = 0; i < items.size(); ++i) {
      const std::optional<std::string> inner = misfit(t.items[tuple ? i : 0], items[i], env);
      if (!inner) return std::nullopt;
      if (!inner->empty()) return fmt::format("{} whose element {} is {}", want, i, *inner);
    }
    v = Value::of_list(std::move(items));
    return "";
  }
  if (t.name == "bool") return v.is(K::boolean) ? "" : "true or false";
  if (t.name == "string") return v.is(K::string) ? "" : "a string";
  if (t.name == "list" || t.name == "tuple") return v.is(K::list) ? "" : "a " + t.name;
  suggest(fail(DiagId::unknown_type, t.span, t.name), t.name,
          {"int", "float", "bool", "string", "list", "tuple", "one_of"}, true);
  return std::nullopt;
}

std::optional<std::string> Elaborator::misfit(const ast::Param& p, Value& v, const EnvPtr& env) {
  if (!p.type.name.empty()) return misfit(p.type, v, env);
  switch (literal_of(p)) {
    case ast::ExprKind::integer: round_quotient(v); return v.is(K::integer) ? "" : "an integer";
    case ast::ExprKind::number:
      if (v.is(K::integer)) v = Value::of_number(static_cast<double>(v.integer));
      return v.is(K::number) ? "" : "a number";
    case ast::ExprKind::string: return v.is(K::string) ? "" : "a string";
    case ast::ExprKind::boolean: return v.is(K::boolean) ? "" : "true or false";
    case ast::ExprKind::list: return v.is(K::list) ? "" : "a list";
    default: return v.error() ? "a value" : "";
  }
}

bool Elaborator::check_param(const ast::Param& p, Value& v, Span span, const EnvPtr& env, const std::string& help,
                             DiagId id) {
  const std::optional<std::string> want = misfit(p, v, env);
  if (!want) return false;
  if (want->empty()) return true;
  Diagnostic& d = fail(id, span, p.name, *want, show(v));
  if (d.help.empty()) d.help.push_back(help);
  return false;
}

Value Elaborator::defined(const ast::Param& p, const std::string& text, const EnvPtr& env) {
  Definition d = read_definition(text, p);
  Value v = d.wrong.empty() ? d.value : Value();
  const std::optional<std::string> want = misfit(p, v, env);
  if (!want) return {};
  if (want->empty()) return v;
  // The text as it was written where it is a number: 1e3 and 1000 are the same value.
  const std::string given = !d.wrong.empty() ? d.wrong : v.numeric() ? text : show(v);
  std::vector<std::string> better = meant(text, p);
  if (p.fallback && p.fallback->kind != ast::ExprKind::name) {
    const Value usual = eval(*p.fallback, env);
    better.push_back(usual.is(K::string) ? usual.text : show(usual));
  }
  for (const ast::TypeArg& a : p.type.args)
    if (a.value) better.push_back(a.value->text);
  better.insert(better.end(), {"1", "8", "0.5", "true", "[1, 2]", "(1, 2)", "[a, b]", "text"});
  std::string help = fmt::format("it comes from {}", on_command_line(p.name, text));
  for (const std::string& b : better) {
    Definition other = read_definition(b, p);
    const std::optional<std::string> still = other.wrong.empty() && b != text ? misfit(p, other.value, env) : "?";
    if (!still || !still->empty()) continue;
    help += fmt::format("; write {}", on_command_line(p.name, b));
    break;
  }
  fail(DiagId::hyperparameter_value, p.span, p.name, *want, given).help = {help};
  return {};
}

Value Elaborator::fallback(const ast::Param& p, const std::string& owner, const EnvPtr& env) {
  Value v = eval(*p.fallback, env);
  const std::string help = fmt::format("it is a hyperparameter of {}", owner);
  return v.error() || check_param(p, v, p.span, env, help, DiagId::hyperparameter_value) ? v : Value();
}

void Elaborator::hyperparameters(const ast::Net& net, const Options& options, const EnvPtr& env, Model& model) {
  std::vector<std::string> names;
  for (const ast::Param& p : net.params) names.push_back(p.name);
  for (const auto& [name, text] : options.defines) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    Diagnostic& d = fail(DiagId::unknown_hyperparameter, net.name_span, net.name, name);
    if (names.empty()) d.help.push_back("it has none");
    else suggest(d, name, names, true);
  }
  for (const ast::Param& p : net.params) {
    const auto define = std::find_if(options.defines.rbegin(), options.defines.rend(),
                                     [&](const auto& d) { return d.first == p.name; });
    const bool overridden = define != options.defines.rend();
    Value v;
    if (overridden) {
      v = defined(p, define->second, env);
    } else if (p.fallback) {
      v = fallback(p, net.name, env);
    } else {
      fail(DiagId::missing_argument, p.span, net.name, p.name)
          .help.push_back(fmt::format("give it a default, or a value with -D {}=...", p.name));
    }
    declare(env, p.name, v, p.span);
    if (v.error()) continue;
    const std::string type = v.is(K::integer)   ? "int"
                             : v.is(K::number)  ? "float"
                             : v.is(K::boolean) ? "bool"
                             : v.is(K::string)  ? "string"
                             : v.is(K::list)    ? "list"
                                                : "setting";
    model.hyperparameters.push_back({p.name, show(v), type, overridden});
    if (p.name == "classes" && v.is(K::list) &&
        std::all_of(v.items->begin(), v.items->end(), [](const Value& x) { return x.is(K::string); }))
      for (const Value& c : *v.items) model.classes.push_back(c.text);
  }
}

}  // namespace netc::sema
