// Training plans that take less memory: time for memory.
#pragma once
#include <vector>

#include "compiler/schedule/make_plan.h"

namespace netc::schedule {

using namespace plan;

/// The plan of a training graph; what the backward pass computes again in next to no time does not wait for it in
/// memory.
Plan plan_sparing(const ir::Graph&, const Machine&, int max_batch, const Tuning* = nullptr);

struct LimitedPlan {
  Plan plan;                            // its graph computes values again
  std::vector<ir::ValueId> recomputed;  // those of the training graph that the backward pass computes again
  std::vector<ir::ValueId> plain;       // results of its nodes whose faster form would have taken too much
};

/// Drops values of the forward pass, which the backward pass computes again, until the arena takes at most
/// `arena_bytes`; else the least that was found.
LimitedPlan plan_within(const ir::Graph&, const Machine&, int max_batch, int64_t arena_bytes, const Tuning* = nullptr);

}  // namespace netc::schedule
