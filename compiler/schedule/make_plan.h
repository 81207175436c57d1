// From a graph to its plan.
#pragma once
#include "compiler/machine/machine.h"
#include "compiler/plan/plan.h"

namespace netc::schedule {

using namespace plan;

struct Tuning;
/// Chooses forms, groups nodes into kernels (fusion), chooses nests, plans the arena. What `tuning` knows of goes
/// before what is estimated.
Plan make_plan(const ir::Graph&, const Machine&, int max_batch, const Tuning* tuning = nullptr);

}  // namespace netc::schedule
