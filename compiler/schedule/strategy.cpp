// A contraction's inner loop keeps a tile of accumulators in registers: `lanes` x `vectors` along the dim in which an operand is contiguous, times `rows` along
// another dim, so that each load of an operand feeds several multiply-adds. What differs is which dims these are:
//
//   gemm         y[n, u]:        lanes along u, rows along n; a long K is split into tasks that stream a slice of the weights each
//   dot          y[n, k]:        both operands contiguous along the reduction: lanes along it, a tile of k x n accumulators
//   outer        dw[k, u]:       lanes along u, rows along k; the reduction is the batch; the optimiser follows in registers
//   conv_lanes   y[n, y, x, c]:  lanes along channels, rows along x
//   conv_planes  y[n, y, x, c]:  few channels: lanes along x, all channels in the tile
//   taps_lanes   dw[ky,kx,c,k]:  lanes along k, a tile of taps; tasks are slices of image rows
//   taps_planes  dw[ky,kx,c,k]:  few channels k: lanes along x, a reduction
#include "compiler/schedule/strategy.h"

#include <algorithm>
#include <cmath>

namespace netc::schedule {
namespace {

using ir::Kind;
using ir::Type;

constexpr double kGrainFlops = 200e3;     // work of a task below which another thread does not pay
constexpr int64_t kGrainElements = 32768; // the same for kernels bound by memory

int64_t largest_divisor(int64_t n, int64_t limit) {
  for (int64_t d = std::min(n, limit); d > 1; --d)
    if (n % d == 0) return d;
  return 1;
}

// Lanes and vectors per tile of a dim of this extent. `exact`: tiles must divide it.
std::pair<int, int> lanes_for(int64_t extent, int widest, int max_vectors, bool exact) {
  int lanes = widest;
  if (exact) {
    while (lanes > 1 && extent % lanes != 0) lanes /= 2;
    if (lanes < widest && extent <= 2 * widest) lanes = static_cast<int>(extent);  // a small odd extent is one vector
    return {lanes, static_cast<int>(largest_divisor(extent / lanes, max_vectors))};
  }
  while (lanes > extent) lanes /= 2;
  return {std::max(lanes, 1), static_cast<int>(std::clamp<int64_t>(extent / std::max(lanes, 1), 1, max_vectors))};
}

int64_t chunk_of(double work_per_item, double grain, int64_t limit) {
  return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(grain / std::max(work_per_item, 1.0))), 1, std::max<int64_t>(limit, 1));
}

struct Chooser {
  const Plan& p;
  const Kernel& k;
  const Machine& m;
  Strategy s;

  const Type& anchor_type() const { return p.graph->type(p.graph->nodes[k.anchor].results[0]); }
  const Buffer& out() const { return p.buffers[k.outputs[0]]; }
  double flops() const { return std::max(k.flops, 1.0); }
  void set(const char* name, int64_t v) { s.numbers.push_back({name, v}); }
  int accumulators() const { return m.vector_registers == 32 ? 24 : 12; }

  // Tasks: rows of the image together, or samples together, until a task is worth a thread.
  void tasks(int64_t rows, double work_per_sample, double grain) {
    if (work_per_sample >= 2 * grain && rows > 1) {
      set("task_rows", largest_near(rows, chunk_of(work_per_sample / rows, grain, rows)));
      set("task_samples", 1);
    } else {
      set("task_rows", rows);
      set("task_samples", chunk_of(work_per_sample, grain, 1 << 10));
    }
  }
  static int64_t largest_near(int64_t rows, int64_t want) {  // fewer, even tasks
    int64_t tasks = std::max<int64_t>(1, rows / want);
    return (rows + tasks - 1) / tasks;
  }

  void map() {
    s.name = "map";
    const Type& t = out().type;
    int64_t inner = out().planar ? t.dims[1] : t.rank() ? t.dims.back() : 1;
    s.vector = lanes_for(inner, m.vector_floats, 1, false).first;
    if (inner < m.vector_floats && inner > 1) s.vector = static_cast<int>(inner);
    tasks(t.rank() ? t.dims[0] : 1, static_cast<double>(t.has_any_extent() ? 1 : t.elements()), kGrainElements);
  }

  void gemm() {
    s.name = "gemm";
    const Type& t = anchor_type();
    const Type& w = p.graph->type(p.graph->nodes[k.anchor].inputs[1]);
    auto [lanes, vectors] = lanes_for(t.dims[0], m.vector_floats, m.vector_registers == 32 ? 3 : 2, false);
    if (t.dims[0] < m.vector_floats) lanes = static_cast<int>(t.dims[0]), vectors = 1;
    s.vector = lanes;
    set("vectors", vectors);
    set("rows", 8);
    int64_t K = w.dims[0];
    bool streams = w.bytes() > m.l2 * 2 && K >= 4096;
    set("split_k", streams ? 16 : 1);
    set("block_k", streams ? 64 : K);
    set("tasks", flops() * 8 >= 2 * kGrainFlops || w.bytes() > 256 << 10 ? 1 : 0);
  }

  void dot() {
    s.name = "dot";
    const Type& w = p.graph->type(p.graph->nodes[k.anchor].inputs[1]);
    int64_t K = anchor_type().dims[0], U = w.dims[1];
    s.vector = static_cast<int>(std::min<int64_t>(m.vector_floats, U));
    set("tile", largest_divisor(K, 4));
    set("rows", 4);
    int64_t tile = s.get("tile", 1);
    set("task_tiles", std::max<int64_t>(1, largest_near(K / tile, std::max<int64_t>(1, chunk_of(2.0 * U * 8 * tile, kGrainFlops, K / tile)))));
  }

  void outer() {
    s.name = "outer";
    const Type& t = anchor_type();  // f32[K, U]
    auto [lanes, vectors] = lanes_for(t.dims[1], m.vector_floats, 2, true);
    s.vector = lanes;
    set("vectors", vectors);
    set("rows", largest_divisor(t.dims[0], 8));
    int64_t tiles = t.dims[0] / s.get("rows", 1);
    set("task_tiles", largest_divisor(tiles, chunk_of(2.0 * 16 * s.get("rows", 1) * t.dims[1], kGrainFlops, tiles)));
  }

  void conv() {
    const Type& a = anchor_type();  // f32[N, H, W, C], before pooling
    const Type& o = out().type;
    int64_t pool_y = std::max<int64_t>(1, a.dims[0] / std::max<int64_t>(1, o.dims[0])), pool_x = std::max<int64_t>(1, a.dims[1] / std::max<int64_t>(1, o.dims[1]));
    int64_t C = a.dims[2], W = o.dims[1], area = pool_x * pool_y;
    if (C >= m.vector_floats || W < 4) {
      s.name = "conv_lanes";
      auto [lanes, vectors] = lanes_for(C, m.vector_floats, area > 1 ? 1 : 2, false);
      s.vector = lanes;
      set("vectors", vectors);
      set("rows", std::clamp<int64_t>(accumulators() / (vectors * area), 1, W));
    } else {
      s.name = "conv_planes";
      s.vector = lanes_for(W, m.vector_floats, 1, false).first;
      int64_t tile_c = std::clamp<int64_t>(accumulators() / area, 1, C);
      set("channels", largest_divisor(C, tile_c));
      set("vectors", std::clamp<int64_t>(accumulators() / (area * s.get("channels", 1)), 1, std::max<int64_t>(1, W / s.vector)));
    }
    tasks(o.dims[0], flops(), kGrainFlops);
  }

  void taps() {
    const Type& w = anchor_type();  // f32[KH, KW, C, K]
    const Type& dy = p.graph->type(p.graph->nodes[k.anchor].inputs[1]);
    int64_t K = w.dims[3], H = dy.dims[0], W = dy.dims[1];
    bool planes = K < m.vector_floats && W >= m.vector_floats / 2;
    s.name = planes ? "taps_planes" : "taps_lanes";
    if (planes) {
      s.vector = static_cast<int>(std::min<int64_t>(m.vector_floats, W));
      set("filters", largest_divisor(K, 6));
    } else {
      auto [lanes, vectors] = lanes_for(K, m.vector_floats, 2, true);
      s.vector = lanes;
      set("vectors", vectors);
    }
    int64_t held = planes ? s.get("filters", 1) : s.get("vectors", 1);
    set("taps", largest_divisor(w.dims[1], std::max<int64_t>(1, accumulators() / held)));
    int64_t c = accumulators() / (held * s.get("taps", 1));
    set("channels", largest_divisor(w.dims[2], std::max<int64_t>(1, c)));
    set("task_rows", largest_near(H, std::max<int64_t>(1, (H + 7) / 8)));
  }

  void reduce() {
    s.name = "reduce";
    const Type& o = anchor_type();
    const Type& in = p.graph->type(p.graph->nodes[k.anchor].inputs[0]);
    int64_t inner = o.rank() ? o.dims.back() : 1;
    bool rows = o.batched;
    s.vector = rows ? 1 : static_cast<int>(std::min<int64_t>(m.vector_floats, inner >= m.vector_floats ? m.vector_floats : in.rank() > 1 ? in.dims[in.rank() - 2] : m.vector_floats));
    set("rows", rows ? 1 : 0);
    set("tasks", 16);
  }

  void window() {
    map();
    s.name = "window";
  }

  Strategy run() {
    s.vector = m.vector_floats;
    if (k.anchor == ir::kNone) map();
    else {
      auto& node = p.graph->nodes[k.anchor];
      switch (node.op->kind) {
        case Kind::contraction:
          if (!anchor_type().batched) anchor_type().rank() == 2 ? outer() : taps();
          else if (anchor_type().rank() == 3) conv();
          else node.op->dot ? dot() : gemm();
          break;
        case Kind::reduction: reduce(); break;
        case Kind::ingest: s.name = "ingest"; s.vector = static_cast<int>(std::min<int64_t>(m.vector_floats, out().type.dims[1])); break;
        default: window(); break;
      }
    }
    // The larger of compute at 16 flop a cycle and lane and memory at 20 GB/s a core: good enough to rank, calibrated by the tuner later.
    s.cost_us = std::max(k.flops / (m.vector_floats * 2 * 3e3 * m.cores), k.bytes / (20e3 * m.cores));
    return s;
  }
};

}  // namespace

Strategy choose_strategy(const Plan& p, const Kernel& k, const Machine& m) { return Chooser{p, k, m, {}}.run(); }

}  // namespace netc::schedule
