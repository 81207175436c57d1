// Calls: functions of the language, and the construction of layers with their arguments checked.
#include <algorithm>
#include <cmath>

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
    case ir::ArgType::padding: return "valid, same, or an integer";
    case ir::ArgType::numbers: return "a list of numbers";
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
  static const std::vector<std::string> kFunctions{"len", "enumerate", "min", "max", "sum"};
  if (callee.kind == ast::ExprKind::name && !env->find(callee.text) && std::find(kFunctions.begin(), kFunctions.end(), callee.text) != kFunctions.end())
    return function(callee.text, e, env);
  const Value f = callee.kind == ast::ExprKind::name ? name(callee, env, true) : eval(callee, env);
  if (f.is(K::callable)) return construct(f.callable, e.args, e.span, env);
  if (!f.error()) {
    Diagnostic& d = fail(DiagId::not_callable, callee.span, source(callee.span));
    if (f.is(K::layer)) d.help.push_back("it is a layer already: apply it with x -> " + source(callee.span));
  }
  for (const ast::Arg& a : e.args) // what is wrong inside is said in the same run
    if (a.value->kind != ast::ExprKind::name) eval(*a.value, env);
  return {};
}

Value Elaborator::function(const std::string& name, const ast::Expr& e, const EnvPtr& env) {
  std::vector<Value> v;
  for (const ast::Arg& a : e.args) {
    if (!a.name.empty()) {
      fail(DiagId::unknown_argument, a.span, name, a.name);
      return {};
    }
    v.push_back(eval(*a.value, env));
    if (v.back().error()) return {};
  }
  const bool one_list = v.size() == 1 && v[0].is(K::list);
  if (name == "len") {
    if (one_list) return Value::of_int(static_cast<int64_t>(v[0].items->size()));
    if (v.size() == 1 && v[0].is(K::dict)) return Value::of_int(static_cast<int64_t>(v[0].items->size() / 2));
    if (v.size() == 1 && v[0].is(K::string)) return Value::of_int(static_cast<int64_t>(v[0].text.size()));
  }
  if (name == "enumerate" && one_list) {
    std::vector<Value> out;
    steps_ += static_cast<int64_t>(v[0].items->size());
    for (const Value& i : *v[0].items) out.push_back(Value::of_list({Value::of_int(static_cast<int64_t>(out.size())), i}));
    return Value::of_list(std::move(out));
  }
  const std::vector<Value>& all = one_list ? *v[0].items : v;
  const bool numbers = !all.empty() && std::all_of(all.begin(), all.end(), [](const Value& x) { return x.numeric(); });
  if (numbers && (name == "min" || name == "max")) {
    Value best = all[0];
    for (const Value& x : all)
      if (name == "min" ? x.real() < best.real() : x.real() > best.real()) best = x;
    return best;
  }
  if (numbers && name == "sum" && one_list) {
    double total = 0;
    bool integers = true;
    for (const Value& x : all) total += x.real(), integers = integers && x.is(K::integer);
    return integers && std::abs(total) < 9e15 ? Value::of_int(static_cast<int64_t>(total)) : Value::of_number(total);
  }
  fail(DiagId::expected_type, e.span, "the argument of " + name, name == "len" ? "a list, a table or a string" : name == "enumerate" ? "a list" : "numbers",
       v.size() == 1 ? kind_of(v[0]) : fmt::format("{} values", v.size()));
  return {};
}

Value Elaborator::construct(const std::shared_ptr<Callable>& c, const std::vector<ast::Arg>& args, Span span, const EnvPtr& env) {
  return c->builtin ? construct_builtin(c, args, span, env) : construct_composite(c, args, span, env);
}

bool Elaborator::convert(const std::string& what, const ir::ArgDef& def, const ast::Expr& e, const EnvPtr& env, ir::ArgValue& out) {
  using T = ir::ArgType;
  const auto wrong = [&](const Value& v) {
    fail(DiagId::argument_type, e.span, def.name, what, wording(def.type), v.is(K::number) || v.is(K::string) ? show(v) : kind_of(v));
    return false;
  };
  const auto in_range = [&](double x) {
    if (x >= def.min && x <= def.max) return true;
    const std::string range = def.max >= 1e300 ? fmt::format("at least {}", def.min) : def.min <= -1e300 ? fmt::format("at most {}", def.max)
                                                                                                     : fmt::format("from {} to {}", def.min, def.max);
    fail(DiagId::argument_range, e.span, def.name, what, range, fmt::format("{}", x));
    return false;
  };
  std::vector<std::string> choices = def.choices;
  if (def.type == T::padding) choices = {"valid", "same"};
  const bool words = def.type == T::choice || def.type == T::padding;
  Value v;
  if (words && e.kind == ast::ExprKind::name && !env->find(e.text)) {
    if (std::find(choices.begin(), choices.end(), e.text) == choices.end()) {
      suggest(fail(DiagId::argument_choice, e.span, def.name, what, joined(choices), e.text), e.text, choices);
      return false;
    }
    v = Value::of_string(e.text);
  } else {
    v = eval(e, env);
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
    return in_range(v.real());
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
  if (def.type == T::numbers) {
    std::vector<double> list;
    if (v.is(K::list))
      for (const Value& x : *v.items)
        if (x.numeric()) list.push_back(x.real());
    if (!v.is(K::list) || list.size() != v.items->size()) return wrong(v);
    out = list;
    return std::all_of(list.begin(), list.end(), in_range);
  }
  if (def.type == T::padding && integer_of(v, i)) {
    out = fmt::format("{}", i);
    return in_range(static_cast<double>(i));
  }
  if (!v.is(K::string)) return wrong(v);
  if (std::find(choices.begin(), choices.end(), v.text) == choices.end()) {
    suggest(fail(DiagId::argument_choice, e.span, def.name, what, joined(choices), v.text), v.text, choices);
    return false;
  }
  out = v.text;
  return true;
}

bool Elaborator::bind(const std::string& what, const std::vector<ir::ArgDef>& defs, const std::vector<const ast::Arg*>& args, Span span, const EnvPtr& env,
                      std::vector<ir::ArgValue>& out, std::vector<Value>* tensors, const std::vector<ast::Arg>* defaults) {
  out.assign(defs.size(), {});
  std::vector<bool> given(defs.size(), false);
  size_t position = 0;
  bool ok = true, too_many = false, unknown = false;
  std::vector<std::string> names;
  for (const ir::ArgDef& d : defs) names.push_back(d.name);
  for (const ast::Arg* a : args) {
    if (tensors && a->name.empty() && a->value->kind != ast::ExprKind::integer && position >= defs.size()) {
      const Value v = eval(*a->value, env);
      if (v.is(K::tensor)) { tensors->push_back(v); continue; }
      if (v.error()) { ok = false; continue; }
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
      if (k >= defs.size() || given[k]) {
        if (!too_many) fail(DiagId::too_many_arguments, a->span, what, defs.size(), args.size());
        too_many = true, ok = false;
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
    if (!too_many && !unknown) {  // one that is misspelt is not missing as well
      Diagnostic& d = fail(DiagId::missing_argument, span, what, defs[k].name);
      if (d.help.empty() && !defs[k].doc.empty()) d.help.push_back(fmt::format("{}: {}", defs[k].name, defs[k].doc));
    }
    ok = false;
  }
  return ok;
}

Value Elaborator::construct_builtin(const std::shared_ptr<Callable>& c, const std::vector<ast::Arg>& args, Span span, const EnvPtr& env) {
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
      const Value v = eval(*list[n]->value, env);
      if (v.error()) return {};
      if (!v.is(K::tensor)) {
        if (!c->builtin->args.empty()) break;
        fail(DiagId::expected_type, list[n]->span, "an operand of " + c->name(), "a tensor", kind_of(v));
        return {};
      }
      layer->tensors.push_back(v);
    }
    list.erase(list.begin(), list.begin() + static_cast<long>(n));
    const int have = static_cast<int>(layer->tensors.size()) + 1, want = c->builtin->tensor_inputs;
    if (want > 0 ? have != want : have < -want) {
      fail(DiagId::operand_count, span, c->name(), want > 0 ? fmt::format("{} operands", want) : fmt::format("{} operands or more", -want),
           have == 1 ? std::string("only the one before -> is") : fmt::format("{} are", have))
          .help.push_back(fmt::format("the operands beside the arrow's stand in the parentheses: x -> {}(y)", c->name()));
      return {};
    }
  }
  if (!bind(c->name(), c->builtin->args, list, span, env, layer->args, nullptr, defaults)) return {};
  return Value::of_layer(remember(std::move(layer)));
}

Value Elaborator::construct_composite(const std::shared_ptr<Callable>& c, const std::vector<ast::Arg>& args, Span span, const EnvPtr& env) {
  auto layer = std::make_shared<LayerValue>();
  layer->made_by = c, layer->span = span;
  const std::vector<ast::Param>& params = c->block ? c->block->params : c->net->params;
  std::vector<std::string> names;
  for (const ast::Param& p : params) names.push_back(p.name);
  bool ok = true, unknown = false;
  size_t position = 0;
  auto scope = std::make_shared<Env>();
  scope->parent = c->env;
  for (const ast::Arg& a : args) {
    const Value v = eval(*a.value, env);
    size_t k = a.name.empty() ? position++ : std::find(names.begin(), names.end(), a.name) - names.begin();
    if (a.name.empty() && v.is(K::tensor)) {
      layer->tensors.push_back(v), --position;
      continue;
    }
    if (k >= names.size()) {
      if (a.name.empty()) fail(DiagId::too_many_arguments, a.span, c->name(), names.size(), args.size());
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
    if (v.error() || !check_param(params[k], checked, a.value->span, scope, help, DiagId::hyperparameter_value)) ok = false;
    layer->depth = std::max(layer->depth, checked.depth + 1);
    layer->bound[names[k]] = checked;
  }
  for (const ast::Param& p : params)
    if (!p.fallback && !layer->bound.count(p.name) && !unknown) {
      fail(DiagId::missing_argument, span, c->name(), p.name);
      ok = false;
    }
  return ok ? bounded(Value::of_layer(remember(std::move(layer))), span) : Value();
}

}  // namespace netc::sema
