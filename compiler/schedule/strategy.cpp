// A contraction's inner loop keeps a tile of accumulators in registers: `lanes` x `vectors` along the dim in which an
// operand is contiguous, times `rows` along another dim, so that each load of an operand feeds several multiply-adds.
// What differs is which dims these are:
//
//   gemm         y[n, u]:        lanes along u, rows along n; small weights that lie along the sum are turned first,
//   for many samples gemm_stream  y[n, u]:        the same for weights larger than the caches: K is split into tasks
//   that stream a slice of the weights each dot          y[n, k]:        both operands contiguous along the reduction:
//   lanes along it, a tile of k x n accumulators outer        dw[k, u]:       lanes along u, rows along k; the
//   reduction is the batch; the optimiser follows in registers conv_lanes   y[n, y, x, c]:  lanes along channels, rows
//   along x; a panel of weights meets all pixels of a task before the next conv_depth   y[n, y, x, c]:  each channel
//   its own kernel: lanes along channels, rows along x; all channels of a tile of pixels before the next conv_planes
//   y[n, y, x, c]:  few channels: lanes along x, all channels in the tile conv_dot     y[n, y, x, c]:  few channels of
//   many, both operands contiguous along those: lanes along the reduction, a tile of channels x pixels taps_lanes
//   dw[ky,kx,c,k]:  lanes along k, a tile of taps; tasks are samples, or slices of image rows where there are few
//   taps_panels  dw[ky,kx,c,k]:  the same for many weights; tasks are groups of channels c, over the whole batch
//   taps_planes  dw[ky,kx,c,k]:  few channels k: lanes along x, a reduction
//   tokens       y[n, ..., t, u]: a matrix product for each sample: lanes along u, rows along t; panels of columns, or
//   the outer dims, are tasks strassen     y[n, t, u]:     the same by seven products of sums of blocks, lanes along u,
//   rows along pairs of t; panels of columns are tasks attention    y[n, t, h, u]:  products with a softmax between
//   them; a head is a task, whose rows go through all of it tile by tile
//
// What is no contraction:
//
//   winograd     y[n, y, x, c]:  tiles of a task are transformed, then for each panel of channels multiplied, lanes
//   along it, rows along tiles, and turned back tile_sums    s[e, c, k]:     of tiles that the kernels `tiles`
//   transformed, lanes along k; each element e is a task; `taps_back` makes taps of them blocks       weights into
//   blocks map, window  one element after another, lanes along the innermost dim rows         per-sample folds
//   (softmax, layer norm, a mean over axes): a fold is computed for the row that needs it, lanes along the row or the
//   result reduce       folds over the batch: slices of it, or of the outermost dim where there are few samples, are
//   tasks, whose sums are added in order scatter      in order along the batch, lanes along the innermost dim
#include "compiler/schedule/strategy.h"

#include <algorithm>

#include "compiler/schedule/chooser.h"
#include "compiler/schedule/cost.h"

namespace netc::schedule {

// Tasks: rows of the image together, or samples together, until a task is worth a thread.
void Chooser::tasks(int64_t rows, double work_per_sample, double grain, int64_t multiple) {
  if (k.anchor != ir::kNone && p.graph->nodes[k.anchor].op->kind == Kind::contraction) {
    // Rows of a task share their halo: tasks are large, but one sample alone still keeps all cores busy when it is
    // worth it.
    const bool split = work_per_sample >= kSplitSampleFlops && rows >= 2 * multiple;
    const int64_t even = std::max<int64_t>(
        multiple, largest_near(rows, std::max<int64_t>(1, rows / (4 * m.cores))) / multiple * multiple);
    set("task_rows", split ? even : rows);
    set("task_samples", chunk_of(work_per_sample, grain, 1 << 10));
    return;
  }
  if (work_per_sample >= 2 * grain && rows > 1) {
    set("task_rows", largest_near(rows, chunk_of(work_per_sample / rows, grain, rows)));
    set("task_samples", 1);
  } else {
    set("task_rows", rows);
    set("task_samples", chunk_of(work_per_sample, grain, 1 << 10));
  }
}

void Chooser::pack() {
  s.name = "blocks";
  s.vector = lanes_for(out().block, m.vector_floats, 1, true).first;
  if (k.anchor != ir::kNone && p.graph->nodes[k.anchor].op->transforms_tiles) set("elements", anchor_type().dims[0]);
}

void Chooser::map() {
  s.name = "map";
  const Type& t = out().type;
  int64_t inner = out().planar ? t.dims[1] : t.rank() ? t.dims.back() : 1;
  if (inner == 1 && t.rank() > 1 && t.dims[t.rank() - 2] >= m.vector_floats) inner = t.dims[t.rank() - 2];
  s.vector = lanes_for(inner, m.vector_floats, 1, false).first;
  if (inner < m.vector_floats && inner > 1) s.vector = static_cast<int>(inner);
  tasks(t.rank() ? t.dims[0] : 1, static_cast<double>(t.has_any_extent() ? 1 : t.elements()), kGrainElements);
}

void Chooser::reduce() {
  const Type& o = anchor_type();
  const Type& in = p.graph->type(p.graph->nodes[k.anchor].inputs[0]);
  if (o.batched) {
    s.name = "rows";
    s.vector = m.vector_floats;
    const int64_t outer = o.rank() ? o.dims[0] : 1;
    tasks(outer, std::max(flops(), static_cast<double>(in.has_any_extent() ? 1 : in.elements())), kGrainElements);
    return;
  }
  s.name = "reduce";
  int64_t inner = o.rank() ? o.dims.back() : 1;
  int64_t along = m.vector_floats;  // the dim of lanes: of the result, or where that is short of the operand
  if (inner < m.vector_floats && in.rank() > (o.rank() ? 1 : 0)) along = in.dims[in.rank() - (o.rank() ? 2 : 1)];
  s.vector = static_cast<int>(std::min<int64_t>(m.vector_floats, along));
  set("tasks", 16);
  // What one vector adds up, others needn't wait for. Whole vectors: Halide cannot cut one vector and an element more
  // from a load that is guarded.
  if (o.rank() == 0 && !in.batched && s.vector == m.vector_floats)
    set("sums", largest_divisor(in.dims.back() / s.vector, 4));
}

void Chooser::scatter() {
  s.name = "scatter";
  s.vector = static_cast<int>(std::min<int64_t>(m.vector_floats, anchor_type().dims.back()));
}

void Chooser::window() {
  if (const ir::OpDef& op = *p.graph->nodes[k.anchor].op; op.kind == Kind::window && op.transforms_tiles)
    return tiles();
  map();
  s.name = "window";
}

void Chooser::contraction(const ir::Node& node) {
  const Type &a = anchor_type(), &b = p.graph->type(node.inputs[1]);
  if (!a.batched && a.rank() == 3) tile_sums();
  else if (!a.batched) a.rank() == 2 ? outer() : a.rank() == 4 ? taps() : reduce();
  else if (node.op->attends) attention();
  else if (a.rank() == 2 || b.batched) tokens();
  else if (a.rank() == 3) conv();
  // else the weights are turned
  else node.op->dot && (p.max_batch < kManySamples || b.bytes() > m.l2 / 2) ? dot() : gemm();
}

Strategy Chooser::run() {
  s.vector = m.vector_floats;
  if (out().block > 0) pack();
  else if (k.anchor == ir::kNone) map();
  else {
    auto& node = p.graph->nodes[k.anchor];
    switch (node.op->kind) {
      case Kind::contraction: contraction(node); break;
      case Kind::reduction: reduce(); break;
      case Kind::scatter: scatter(); break;
      case Kind::ingest:
        s.name = "ingest";
        s.vector = static_cast<int>(std::min<int64_t>(m.vector_floats, out().type.dims[1]));
        break;
      default: window(); break;
    }
  }
  s.cost_us = estimate_us(p, k, s, m);
  return s;
}

size_t operand_index(const Plan& p, const Kernel& k, size_t operand) {
  return static_cast<size_t>(
      std::find(k.input_values.begin(), k.input_values.end(), p.graph->nodes[k.anchor].inputs[operand]) -
      k.input_values.begin());
}

int64_t weights_block(const Plan& p, const Kernel& k) {
  const size_t at = operand_index(p, k, 1);
  return at < k.inputs.size() ? p.buffers[k.inputs[at]].block : 0;
}

bool weights_in_pairs(const Plan& p, const Kernel& k) {
  const size_t at = operand_index(p, k, 1);
  return at < k.inputs.size() && p.buffers[k.inputs[at]].pair_dim >= 0;
}

Strategy choose_strategy(const Plan& p, const Kernel& k, const Machine& m) { return Chooser{p, k, m, {}}.run(); }

}  // namespace netc::schedule
