// What may be one kernel. Each rule stands here once: fuse.cpp follows them, check.cpp holds kernels to them.
#pragma once
#include <optional>

#include "compiler/plan/plan.h"

namespace netc::plan {

/// Element-wise nodes of a kernel, at most: its code, and the time to make it, grow with them.
constexpr int kMostNodes = 64;

/// Rows and columns of an image that one pixel of a pooled one takes.
struct Pooling {
  int64_t y = 1, x = 1;
};
/// Of a window without overlap and padding, whose windows lie side by side along rows and columns and keep the
/// channels. Nothing for others.
std::optional<Pooling> pooling_of(const ir::Graph&, const ir::Node& window);
/// Of the window that follows the kernel's anchor; 1 x 1 where there is none.
Pooling pooling_of(const ir::Graph&, const Kernel&);

bool same_shape(const ir::Graph&, ir::ValueId a, ir::ValueId b);
/// Whether `next`, the one reader of `v`, may work on what the kernel of `anchor` has of it, element by element, or
/// window by window once: `pooled` tells whether a window follows already.
bool may_follow(const ir::Graph&, const ir::Node& anchor, ir::ValueId v, const ir::Node& next, bool pooled);

}  // namespace netc::plan
