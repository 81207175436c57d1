#include "compiler/nests/image.h"

namespace netc::nests {

bool is_convolution(const Site& at) {
  return at.is(ir::Kind::contraction) && at.result().batched && at.result().rank() == 3 && !at.operand(1).batched;
}

std::pair<int, int> phases_of(const Site& at) {
  const ir::Node& node = at.node();
  return node.op->phases ? node.op->phases(node.attrs) : std::pair<int, int>{1, 1};
}

int64_t area_of(const Site& at) {
  const plan::Pooling pooling = pooling_of(*at.p.graph, at.k);
  return pooling.y * pooling.x;
}

ConvTasks conv_tasks(const Site& at, int64_t rows, int64_t channels, int64_t panel, double work) {
  const int64_t weights = at.operand(1).bytes(), panels = channels / panel;
  const bool by_panel = weights > 4 * at.operand(0).bytes() && panels > 1;
  const int64_t tasks = work >= kSplitSampleFlops ? 4 * at.m.cores : 1;
  ConvTasks t;
  t.image_rows = rows;
  t.task_rows = by_panel ? rows : at.even_share(rows, tasks);
  t.task_panels = by_panel ? at.even_share(panels, tasks) : panels;
  const int64_t cached = at.m.l2 / 8 / std::max<int64_t>(1, weights / panels);  // panels
  t.block_panels = channels % panel != 0 ? 1 : largest_divisor(t.task_panels, std::max<int64_t>(1, cached));
  t.task_samples = chunk_of(work, kGrainFlops, 1 << 10);
  return t;
}

}  // namespace netc::nests
