#include "compiler/tool/layers.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "compiler/ir/layer_def.h"
#include "compiler/ops/ops.h"

namespace netc::tool {
namespace {

using ir::ArgDef;
using ir::ArgType;
using ir::ArgValue;

/// One thing the language offers by name.
struct Entry {
  std::string section, name, doc;
  const std::vector<ArgDef>* args;
};

std::vector<Entry> entries() {
  std::vector<Entry> all;
  const ir::Registry& r = ops::registry();
  for (const ir::LayerDef* l : r.layers) all.push_back({l->section, l->name, l->doc, &l->args});
  std::stable_sort(all.begin(), all.end(), [](const Entry& a, const Entry& b) { return a.section < b.section; });
  for (const ir::SettingDef* s : r.settings)
    all.push_back({s->type == ArgType::initializer ? "Initialisers" : "Constraints", s->name, s->doc, &s->args});
  for (const ir::LossDef* l : r.losses) all.push_back({"Losses", l->name, l->doc, &l->args});
  for (const ir::OptimizerDef* o : r.optimizers) all.push_back({"Optimisers", o->name, o->doc, &o->args});
  for (const ir::MetricDef* m : r.metrics) all.push_back({"Metrics", m->name, m->doc, &m->args});
  return all;
}

std::string value_text(const ArgValue& v) {
  if (const bool* b = std::get_if<bool>(&v)) return *b ? "true" : "false";
  if (const int64_t* i = std::get_if<int64_t>(&v)) return std::to_string(*i);
  if (const double* d = std::get_if<double>(&v)) return fmt::format("{:g}", *d);
  if (const std::string* s = std::get_if<std::string>(&v)) return *s;
  if (const auto* list = std::get_if<std::vector<int64_t>>(&v)) return fmt::format("[{}]", fmt::join(*list, ", "));
  if (const auto* list = std::get_if<std::vector<double>>(&v))
    return list->size() == 1 ? fmt::format("{:g}", (*list)[0]) : fmt::format("[{:g}]", fmt::join(*list, ", "));
  if (const auto* list = std::get_if<std::vector<std::string>>(&v))
    return list->size() == 1 ? (*list)[0] : fmt::format("[{}]", fmt::join(*list, ", "));
  if (const auto* init = std::get_if<ir::Initializer>(&v)) return init->kind;
  return "none";
}

std::string type_text(const ArgDef& a) {
  switch (a.type) {
    case ArgType::boolean: return "bool";
    case ArgType::integer: return "int";
    case ArgType::number: return "number";
    case ArgType::choice: return fmt::format("{}", fmt::join(a.choices, " or "));
    case ArgType::integer_or_pair: return "int or [int, int]";
    case ArgType::padding: return "valid, same, int, [int, int] or [int, int, int, int]";
    case ArgType::numbers: return "number or [number, ...]";
    case ArgType::words: return fmt::format("{}, or a list of them", fmt::join(a.choices, " or "));
    case ArgType::axis: return "channel, width, height or int";
    case ArgType::integers: return "ints";
    case ArgType::initializer: return "an initialiser";
    case ArgType::constraint: return "a constraint";
  }
  return "";
}

std::string signature(const Entry& e) {
  std::string s;
  for (const ArgDef& a : *e.args)
    s += (s.empty() ? "" : ", ") + a.name + (a.fallback ? " = " + value_text(*a.fallback) : "");
  return s.empty() ? e.name : fmt::format("{}({})", e.name, s);
}

void print_text(const Entry& e) {
  fmt::print("{}\n  {}\n", signature(e), e.doc);
  size_t width = 0;
  for (const ArgDef& a : *e.args) width = std::max(width, a.name.size());
  for (const ArgDef& a : *e.args)
    fmt::print("    {:<{}}  {}; {}{}\n", a.name, width, type_text(a), a.doc,
               a.fallback ? fmt::format(" (default {})", value_text(*a.fallback)) : "");
}

void print_json(const std::vector<Entry>& all) {
  nlohmann::json j = nlohmann::json::array();
  for (const Entry& e : all) {
    nlohmann::json args = nlohmann::json::array();
    for (const ArgDef& a : *e.args) {
      nlohmann::json arg = {{"name", a.name}, {"type", type_text(a)}, {"doc", a.doc}};
      if (a.fallback) arg["default"] = value_text(*a.fallback);
      args.push_back(std::move(arg));
    }
    j.push_back({{"name", e.name},
                 {"section", e.section},
                 {"signature", signature(e)},
                 {"doc", e.doc},
                 {"arguments", std::move(args)}});
  }
  fmt::print("{}\n", j.dump(2));
}

}  // namespace

int layers(const std::string& name, bool json) {
  std::vector<Entry> all = entries();
  if (!name.empty()) {
    std::vector<std::string> names;
    for (const Entry& e : all) names.push_back(e.name);
    all.erase(std::remove_if(all.begin(), all.end(), [&](const Entry& e) { return e.name != name; }), all.end());
    if (all.empty()) {
      const std::string near = nearest_name(name, names);
      print_error(fmt::format("no layer, loss, optimiser or metric is called {}; {}", name,
                              near.empty() ? "netc layers lists them" : "did you mean " + near + "?"));
      return kFailed;
    }
  }
  if (json) return print_json(all), kDone;
  if (!name.empty()) return print_text(all[0]), kDone;
  std::string section;
  for (const Entry& e : all) {
    if (e.section != section) fmt::print("{}{}\n", section.empty() ? "" : "\n", e.section);
    section = e.section;
    fmt::print("  {}\n", signature(e));
  }
  fmt::print("\nnetc layers NAME says what one does.\n");
  return kDone;
}

}  // namespace netc::tool
