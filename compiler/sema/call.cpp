// Calls: functions of the language, and the construction of layers with their arguments checked.
#include <algorithm>
#include <cmath>
#include <utility>

#include "compiler/base/counted.h"
#include "compiler/sema/elaborator.h"

namespace netc::sema {
namespace {
using K = Value::Kind;

std::string joined(const std::vector<std::string>& list) { return fmt::format("{}", fmt::join(list, ", ")); }

const char* wording(ir::ArgType t) {
  switch (t) {
    case ir::ArgType::boolean: return "true or false";
    case ir::ArgType::integer: return "an integer";
    case ir::ArgType::number: return "a number";
    case ir::ArgType::choice: return "one of its choices";
    case ir::ArgType::integer_or_pair: return "an integer or a pair of integers";
    case ir::ArgType::padding: return "valid, same, an integer, [height, width] or [top, bottom, left, right]";
    case ir::ArgType::numbers: return "a number or a list of numbers";
    case ir::ArgType::words: return "one of its choices or a list of them";
    case ir::ArgType::axis: return "channel, width, height, or an integer";
    case ir::ArgType::integers: return "an integer or a list of integers";
    case ir::ArgType::initializer: return "an initialiser";
    case ir::ArgType::constraint: return "a constraint";
  }
  return "";
}

/// An integer from a value, where quotients of integers are rounded down.
bool integer_of(const Value& v, int64_t& out) {
  if (v.is(K::integer)) return out = v.integer, true;
  if (v.is(K::number) && std::abs(v.number) < 9e15 && (v.quotient || v.number == std::floor(v.number)))
    return out = static_cast<int64_t>(std::floor(v.number)), true;
  return false;
}

}  // namespace

bool call_parts(const ast::Expr& e, std::string& name, std::vector<const ast::Arg*>& args) {
  if (e.kind == ast::ExprKind::name) return name = e.text, true;
  if (e.kind != ast::ExprKind::call || e.items[0]->kind != ast::ExprKind::name) return false;
  name = e.items[0]->text;
  for (const ast::Arg& a : e.args) args.push_back(&a);
  return true;
}

Value Elaborator::call(const ast::Expr& e, const EnvPtr& env) {
  const ast::Expr& callee = *e.items[0];
  const Env::Name* own = callee.kind == ast::ExprKind::name ? env->find(callee.text) : nullptr;
  // a number called sum does not hide the function
  const bool calls_own = own && (own->value.is(K::callable) || own->value.is(K::layer));
  if (callee.kind == ast::ExprKind::name && !calls_own) {
    if (is_function(callee.text) || find_function(callee.text)) return named_call(callee.text, e, env);
    if (const ir::SettingDef* s = find_setting(callee.text)) return setting(*s, e.args, e.span, env);
  }
  const Value f = callee.kind == ast::ExprKind::name ? name(callee, env, true) : eval(callee, env);
  if (f.is(K::callable) && f.callable->function) return call_function(*f.callable, e.args, e.span, env);
  if (f.is(K::callable)) {
    // An op's operands are part of the formula it stands in; a layer's are not.
    const Formula outer = formula_;
    if (!f.callable->op) formula_ = {};
    Value v = construct(f.callable, e.args, e.span, env);
    if (!f.callable->op) formula_ = outer;
    return v;
  }
  if (!f.error()) {
    const std::string what = source(callee.span);
    Diagnostic& d = fail(DiagId::not_callable, callee.span, what, kind_of(f));
    if (f.is(K::layer))
      d.help.push_back(fmt::format(
          "it has its arguments already, and its operands stand where it is constructed: x -> {} applies it", what));
    else if (f.is(K::tensor)) d.help.push_back(fmt::format("it can be an operand of a layer: x -> Add({})", what));
    else if (f.is(K::list)) d.help.push_back(fmt::format("its elements are {0}[0], {0}[1], ...", what));
    else d.help.push_back(fmt::format("write {} alone", what));
  }
  for (const ast::Arg& a : e.args)  // what is wrong inside is said in the same run
    if (a.value->kind != ast::ExprKind::name) eval(*a.value, env);
  return {};
}

Value Elaborator::construct(const std::shared_ptr<Callable>& c, const std::vector<ast::Arg>& args, Span span,
                            const EnvPtr& env) {
  return c->builtin ? construct_builtin(c, args, span, env) : construct_composite(c, args, span, env);
}

bool Elaborator::convert(const std::string& what, const ir::ArgDef& def, const ast::Expr& e, const EnvPtr& env,
                         ir::ArgValue& out) {
  using T = ir::ArgType;
  if (def.type == T::initializer || def.type == T::constraint) return convert_setting(what, def, e, env, out);
  const auto wrong = [&](const Value& v) {
    fail(DiagId::argument_type, e.span, def.name, what, wording(def.type),
         v.is(K::number) || v.is(K::string) ? show(v) : kind_of(v));
    return false;
  };
  const auto in_range = [&](double x) {
    if (x >= def.min && x <= def.max) return true;
    const auto text = [](double end) {
      return end == std::floor(end) && std::abs(end) < 1e15 ? grouped(static_cast<int64_t>(end))
                                                            : fmt::format("{}", end);
    };
    const std::string range = def.max >= 1e300    ? "at least " + text(def.min)
                              : def.min <= -1e300 ? "at most " + text(def.max)
                                                  : fmt::format("from {} to {}", text(def.min), text(def.max));
    Diagnostic& d = fail(DiagId::argument_range, e.span, def.name, what, range, fmt::format("{}", x));
    if (!def.doc.empty() && d.help.empty()) d.help.push_back(fmt::format("{}: {}", def.name, def.doc));
    return false;
  };
  std::vector<std::string> choices = def.choices;
  if (def.type == T::padding) choices = {"valid", "same"};
  if (def.type == T::axis) choices.assign(std::begin(ir::kAxisWords), std::end(ir::kAxisWords));
  const auto is_choice = [&](const std::string& word) {
    if (std::find(choices.begin(), choices.end(), word) != choices.end()) return true;
    suggest(fail(DiagId::argument_choice, e.span, def.name, what, joined(choices), word), word, choices);
    return false;
  };
  const bool or_integer = def.type == T::padding || def.type == T::axis;
  const bool words = def.type == T::choice || def.type == T::words || or_integer;
  // one of the choices is itself, whatever else has that name; so is a bare word that nothing has as its name
  const auto value = [&](const ast::Expr& x) {
    const bool choice = std::find(choices.begin(), choices.end(), x.text) != choices.end();
    return words && x.kind == ast::ExprKind::name && (choice || !env->find(x.text)) ? Value::of_string(x.text)
                                                                                    : eval(x, env);
  };
  Value v;
  if (def.type == T::words && e.kind == ast::ExprKind::list) {
    std::vector<Value> items;
    for (const auto& item : e.items) {
      items.push_back(value(*item));
      if (items.back().error()) return false;
    }
    v = Value::of_list(std::move(items));
  } else {
    v = value(e);
  }
  if (v.error()) return false;
  int64_t i = 0;
  if (def.type == T::boolean) {
    if (!v.is(K::boolean)) return wrong(v);
    out = v.integer != 0;
    return true;
  }
  if (def.type == T::number) {
    if (!v.numeric()) return wrong(v);
    out = v.real();
    return in_range(v.real()) && representable(v.real(), e.span);
  }
  if (def.type == T::numbers || def.type == T::words) {
    const std::vector<Value> items = v.is(K::list) ? *v.items : std::vector<Value>{v};
    if (items.empty()) return wrong(v);
    std::vector<double> numbers;
    std::vector<std::string> texts;
    for (const Value& x : items) {
      if (!(def.type == T::numbers ? x.numeric() : x.is(K::string))) return wrong(x);
      if (!(def.type == T::numbers ? in_range(x.real()) && representable(x.real(), e.span) : is_choice(x.text)))
        return false;
      def.type == T::numbers ? numbers.push_back(x.real()) : texts.push_back(x.text);
    }
    if (def.type == T::numbers) out = numbers;
    else out = texts;
    return true;
  }
  if (def.type == T::integer) {
    if (!integer_of(v, i)) return wrong(v);
    out = i;
    return in_range(static_cast<double>(i));
  }
  if (def.type == T::integer_or_pair) {
    std::vector<int64_t> pair;
    if (integer_of(v, i)) pair = {i, i};
    else if (v.is(K::list) && v.items->size() == 2)
      for (const Value& x : *v.items)
        if (integer_of(x, i)) pair.push_back(i);
    if (pair.size() != 2) return wrong(v);
    out = pair;
    return in_range(static_cast<double>(pair[0])) && in_range(static_cast<double>(pair[1]));
  }
  if (def.type == T::integers) {
    std::vector<int64_t> list;
    const std::vector<Value> items = v.is(K::list) ? *v.items : std::vector<Value>{v};
    for (const Value& x : items)
      if (integer_of(x, i)) list.push_back(i);
    if (list.empty() || list.size() != items.size()) return wrong(v);
    out = list;
    return std::all_of(list.begin(), list.end(), [&](int64_t x) { return in_range(static_cast<double>(x)); });
  }
  if (or_integer && integer_of(v, i)) {
    out = fmt::format("{}", i);
    return in_range(static_cast<double>(i));
  }
  if (def.type == T::padding && v.is(K::list) && (v.items->size() == 2 || v.items->size() == 4)) {
    std::vector<std::string> sides;
    for (const Value& x : *v.items) {
      if (!integer_of(x, i)) return wrong(v);
      if (!in_range(static_cast<double>(i))) return false;
      sides.push_back(fmt::format("{}", i));
    }
    out = joined(sides);
    return true;
  }
  if (!v.is(K::string)) return wrong(v);
  if (!is_choice(v.text)) return false;
  out = v.text;
  return true;
}

void Elaborator::decimal_comma(Diagnostic& d, const std::vector<const ast::Arg*>& args, const ast::Arg* after) const {
  const auto at = std::find(args.begin(), args.end(), after);
  if (at == args.begin() || at == args.end()) return;
  const ast::Arg* before = *(at - 1);
  const bool numbers = before->value->kind == ast::ExprKind::integer && after->name.empty() &&
                       (after->value->kind == ast::ExprKind::integer || after->value->kind == ast::ExprKind::number);
  if (numbers && before->span.end + 1 == after->span.begin && d.help.empty())
    d.help.push_back(fmt::format("decimals take a point: {}.{}", source(before->value->span), source(after->span)));
}

Diagnostic& Elaborator::too_many(const std::string& what, size_t most, size_t given, Span span) {
  return fail(DiagId::too_many_arguments, span, what, counted(static_cast<int64_t>(most), "argument"),
              are(static_cast<int64_t>(given)));
}

bool Elaborator::in_order(const std::vector<const ast::Arg*>& args) {
  const ast::Arg* named = nullptr;
  for (const ast::Arg* a : args) {
    if (!a->name.empty()) named = a;
    if (!a->name.empty() || !named) continue;
    Diagnostic& d = fail(DiagId::argument_order, a->span, source(a->span), named->name);
    decimal_comma(d, args, a);
    if (d.help.empty()) d.help.push_back(fmt::format("name it as well, or write it before {}", named->name));
    return false;
  }
  return true;
}

bool Elaborator::bind(const std::string& what, const std::vector<ir::ArgDef>& defs,
                      const std::vector<const ast::Arg*>& args, Span span, const EnvPtr& env,
                      std::vector<ir::ArgValue>& out, std::vector<Value>* tensors,
                      const std::vector<ast::Arg>* defaults) {
  out.assign(defs.size(), {});
  std::vector<bool> given(defs.size(), false);
  size_t position = 0;
  bool ok = true, many = false, unknown = false;
  std::vector<std::string> names;
  for (const ir::ArgDef& d : defs) names.push_back(d.name);
  if (!in_order(args)) return false;
  for (const ast::Arg* a : args) {
    if (tensors && a->name.empty() && a->value->kind != ast::ExprKind::integer && position >= defs.size()) {
      const Value v = eval(*a->value, env);
      if (v.is(K::tensor)) {
        tensors->push_back(v);
        continue;
      }
      if (v.error()) {
        ok = false;
        continue;
      }
    }
    size_t k = position;
    if (!a->name.empty()) {
      k = std::find(names.begin(), names.end(), a->name) - names.begin();
      if (k == names.size()) {
        Diagnostic& d = fail(DiagId::unknown_argument, a->span, what, a->name);
        suggest(d, a->name, names);
        if (d.help.empty() && !names.empty()) d.help.push_back(fmt::format("{} has {}", what, joined(names)));
        ok = false, unknown = true;
        continue;
      }
      if (given[k]) {
        fail(DiagId::duplicate_argument, a->span, a->name);
        ok = false;
        continue;
      }
    } else {
      ++position;
      const bool more = k >= defs.size() && !defs.empty() && defs.back().type == ir::ArgType::integers && given.back();
      if (more) {  // Reshape(7, 7, 64)
        ir::ArgValue next;
        auto* list = std::get_if<std::vector<int64_t>>(&out.back());
        ok = convert(what, defs.back(), *a->value, env, next) && ok;
        if (const auto* items = std::get_if<std::vector<int64_t>>(&next); items && list)
          list->insert(list->end(), items->begin(), items->end());
        continue;
      }
      if (k >= defs.size() || given[k]) {
        if (!many) decimal_comma(too_many(what, defs.size(), args.size(), a->span), args, a);
        many = true, ok = false;
        continue;
      }
    }
    given[k] = true;
    ok = convert(what, defs[k], *a->value, env, out[k]) && ok;
  }
  if (defaults)
    for (const ast::Arg& a : *defaults) {
      const size_t k = std::find(names.begin(), names.end(), a.name) - names.begin();
      if (k == names.size() || given[k]) continue;  // a default's own errors are found where it stands
      given[k] = true;
      ok = convert(what, defs[k], *a.value, env, out[k]) && ok;
    }
  for (size_t k = 0; k < defs.size(); ++k) {
    if (given[k]) continue;
    if (defs[k].fallback) {
      out[k] = *defs[k].fallback;
      if (defs[k].type == ir::ArgType::number)
        if (const auto* i = std::get_if<int64_t>(&out[k])) out[k] = static_cast<double>(*i);
      if (defs[k].type == ir::ArgType::integer_or_pair)
        if (const auto* i = std::get_if<int64_t>(&out[k])) out[k] = std::vector<int64_t>{*i, *i};
      if (defs[k].type == ir::ArgType::padding)
        if (const auto* i = std::get_if<int64_t>(&out[k])) out[k] = fmt::format("{}", *i);
      continue;
    }
    if (!many && !unknown) {  // one that is misspelt is not missing as well
      Diagnostic& d = fail(DiagId::missing_argument, span, what, defs[k].name);
      if (d.help.empty() && !defs[k].doc.empty()) d.help.push_back(fmt::format("{}: {}", defs[k].name, defs[k].doc));
    }
    ok = false;
  }
  return ok;
}

Value Elaborator::construct_builtin(const std::shared_ptr<Callable>& c, const std::vector<ast::Arg>& args, Span span,
                                    const EnvPtr& env) {
  auto layer = std::make_shared<LayerValue>();
  layer->made_by = c, layer->span = span;
  const std::vector<ast::Arg>* defaults = nullptr;
  for (Env* e = env.get(); e && !defaults; e = e->parent.get())
    if (auto it = e->defaults.find(c->builtin->name); it != e->defaults.end()) defaults = it->second;
  std::vector<const ast::Arg*> list;
  for (const ast::Arg& a : args) list.push_back(&a);
  // Tensor arguments come first: Add(y), Concat(a, b, axis = channel).
  const bool takes = c->builtin->tensor_inputs != 1;
  if (takes) {
    size_t n = 0;
    for (; n < list.size() && list[n]->name.empty(); ++n) {
      if (c->builtin->tensor_inputs > 0 && static_cast<int>(n) >= c->builtin->tensor_inputs - 1) break;
      const ast::Expr& e = *list[n]->value;
      const Env::Name* own = e.kind == ast::ExprKind::name ? env->find(e.text) : nullptr;
      const bool tensor = own && (own->value.error() || !tensors_of(own->value).empty());
      const bool word = e.kind == ast::ExprKind::name &&
                        std::count(std::begin(ir::kAxisWords), std::end(ir::kAxisWords), e.text) && !tensor;
      if (word && !c->builtin->args.empty()) break;
      const Value v = eval(e, env);
      if (v.error()) return {};
      const std::vector<Value> tensors = tensors_of(v);
      if (tensors.empty()) {
        if (!c->builtin->args.empty()) break;
        fail(DiagId::expected_type, list[n]->span, "an operand of " + c->name(), "a tensor", kind_of(v));
        return {};
      }
      layer->tensors.insert(layer->tensors.end(), tensors.begin(), tensors.end());
    }
    list.erase(list.begin(), list.begin() + static_cast<long>(n));
  }
  if (!bind(c->name(), c->builtin->args, list, span, env, layer->args, nullptr, defaults)) return {};
  return Value::of_layer(remember(std::move(layer)));
}

Value Elaborator::construct_composite(const std::shared_ptr<Callable>& c, const std::vector<ast::Arg>& args, Span span,
                                      const EnvPtr& env) {
  auto layer = std::make_shared<LayerValue>();
  layer->made_by = c, layer->span = span;
  std::vector<const ast::Param*> params;
  std::vector<std::string> names;
  size_t operands = 0;  // of an op: its parameters without type and default
  for (const ast::Param& p : c->params()) {
    if (c->op && p.type.name.empty() && !p.fallback) ++operands;
    else params.push_back(&p), names.push_back(p.name);
  }
  bool ok = true, unknown = false;
  size_t position = 0;
  auto scope = std::make_shared<Env>();
  scope->parent = c->env;
  std::vector<const ast::Arg*> list;
  for (const ast::Arg& a : args) list.push_back(&a);
  if (!in_order(list)) return {};
  for (const ast::Arg& a : args) {
    const bool apart = c->op && ops_ == 0;
    const Formula outer = apart ? std::exchange(formula_, {}) : Formula();  // an operand is a layer of its own
    const Value v = eval(*a.value, env);
    if (apart) formula_ = outer;
    const std::vector<Value> tensors = tensors_of(v);
    size_t k = a.name.empty() ? position++ : std::find(names.begin(), names.end(), a.name) - names.begin();
    if (a.name.empty() && !tensors.empty()) {
      layer->tensors.insert(layer->tensors.end(), tensors.begin(), tensors.end()), --position;
      continue;
    }
    if (k >= names.size()) {
      if (a.name.empty()) too_many(c->name(), names.size(), args.size(), a.span);
      else suggest(fail(DiagId::unknown_argument, a.span, c->name(), a.name), a.name, names), unknown = true;
      ok = false;
      continue;
    }
    if (layer->bound.count(names[k])) {
      fail(DiagId::duplicate_argument, a.span, names[k]);
      ok = false;
      continue;
    }
    Value checked = v;
    const std::string help = fmt::format("it is a hyperparameter of {}", c->name());
    if (v.error() || !check_param(*params[k], checked, a.value->span, scope, help, DiagId::hyperparameter_value))
      ok = false;
    layer->depth = std::max(layer->depth, checked.depth + 1);
    layer->bound[names[k]] = checked;
  }
  for (const ast::Param* p : params)
    if (!p->fallback && !layer->bound.count(p->name) && !unknown) {
      fail(DiagId::missing_argument, span, c->name(), p->name);
      ok = false;
    }
  if (ok && c->op && !layer->tensors.empty() && layer->tensors.size() == operands)
    return apply_op(*c, layer->tensors, layer->bound, span);
  return ok ? bounded(Value::of_layer(remember(std::move(layer))), span) : Value();
}

}  // namespace netc::sema
