// The product: its net, its data and train sections.
#include <algorithm>

#include "compiler/base/counted.h"
#include "compiler/sema/elaborator.h"
#include "runtime/kinds/kinds.h"

namespace netc::sema {
namespace {

/// "write images("path", labels = classes), csv or npy("path"), pairs(DATA), or synthetic(digits), xor or series"
std::string data_help() {
  std::string paths, of_data, generated, generator;
  const auto join = [](std::string& list, std::string_view word, bool last, const char* conjunction) {
    if (!list.empty()) list += last ? conjunction : ", ";
    list += word;
  };
  const auto last_path = std::find_if(std::rbegin(kinds::kData), std::rend(kinds::kData),
                                      [](const kinds::Data& k) { return k.argument == kinds::DataArgument::path; });
  for (const kinds::Data& k : kinds::kData) {
    if (k.argument == kinds::DataArgument::generated) generator = k.word;
    if (k.argument == kinds::DataArgument::data) of_data += fmt::format("{}(DATA), ", k.word);
    if (k.argument == kinds::DataArgument::path)
      join(paths, k.kind == "folder" ? fmt::format("{}(\"path\", labels = classes)", k.word) : k.word,
           &k == &*last_path, " or ");
  }
  for (const std::string_view& name : kinds::kGenerated)
    join(generated, generated.empty() ? fmt::format("{}({})", generator, name) : name,
         &name == std::end(kinds::kGenerated) - 1, " or ");
  return fmt::format("write {}(\"path\"), {}or {}", paths, of_data, generated);
}

}  // namespace
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
  if (e.kind == ast::ExprKind::string) return e.text;
  std::string name;
  std::vector<const ast::Arg*> args;
  const bool call = call_parts(e, name, args) && !args.empty() && args[0]->name.empty();
  const auto kind = std::find_if(std::begin(kinds::kData), std::end(kinds::kData),
                                 [&](const kinds::Data& k) { return k.word == name; });
  if (call && kind != std::end(kinds::kData)) {
    const ast::Expr& first = *args[0]->value;
    const bool alone = args.size() == 1;
    switch (kind->argument) {
      case kinds::DataArgument::generated: {
        const auto& all = kinds::kGenerated;
        const bool known = std::find(std::begin(all), std::end(all), first.text) != std::end(all);
        if (known && alone && first.kind == ast::ExprKind::name) return fmt::format("{}:{}", kind->kind, first.text);
        break;
      }
      case kinds::DataArgument::data: {
        if (!alone) break;
        const std::string of = data_spec(first, env);
        return of.empty() ? "" : fmt::format("{}:{}", kind->kind, of);
      }
      case kinds::DataArgument::path: {
        bool ok = true;
        const std::string path = data_path(name, args, env, ok);
        // An empty SPEC would be no data at all.
        if (ok && !path.empty()) return kind->kind == "folder" ? path : fmt::format("{}:{}", kind->kind, path);
        if (!ok) return "";
      }
    }
  }
  std::vector<std::string> words;
  for (const kinds::Data& k : kinds::kData) words.emplace_back(k.word);
  Diagnostic& d = fail(DiagId::bad_data, e.span, source(e.span));
  suggest(d, name, words);
  if (d.help.empty()) d.help.push_back(data_help());
  return "";
}

// The string of images("path", labels = classes), csv("path"), ...; "" when it is none. `ok`: nothing was wrong.
std::string Elaborator::data_path(const std::string& word, const std::vector<const ast::Arg*>& args, const EnvPtr& env,
                                  bool& ok) {
  const Value path = eval(*args[0]->value, env);
  ok = !path.error();
  for (size_t i = 1; i < args.size(); ++i) {
    if (word == "images" && args[i]->name == "labels") {
      ok = !eval(*args[i]->value, env).error() && ok;
    } else {
      const std::string wrong = args[i]->name.empty() ? source(args[i]->span) : args[i]->name;
      suggest(fail(DiagId::unknown_argument, args[i]->span, word, wrong), wrong, {"labels"});
      ok = false;
    }
  }
  return ok && path.is(K::string) ? path.text : "";
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

/// What an augmentation takes, as layers' arguments are described.
std::vector<ArgDef> arguments_of(const kinds::Augmentation& kind) {
  std::vector<ArgDef> args;
  for (const kinds::Argument& a : kind.arguments) {
    if (a.name.empty()) continue;
    ArgDef def{std::string(a.name), ArgType::number, std::nullopt, 1e-6, a.most, {}, std::string(a.doc)};
    if (a.optional) def.fallback = ArgValue{};
    if (!a.choices.empty()) {
      def.type = ArgType::choice, def.min = def.max = 0;
      for (std::string_view rest = a.choices; !rest.empty();) {
        const std::string_view word = rest.substr(0, rest.find(' '));
        rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        def.choices.emplace_back(word);
      }
      def.fallback = ArgValue{def.choices.front()};
    }
    args.push_back(std::move(def));
  }
  return args;
}

}  // namespace

void Elaborator::augment(const ast::Expr& e, const EnvPtr& env, Model& model) {
  Augment a;
  std::vector<const ast::Arg*> args;
  std::vector<std::string> known;
  for (const kinds::Augmentation& k : kinds::kAugmentations) known.emplace_back(k.name);
  const bool call = call_parts(e, a.kind, args);
  const kinds::Augmentation* kind = kinds::find(kinds::kAugmentations, a.kind);
  if (!call || !kind) {
    suggest(fail(DiagId::unknown_augmentation, called(e), source(called(e))), a.kind, known, true);
    return;
  }
  std::vector<ArgValue> values;
  if (!bind(a.kind, arguments_of(*kind), args, e.span, env, values, nullptr)) return;
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
