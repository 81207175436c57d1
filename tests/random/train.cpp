// Outputs, and what they are trained by.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/ops/ops.h"
#include "tests/random/builder.h"
#include "tests/random/generate.h"

namespace netc::random {

using namespace ir;

namespace {

std::vector<ArgValue> fallbacks(const std::vector<ArgDef>& args) {
  std::vector<ArgValue> out;
  for (const ArgDef& a : args) out.push_back(a.fallback ? *a.fallback : ArgValue{});
  return out;
}

/// Layers without arguments whose result is known to mean that.
std::vector<const LayerDef*> giving(Meaning meaning) {
  std::vector<const LayerDef*> out;
  for (const LayerDef* l : ops::registry().layers) {
    if (l->tensor_inputs != 1 || !l->args.empty()) continue;
    const auto model = analyse(fmt::format("net A {{ input x: f32[4] output y = x -> {} }}", l->name));
    if (!model) continue;
    const NodeId def = model->graph.values[model->graph.outputs[0].value].def;
    if (def != kNone && model->graph.nodes[def].op->meaning == meaning) out.push_back(l);
  }
  return out;
}

const std::vector<const LayerDef*>& heads(Meaning meaning) {
  static const std::vector<const LayerDef*> distribution = giving(Meaning::distribution),
                                            probability = giving(Meaning::probability), none;
  return meaning == Meaning::distribution ? distribution : meaning == Meaning::probability ? probability : none;
}

bool is_view(const Graph& g, ValueId v) {
  const NodeId def = g.values[v].def;
  return def != kNone && g.nodes[def].op->kind == Kind::view;
}

/// Layers that give the same bytes another shape, as a trial shows.
const std::vector<const LayerDef*>& viewing() {
  static const std::vector<const LayerDef*> all = [] {
    std::vector<const LayerDef*> out;
    Rng rng(1);
    for (const LayerDef* l : ops::registry().layers)
      for (int attempt = 0; attempt < 12 && l->tensor_inputs == 1 && !l->build_many; ++attempt) {
        Site site{rng, {4, 6, 3}};
        const auto model = analyse(
            fmt::format("net A {{ input x: f32[4, 6, 3] output y = x -> {}{} }}", l->name, arguments(l->args, site)));
        if (!model || !is_view(model->graph, model->graph.outputs[0].value)) continue;
        out.push_back(l);
        break;
      }
    return out;
  }();
  return all;
}

/// True when any numbers are sensible targets of the loss.
bool of_quantities(const LossDef& def, const Type& output) {
  Graph g;
  const auto variable = [&](const char* name, const Type& type) {
    Variable v;
    v.name = name, v.role = Role::label;
    return g.add_variable(v, type);
  };
  const ValueId y = variable("y", output), label = variable("label", def.label_type(output));
  std::string error, help;
  if (g.type(label).dtype != DType::f32 || (def.check && !def.check(g, y, fallbacks(def.args), error, help)))
    return false;
  def.build(g, ops::registry().ops, y, label, fallbacks(def.args));
  return is_quantity(g, label);
}

/// A small type that the loss takes.
std::optional<Type> suitable(Rng& rng, const LossDef& def) {
  std::vector<Type> fit;
  for (const int64_t a : {0, 1, 2, 3, 4, 5})
    for (const int64_t b : {0, 1, 2, 4, 7})
      for (const int64_t c : {0, 3, 5}) {
        Type t{DType::f32, true, {}};
        for (const int64_t d : {a, b, c})
          if (d > 0) t.dims.push_back(d);
        Graph g;
        Variable v;
        v.name = "y";
        const ValueId y = g.add_variable(v, t);
        std::string error, help;
        if (!def.check || def.check(g, y, fallbacks(def.args), error, help)) fit.push_back(t);
      }
  return fit.empty() ? std::nullopt : std::optional(rng.pick(fit));
}

}  // namespace

bool Builder::view_of_input(Draft& d) {
  for (int attempt = 0; attempt < 40; ++attempt) {
    const Tensor t = rng_.pick(tensors_);
    if (t.nodes > 0 || t.type.dtype != DType::f32) continue;
    Draft next = d;
    Site site{rng_, t.type.dims};
    const LayerDef& def = *rng_.pick(viewing());
    next.outputs.push_back(
        fmt::format("output {} = {} -> {}{}", next.fresh("y"), t.name, def.name, arguments(def.args, site)));
    const std::optional<sema::Model> model = analyse(next.text());
    if (!model || !is_view(model->graph, model->graph.outputs.back().value)) continue;
    d = std::move(next);
    return true;
  }
  return false;
}

void Builder::prune() {
  for (size_t i = draft_.inputs.size(); i-- > 0 && draft_.inputs.size() > 1;) {
    Draft next = draft_;
    next.inputs.erase(next.inputs.begin() + static_cast<long>(i));
    if (rng_.chance(90) && analyse(next.text())) draft_ = std::move(next);
  }
}

bool Builder::outputs() {
  Draft next = draft_;
  std::vector<std::string> names;
  for (int64_t n = static_cast<int64_t>(rng_.weighted({5, 45, 30, 15, 5})); n > 0; --n) {
    const Tensor& t = rng_.chance(60) ? result() : tensor();
    if (t.type.dtype != DType::f32 || t.type.has_any_extent() || (t.nodes == 0 && rng_.chance(70))) continue;
    const bool again = std::any_of(next.outputs.begin(), next.outputs.end(),
                                   [&](const std::string& o) { return o.ends_with(" = " + t.name); });
    if (again && rng_.chance(85)) continue;  // one tensor as two outputs
    names.push_back(next.fresh("y"));
    next.outputs.push_back(
        fmt::format("output {} = {}", names.back(), again && rng_.chance(50) ? names.front() : t.name));
  }
  if (rng_.chance(6)) view_of_input(next);
  return accept(std::move(next), {});
}

/// A label of the data, another output, or an input.
std::string Builder::target(const Draft& d, const LossDef& def, const std::string& output) {
  const std::optional<sema::Model> model = rng_.chance(30) ? analyse(d.text()) : std::nullopt;
  if (model) {
    const Graph& g = model->graph;
    std::vector<std::string> fit;
    ValueId y = kNone;
    for (const Output& o : g.outputs)
      if (o.name == output) y = o.value;
    const Type wanted = def.label_type(g.type(y));
    const bool quantities = of_quantities(def, g.type(y));
    for (const Variable& v : g.variables)
      if (v.role == Role::input && g.type(v.value) == wanted && (quantities || wanted.dtype != DType::f32))
        fit.push_back(v.name);
    for (const Output& o : g.outputs) {
      const NodeId node = g.values[o.value].def;
      const bool shares = node != kNone && (g.nodes[node].op->meaning == Meaning::distribution ||
                                            g.nodes[node].op->meaning == Meaning::probability);
      if (o.name != output && g.type(o.value) == wanted && (quantities || shares)) fit.push_back(o.name);
    }
    if (!fit.empty()) return rng_.pick(fit);
  }
  static const std::vector<std::string> labels = {"label", "label", "label2", "target", "goal"};
  return rng_.pick(labels);
}

std::optional<std::string> Builder::loss_term(Draft& d, const LossDef& def, const Tensor& t,
                                              const std::string& optimizer) {
  Draft next = d;
  const Meaning wants = def.expects ? def.expects(fallbacks(def.args)) : Meaning::any;
  const std::vector<const LayerDef*>& fit = heads(wants);
  const bool head = !fit.empty() && rng_.chance(75);
  std::string output;
  // An output that is there, or a new one.
  for (const std::string& o : next.outputs)
    if (!head && o.ends_with(" = " + t.name) && rng_.chance(90)) output = o.substr(7, o.find(' ', 7) - 7);
  if (output.empty()) {
    output = next.fresh("y");
    next.outputs.push_back(fmt::format("output {} = {}{}", output, t.name, head ? " -> " + rng_.pick(fit)->name : ""));
    if (rng_.chance(10)) std::swap(next.outputs.front(), next.outputs.back());
  }
  Site site{rng_, t.type.dims};
  std::string term = def.name + arguments(def.args, site, true, output + ", " + target(next, def, output));
  static const std::vector<std::string> factors = {"0.5", "2", "0.1", "1.5", "1/3"};
  switch (rng_.below(8)) {
    case 0: term = rng_.pick(factors) + " * " + term; break;
    case 1: term = term + " * " + rng_.pick(factors); break;
    case 2: term = term + " / 4"; break;
    default: break;
  }
  next.train = {"loss = " + term, optimizer};
  if (!analyse(next.text())) return std::nullopt;
  d = std::move(next);
  return term;
}

bool Builder::train(const LossDef& wanted, const OptimizerDef& optimizer) {
  Draft next = draft_;
  std::string terms;
  Site site{rng_, {}};
  const std::string how = "optimizer = " + optimizer.name + arguments(optimizer.args, site, true);
  for (int64_t n = 1 + static_cast<int64_t>(rng_.weighted({65, 25, 10})), k = 0; k < n; ++k) {
    const LossDef& def = k == 0 || rng_.chance(15) ? wanted : *rng_.pick(ops::registry().losses);
    std::optional<std::string> term;
    for (int attempt = 1; attempt <= 120 && !term; ++attempt) {
      if (k > 0 && attempt > 15) break;
      if (attempt % 30 == 0) {  // none of the tensors' types suits: something that begins with one that does
        const std::optional<Type> type = suitable(rng_, def);
        if (!type) return false;
        draft_ = next;
        Draft more = next;
        const std::string name = more.fresh("in");
        more.inputs.push_back(fmt::format("input {}: {}", name, shape_for_user(*type)));
        if (!accept(std::move(more), {name})) continue;
        for (int tries = 0; tries < 12; ++tries) {
          Draft longer = draft_;
          const auto c = chain(longer, name, *type, 1);
          const std::string result = longer.fresh("t");
          if (!c || c->type != *type) continue;
          longer.body.push_back(fmt::format("let {} = {} -> {}", result, name, c->text()));
          if (accept(std::move(longer), {result})) break;
        }
        next = draft_;
      }
      const Tensor t = attempt < 10 ? result() : attempt % 30 < 5 ? tensors_.back() : rng_.pick(tensors_);
      if (t.type.dtype != DType::f32 || t.type.has_any_extent()) continue;
      term = loss_term(next, def, t, how);
    }
    if (!term && k == 0) return false;
    if (term) terms += (terms.empty() ? "" : " + ") + *term;
  }
  next.train = {"loss = " + terms, how, fmt::format("batch = {}", rng_.between(1, 9))};
  if (rng_.chance(20)) next.train.push_back(fmt::format("seed = {}", rng_.between(0, 1000)));
  if (!analyse(next.text())) return false;
  draft_ = std::move(next);
  return true;
}

}  // namespace netc::random
