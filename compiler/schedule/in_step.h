// Kernels in step. What reads a large variable right before it is overwritten reads it from memory once more, while the
// kernel that overwrites it does little else than wait for memory. In step (rt::Context::in_step), task by task over
// the same rows of the variable, all find them in a cache, and arithmetic of one goes on while memory serves another.
//
//   penalty, matmul_data_grad, matmul_weight_grad -> penalty_grad -> adam_update     a weight of several caches' size
//   is read once
#pragma once
#include "compiler/machine/machine.h"
#include "compiler/schedule/fuse.h"

namespace netc::schedule {

using namespace plan;

/// Marks and orders kernels that may run in step: each reads a variable that the last overwrites.
void find_in_step(const ir::Graph&, Groups&, const Machine&);
/// Gives those the same number of tasks. Where their loops do not allow it, they run one after another.
void share_tasks(Plan&, const Machine&);

}  // namespace netc::schedule
