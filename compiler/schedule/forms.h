// Which form each node takes: what it is computed by, and how its weights are stored.
#pragma once
#include "compiler/schedule/plan.h"

namespace netc::schedule {

/// The graph with each node in the form that costs least on this machine (ir::Form).
ir::Graph choose_forms(ir::Graph, const Machine&);

}  // namespace netc::schedule
