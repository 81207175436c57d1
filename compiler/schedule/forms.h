// Which form each node takes: what it is computed by, and how its weights are stored.
#pragma once
#include "compiler/schedule/plan.h"

namespace netc::schedule {

/// The forms that a node may take on this machine, by name, that of least cost first; "as_is" is none. Of a node that has but one: that one.
std::vector<std::string> forms_of(const ir::Graph&, ir::NodeId, const Machine&);

/// The graph with each node in the form that `tuning` (may be null) found fastest, else in that of least cost (ir::Form). Adds to `tuned` the nodes it knew.
ir::Graph choose_forms(ir::Graph, const Machine&, int max_batch, const Tuning* tuning, int& tuned);

}  // namespace netc::schedule
