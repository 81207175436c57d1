// Hyperparameters: their types, and values from the command line.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>

#include "compiler/sema/elaborator.h"

namespace netc::sema {
namespace {
using K = Value::Kind;
constexpr int kMaxNesting = 16;

Value scalar(const std::string& text) {
  if (text == "true" || text == "false") return Value::of_bool(text == "true");
  char* end = nullptr;
  errno = 0;
  const int64_t i = std::strtoll(text.c_str(), &end, 10);
  if (!text.empty() && *end == 0 && errno == 0 && i != INT64_MIN) return Value::of_int(i);
  const double d = std::strtod(text.c_str(), &end);
  if (!text.empty() && *end == 0 && d > -1e300 && d < 1e300) return Value::of_number(d);
  return Value::of_string(text.size() >= 2 && text.front() == '"' && text.back() == '"' ? text.substr(1, text.size() - 2) : text);
}

/// Of a default, which gives its parameter's type where it is a literal: -1 is one as 1 is.
ast::ExprKind kind_of(const ast::ExprPtr& fallback) {
  if (!fallback) return ast::ExprKind::name;
  if (fallback->kind != ast::ExprKind::unary || fallback->text != "-") return fallback->kind;
  const ast::ExprKind of = fallback->items[0]->kind;
  return of == ast::ExprKind::integer || of == ast::ExprKind::number ? of : fallback->kind;
}

std::string trim(const std::string& s) {
  const size_t a = s.find_first_not_of(" \t"), b = s.find_last_not_of(" \t");
  return a == std::string::npos ? "" : s.substr(a, b - a + 1);
}

bool bracketed(const std::string& s) { return s.size() > 1 && ((s.front() == '[' && s.back() == ']') || (s.front() == '(' && s.back() == ')')); }

/// "[8, 16]", "(1, 2)", "a, b"
Value list_of(std::string text, int nesting = 0) {
  text = trim(text);
  if (bracketed(text)) text = text.substr(1, text.size() - 2);
  std::vector<Value> items;
  int depth = 0;
  std::string item;
  const auto take = [&] {
    item = trim(item);
    items.push_back(bracketed(item) && nesting < kMaxNesting ? list_of(item, nesting + 1) : scalar(item));
    item.clear();
  };
  for (const char c : text) {
    depth += c == '[' || c == '(' ? 1 : c == ']' || c == ')' ? -1 : 0;
    if (c == ',' && depth == 0) take();
    else item += c;
  }
  if (!trim(item).empty()) take();
  return Value::of_list(std::move(items));
}

/// A value of -D name=value: read as what the parameter holds by default, or as its text suggests.
Value from_text(const std::string& text, const ast::Param& p) {
  const std::string& type = p.type.name;
  const bool words = type.empty() || type == "one_of";   // of one_of("1.0", "1.1") 1.0 is a string, too
  if (type == "string" || (words && p.fallback && p.fallback->kind == ast::ExprKind::string)) return Value::of_string(text);
  const bool list = type == "list" || type == "tuple" || type == "[" || type == "(" || (p.fallback && p.fallback->kind == ast::ExprKind::list);
  return list || bracketed(trim(text)) ? list_of(text) : scalar(trim(text));
}

/// A quotient of integers is rounded down where an integer is wanted.
void round_quotient(Value& v) {
  if (v.is(K::number) && v.quotient && std::abs(v.number) < 9e15) v = Value::of_int(static_cast<int64_t>(std::floor(v.number)));
}

}  // namespace

std::optional<std::string> Elaborator::misfit(const ast::ParamType& t, Value& v, const EnvPtr& env) {
  const bool ranged = t.name == "int" || t.name == "float";
  for (const ast::TypeArg& a : t.args)
    if ((t.name != "one_of" && !ranged) || (ranged ? a.value != nullptr || t.args.size() > 1 : a.value == nullptr)) {
      fail(DiagId::misplaced, t.span, "what stands in these parentheses").help.push_back("write int(1..), float(0..1) or one_of(a, b)");
      return std::nullopt;
    }
  if (t.name == "one_of") {
    std::string list;
    for (const ast::TypeArg& a : t.args) {
      const Env::Name* own = a.value->kind == ast::ExprKind::name ? env->find(a.value->text) : nullptr;
      const bool word = a.value->kind == ast::ExprKind::name && !(own && own->value.is(K::callable));   // a number of that name does not change it
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
      for (const auto& [end, word] : {std::pair{a.low.get(), a.high ? " from " : " of at least "}, std::pair{a.high.get(), a.low ? " to " : " of at most "}}) {
        if (!end) continue;
        const Value bound = eval(*end, env);
        if (!bound.error() && !bound.numeric()) fail(DiagId::expected_type, end->span, "the end of a range", "a number", kind_of(bound));
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
  suggest(fail(DiagId::unknown_type, t.span, t.name), t.name, {"int", "float", "bool", "string", "list", "tuple", "one_of"}, true);
  return std::nullopt;
}

bool Elaborator::check_param(const ast::Param& p, Value& v, Span span, const EnvPtr& env, const std::string& help, DiagId id) {
  std::optional<std::string> want;
  if (!p.type.name.empty()) {
    want = misfit(p.type, v, env);
  } else {
    want = "";
    switch (kind_of(p.fallback)) {
      case ast::ExprKind::integer:
        round_quotient(v);
        want = v.is(K::integer) ? "" : "an integer";
        break;
      case ast::ExprKind::number:
        if (v.is(K::integer)) v = Value::of_number(static_cast<double>(v.integer));
        want = v.is(K::number) ? "" : "a number";
        break;
      case ast::ExprKind::string: want = v.is(K::string) ? "" : "a string"; break;
      case ast::ExprKind::boolean: want = v.is(K::boolean) ? "" : "true or false"; break;
      case ast::ExprKind::list: want = v.is(K::list) ? "" : "a list"; break;
      default: break;
    }
  }
  if (!want) return false;
  if (want->empty()) return true;
  Diagnostic& d = fail(id, span, p.name, *want, show(v));
  if (d.help.empty()) d.help.push_back(help);
  return false;
}

Value Elaborator::fallback(const ast::Param& p, const std::string& owner, const EnvPtr& env) {
  Value v = eval(*p.fallback, env);
  const std::string help = fmt::format("it is a hyperparameter of {}", owner);
  return v.error() || check_param(p, v, p.span, env, help, DiagId::hyperparameter_value) ? v : Value();
}

void Elaborator::hyperparameters(const ast::Net& net, const Options& options, const EnvPtr& env, Model& model) {
  std::vector<std::string> names;
  for (const ast::Param& p : net.params) names.push_back(p.name);
  for (const auto& [name, text] : options.defines)
    if (std::find(names.begin(), names.end(), name) == names.end()) suggest(fail(DiagId::unknown_hyperparameter, net.name_span, net.name, name), name, names);
  for (const ast::Param& p : net.params) {
    Value v;
    bool overridden = false;
    for (const auto& [name, text] : options.defines)
      if (name == p.name) v = from_text(text, p), overridden = true;
    if (!overridden) {
      if (!p.fallback) {
        fail(DiagId::missing_argument, p.span, net.name, p.name).help.push_back(fmt::format("give it a default, or a value with -D {}=...", p.name));
        declare(env, p.name, {}, p.span);
        continue;
      }
      v = eval(*p.fallback, env);
    }
    std::string help = fmt::format("it is a hyperparameter of {}", net.name);
    for (const auto& [name, text] : options.defines)
      if (name == p.name) help = fmt::format("it comes from -D {}={}", name, text);
    if (!v.error() && !check_param(p, v, p.span, env, help, DiagId::hyperparameter_value)) v = {};
    declare(env, p.name, v, p.span);
    if (v.error()) continue;
    const std::string type = v.is(K::integer) ? "int" : v.is(K::number) ? "float" : v.is(K::boolean) ? "bool" : v.is(K::string) ? "string"
                             : v.is(K::list) ? "list" : "setting";
    model.hyperparameters.push_back({p.name, show(v), type, overridden});
    if (p.name == "classes" && v.is(K::list) && std::all_of(v.items->begin(), v.items->end(), [](const Value& x) { return x.is(K::string); }))
      for (const Value& c : *v.items) model.classes.push_back(c.text);
  }
}

}  // namespace netc::sema
