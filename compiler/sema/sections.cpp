// The product: its hyperparameters, its data and train sections.
#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "compiler/sema/elaborator.h"

namespace netc::sema {
namespace {
using K = Value::Kind;

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

std::string trim(const std::string& s) {
  const size_t a = s.find_first_not_of(" \t"), b = s.find_last_not_of(" \t");
  return a == std::string::npos ? "" : s.substr(a, b - a + 1);
}

/// A value of -D name=value: read as what the parameter holds by default, or as its text suggests.
Value from_text(const std::string& text, const ast::Param& p) {
  const bool list = p.type == "list" || (p.fallback && p.fallback->kind == ast::ExprKind::list) || (text.size() > 1 && text.front() == '[');
  const bool string = p.type == "string" || (p.type.empty() && p.fallback && p.fallback->kind == ast::ExprKind::string);
  if (string) return Value::of_string(text);
  if (!list) return scalar(trim(text));
  std::string inside = trim(text);
  if (!inside.empty() && inside.front() == '[' && inside.back() == ']') inside = inside.substr(1, inside.size() - 2);
  std::vector<Value> items;
  for (size_t at = 0; at <= inside.size() && !trim(inside).empty();) {
    const size_t comma = std::min(inside.find(',', at), inside.size());
    items.push_back(scalar(trim(inside.substr(at, comma - at))));
    at = comma + 1;
  }
  return Value::of_list(std::move(items));
}

}  // namespace

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
    std::string type = kind_of(v);
    type = v.is(K::integer) ? "int" : v.is(K::number) ? "float" : v.is(K::boolean) ? "bool" : v.is(K::string) ? "string" : "list";
    model.hyperparameters.push_back({p.name, show(v), type, overridden});
    if (p.name == "classes" && v.is(K::list) && std::all_of(v.items->begin(), v.items->end(), [](const Value& x) { return x.is(K::string); }))
      for (const Value& c : *v.items) model.classes.push_back(c.text);
  }
}

void Elaborator::product(const ast::Net& net, const Options& options, Model& model) {
  graph_ = &model.graph;
  model.net = model.graph.name = net.name;
  model.doc = net.doc;
  const EnvPtr env = new_env(file_env_);
  hyperparameters(net, options, env, model);
  Frame frame;
  frame.top = frame.is_net = true, frame.what = net.name;
  frames_.push_back(&frame);
  run(net.body, env, frame);
  frames_.pop_back();
  if (!exhausted_) {
    if (frame.inputs_taken == 0) fail(DiagId::missing_input, net.name_span, net.name).help.push_back("write: input image: u8[28, 28, 1]");
    if (frame.outputs.empty()) fail(DiagId::missing_output, net.name_span, net.name).help.push_back("write: output label = ...");
  }
  for (const auto& [name, value] : frame.outputs) model.graph.outputs.push_back({name, value.tensor});
  model.sources = sources_;
  std::set<std::string> seen;
  for (const ast::Section& s : file_.sections) {
    if (!seen.insert(s.name).second) {
      fail(DiagId::duplicate_section, s.span, s.name);
      continue;
    }
    s.name == "data" ? data(s, env, model) : train(s, env, model);
  }
}

std::string Elaborator::data_spec(const ast::Expr& e, const EnvPtr& env) {
  if (e.kind == ast::ExprKind::string) return e.text;
  std::string name;
  std::vector<const ast::Arg*> args;
  const bool call = call_parts(e, name, args);
  if (call && !args.empty() && args[0]->name.empty()) {
    const ast::Expr& first = *args[0]->value;
    const bool known = first.text == "digits" || first.text == "shapes";
    if (name == "synthetic" && first.kind == ast::ExprKind::name && args.size() == 1 && known) return "synthetic:" + first.text;
    if (name == "images" || name == "mnist") {
      const Value path = eval(first, env);
      bool ok = !path.error();
      for (size_t i = 1; i < args.size(); ++i) {
        if (name == "images" && args[i]->name == "labels") {
          ok = !eval(*args[i]->value, env).error() && ok;
        } else {
          const std::string wrong = args[i]->name.empty() ? source(args[i]->span) : args[i]->name;
          suggest(fail(DiagId::unknown_argument, args[i]->span, name, wrong), wrong, {"labels"});
          ok = false;
        }
      }
      if (ok && path.is(K::string)) return name == "mnist" ? "mnist:" + path.text : path.text;
      if (!ok) return "";
    }
  }
  Diagnostic& d = fail(DiagId::bad_data, e.span, source(e.span));
  suggest(d, name, {"images", "mnist", "synthetic"});
  if (d.help.empty()) d.help.push_back("write images(\"path\", labels = classes), mnist(\"directory\"), synthetic(digits) or synthetic(shapes)");
  return "";
}

void Elaborator::data(const ast::Section& s, const EnvPtr& env, Model& model) {
  std::set<std::string> seen;
  for (const ast::Entry& e : s.entries) {
    if (!seen.insert(e.key).second) fail(DiagId::duplicate_name, e.span, e.key);
    else if (e.key == "train") model.data.train = data_spec(*e.value, env);
    else if (e.key == "valid") model.data.valid = data_spec(*e.value, env);
    else if (e.key == "test") model.data.test = data_spec(*e.value, env);
    else if (e.key != "augment") suggest(fail(DiagId::unknown_key, e.span, "data", e.key), e.key, {"train", "valid", "test", "augment"});
    else if (e.value->kind == ast::ExprKind::list) for (const auto& a : e.value->items) augment(*a, env, model);
    else augment(*e.value, env, model);
  }
}

void Elaborator::augment(const ast::Expr& e, const EnvPtr& env, Model& model) {
  static const std::vector<std::string> kKinds{"flip", "rotate", "shift", "zoom", "contrast", "brightness"};
  Augment a;
  std::vector<const ast::Arg*> args;
  if (!call_parts(e, a.kind, args) || std::find(kKinds.begin(), kKinds.end(), a.kind) == kKinds.end()) {
    suggest(fail(DiagId::unknown_augmentation, called(e), source(called(e))), a.kind, kKinds, true);
    return;
  }
  for (const ast::Arg* arg : args) {
    if (arg->value->kind == ast::ExprKind::name && !env->find(arg->value->text)) {
      static const std::vector<std::string> kModes{"horizontal", "vertical", "both"};
      if (a.kind != "flip" || std::find(kModes.begin(), kModes.end(), arg->value->text) == kModes.end())
        suggest(fail(DiagId::argument_choice, arg->span, "the mode", a.kind, a.kind == "flip" ? "horizontal, vertical, both" : "its numbers", arg->value->text),
                arg->value->text, kModes);
      a.mode = arg->value->text;
      continue;
    }
    const Value v = eval(*arg->value, env);
    if (v.numeric()) a.args.push_back(v.real());
    else if (!v.error()) fail(DiagId::expected_type, arg->span, "an argument of " + a.kind, "a number", kind_of(v));
  }
  if (a.args.size() > 4) fail(DiagId::too_many_arguments, e.span, a.kind, 4, a.args.size());
  else model.data.augment.push_back(std::move(a));
}

void Elaborator::train(const ast::Section& s, const EnvPtr& env, Model& model) {
  TrainConfig& t = model.train;
  t.present = true;
  std::set<std::string> seen;
  const auto integer = [&](const ast::Entry& e, int64_t min, int64_t max, int64_t& out) {
    const Value v = eval(*e.value, env);
    if (v.error()) return;
    if (v.is(K::integer) && v.integer >= min && v.integer <= max) out = v.integer;
    else fail(DiagId::expected_type, e.value->span, e.key, fmt::format("an integer from {} to {}", min, max), show(v));
  };
  const auto each = [&](const ast::Expr& e, void (Elaborator::*f)(const ast::Expr&, const EnvPtr&, Model&)) {
    if (e.kind != ast::ExprKind::list) return (this->*f)(e, env, model);
    for (const auto& i : e.items) (this->*f)(*i, env, model);
  };
  for (const ast::Entry& e : s.entries) {
    if (!seen.insert(e.key).second) fail(DiagId::duplicate_name, e.span, e.key);
    else if (e.key == "loss") loss(*e.value, env, model);
    else if (e.key == "optimizer") optimizer(*e.value, env, model);
    else if (e.key == "batch") integer(e, 1, 65536, t.batch);
    else if (e.key == "epochs") integer(e, 1, 1000000, t.epochs);
    else if (e.key == "seed") integer(e, 0, 4294967295, t.seed);
    else if (e.key == "metrics") each(*e.value, &Elaborator::metric);
    else if (e.key == "callbacks") each(*e.value, &Elaborator::callback);
    else suggest(fail(DiagId::unknown_key, e.span, "train", e.key), e.key, {"loss", "optimizer", "batch", "epochs", "seed", "metrics", "callbacks"});
  }
  if (!seen.count("loss")) fail(DiagId::missing_key, s.span, "train", "a loss").help.push_back("write: loss = categorical_crossentropy(OUTPUT, label)");
  if (!seen.count("optimizer")) fail(DiagId::missing_key, s.span, "train", "an optimizer").help.push_back("write: optimizer = adam(lr = 1e-3)");
}

void Elaborator::loss(const ast::Expr& e, const EnvPtr& env, Model& model) {
  std::string name;
  std::vector<const ast::Arg*> args;
  std::vector<std::string> known, outputs;
  for (const ir::LossDef* l : registry_.losses) known.push_back(l->name);
  for (const ir::Output& o : model.graph.outputs) outputs.push_back(o.name);
  const ir::LossDef* def = nullptr;
  if (call_parts(e, name, args))
    for (const ir::LossDef* l : registry_.losses)
      if (l->name == name) def = l;
  if (!def) {
    suggest(fail(DiagId::unknown_loss, called(e), name.empty() ? source(e.span) : name), name, known, true);
    return;
  }
  model.train.loss = def;
  model.train.loss_span = e.span;
  if (args.size() < 2 || !args[0]->name.empty() || !args[1]->name.empty() || args[1]->value->kind != ast::ExprKind::name || args[1]->value->text != "label") {
    fail(DiagId::missing_argument, e.span, name, "label")
        .help.push_back(fmt::format("write: loss = {}({}, label)", name, outputs.empty() ? "OUTPUT" : outputs[0]));
    return;
  }
  model.train.loss_output = source(args[0]->value->span);
  if (std::find(outputs.begin(), outputs.end(), model.train.loss_output) == outputs.end()) {
    if (!outputs.empty()) suggest(fail(DiagId::unknown_output, args[0]->span, model.train.loss_output), model.train.loss_output, outputs, true);
    return;
  }
  args.erase(args.begin(), args.begin() + 2);
  bind(name, def->args, args, e.span, env, model.train.loss_args, nullptr);
}

void Elaborator::optimizer(const ast::Expr& e, const EnvPtr& env, Model& model) {
  std::string name;
  std::vector<const ast::Arg*> args;
  std::vector<std::string> known;
  const ir::OptimizerDef* def = nullptr;
  for (const ir::OptimizerDef* o : registry_.optimizers) known.push_back(o->name);
  if (call_parts(e, name, args))
    for (const ir::OptimizerDef* o : registry_.optimizers)
      if (o->name == name) def = o;
  if (!def) {
    suggest(fail(DiagId::unknown_optimizer, called(e), name.empty() ? source(e.span) : name), name, known, true);
    return;
  }
  model.train.optimizer = def;
  if (!bind(name, def->args, args, e.span, env, model.train.optimizer_args, nullptr)) return;
  for (size_t k = 0; k < def->args.size(); ++k)
    if (def->args[k].name == "lr")
      if (const auto* lr = std::get_if<double>(&model.train.optimizer_args[k])) model.train.lr = *lr;
}

void Elaborator::metric(const ast::Expr& e, const EnvPtr& env, Model& model) {
  static const std::vector<std::string> kMetrics{"accuracy", "top", "confusion_matrix"};
  std::string name;
  std::vector<const ast::Arg*> args;
  if (!call_parts(e, name, args) || std::find(kMetrics.begin(), kMetrics.end(), name) == kMetrics.end()) {
    suggest(fail(DiagId::unknown_metric, called(e), source(called(e))), name, kMetrics, true);
    return;
  }
  if (name == "top") {
    const std::vector<ir::ArgDef> defs{{"k", ir::ArgType::integer, std::nullopt, 1, 1000, {}, "how many of the most probable classes count"}};
    std::vector<ir::ArgValue> values;
    if (!bind("top", defs, args, e.span, env, values, nullptr)) return;
    name = fmt::format("top{}", std::get<int64_t>(values[0]));
  } else if (!args.empty()) {
    fail(DiagId::too_many_arguments, e.span, name, 0, args.size());
  }
  model.train.metrics.push_back(name);
}

void Elaborator::callback(const ast::Expr& e, const EnvPtr& env, Model& model) {
  using ir::ArgType;
  static const std::vector<std::string> kKinds{"early_stopping", "reduce_lr_on_plateau", "checkpoint", "csv"};
  static const std::vector<std::string> kMonitors{"loss", "accuracy", "val_loss", "val_accuracy"};
  Callback c;
  std::vector<const ast::Arg*> args;
  if (!call_parts(e, c.kind, args) || std::find(kKinds.begin(), kKinds.end(), c.kind) == kKinds.end()) {
    suggest(fail(DiagId::unknown_callback, called(e), source(called(e))), c.kind, kKinds, true);
    return;
  }
  if (c.kind == "csv") {
    const Value path = args.size() == 1 ? eval(*args[0]->value, env) : Value();
    if (path.is(K::string)) c.path = path.text;
    else if (args.empty()) fail(DiagId::missing_argument, e.span, c.kind, "path").help.push_back("write: csv(\"results.csv\")");
    else if (!path.error() || args.size() > 1) fail(DiagId::argument_type, args[0]->span, "path", c.kind, "one string", source(args[0]->span));
  } else {
    const ir::ArgValue watched{std::string("val_loss")}, patience{int64_t{c.kind == "early_stopping" ? 5 : 3}};
    std::vector<ir::ArgDef> defs{{c.kind == "checkpoint" ? "best" : "monitor", ArgType::choice, watched, -1e300, 1e300, kMonitors, "what is watched"}};
    if (c.kind != "checkpoint") defs.push_back({"patience", ArgType::integer, patience, 1, 1e6, {}, "epochs without improvement"});
    if (c.kind == "reduce_lr_on_plateau") defs.push_back({"factor", ArgType::number, ir::ArgValue{0.1}, 1e-6, 1, {}, "the rate is multiplied by it"});
    std::vector<ir::ArgValue> v;
    if (!bind(c.kind, defs, args, e.span, env, v, nullptr)) return;
    c.monitor = std::get<std::string>(v[0]);
    if (v.size() > 1) c.patience = std::get<int64_t>(v[1]);
    if (v.size() > 2) c.value = std::get<double>(v[2]);
  }
  model.train.callbacks.push_back(std::move(c));
}

}  // namespace netc::sema
