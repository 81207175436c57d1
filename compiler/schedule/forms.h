// Which form each node takes: what it is computed by, and how its weights are stored.
#pragma once
#include <functional>
#include <set>

#include "compiler/schedule/make_plan.h"

namespace netc::schedule {

using namespace plan;

/// The forms that a node may take on this machine, by name, that of least cost first; "as_is" is none. Of a node that
/// has but one: that one.
std::vector<std::string> forms_of(const ir::Graph&, ir::NodeId, const Machine&);

struct FormRules {
  int max_batch = 1;
  const Tuning* tuning = nullptr;          // what was found fastest; may be null
  std::set<ir::ValueId> as_they_are = {};  // nodes with these as first results keep their operators
  /// takes any of the forms that fit, for tests; null: what was measured, or is estimated to be, the fastest
  std::function<size_t(size_t forms)> pick = {};
};
struct ChosenForms {
  ir::Graph graph;
  int tuned = 0;  // nodes whose form the tuning knew
};
/// The graph with each node in the form that was found fastest, else in that of least cost on this machine (ir::Form).
ChosenForms choose_forms(ir::Graph, const Machine&, const FormRules&);

/// make_plan of a graph whose forms are chosen.
Plan plan_chosen(ChosenForms, const Machine&, int max_batch, const Tuning* = nullptr);

}  // namespace netc::schedule
