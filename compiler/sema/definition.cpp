#include "compiler/sema/definition.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

#include "compiler/base/diagnostics.h"

namespace netc::sema {
namespace {
using K = Value::Kind;
using E = ast::ExprKind;
constexpr int kMaxNesting = 16;

std::string trim(const std::string& s) {
  const size_t a = s.find_first_not_of(" \t"), b = s.find_last_not_of(" \t");
  return a == std::string::npos ? "" : s.substr(a, b - a + 1);
}

bool bracketed(const std::string& s) {
  return s.size() > 1 && ((s.front() == '[' && s.back() == ']') || (s.front() == '(' && s.back() == ')'));
}
bool quoted(const std::string& s) { return s.size() > 1 && s.front() == '"' && s.back() == '"'; }
std::string unquoted(const std::string& s) { return quoted(s) ? s.substr(1, s.size() - 2) : s; }

/// The whole text as a number; with `overflow` where it is one that no 64 bits hold.
bool number_of(const std::string& text, double& out, bool& overflow) {
  char* end = nullptr;
  out = std::strtod(text.c_str(), &end);
  const bool digits = text.find_first_of("0123456789") != std::string::npos;  // neither inf nor nan
  overflow = digits && !(std::abs(out) < 1e300);
  return digits && *end == 0 && !overflow;
}

Definition scalar(const std::string& text) {
  if (text == "true" || text == "false") return {Value::of_bool(text == "true"), ""};
  char* end = nullptr;
  errno = 0;
  const int64_t i = std::strtoll(text.c_str(), &end, 10);
  if (!text.empty() && *end == 0 && errno == 0 && i != INT64_MIN) return {Value::of_int(i), ""};
  double d = 0;
  bool overflow = false;
  if (number_of(text, d, overflow)) return {Value::of_number(d), ""};
  if (overflow && text.find_first_not_of("0123456789+-.eE") == std::string::npos)
    return {{}, text + ", which is too large a number"};
  return {Value::of_string(unquoted(text)), ""};
}

/// Why brackets and quotes do not match; "" when they do.
std::string unbalanced(const std::string& text) {
  std::string open;
  bool inside = false;
  for (const char c : text) {
    if (c == '"') inside = !inside;
    if (inside) continue;
    if (c == '[' || c == '(') open += c;
    if (c != ']' && c != ')') continue;
    if (open.empty() || (c == ']') != (open.back() == '['))
      return fmt::format("\"{}\", where {} closes nothing", text, c);
    open.pop_back();
  }
  if (inside) return fmt::format("{}, whose last quote is not closed", text);
  if (open.size() > kMaxNesting) return fmt::format("nested more than {} levels deep", kMaxNesting);
  return open.empty() ? "" : fmt::format("\"{}\", whose {} is not closed", text, open.back());
}

/// "[8, 16]", "(1, 2)", "a, b"
enum class Elements : uint8_t { any, numbers, strings };
Definition list_of(std::string text, Elements elements, int nesting = 0) {
  const std::string whole = text = trim(text);
  if (bracketed(text)) text = text.substr(1, text.size() - 2);
  std::vector<Value> items;
  std::string item, wrong;
  int depth = 0;
  bool inside = false;
  const auto take = [&] {
    item = trim(item);
    Definition d = bracketed(item) && nesting < kMaxNesting ? list_of(item, elements, nesting + 1)
                   : elements == Elements::strings          ? Definition{Value::of_string(unquoted(item)), ""}
                                                            : scalar(item);
    if (item.empty()) d.wrong = fmt::format("{}, where an element is empty", whole);
    else if (elements == Elements::numbers && d.value.is(K::string))
      d.wrong = fmt::format("{}, where {} is no number", whole, item);
    if (wrong.empty()) wrong = d.wrong;
    items.push_back(std::move(d.value));
    item.clear();
  };
  for (const char c : text) {
    if (c == '"') inside = !inside;
    if (!inside) depth += c == '[' || c == '(' ? 1 : c == ']' || c == ')' ? -1 : 0;
    if (c == ',' && depth == 0 && !inside) take();
    else item += c;
  }
  if (!trim(item).empty()) take();
  return {Value::of_list(std::move(items)), wrong};
}

bool is_list(const ast::Param& p) {
  const std::string& type = p.type.name;
  return type == "list" || type == "tuple" || type == "[" || type == "(" || (type.empty() && literal_of(p) == E::list);
}

/// What a default lists nothing but, where no type says what elements are.
Elements elements_of(const ast::Param& p) {
  if (!p.type.items.empty() || !p.fallback || p.fallback->kind != E::list || p.fallback->items.empty())
    return Elements::any;
  const auto all = [&](auto of) {
    return std::all_of(p.fallback->items.begin(), p.fallback->items.end(), [&](const auto& i) { return of(i->kind); });
  };
  if (all([](E k) { return k == E::integer || k == E::number; })) return Elements::numbers;
  return all([](E k) { return k == E::string; }) ? Elements::strings : Elements::any;
}

std::vector<std::string> choices_of(const ast::ParamType& t) {
  std::vector<std::string> out;
  for (const ast::TypeArg& a : t.args)
    if (a.value) out.push_back(a.value->text);
  return out;
}

}  // namespace

ast::ExprKind literal_of(const ast::Param& p) {
  if (!p.fallback) return E::name;
  if (p.fallback->kind != E::unary || p.fallback->text != "-") return p.fallback->kind;
  const E of = p.fallback->items[0]->kind;
  return of == E::integer || of == E::number ? of : p.fallback->kind;
}

Definition read_definition(const std::string& text, const ast::Param& p) {
  const std::string value = trim(text), &type = p.type.name;
  const bool words = type.empty() || type == "one_of";  // of one_of("1.0", "1.1") 1.0 is a string, too
  bool string = type == "string" || (words && literal_of(p) == E::string);
  if (type == "one_of")
    for (const ast::TypeArg& a : p.type.args) {
      const bool word = a.value && (a.value->kind == E::name || a.value->kind == E::string);
      string = string || (word && a.value->text == unquoted(value));
    }
  if (string) return {Value::of_string(quoted(value) ? unquoted(value) : text), ""};
  if (value.empty()) return {{}, "empty"};
  const bool list = is_list(p) || ((type.empty() || type == "one_of") && bracketed(value));
  if (!list) {
    Definition d = scalar(value);
    const bool integer = type == "int" || (type.empty() && literal_of(p) == E::integer);
    if (integer && d.value.is(K::number) && value.find_first_not_of("+-0123456789") == std::string::npos)
      d.wrong = value + ", which does not fit 64 bits";
    return d;
  }
  if (const std::string wrong = unbalanced(value); !wrong.empty()) return {{}, wrong};
  return list_of(value, elements_of(p));
}

std::vector<std::string> meant(const std::string& text, const ast::Param& p) {
  std::vector<std::string> out;
  const std::string value = trim(text);
  const auto one_of = [&](const char* words) {
    return fmt::format(" {} ", words).find(" " + value + " ") != std::string::npos;
  };
  if (one_of("yes Yes YES on On 1 True TRUE y Y")) out.push_back("true");
  if (one_of("no No NO off Off 0 False FALSE n N")) out.push_back("false");
  double d = 0, e = 0;
  bool overflow = false;
  const auto whole = [](double x) { return x == std::floor(x) && std::abs(x) < 9e15; };
  if (number_of(value, d, overflow) && whole(d)) out.push_back(fmt::format("{}", static_cast<int64_t>(d)));
  if (is_list(p)) return {};
  std::string digits;  // 1_000, 1,000, 1'000
  for (const char c : value)
    if (c != '_' && c != ',' && c != '\'' && c != ' ') digits += c;
  const size_t comma = value.find(','), slash = value.find('/');
  if (comma != std::string::npos && comma > 0 && digits.find_first_not_of("0123456789+-") == std::string::npos) {
    std::string point = value;
    point[comma] = '.';
    const bool thousands = p.type.name == "int" || literal_of(p) == E::integer;
    if (!thousands && number_of(point, d, overflow)) out.push_back(point);
  }
  if (digits != value && number_of(digits, d, overflow) && whole(d)) out.push_back(digits);
  if (slash != std::string::npos && number_of(value.substr(0, slash), d, overflow) &&
      number_of(value.substr(slash + 1), e, overflow) && e != 0)
    out.push_back(fmt::format("{}", d / e));
  if (value.size() > 1 && value.back() == '%' && number_of(value.substr(0, value.size() - 1), d, overflow))
    out.push_back(fmt::format("{}", d / 100));
  if (p.type.name == "one_of") {
    const std::vector<std::string> choices = choices_of(p.type);
    if (const std::string near = nearest_name(unquoted(value), choices); !near.empty()) out.push_back(near);
  }
  return out;
}

std::string on_command_line(const std::string& name, const std::string& text) {
  const bool plain = text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-=/") ==
                     std::string::npos;
  return plain ? fmt::format("-D {}={}", name, text) : fmt::format("-D '{}={}'", name, text);
}

}  // namespace netc::sema
