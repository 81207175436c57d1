// What a kernel is estimated to take: for reports, for the order in which kernels are tuned, and to be compared with
// what is measured (netc tune).
#pragma once
#include "compiler/schedule/plan.h"

namespace netc::schedule {

/// Microseconds of a full batch on all cores.
double estimate_us(const Plan&, const Kernel&, const Strategy&, const Machine&);

}  // namespace netc::schedule
