#include "compiler/sema/value.h"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/base/counted.h"

namespace netc::sema {

bool equal(const Value& a, const Value& b) {
  if (a.numeric() && b.numeric())
    return a.is(Value::Kind::integer) && b.is(Value::Kind::integer) ? a.integer == b.integer : a.real() == b.real();
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Value::Kind::boolean: return a.integer == b.integer;
    case Value::Kind::string: return a.text == b.text;
    case Value::Kind::tensor: return a.tensor == b.tensor;
    case Value::Kind::layer: return a.layer == b.layer;
    case Value::Kind::callable: return a.callable == b.callable;
    case Value::Kind::setting: return *a.setting == *b.setting;
    case Value::Kind::list:
    case Value::Kind::dict: {
      if (a.items->size() != b.items->size()) return false;
      for (size_t i = 0; i < a.items->size(); ++i)
        if (!equal((*a.items)[i], (*b.items)[i])) return false;
      return true;
    }
    default: return false;
  }
}

std::string show(const Value& v) {
  switch (v.kind) {
    case Value::Kind::boolean: return v.integer ? "true" : "false";
    case Value::Kind::integer: return fmt::format("{}", v.integer);
    case Value::Kind::number: return fmt::format("{}", v.number);
    case Value::Kind::string: return fmt::format("\"{}\"", v.text);
    case Value::Kind::list: {
      std::string out = "[";
      for (size_t i = 0; i < v.items->size(); ++i) {
        if (out.size() > 2000) return out + ", ...]";
        out += (i ? ", " : "") + show((*v.items)[i]);
      }
      return out + "]";
    }
    case Value::Kind::dict: return "a table of " + counted(static_cast<int64_t>(v.items->size() / 2), "entry");
    case Value::Kind::tensor: return "a tensor";
    case Value::Kind::layer: return v.layer->made_by ? v.layer->made_by->name() : "a chain of layers";
    case Value::Kind::callable: return v.callable->name();
    case Value::Kind::setting: return v.text;
    default: return "nothing";
  }
}

std::string kind_of(const Value& v) {
  static const char* const kNames[] = {"nothing", "a boolean", "an integer", "a number", "a string", "a list",
                                       "a table", "a tensor",  "a layer",    "a layer",  ""};
  if (v.is(Value::Kind::callable) && v.callable->function) return "a function";
  if (v.is(Value::Kind::setting))
    return std::holds_alternative<ir::Initializer>(*v.setting) ? "an initialiser" : "a constraint";
  return kNames[static_cast<int>(v.kind)];
}

std::vector<Value> tensors_of(const Value& v) {
  if (v.is(Value::Kind::tensor)) return {v};
  const bool tensors = v.is(Value::Kind::list) && std::all_of(v.items->begin(), v.items->end(),
                                                              [](const Value& i) { return i.is(Value::Kind::tensor); });
  return tensors ? *v.items : std::vector<Value>();
}

namespace {

/// 1/255 rather than 0.00392157.
std::string number(double v) {
  const double inverse = v != 0 ? 1 / v : 0;
  const bool fraction = std::abs(inverse) > 1 && std::abs(inverse) < 1e6 &&
                        std::abs(inverse - std::round(inverse)) < 1e-9 && fmt::format("{:g}", v).size() > 6;
  return fraction ? fmt::format("1/{:g}", std::round(inverse)) : fmt::format("{:g}", v);
}

std::string show(const ir::ArgValue& v) {
  if (const auto* b = std::get_if<bool>(&v)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<int64_t>(&v)) return std::to_string(*i);
  if (const auto* d = std::get_if<double>(&v)) return number(*d);
  if (const auto* s = std::get_if<std::string>(&v)) return *s;
  if (const auto* l = std::get_if<std::vector<int64_t>>(&v)) {
    const bool same = l->size() == 2 && (*l)[0] == (*l)[1];  // a pair of one value is written as the value
    return same ? std::to_string((*l)[0]) : fmt::format("[{}]", fmt::join(*l, ", "));
  }
  return "";
}

}  // namespace

std::string call_with_values(const ir::LayerDef& def, const std::vector<ir::ArgValue>& args) {
  std::string text;
  bool in_order = true;  // no argument left out so far
  for (size_t k = 0; k < args.size() && k < def.args.size(); ++k) {
    const ir::ArgDef& a = def.args[k];
    const bool minor = k > 0 && (a.type == ir::ArgType::boolean || a.type == ir::ArgType::number),
               lead = k == 0 && a.type != ir::ArgType::number;
    const std::string value = show(args[k]);
    if (minor || value.empty() || (!lead && a.fallback && show(*a.fallback) == value)) {
      in_order = false;
      continue;
    }
    text += (text.empty() ? "" : ", ") + (in_order && (k == 0 || !a.fallback) ? "" : a.name + " = ") + value;
  }
  return text.empty() ? def.name : fmt::format("{}({})", def.name, text);
}

}  // namespace netc::sema
