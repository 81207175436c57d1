// Which loops a kernel gets: the choice by class of kernel, shapes and machine. The decision is data (Strategy); lower/ carries it out.
#pragma once
#include "compiler/schedule/plan.h"

namespace netc::schedule {

Strategy choose_strategy(const Plan&, const Kernel&, const Machine&);

}  // namespace netc::schedule
