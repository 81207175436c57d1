// Fusion: which nodes make which kernel, and which values are stored.
#pragma once
#include <vector>

#include "compiler/plan/plan.h"

namespace netc::schedule {

using namespace plan;

struct Groups {
  std::vector<Kernel> kernels;    // in execution order; buffers not yet assigned
  std::vector<bool> stored;       // by ValueId: lives in a buffer
  std::vector<ir::ValueId> root;  // by ValueId: the value whose bytes it shares (views); itself otherwise
};
Groups fuse(const ir::Graph&);

}  // namespace netc::schedule
