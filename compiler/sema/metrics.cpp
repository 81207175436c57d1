// The train section's metrics and callbacks: what is counted of which output, and what watches it.
#include <algorithm>

#include "compiler/sema/elaborator.h"
#include "runtime/kinds/kinds.h"

namespace netc::sema {
namespace {
using K = Value::Kind;

/// The types of an output and of what its first loss compares it with.
struct Compared {
  ir::Type output, label;
};
std::optional<Compared> compared(const Model& model, const std::string& output) {
  for (const LossTerm& term : model.train.losses) {
    if (term.output != output) continue;
    for (const ir::Output& o : model.graph.outputs)
      if (o.name == output && o.value != ir::kNone)
        return Compared{model.graph.type(o.value), term.loss->label_type(model.graph.type(o.value))};
  }
  return std::nullopt;
}

/// All metrics that can be counted from these types, as they are written: "accuracy, top(k)".
std::string fitting(const ir::Registry& registry, const Compared& types) {
  std::vector<std::string> all;
  for (const ir::MetricDef* m : registry.metrics) {
    std::vector<ir::ArgValue> usual;
    std::string needed, error, help;
    for (const ir::ArgDef& a : m->args) {
      usual.push_back(a.fallback.value_or(ir::ArgValue{int64_t{1}}));
      if (!a.fallback) needed = fmt::format("({})", a.name);
    }
    if (m->check(types.output, types.label, usual, error, help)) all.push_back(m->name + needed);
  }
  return fmt::format("{}", fmt::join(all, ", "));
}

/// Metrics of the first output have its name left out.
std::string prefix_of(const Model& model, const std::string& output) {
  return model.graph.outputs.empty() || output == model.graph.outputs.front().name ? "" : output + ":";
}

/// What callbacks can watch, of the training and of the validation data.
std::vector<std::string> monitors_of(const Model& model) {
  std::vector<std::string> names{"loss"};
  bool accuracy = model.train.losses.empty();
  for (const LossTerm& term : model.train.losses) {
    const auto types = compared(model, term.output);
    const std::string prefix = prefix_of(model, term.output);
    if (types && types->label.dtype == ir::DType::i32)
      names.push_back(prefix + "accuracy"), accuracy = accuracy || prefix.empty();
    if (model.train.losses.size() > 1) names.push_back(term.output + ":loss");
  }
  if (accuracy && std::find(names.begin(), names.end(), "accuracy") == names.end()) names.push_back("accuracy");
  for (const std::string& m : model.train.metrics)
    if (m.find("confusion_matrix") == std::string::npos && std::find(names.begin(), names.end(), m) == names.end())
      names.push_back(m);
  for (size_t i = 0, n = names.size(); i < n; ++i) names.push_back("val_" + names[i]);
  return names;
}

}  // namespace

void Elaborator::metric(const ast::Expr& e, const EnvPtr& env, Model& model) {
  std::vector<std::string> known, outputs;
  for (const ir::MetricDef* m : registry_.metrics) known.push_back(m->name);
  for (const ir::Output& o : model.graph.outputs) outputs.push_back(o.name);
  std::string name, output = model.train.losses.empty() ? "" : model.train.losses.front().output;
  std::vector<const ast::Arg*> args;
  const ir::MetricDef* def = nullptr;
  if (call_parts(e, name, args))
    for (const ir::MetricDef* m : registry_.metrics)
      if (m->name == name) def = m;
  if (!def) {
    suggest(fail(DiagId::unknown_metric, called(e), source(called(e))), name, known, true);
    return;
  }
  bool named = false;
  // accuracy(kind), top(kind, 2)
  if (!args.empty() && args[0]->name.empty() && args[0]->value->kind == ast::ExprKind::name) {
    const std::string& first = args[0]->value->text;
    const bool is_output = std::find(outputs.begin(), outputs.end(), first) != outputs.end();
    if (!is_output && !env->find(first)) {
      suggest(fail(DiagId::unknown_output, args[0]->span, first), first, outputs, true);
      return;
    }
    if (is_output) output = first, named = true, args.erase(args.begin());
  }
  std::vector<ir::ArgValue> values;
  if (!bind(name, def->args, args, e.span, env, values, nullptr)) return;
  if (const auto types = compared(model, output)) {
    std::string error, help;
    if (!def->check(types->output, types->label, values, error, help)) {
      if (const std::string list = fitting(registry_, *types); help.empty() && !list.empty())
        help = "for these there are " + list;
      Diagnostic& d = fail(DiagId::metric_error, e.span, error);
      if (!help.empty()) d.help.push_back(help);
      return;
    }
  } else if (named && !model.train.losses.empty()) {
    fail(DiagId::metric_error, e.span,
         fmt::format("{} compares an output with its label, but no loss is taken of {}, so it has none", name, output));
    return;
  }
  std::string text = def->text ? def->text(values) : name;
  text = prefix_of(model, output) + text;
  if (std::find(model.train.metrics.begin(), model.train.metrics.end(), text) == model.train.metrics.end())
    model.train.metrics.push_back(text);
}

void Elaborator::callback(const ast::Expr& e, const EnvPtr& env, Model& model) {
  using ir::ArgType;
  const std::vector<std::string> monitors = monitors_of(model);
  Callback c;
  std::vector<const ast::Arg*> args;
  const bool call = call_parts(e, c.kind, args);
  const kinds::Callback* kind = kinds::find(kinds::kCallbacks, c.kind);
  if (!call || !kind) {
    std::vector<std::string> known;
    for (const kinds::Callback& k : kinds::kCallbacks) known.emplace_back(k.name);
    suggest(fail(DiagId::unknown_callback, called(e), source(called(e))), c.kind, known, true);
    return;
  }
  if (kind->rule == kinds::Rule::record) {
    const Value path = args.size() == 1 ? eval(*args[0]->value, env) : Value();
    if (path.is(K::string) && path.text.find_first_not_of(" \t") != std::string::npos) c.path = path.text;
    else if (args.empty())
      fail(DiagId::missing_argument, e.span, c.kind, "path")
          .help.push_back("" + fmt::format("write: {}(\"results.csv\")", kind->name));
    else if (!path.error() || args.size() > 1)
      fail(DiagId::argument_type, args[0]->span, "path", c.kind, "one string", source(args[0]->span));
  } else {
    const ir::ArgValue best{std::string("val_loss")}, patience{int64_t{kind->patience}}, factor{kind->factor};
    std::vector<ir::ArgDef> defs{
        {std::string(kind->watched), ArgType::choice, best, -1e300, 1e300, monitors, "what is watched"}};
    if (kind->patience > 0)
      defs.push_back({"patience", ArgType::integer, patience, 1, 1e6, {}, "epochs without improvement"});
    if (kind->factor > 0)
      defs.push_back({"factor", ArgType::number, factor, 1e-6, 0.999999, {}, "the rate is multiplied by it"});
    for (const ast::Arg* a : args) {  // what would be there if it were counted
      const std::string& word = a->value->text;
      const std::string metric = word.starts_with("val_") ? word.substr(4) : word;
      const bool known = std::any_of(registry_.metrics.begin(), registry_.metrics.end(),
                                     [&](const ir::MetricDef* m) { return m->name == metric; });
      if (a->value->kind != ast::ExprKind::name || !known || std::count(monitors.begin(), monitors.end(), word))
        continue;
      fail(DiagId::argument_choice, a->value->span, defs[0].name, c.kind, fmt::format("{}", fmt::join(monitors, ", ")),
           word)
          .help = {fmt::format("it is there when metrics has it: metrics = [{}]", metric)};
      return;
    }
    std::vector<ir::ArgValue> v;
    if (!bind(c.kind, defs, args, e.span, env, v, nullptr)) return;
    c.monitor = std::get<std::string>(v[0]);
    if (v.size() > 1) c.patience = std::get<int64_t>(v[1]);
    if (v.size() > 2) c.value = std::get<double>(v[2]);
  }
  model.train.callbacks.push_back(std::move(c));
}

}  // namespace netc::sema
