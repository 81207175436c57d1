// netc --memory-limit: plans that fit.
#pragma once
#include <string>
#include <vector>

#include "compiler/emit/unit.h"
#include "compiler/passes/pipeline.h"

namespace netc::tool {

/// What a memory limit cost.
struct LimitCost {
  /// computed again in the backward pass, and in forms that take less memory: names, in the net's order
  std::vector<std::string> layers, plain;
  int64_t arena = 0, unlimited_arena = 0;  // bytes of the training plan
  double flops = 0, unlimited_flops = 0;   // of one step
};

/// Replaces *unit.train, which is `train`, where the unit takes more than `limit` bytes besides the kernels' scratch.
/// Where that is not enough: false, and `error` says what the least is, and which batch would fit.
bool limit_memory(emit::Unit& unit, const passes::Program&, const schedule::Tuning&, plan::Plan& train, int64_t limit,
                  LimitCost&, std::string& error);

/// A line, or "" where it cost nothing. `all`: every layer is named.
std::string text(const LimitCost&, bool all);

}  // namespace netc::tool
