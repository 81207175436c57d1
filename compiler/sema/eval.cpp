// Expressions: names, lists, indexing, properties, operators.
#include <algorithm>
#include <cmath>
#include <utility>

#include "compiler/base/counted.h"
#include "compiler/ir/foreign_names.h"
#include "compiler/sema/elaborator.h"

namespace netc::sema {
namespace {
using K = Value::Kind;
constexpr int64_t kMaxSteps = 2000000;
constexpr int kMaxDepth = 800;  // of eval() inside eval(), through blocks
constexpr int64_t kMaxList = 100000;
constexpr int kMaxNesting = 64;

bool is_word(const std::vector<ast::Stmt>& body, const std::string& word);

/// Whether a one_of of these types or inside them lists the word.
bool is_word(const ast::ParamType& t, const std::string& word) {
  return std::any_of(t.args.begin(), t.args.end(),
                     [&](const ast::TypeArg& a) { return a.value && a.value->text == word; }) ||
         std::any_of(t.items.begin(), t.items.end(), [&](const ast::ParamType& i) { return is_word(i, word); });
}
bool is_word(const std::vector<ast::Param>& params, const std::string& word) {
  return std::any_of(params.begin(), params.end(), [&](const ast::Param& p) { return is_word(p.type, word); });
}
bool is_word(const std::vector<ast::Stmt>& body, const std::string& word) {
  const auto holds = [&](const ast::Stmt& s) {
    return is_word(s.params, word) || is_word(s.body, word) || is_word(s.otherwise, word);
  };
  return std::any_of(body.begin(), body.end(), holds);
}
bool is_word(const ast::File& file, const std::string& word) {
  const auto in_net = [&](const ast::Net& n) { return is_word(n.params, word) || is_word(n.body, word); };
  const auto imported = [&](const ast::Import& i) { return i.file && is_word(*i.file, word); };
  return is_word(file.declarations, word) || std::any_of(file.nets.begin(), file.nets.end(), in_net) ||
         std::any_of(file.imports.begin(), file.imports.end(), imported);
}

/// Written with literals only.
bool is_literal(const ast::Expr& e) {
  switch (e.kind) {
    case ast::ExprKind::name:
    case ast::ExprKind::call:
    case ast::ExprKind::member:
    case ast::ExprKind::chain: return false;
    default: return std::all_of(e.items.begin(), e.items.end(), [](const ast::ExprPtr& i) { return is_literal(*i); });
  }
}
}  // namespace

std::string Elaborator::source(Span s) const {
  const SourceFile& file = diagnostics_.file_of(s);
  const std::string& text = file.text();
  std::string out;
  for (uint32_t i = s.begin - file.base(); i < s.end - file.base() && i < text.size(); ++i) {
    const bool blank = text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t';
    if (!blank) out += text[i];
    else if (!out.empty() && out.back() != ' ') out += ' ';
  }
  return out;
}

bool Elaborator::spend(Span span) {
  if (exhausted_) return false;
  if (++steps_ <= kMaxSteps) return true;
  exhausted_ = true;
  fail(DiagId::too_much_work, span, fmt::format("the net takes more than {} steps to elaborate", grouped(kMaxSteps)))
      .help.push_back("look for a loop over a huge range");
  return false;
}

Value Elaborator::bounded(Value v, Span span) {
  if (v.depth <= kMaxNesting && v.weight <= static_cast<double>(kMaxList)) return v;
  if (v.depth > kMaxNesting)
    fail(DiagId::too_much_work, span, fmt::format("{} is nested more than {} levels deep", kind_of(v), kMaxNesting));
  else fail(DiagId::too_much_work, span, fmt::format("the list has more than {} elements", grouped(kMaxList)));
  return {};
}

void Elaborator::suggest(Diagnostic& d, const std::string& name, const std::vector<std::string>& known, bool list_all) {
  if (diagnostics_.enough() || !d.help.empty()) return;
  if (const std::string ours = ops::foreign_name(name, known); !ours.empty()) {
    d.help.push_back(ours);
    return;
  }
  const std::string near = nearest_name(name, known);
  if (near.empty() && list_all) d.help.push_back(fmt::format("there are {}", fmt::join(known, ", ")));
  if (!near.empty()) d.help.push_back(fmt::format("did you mean {}?", near));
}

std::vector<std::string> Elaborator::visible(const EnvPtr& env, bool layers) const {
  std::vector<std::string> out;
  for (Env* e = env.get(); e; e = e->parent.get())
    for (const auto& [name, n] : e->names)
      if (!layers || n.value.is(K::callable) || n.value.is(K::layer)) out.push_back(name);
  return out;
}

Value Elaborator::name(const ast::Expr& e, const EnvPtr& env, bool layer) {
  if (Env::Name* n = env->find(e.text)) {
    n->used = true;
    return n->value;
  }
  if (const ir::SettingDef* s = layer ? nullptr : find_setting(e.text)) return setting(*s, {}, e.span, env);
  Diagnostic& d = fail(layer ? DiagId::unknown_layer : DiagId::unknown_name, e.span, e.text);
  if (diagnostics_.enough()) return {};
  if (!layer && is_word(file_, e.text)) {
    d.help.push_back(fmt::format("words are strings: write \"{}\"", e.text));
    return {};
  }
  std::vector<std::string> known = visible(env, layer), functions = function_names();
  known.insert(known.end(), functions.begin(), functions.end());
  for (const ir::FunctionDef* f : registry_.functions) known.push_back(f->name);
  for (const ir::SettingDef* s : registry_.settings) known.push_back(s->name);
  suggest(d, e.text, known);
  if (layer && d.help.empty()) d.help.push_back("netc layers lists what there is");
  return {};
}

Value Elaborator::eval(const ast::Expr& e, const EnvPtr& env) {
  if (!spend(e.span)) return {};
  if (depth_ >= kMaxDepth) {
    exhausted_ = true;
    fail(DiagId::too_much_work, e.span, "expressions and blocks nest too deeply");
    return {};
  }
  ++depth_;
  Value v = eval_inner(e, env);
  --depth_;
  return v;
}

Value Elaborator::eval_inner(const ast::Expr& e, const EnvPtr& env) {
  switch (e.kind) {
    case ast::ExprKind::integer: return Value::of_int(e.integer);
    case ast::ExprKind::number: return Value::of_number(e.number);
    case ast::ExprKind::string: return Value::of_string(e.text);
    case ast::ExprKind::boolean: return Value::of_bool(e.integer != 0);
    case ast::ExprKind::name: return name(e, env, false);
    case ast::ExprKind::list:
    case ast::ExprKind::dict: return list(e, env);
    case ast::ExprKind::call: return formula(e.span, [&] { return call(e, env); });
    case ast::ExprKind::index: return index(e, env);
    case ast::ExprKind::member: return member(e, env);
    case ast::ExprKind::unary: return formula(e.span, [&] { return unary(e, env); });
    case ast::ExprKind::binary: return formula(e.span, [&] { return binary(e, env); });
    case ast::ExprKind::chain: {
      const Formula outer = std::exchange(formula_, {});
      Value v = chain(e, env);
      formula_ = outer;
      return v;
    }
    case ast::ExprKind::each: return each(e, env);
    case ast::ExprKind::frozen:
    case ast::ExprKind::weights: return modified(e, env);
    case ast::ExprKind::choose: {
      const std::optional<bool> c = choice(*e.items[0], env);
      return c ? eval(*e.items[*c ? 1 : 2], env) : Value();
    }
  }
  return {};
}

std::optional<bool> Elaborator::condition(const ast::Expr& e, const EnvPtr& env, const char* what) {
  const Value v = eval(e, env);
  if (v.error()) return std::nullopt;
  if (v.is(K::boolean)) return v.integer != 0;
  fail(DiagId::expected_type, e.span, what, "true or false", kind_of(v));
  return std::nullopt;
}

std::optional<bool> Elaborator::choice(const ast::Expr& e, const EnvPtr& env) {
  const std::optional<bool> c = condition(e, env, "a condition");
  if (c && is_literal(e)) diagnostics_.report(DiagId::dead_branch, e.span, *c ? "true" : "false");
  return c;
}

Value Elaborator::list(const ast::Expr& e, const EnvPtr& env) {
  std::vector<Value> items;
  bool ok = true;
  for (const auto& i : e.items) {
    items.push_back(eval(*i, env));
    ok = ok && !items.back().error();
  }
  if (!ok) return {};
  Value v = Value::of_list(std::move(items));
  if (e.kind == ast::ExprKind::dict) v.kind = K::dict;
  return bounded(std::move(v), e.span);
}

Value Elaborator::each(const ast::Expr& e, const EnvPtr& env) {
  const Value over = eval(*e.items[1], env);
  if (over.error()) return {};
  if (!over.is(K::list)) {
    fail(DiagId::expected_type, e.items[1]->span, "what a loop goes over", "a range or a list", kind_of(over));
    return {};
  }
  std::vector<Value> items;
  for (const Value& v : *over.items) {
    const auto inner = std::make_shared<Env>();  // nothing in an expression keeps it: it ends here
    inner->parent = env, inner->kind = Env::Kind::loop;
    destructure(e.pattern, v, e.items[1]->span, inner, false, false);
    context_.push_back({e.pattern.span, fmt::format("in the iteration {} = {}", source(e.pattern.span), show(v))});
    const std::optional<bool> wanted = e.items.size() > 2 ? condition(*e.items[2], inner, "a condition") : true;
    if (wanted && *wanted) items.push_back(eval(*e.items[0], inner));
    context_.pop_back();
    if (!wanted || (*wanted && items.back().error())) return {};  // the first failing element says it
  }
  return bounded(Value::of_list(std::move(items)), e.span);
}

Value Elaborator::modified(const ast::Expr& e, const EnvPtr& env) {
  const bool frozen = e.kind == ast::ExprKind::frozen;
  Value v = eval(*e.items[0], env);
  if (!v.error() && !v.is(K::layer) && !(v.is(K::callable) && !v.callable->function)) {
    fail(DiagId::expected_type, e.items[0]->span, frozen ? "what is frozen" : "what starts from a file",
         "a layer, a block or a net", kind_of(v));
    return {};
  }
  v = as_layer(v, e.items[0]->span, env);
  if (v.error()) return {};
  if (v.layer->applications > 0 && (frozen ? !v.layer->frozen : v.layer->weights.empty())) {
    fail(DiagId::misplaced, e.span, frozen ? "frozen" : "from")
        .help.push_back("the layer was applied before: say it where the layer is constructed");
    return {};
  }
  if (frozen) {
    v.layer->frozen = true;
    return v;
  }
  const Value path = eval(*e.items[1], env);
  if (path.error()) return {};
  if (!path.is(K::string) || path.text.empty()) {
    fail(DiagId::expected_type, e.items[1]->span, "the file after from", "a string, like \"base.safetensors\"",
         path.is(K::string) ? "empty" : kind_of(path));
    return {};
  }
  v.layer->weights = path.text, v.layer->weights_span = e.span;
  return v;
}

Value Elaborator::index(const ast::Expr& e, const EnvPtr& env) {
  const Value of = eval(*e.items[0], env), at = eval(*e.items[1], env);
  if (of.error() || at.error()) return {};
  if (of.is(K::dict)) {
    for (size_t i = 0; i + 1 < of.items->size(); i += 2)
      if (equal((*of.items)[i], at)) return (*of.items)[i + 1];
    fail(DiagId::bad_index, e.items[1]->span, fmt::format("the table has no entry {}", show(at)));
    return {};
  }
  if (!of.is(K::list) || !at.is(K::integer)) {
    fail(DiagId::bad_index, e.span, fmt::format("{} cannot be indexed by {}", kind_of(of), kind_of(at)));
    return {};
  }
  const int64_t n = static_cast<int64_t>(of.items->size()), i = at.integer < 0 ? at.integer + n : at.integer;
  if (i < 0 || i >= n) {
    fail(DiagId::bad_index, e.items[1]->span, fmt::format("index {} is outside a list of {}", at.integer, n));
    return {};
  }
  return (*of.items)[static_cast<size_t>(i)];
}

Value Elaborator::member(const ast::Expr& e, const EnvPtr& env) {
  const Value of = eval(*e.items[0], env);
  if (of.error()) return {};
  if (of.is(K::tensor)) {
    const ir::Type type = graph_->type(of.tensor);
    const auto extent = [&](int from_end) -> Value {
      const int i = type.rank() - from_end;
      if (i < 0 || type.dims[i] == ir::kAnyExtent) {
        const std::string shape = ir::shape_for_user(type);
        fail(DiagId::bad_index, e.span,
             fmt::format(fmt::runtime(i < 0 ? "{} has no {}" : "{} has another {} for every sample"), shape, e.text));
        return {};
      }
      return Value::of_int(type.dims[i]);
    };
    if (e.text == "channels") return extent(1);
    if (e.text == "width") return extent(2);
    if (e.text == "height") return extent(3);
    if (e.text == "rank") return Value::of_int(type.rank());
    if (e.text == "shape") {
      std::vector<Value> dims;
      for (int i = type.rank(); i > 0; --i) {
        dims.push_back(extent(i));
        if (dims.back().error()) return {};
      }
      return Value::of_list(std::move(dims));
    }
  }
  if (of.names)
    for (size_t i = 0; i < of.names->size(); ++i)
      if ((*of.names)[i] == e.text) return (*of.items)[i];
  Diagnostic& d = fail(DiagId::unknown_member, e.span, kind_of(of), e.text);
  if (of.names) suggest(d, e.text, *of.names, true);
  if (of.is(K::tensor)) {
    suggest(d, e.text, {"shape", "channels", "width", "height", "rank"});
    if (d.help.empty()) d.help.push_back("a tensor has shape, rank, height, width and channels");
  }
  return {};
}

Value Elaborator::unary(const ast::Expr& e, const EnvPtr& env) {
  const Value v = eval(*e.items[0], env);
  if (v.error()) return {};
  if (e.text == "not" && v.is(K::boolean)) return Value::of_bool(!v.integer);
  if (const ir::FunctionDef* f = v.is(K::tensor) && e.text == "-" ? find_function("neg") : nullptr)
    return tensor_function(*f, {v}, {}, e.span);
  if (e.text == "-" && v.is(K::number)) return Value::of_number(-v.number, v.quotient);
  // never the smallest: literals are positive, results checked
  if (e.text == "-" && v.is(K::integer)) return Value::of_int(-v.integer);
  fail(DiagId::operator_type, e.span, e.text, kind_of(v));
  return {};
}

Value Elaborator::binary(const ast::Expr& e, const EnvPtr& env) {
  const std::string& op = e.text;
  if (op == "and" || op == "or") {
    const std::optional<bool> a = condition(*e.items[0], env, "an operand of and, or");
    if (!a) return {};
    if (*a == (op == "or")) return Value::of_bool(*a);
    const std::optional<bool> b = condition(*e.items[1], env, "an operand of and, or");
    return b ? Value::of_bool(*b) : Value();
  }
  const Value a = eval(*e.items[0], env), b = eval(*e.items[1], env);
  if (a.error() || b.error()) return {};
  if (a.is(K::tensor) || b.is(K::tensor)) {
    if (const ir::FunctionDef* f = find_function(op)) return tensor_function(*f, {a, b}, {}, e.span);
    fail(DiagId::operator_type, e.span, op, fmt::format("{} and {}", kind_of(a), kind_of(b)));
    return {};
  }
  if (op == "==") return Value::of_bool(equal(a, b));
  if (op == "!=") return Value::of_bool(!equal(a, b));
  if (op == "..") {
    if (!a.is(K::integer) || !b.is(K::integer)) {
      fail(DiagId::operator_type, e.span, op, fmt::format("{} and {}", kind_of(a), kind_of(b)));
      return {};
    }
    std::vector<Value> items;
    if (b.integer > a.integer &&
        static_cast<uint64_t>(b.integer) - static_cast<uint64_t>(a.integer) > static_cast<uint64_t>(kMaxList)) {
      fail(DiagId::too_much_work, e.span, fmt::format("the range has more than {} elements", grouped(kMaxList)));
      return {};
    }
    steps_ += std::max<int64_t>(0, b.integer - a.integer);
    for (int64_t i = a.integer; i < b.integer; ++i) items.push_back(Value::of_int(i));
    return Value::of_list(std::move(items));
  }
  return arithmetic(e, a, b);
}

Value Elaborator::arithmetic(const ast::Expr& e, const Value& a, const Value& b) {
  const std::string& op = e.text;
  const bool order = op == "<" || op == "<=" || op == ">" || op == ">=";
  if (op == "+" && a.is(K::list) && b.is(K::list)) {
    std::vector<Value> items = *a.items;
    steps_ += static_cast<int64_t>(items.size() + b.items->size());
    items.insert(items.end(), b.items->begin(), b.items->end());
    return bounded(Value::of_list(std::move(items)), e.span);
  }
  if (op == "+" && a.is(K::string) && b.is(K::string) && a.text.size() + b.text.size() < 10000)
    return Value::of_string(a.text + b.text);
  if (!a.numeric() || !b.numeric()) {
    fail(DiagId::operator_type, e.span, op, fmt::format("{} and {}", kind_of(a), kind_of(b)));
    return {};
  }
  const bool integers = a.is(K::integer) && b.is(K::integer);
  const double x = a.real(), y = b.real();
  if (order) {
    const auto holds = [&](auto p, auto q) {
      return Value::of_bool(op == "<" ? p < q : op == "<=" ? p <= q : op == ">" ? p > q : p >= q);
    };
    return integers ? holds(a.integer, b.integer) : holds(x, y);
  }
  if ((op == "/" || op == "%") && y == 0) {
    fail(DiagId::bad_number, e.span, "division by zero");
    return {};
  }
  int64_t r = 0;
  bool overflow = false;
  if (integers && op != "/" && !(op == "^" && b.integer < 0)) {
    if (op == "+") overflow = __builtin_add_overflow(a.integer, b.integer, &r);
    if (op == "-") overflow = __builtin_sub_overflow(a.integer, b.integer, &r);
    if (op == "*") overflow = __builtin_mul_overflow(a.integer, b.integer, &r);
    if (op == "%") {
      r = b.integer == -1 ? 0 : a.integer % b.integer;
      if (r != 0 && (r < 0) != (b.integer < 0)) r += b.integer;  // the sign of the divisor
    }
    if (op == "^") {
      r = 1;
      if (a.integer == 1 || a.integer == 0 || a.integer == -1)
        r = b.integer == 0 ? 1 : a.integer == -1 && b.integer % 2 == 0 ? 1 : a.integer;
      else
        for (int64_t i = 0; i < b.integer && !overflow; ++i) overflow = __builtin_mul_overflow(r, a.integer, &r);
    }
    if (overflow || r == INT64_MIN) {
      fail(DiagId::bad_number, e.span, "the result does not fit a 64-bit integer");
      return {};
    }
    return Value::of_int(r);
  }
  if (integers && op == "/") {
    if (a.integer % b.integer == 0) return Value::of_int(a.integer / b.integer);
    return Value::of_number(x / y, true);
  }
  double z = op == "+"   ? x + y
             : op == "-" ? x - y
             : op == "*" ? x * y
             : op == "/" ? x / y
             : op == "%" ? x - y * std::floor(x / y)
                         : std::pow(x, y);
  if (!std::isfinite(z)) {
    fail(DiagId::bad_number, e.span, "the result is not a finite number");
    return {};
  }
  return Value::of_number(z);
}

}  // namespace netc::sema
