// Which form each node takes: what it is computed by, and how its weights are stored.
#pragma once
#include <set>

#include "compiler/schedule/plan.h"

namespace netc::schedule {

/// The graph with each node in the form that costs least on this machine (ir::Form). Nodes whose first result is in `as_they_are` stay so.
ir::Graph choose_forms(ir::Graph, const Machine&, const std::set<ir::ValueId>& as_they_are = {});

/// make_plan of a graph whose forms are chosen.
Plan plan_chosen(ir::Graph, const Machine&, int max_batch);

}  // namespace netc::schedule
