// Plans that the planner might make on some machine: what it never chooses on this one is tested all the same.
#pragma once
#include "compiler/machine/machine.h"
#include "compiler/plan/plan.h"
#include "tests/random/rng.h"

namespace netc::random {

/// A description of a processor whose instructions this one has: caches, cores and vectors of any size make the planner
/// choose other loops.
Machine any_machine(verify::Rng&);

/// A plan in which nodes take any form that fits, kernels any numbers that their loops may have; of a training step now
/// and then one of least memory.
plan::Plan any_plan(const ir::Graph&, const Machine&, int batch, verify::Rng&);

}  // namespace netc::random
