// Initialisers and constraints: values that arguments of layers take, from the registry's table.
#include <algorithm>

#include "compiler/sema/elaborator.h"

namespace netc::sema {
namespace {
using K = Value::Kind;

bool is_of(const Value& v, ir::ArgType type) {
  if (!v.is(K::setting)) return false;
  return type == ir::ArgType::initializer ? std::holds_alternative<ir::Initializer>(*v.setting)
                                          : std::holds_alternative<ir::Constraint>(*v.setting);
}

}  // namespace

const ir::SettingDef* Elaborator::find_setting(const std::string& name) const {
  for (const ir::SettingDef* s : registry_.settings)
    if (s->name == name) return s;
  return nullptr;
}

Value Elaborator::setting(const ir::SettingDef& def, const std::vector<ast::Arg>& args, Span span, const EnvPtr& env) {
  std::vector<const ast::Arg*> list;
  for (const ast::Arg& a : args) list.push_back(&a);
  std::vector<ir::ArgValue> values;
  if (!bind(def.name, def.args, list, span, env, values, nullptr)) return {};
  Value v;
  v.kind = K::setting, v.text = source(span), v.setting = std::make_shared<const ir::ArgValue>(def.make(values));
  return v;
}

bool Elaborator::convert_setting(const std::string& what, const ir::ArgDef& def, const ast::Expr& e, const EnvPtr& env,
                                 ir::ArgValue& out) {
  std::vector<std::string> names;
  for (const ir::SettingDef* s : registry_.settings)
    if (s->type == def.type) names.push_back(s->name);
  const std::string want = def.type == ir::ArgType::initializer ? "an initialiser" : "a constraint";
  const ast::Expr& callee = e.kind == ast::ExprKind::call ? *e.items[0] : e;
  // whatever else has that name
  if (callee.kind == ast::ExprKind::name && std::find(names.begin(), names.end(), callee.text) != names.end()) {
    const Value v = setting(*find_setting(callee.text), e.args, e.span, env);
    if (v.error()) return false;
    out = *v.setting;
    return true;
  }
  if (callee.kind == ast::ExprKind::name && !env->find(callee.text)) {
    suggest(fail(DiagId::argument_type, callee.span, def.name, what, want, callee.text), callee.text, names, true);
    return false;
  }
  Value v = eval(e, env);
  if (v.is(K::string)) {  // a word that a hyperparameter brought
    const ir::SettingDef* s =
        std::find(names.begin(), names.end(), v.text) == names.end() ? nullptr : find_setting(v.text);
    if (!s) {
      suggest(fail(DiagId::argument_type, e.span, def.name, what, want, show(v)), v.text, names, true);
      return false;
    }
    v = setting(*s, {}, e.span, env);
  }
  if (v.error()) return false;
  if (!is_of(v, def.type)) {
    fail(DiagId::argument_type, e.span, def.name, what, want, kind_of(v))
        .help.push_back(fmt::format("there are {}", fmt::join(names, ", ")));
    return false;
  }
  out = *v.setting;
  return true;
}

}  // namespace netc::sema
