// The loss of the train section: a sum of terms, each an output of the net against a target.
#include <algorithm>

#include "compiler/base/counted.h"
#include "compiler/sema/elaborator.h"

namespace netc::sema {
namespace {

using K = Value::Kind;
constexpr double kMostWeight = 1e6;

/// True when something is called in `e`, of the losses where `losses` are given.
bool calls(const ast::Expr& e, const std::vector<const ir::LossDef*>* losses = nullptr) {
  const auto is_loss = [&](const ir::LossDef* l) { return e.items[0]->text == l->name; };
  if (e.kind == ast::ExprKind::call && (!losses || std::any_of(losses->begin(), losses->end(), is_loss))) return true;
  return std::any_of(e.items.begin(), e.items.end(), [&](const ast::ExprPtr& i) { return calls(*i, losses); });
}

const ir::Variable* input_of(const ir::Graph& g, const std::string& name) {
  for (const ir::Variable& v : g.variables)
    if (v.role == ir::Role::input && v.name == name) return &v;
  return nullptr;
}

const ir::Output* output_of(const ir::Graph& g, const std::string& name) {
  for (const ir::Output& o : g.outputs)
    if (o.name == name) return &o;
  return nullptr;
}

}  // namespace

void Elaborator::loss(const ast::Expr& e, double weight, const EnvPtr& env, Model& model) {
  if (e.kind != ast::ExprKind::binary) return loss_term(e, weight, env, model);
  const ast::Expr &a = *e.items[0], &b = *e.items[1];
  // The number is the side without a call, or the one that calls no loss: min(a, b) * mse(y, box).
  const auto number = [&](const ast::Expr& x, const ast::Expr& other) {
    return !calls(x) || (!calls(x, &registry_.losses) && calls(other, &registry_.losses));
  };
  const bool times = e.text == "*", left = times && number(a, b),
             right = !left && (times || e.text == "/") && number(b, a);
  if (e.text == "+") {
    loss(a, weight, env, model);
    loss(b, weight, env, model);
  } else if (left || right) {
    const Value v = eval(left ? a : b, env);
    if (v.error()) return;
    if (!v.numeric() || !(v.real() > 0) || v.real() > kMostWeight) {
      fail(DiagId::expected_type, left ? a.span : b.span, "the weight of a loss",
           "a number above 0, up to " + grouped(static_cast<int64_t>(kMostWeight)), show(v));
      return;
    }
    loss(left ? b : a, times ? weight * v.real() : weight / v.real(), env, model);
  } else {
    fail(DiagId::loss_sum, e.span, source(e.span))
        .help.push_back("write: loss = categorical_crossentropy(OUTPUT, label) + 0.5 * mse(OTHER, target)");
  }
}

void Elaborator::loss_term(const ast::Expr& e, double weight, const EnvPtr& env, Model& model) {
  std::string name;
  std::vector<const ast::Arg*> args;
  std::vector<std::string> known;
  LossTerm term;
  term.weight = weight, term.span = e.span;
  for (const ir::LossDef* l : registry_.losses) known.push_back(l->name);
  if (call_parts(e, name, args))
    for (const ir::LossDef* l : registry_.losses)
      if (l->name == name) term.loss = l;
  if (!term.loss) {
    suggest(fail(DiagId::unknown_loss, called(e), name.empty() ? source(e.span) : name), name, known, true);
    return;
  }
  if (!loss_operands(e, args, term, model)) return;
  args.erase(args.begin(), args.begin() + 2);
  if (!bind(name, term.loss->args, args, e.span, env, term.args, nullptr)) return;
  std::string error, help;
  if (term.loss->check &&
      !term.loss->check(model.graph, output_of(model.graph, term.output)->value, term.args, error, help)) {
    Diagnostic& d = fail(DiagId::loss_error, e.span, error);
    if (!help.empty()) d.help.push_back(help);
    return;
  }
  model.train.losses.push_back(std::move(term));
}

/// The output and what it is compared with: an input, another output, or a label of the data.
bool Elaborator::loss_operands(const ast::Expr& e, const std::vector<const ast::Arg*>& args, LossTerm& term,
                               Model& model) {
  const ir::Graph& g = model.graph;
  std::vector<std::string> outputs;
  for (const ir::Output& o : g.outputs) outputs.push_back(o.name);
  if (args.size() < 2 || !args[0]->name.empty() || !args[1]->name.empty() ||
      args[1]->value->kind != ast::ExprKind::name) {
    fail(DiagId::missing_argument, e.span, term.loss->name, "label")
        .help.push_back(
            fmt::format("write: loss = {}({}, label)", term.loss->name, outputs.empty() ? "OUTPUT" : outputs[0]));
    return false;
  }
  term.output = source(args[0]->value->span);
  term.label = args[1]->value->text;
  const ir::Output* output = output_of(g, term.output);
  if (!output) {
    if (!outputs.empty()) suggest(fail(DiagId::unknown_output, args[0]->span, term.output), term.output, outputs, true);
    return false;
  }
  if (output->value == ir::kNone) return false;  // its error is reported
  const Span at = args[1]->span;
  if (term.label == term.output) {
    fail(DiagId::misplaced, at, fmt::format("the output {} as its own target", term.output))
        .help.push_back("give the label another name than the output's");
    return false;
  }
  for (const char* reserved : {"lr", "seed", "step", "loss"}) {
    if (term.label != reserved) continue;
    fail(DiagId::misplaced, at, fmt::format("the name {}", term.label))
        .help.push_back("training gives this name a meaning: choose another");
    return false;
  }
  const ir::Type wanted = term.loss->label_type(g.type(output->value));
  const auto differs = [&](const ir::Type& given, const std::string& what) -> Diagnostic& {
    return fail(DiagId::label_type, at, term.loss->name,
                fmt::format("{} ({})", term.output, ir::shape_for_user(g.type(output->value))),
                ir::shape_for_user(wanted), what, ir::shape_for_user(given));
  };
  const ir::Variable* input = input_of(g, term.label);
  const ir::Output* other = output_of(g, term.label);
  const ir::ValueId target = input ? input->value : other ? other->value : ir::kNone;
  if (target != ir::kNone && g.type(target) != wanted) {
    const char* what = input ? "input" : "output";
    Diagnostic& d = differs(g.type(target), fmt::format("the {} {}", what, term.label));
    if (wanted.dtype != ir::DType::f32)
      d.help.push_back(fmt::format("give the label of the data another name than the {}'s", what));
    else
      d.help.push_back(
          fmt::format("compare with what the net makes of it: output target = {} -> ..., and {}({}, target)",
                      term.label, term.loss->name, term.output));
    return false;
  }
  if (input || other) return true;
  for (const LossTerm& before : model.train.losses) {
    const ir::Type type = before.loss->label_type(g.type(output_of(g, before.output)->value));
    if (before.label != term.label || type == wanted) continue;
    differs(type, fmt::format("the label {} of {}", term.label, before.loss->name))
        .help.push_back("give the two labels different names");
    return false;
  }
  return true;
}

}  // namespace netc::sema
