// The order of a training step's kernels, so that less must be in memory at once.
#pragma once
#include "compiler/plan/plan.h"

namespace netc::schedule {

using namespace plan;

/// Exchanges neighbouring runs of kernels around the fullest moment of the step while that makes the fullest moment
/// less full. Every kernel still reads what it read and overwrites only what was read before. `root` maps a value to
/// the one whose bytes it shares.
void lower_peak(Plan&, const std::vector<ir::ValueId>& root);

}  // namespace netc::schedule
