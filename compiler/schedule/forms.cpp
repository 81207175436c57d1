#include "compiler/schedule/forms.h"

#include <algorithm>

#include "compiler/ir/rewrite.h"
#include "compiler/schedule/tuning.h"

namespace netc::schedule {
namespace {

constexpr const char* kAsIs = "as_is";

const ir::Form* find(const ir::OpDef& op, const std::string& name) {
  for (const ir::Form& form : op.forms)
    if (form.name == name) return &form;
  return nullptr;
}

}  // namespace

std::vector<std::string> forms_of(const ir::Graph& g, ir::NodeId n, const Machine& m) {
  std::vector<std::pair<double, std::string>> costs;
  for (const ir::Form& form : g.nodes[n].op->forms)
    if (const auto cost = form.cost(g.nodes[n], g, m)) costs.push_back({*cost, form.name});
  std::stable_sort(costs.begin(), costs.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> names;
  for (const auto& [cost, name] : costs) names.push_back(name);
  names.push_back(kAsIs);
  return names;
}

ChosenForms choose_forms(ir::Graph of, const Machine& m, const FormRules& rules) {
  ChosenForms chosen{std::move(of), 0};
  ir::Graph& g = chosen.graph;
  const std::string machine = machine_key(m);
  const ir::NodeId nodes = static_cast<ir::NodeId>(g.nodes.size());
  for (ir::NodeId n = 0; n < nodes; ++n) {
    if (g.nodes[n].op->forms.empty() || rules.as_they_are.count(g.nodes[n].results.front())) continue;
    const std::vector<std::string> names = forms_of(g, n, m);
    std::string name = names[rules.pick ? rules.pick(names.size()) : 0];
    if (const TuningEntry* known =
            rules.tuning && names.size() > 1 ? rules.tuning->find(machine, form_key(g, n, rules.max_batch)) : nullptr)
      if (std::find(names.begin(), names.end(), known->choice) != names.end()) name = known->choice, ++chosen.tuned;
    if (const ir::Form* form = find(*g.nodes[n].op, name)) form->rewrite(g, n, m);
  }
  ir::drop_unread(g);  // what a form computes otherwise; who calls knows values by their numbers
  ir::restore_order(g);
  return chosen;
}

}  // namespace netc::schedule
