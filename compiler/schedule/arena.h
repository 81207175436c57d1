// The memory plan: offsets in one arena by liveness.
#pragma once
#include "compiler/plan/plan.h"

namespace netc::schedule {

using namespace plan;

/// Gives every arena buffer its block, and its offset (64-byte aligned) at plan.max_batch; sets plan.blocks and
/// plan.arena_bytes. Buffers whose lives overlap never share bytes, except that an element-wise kernel may write where
/// it reads. `root` maps a value to the one whose bytes it shares.
void plan_arena(Plan& plan, const std::vector<ir::ValueId>& root);

}  // namespace netc::schedule
