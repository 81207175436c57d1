// Which loops a kernel gets: the choice by class of kernel, shapes and machine. The decision is data (Strategy); lower/
// carries it out.
#pragma once
#include "compiler/schedule/plan.h"

namespace netc::schedule {

Strategy choose_strategy(const Plan&, const Kernel&, const Machine&);

/// Where an operand of the kernel's anchor, 1 its weights, is among the kernel's inputs; their number when it is
/// computed in the kernel.
size_t operand_index(const Plan&, const Kernel&, size_t operand);
/// The block in which operand 1 is stored, 0 when it is not.
int64_t weights_block(const Plan&, const Kernel&);
/// That its blocks are of pairs, of which one instruction adds both products.
bool weights_in_pairs(const Plan&, const Kernel&);

}  // namespace netc::schedule
