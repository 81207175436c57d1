// The product: its net, its data and train sections.
#include <algorithm>

#include "compiler/base/counted.h"
#include "compiler/sema/elaborator.h"

namespace netc::sema {
using K = Value::Kind;

void Elaborator::product(const ast::Net& net, const Options& options, Model& model) {
  model_ = &model, graph_ = &model.graph;
  model.net = model.graph.name = net.name;
  model.doc = net.doc;
  const EnvPtr env = new_env(file_env_);
  env->kind = Env::Kind::body;
  hyperparameters(net, options, env, model);
  Frame frame;
  frame.top = frame.is_net = true, frame.what = net.name;
  frames_.push_back(&frame);
  run(net.body, env, frame);
  frames_.pop_back();
  if (!exhausted_) {
    if (frame.inputs_taken == 0)
      fail(DiagId::missing_input, net.name_span, net.name).help.push_back("write: input image: u8[28, 28, 1]");
    if (frame.outputs.empty())
      fail(DiagId::missing_output, net.name_span, net.name).help.push_back("write: output label = ...");
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
  static const std::vector<std::string> kFiles{"images", "mnist", "cifar", "csv", "npy", "text", "masks"},
      kGenerated{"digits", "shapes", "xor", "series"};
  if (e.kind == ast::ExprKind::string) return e.text;
  std::string name;
  std::vector<const ast::Arg*> args;
  const bool call = call_parts(e, name, args);
  if (call && !args.empty() && args[0]->name.empty()) {
    const ast::Expr& first = *args[0]->value;
    const bool known = std::find(kGenerated.begin(), kGenerated.end(), first.text) != kGenerated.end();
    if (name == "synthetic" && first.kind == ast::ExprKind::name && args.size() == 1 && known)
      return "synthetic:" + first.text;
    if (name == "pairs" && args.size() == 1) {
      const std::string of = data_spec(first, env);
      return of.empty() ? "" : "pairs:" + of;
    }
    if (std::find(kFiles.begin(), kFiles.end(), name) != kFiles.end()) {
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
      if (ok && path.is(K::string)) return name == "images" ? path.text : name + ":" + path.text;
      if (!ok) return "";
    }
  }
  Diagnostic& d = fail(DiagId::bad_data, e.span, source(e.span));
  suggest(d, name, {"images", "mnist", "cifar", "csv", "npy", "text", "masks", "pairs", "synthetic"});
  if (d.help.empty())
    d.help.push_back(
        "write images(\"path\", labels = classes), mnist, cifar, csv, npy, text or masks(\"path\"), pairs(DATA), "
        "or synthetic(digits), shapes, xor or series");
  return "";
}

void Elaborator::data(const ast::Section& s, const EnvPtr& env, Model& model) {
  std::set<std::string> seen;
  for (const ast::Entry& e : s.entries) {
    if (!seen.insert(e.key).second) fail(DiagId::duplicate_name, e.span, e.key);
    else if (e.key == "train") model.data.train = data_spec(*e.value, env);
    else if (e.key == "valid") model.data.valid = data_spec(*e.value, env);
    else if (e.key == "test") model.data.test = data_spec(*e.value, env);
    else if (e.key != "augment")
      suggest(fail(DiagId::unknown_key, e.span, "data", e.key), e.key, {"train", "valid", "test", "augment"}, true);
    else if (e.value->kind == ast::ExprKind::list)
      for (const auto& a : e.value->items) augment(*a, env, model);
    else augment(*e.value, env, model);
  }
}

namespace {

using ir::ArgDef, ir::ArgType, ir::ArgValue;
struct AugmentDef {
  std::string name;
  std::vector<ArgDef> args;
};

/// Every change is a share of the image, of a turn or of the brightness: amounts of one are what people mean by
/// percents and degrees.
const std::vector<AugmentDef>& augmentations() {
  const auto share = [](const char* name, const char* doc, double most) {
    return ArgDef{name, ArgType::number, std::nullopt, 1e-6, most, {}, doc};
  };
  const auto both = [&](const char* name, const char* doc, double most) {
    ArgDef across{"horizontal", ArgType::number, ArgValue{}, 1e-6, most, {}, doc};
    return AugmentDef{name, {share("vertical", doc, most), across}};
  };
  static const std::vector<AugmentDef> all{
      {"flip",
       {{"direction",
         ArgType::choice,
         ArgValue{std::string("horizontal")},
         0,
         0,
         {"horizontal", "vertical", "both"},
         "along which axis"}}},
      {"rotate", {share("turn", "a share of a full turn, either way: degrees / 360", 0.5)}},
      both("shift", "a share of the image's extent: percent / 100", 1),
      both("zoom", "a share of the image's extent, in and out: percent / 100", 0.99),
      {"contrast", {share("amount", "a share of the contrast, more and less: percent / 100", 1)}},
      {"brightness", {share("amount", "a share of the range from black to white: percent / 100", 1)}}};
  return all;
}

}  // namespace

void Elaborator::augment(const ast::Expr& e, const EnvPtr& env, Model& model) {
  Augment a;
  std::vector<const ast::Arg*> args;
  std::vector<std::string> known;
  for (const AugmentDef& d : augmentations()) known.push_back(d.name);
  const bool call = call_parts(e, a.kind, args);
  const size_t k = std::find(known.begin(), known.end(), a.kind) - known.begin();
  if (!call || k == known.size()) {
    suggest(fail(DiagId::unknown_augmentation, called(e), source(called(e))), a.kind, known, true);
    return;
  }
  std::vector<ArgValue> values;
  if (!bind(a.kind, augmentations()[k].args, args, e.span, env, values, nullptr)) return;
  for (const ArgValue& v : values) {
    if (const auto* mode = std::get_if<std::string>(&v)) a.mode = *mode;
    if (const auto* amount = std::get_if<double>(&v)) a.args.push_back(*amount);
  }
  model.data.augment.push_back(std::move(a));
}

void Elaborator::train(const ast::Section& s, const EnvPtr& env, Model& model) {
  TrainConfig& t = model.train;
  t.present = true;
  std::set<std::string> seen;
  const auto integer = [&](const ast::Entry& e, int64_t min, int64_t max, int64_t& out) {
    const Value v = eval(*e.value, env);
    if (v.error()) return;
    if (v.is(K::integer) && v.integer >= min && v.integer <= max) out = v.integer;
    else
      fail(DiagId::expected_type, e.value->span, e.key, fmt::format("an integer from {} to {}", min, grouped(max)),
           show(v));
  };
  const auto each = [&](const ast::Expr& e, void (Elaborator::*f)(const ast::Expr&, const EnvPtr&, Model&)) {
    if (e.kind != ast::ExprKind::list) return (this->*f)(e, env, model);
    for (const auto& i : e.items) (this->*f)(*i, env, model);
  };
  for (const ast::Entry& e : s.entries) {
    if (!seen.insert(e.key).second) fail(DiagId::duplicate_name, e.span, e.key);
    else if (e.key == "loss") loss(*e.value, 1, env, model);
    else if (e.key == "optimizer") optimizer(*e.value, env, model);
    else if (e.key == "batch") integer(e, 1, 65536, t.batch);
    else if (e.key == "epochs") integer(e, 1, 1000000, t.epochs);
    else if (e.key == "seed") integer(e, 0, 4294967295, t.seed);
    else if (e.key != "metrics" && e.key != "callbacks")
      suggest(fail(DiagId::unknown_key, e.span, "train", e.key), e.key,
              {"loss", "optimizer", "batch", "epochs", "seed", "metrics", "callbacks"}, true);
  }
  // Metrics are checked against the loss's label, and callbacks watch metrics, in whatever order they are written.
  for (const auto& [key, f] :
       {std::pair{"metrics", &Elaborator::metric}, std::pair{"callbacks", &Elaborator::callback}})
    for (const ast::Entry& e : s.entries)
      if (e.key == key) each(*e.value, f);
  if (!seen.count("loss"))
    fail(DiagId::missing_key, s.span, "train", "a loss")
        .help.push_back("write: loss = categorical_crossentropy(OUTPUT, label)");
  if (!seen.count("optimizer"))
    fail(DiagId::missing_key, s.span, "train", "an optimizer").help.push_back("write: optimizer = adam(lr = 1e-3)");
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

}  // namespace netc::sema
