// Runs compiled kernels on this machine, in a child process: a kernel that crashes takes nothing with it.
#pragma once
#include <string>
#include <vector>

#include "compiler/emit/product.h"
#include "compiler/lower/lower.h"
#include "compiler/plan/plan.h"

namespace netc::tune {

/// Kernels of a plan that run one after another: `once` before anything is timed, `each` time after time.
struct Subject {
  const plan::Plan* plan = nullptr;
  std::vector<const plan::Kernel*> once, each;
};

/// A subject's code: an object for each kernel of `once`, then of `each`. Without one of them the way does not work.
struct Way {
  const Subject* subject = nullptr;
  std::vector<lower::Object> objects;
};

/// `us[b]` is the least time that the kernels took together at the b-th batch.
struct Measured {
  bool works = false;  // they ran, and the last one gave what the first way's gave, within float32's rounding
  std::vector<double> us;
};

struct How {
  std::vector<int> batches;  // each at most the plan's
  double seconds = 0.3;      // for all ways together, about
  double tolerance = 1e-3;   // of the largest element of a result
};

/// Measures ways in turn, with threads and scratch memory as products have them; all of them are to give the same
/// results. False and `error` when nothing can be measured: no linker, no memory, or the first way fails.
bool measure(const std::vector<Way>&, const How&, const emit::Toolchain&, std::vector<Measured>&, std::string& error);

}  // namespace netc::tune
