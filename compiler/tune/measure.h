// Runs compiled kernels on this machine, in a child process: a kernel that crashes takes nothing with it.
#pragma once
#include <string>
#include <vector>

#include "compiler/emit/product.h"
#include "compiler/lower/lower.h"
#include "compiler/schedule/plan.h"

namespace netc::tune {

/// One way to compute a kernel. `us[b]` is the least time that a call took at the b-th batch.
struct Measured {
  bool works = false;             // it ran, and gave what the first way gave, within float32's rounding
  std::vector<double> us;
};

struct How {
  std::vector<int> batches;       // each at most the plan's
  double seconds = 0.3;           // for all ways together, about
  double tolerance = 1e-3;        // of the largest element of a result
};

/// Measures ways[i] of the plan's kernel (those without an object do not work), call after call in turn, with threads and scratch memory as products have them.
/// `measured[i]` is ways[i]'s. False and `error` when nothing can be measured: no linker, no memory, or the first way fails.
bool measure(const schedule::Plan&, const schedule::Kernel&, const std::vector<lower::Object>& ways, const How&, const emit::Toolchain&, std::vector<Measured>& measured,
             std::string& error);

}  // namespace netc::tune
