// Functions of compile-time values: the language's own, and those that a file defines with fn.
#include <algorithm>
#include <cmath>
#include <map>

#include "compiler/base/counted.h"
#include "compiler/sema/elaborator.h"

namespace netc::sema {
namespace {
using K = Value::Kind;
using List = std::vector<Value>;

constexpr int64_t kMaxList = 100000;
constexpr double kExact = 9e15;  // integers beyond are not told apart by a number
constexpr size_t kMaxText = 10000;

bool all_numbers(const List& v) {
  return !v.empty() && std::all_of(v.begin(), v.end(), [](const Value& x) { return x.numeric(); });
}

/// Rounded numbers are integers where these hold them.
Value rounded(double d) { return std::abs(d) < kExact ? Value::of_int(static_cast<int64_t>(d)) : Value::of_number(d); }

std::string text_of(const Value& v) { return v.is(K::string) ? v.text : show(v); }

/// Nothing: the arguments are not what the function takes.
using Made = std::optional<Value>;
using Function = Made (*)(const List&);

template <double (*F)(double)>
Made to_integer(const List& v) {
  if (v.size() != 1 || !v[0].numeric()) return std::nullopt;
  return v[0].is(K::integer) ? v[0] : rounded(F(v[0].number));
}

template <double (*F)(double)>
Made to_number(const List& v) {
  if (v.size() != 1 || !v[0].numeric()) return std::nullopt;
  return Value::of_number(F(v[0].real()));
}

Made length(const List& v) {
  if (v.size() != 1) return std::nullopt;
  if (v[0].is(K::list)) return Value::of_int(static_cast<int64_t>(v[0].items->size()));
  if (v[0].is(K::dict)) return Value::of_int(static_cast<int64_t>(v[0].items->size() / 2));
  if (v[0].is(K::string)) return Value::of_int(static_cast<int64_t>(v[0].text.size()));
  return std::nullopt;
}

Made enumerate(const List& v) {
  if (v.size() != 1 || !v[0].is(K::list)) return std::nullopt;
  List out;
  for (const Value& i : *v[0].items)
    out.push_back(Value::of_list({Value::of_int(static_cast<int64_t>(out.size())), i}));
  return Value::of_list(std::move(out));
}

template <bool Largest>
Made extreme(const List& v) {
  const List& all = v.size() == 1 && v[0].is(K::list) ? *v[0].items : v;
  if (!all_numbers(all)) return std::nullopt;
  Value best = all[0];
  for (const Value& x : all)
    if (Largest ? x.real() > best.real() : x.real() < best.real()) best = x;
  return best;
}

Made sum(const List& v) {
  if (v.size() != 1 || !v[0].is(K::list)) return std::nullopt;
  if (v[0].items->empty()) return Value::of_int(0);
  if (!all_numbers(*v[0].items)) return std::nullopt;
  double total = 0;
  bool integers = true;
  for (const Value& x : *v[0].items) total += x.real(), integers = integers && x.is(K::integer);
  return integers && std::abs(total) < kExact ? Value::of_int(static_cast<int64_t>(total)) : Value::of_number(total);
}

Made absolute(const List& v) {
  if (v.size() != 1 || !v[0].numeric()) return std::nullopt;
  return v[0].is(K::integer) ? Value::of_int(std::abs(v[0].integer)) : Value::of_number(std::abs(v[0].number));
}

Made to_int(const List& v) {
  if (v.size() == 1 && v[0].is(K::boolean)) return Value::of_int(v[0].integer);
  return to_integer<std::trunc>(v);
}

Made to_text(const List& v) {
  return v.size() == 1 ? Made(Value::of_string(text_of(v[0]).substr(0, kMaxText))) : std::nullopt;
}

/// range(end), range(begin, end), range(begin, end, step); an empty list when it would be too long is told apart by the
/// caller.
Made range(const List& v) {
  if (v.empty() || v.size() > 3 || !all_numbers(v)) return std::nullopt;
  const bool integers = std::all_of(v.begin(), v.end(), [](const Value& x) { return x.is(K::integer); });
  const double begin = v.size() > 1 ? v[0].real() : 0, end = v.size() > 1 ? v[1].real() : v[0].real(),
               step = v.size() > 2 ? v[2].real() : 1;
  const double count = step == 0 ? -1 : std::ceil((end - begin) / step - 1e-9);
  if (step == 0 || count > static_cast<double>(kMaxList)) return std::nullopt;
  List out;
  for (int64_t i = 0; i < static_cast<int64_t>(std::max(0.0, count)); ++i) {
    const double x = begin + step * static_cast<double>(i);
    out.push_back(integers ? Value::of_int(static_cast<int64_t>(x)) : Value::of_number(x));
  }
  return Value::of_list(std::move(out));
}

Made zip(const List& v) {
  const auto fits = [&](const Value& x) { return x.is(K::list) && x.items->size() == v[0].items->size(); };
  if (v.size() < 2 || !std::all_of(v.begin(), v.end(), fits)) return std::nullopt;
  List out;
  for (size_t i = 0; i < v[0].items->size(); ++i) {
    List row;
    for (const Value& x : v) row.push_back((*x.items)[i]);
    out.push_back(Value::of_list(std::move(row)));
  }
  return Value::of_list(std::move(out));
}

Made reversed(const List& v) {
  if (v.size() != 1 || !v[0].is(K::list)) return std::nullopt;
  return Value::of_list({v[0].items->rbegin(), v[0].items->rend()});
}

double half_up(double x) { return std::floor(x + 0.5); }
double same(double x) { return x; }

struct Entry {
  Function f;
  const char* wants;
};

const std::map<std::string, Entry>& table() {
  static const std::map<std::string, Entry> all = {
      {"abs", {absolute, "a number"}},
      {"ceil", {to_integer<std::ceil>, "a number"}},
      {"enumerate", {enumerate, "a list"}},
      {"exp", {to_number<std::exp>, "a number or a tensor"}},
      {"float", {to_number<same>, "a number"}},
      {"floor", {to_integer<std::floor>, "a number"}},
      {"int", {to_int, "a number or a boolean"}},
      {"len", {length, "a list, a table or a string"}},
      {"log", {to_number<std::log>, "a number or a tensor"}},
      {"log2", {to_number<std::log2>, "a number"}},
      {"max", {extreme<true>, "numbers"}},
      {"min", {extreme<false>, "numbers"}},
      {"range", {range, "an end, or a begin, an end and a step that is not 0"}},
      {"reversed", {reversed, "a list"}},
      {"round", {to_integer<half_up>, "a number"}},
      {"sqrt", {to_number<std::sqrt>, "a number or a tensor"}},
      {"str", {to_text, "one value"}},
      {"sum", {sum, "numbers"}},
      {"tanh", {to_number<std::tanh>, "a number or a tensor"}},
      {"zip", {zip, "lists of one length"}},
  };
  return all;
}

}  // namespace

bool is_function(const std::string& name) { return table().count(name) != 0; }

std::vector<std::string> function_names() {
  std::vector<std::string> out;
  for (const auto& [name, entry] : table()) out.push_back(name);
  return out;
}

Value Elaborator::function(const std::string& name, const std::vector<Value>& v, Span span) {
  for (const Value& x : v)
    if (x.is(K::list)) steps_ += static_cast<int64_t>(x.items->size());
  const auto entry = table().find(name);
  const Made made = entry == table().end() ? std::nullopt : entry->second.f(v);
  if (!made) {
    fail(DiagId::expected_type, span, "the argument of " + name,
         entry == table().end() ? "a tensor" : entry->second.wants,
         v.size() == 1 ? kind_of(v[0])
         : v.empty()   ? "missing"
                       : counted(static_cast<int64_t>(v.size()), "value"));
    return {};
  }
  if (made->is(K::list)) steps_ += static_cast<int64_t>(made->items->size());
  if (made->is(K::number) && !std::isfinite(made->number)) {
    fail(DiagId::bad_number, span, fmt::format("{} has no finite value here", name));
    return {};
  }
  return bounded(*made, span);
}

Value Elaborator::call_function(const Callable& f, const std::vector<ast::Arg>& args, Span span, const EnvPtr& env) {
  const std::vector<ast::Param>& params = f.params();
  std::vector<std::string> names;
  for (const ast::Param& p : params) names.push_back(p.name);
  std::map<std::string, std::pair<Value, Span>> given;
  bool ok = true, unknown = false;
  size_t position = 0;
  std::vector<const ast::Arg*> list;
  for (const ast::Arg& a : args) list.push_back(&a);
  if (!in_order(list)) return {};
  for (const ast::Arg& a : args) {
    const size_t k = a.name.empty() ? position++ : std::find(names.begin(), names.end(), a.name) - names.begin();
    const Value v = eval(*a.value, env);
    ok = ok && !v.error();
    if (k >= names.size()) {
      if (a.name.empty()) too_many(f.name(), names.size(), args.size(), a.span);
      else suggest(fail(DiagId::unknown_argument, a.span, f.name(), a.name), a.name, names), unknown = true;
      ok = false;
    } else if (!given.emplace(names[k], std::pair{v, a.value->span}).second) {
      fail(DiagId::duplicate_argument, a.span, names[k]);
      ok = false;
    }
  }
  constexpr int kFrames = 2;                   // a call takes more of the stack than an expression
  const auto inner = std::make_shared<Env>();  // nothing in an expression keeps it: it ends here
  inner->parent = f.env, inner->kind = Env::Kind::body;
  context_.push_back({span, fmt::format("in {}, called here", source(span))});
  depth_ += kFrames;
  for (const ast::Param& p : params) {
    const auto it = given.find(p.name);
    Value v;
    if (it != given.end()) v = it->second.first;
    else if (p.fallback) v = ok ? eval(*p.fallback, inner) : Value();
    else if (!unknown) fail(DiagId::missing_argument, span, f.name(), p.name);
    const std::optional<std::string> want = v.error() || p.type.name.empty() ? "" : misfit(p.type, v, inner);
    if (want && !want->empty())
      fail(DiagId::argument_type, it != given.end() ? it->second.second : p.span, p.name, f.name(), *want, show(v));
    if (!want || !want->empty()) v = {};
    ok = ok && !v.error();
    declare(inner, p.name, std::move(v), p.span);
  }
  const Value out = ok ? eval(*f.function->value, inner) : Value();
  depth_ -= kFrames;
  context_.pop_back();
  return out;
}

}  // namespace netc::sema
