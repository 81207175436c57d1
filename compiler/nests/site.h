// A kernel of a plan on a machine, as a nest looks at it when it chooses its numbers, and what the choices share.
#pragma once
#include <algorithm>
#include <utility>

#include "compiler/machine/machine.h"
#include "compiler/plan/plan.h"

namespace netc::nests {

constexpr double kGrainFlops = 200e3;         // work of a task below which another thread does not pay
constexpr double kSplitSampleFlops = 1e6;     // work of a sample from which it is shared between threads
constexpr int64_t kLargeWeights = 512 << 10;  // bytes
constexpr int64_t kGrainElements = 32768;     // of a task of a kernel bound by memory
constexpr double kLatency = 8;                // independent sums that hide the latency of one

int64_t largest_divisor(int64_t n, int64_t limit);
/// Lanes and vectors per tile of a dim of this extent. `exact`: tiles must divide it.
std::pair<int, int> lanes_for(int64_t extent, int widest, int max_vectors, bool exact);
/// Items of a task that are worth `grain` together, at most `limit`.
int64_t chunk_of(double work_per_item, double grain, int64_t limit);
/// Of `rows`, how many a task takes that is to have about `want`: fewer, even tasks.
int64_t largest_near(int64_t rows, int64_t want);
/// Pixels of a tile along a row of this extent: as many as there are registers for, unless fewer leave less of the last
/// tile empty.
int64_t rows_for(int64_t extent, int64_t most);

/// Vectors and rows of a tile.
struct Tile {
  int64_t vectors = 1, rows = 1;
};

/// Rows of the image, and samples, of a task.
struct Tasks {
  int64_t rows = 1, samples = 1;
};

struct Site {
  const plan::Plan& p;
  const plan::Kernel& k;
  const Machine& m;

  bool anchored() const { return k.anchor != ir::kNone; }
  bool is(ir::Kind kind) const { return anchored() && node().op->kind == kind; }
  const ir::Node& node() const { return p.graph->nodes[k.anchor]; }
  /// Of the anchor.
  const ir::Type& result() const { return p.graph->type(node().results[0]); }
  const ir::Type& operand(size_t i) const { return p.graph->type(node().inputs[i]); }
  /// What the kernel stores: of the same shape as the anchor's result, unless that is pooled.
  const plan::Buffer& out() const { return p.buffers[k.outputs[0]]; }
  double flops() const { return std::max(k.flops, 1.0); }

  /// Registers that sums may take, beside what they are made of.
  int accumulators() const { return m.vector_registers == 32 ? 24 : 12; }
  /// Registers that one vector takes; an uneven one that is wider than a register is cut into pieces of several widths.
  int registers_of(int lanes) const {
    return (lanes + m.vector_floats - 1) / m.vector_floats + (lanes > m.vector_floats && lanes % m.vector_floats != 0);
  }
  /// Lanes and vectors of a tile along the result's innermost dim of this extent. Where weights are in blocks a tile
  /// has one block.
  std::pair<int, int> lanes_of_result(int64_t extent, int max_vectors) const;
  /// The tile of `vectors` by `rows` that feeds the most multiply-adds from each load without leaving the registers,
  /// and wastes the least of `extent` (in vectors). `exact`: it must divide the extent.
  Tile tile_for(int64_t extent, int64_t rows_limit, int64_t vectors_limit, bool exact, bool exact_rows = false) const;
  /// Of `extent` things, how many a task takes when the sample is cut into about `tasks`: what keeps the cores equally
  /// busy, in few tasks.
  int64_t even_share(int64_t extent, int64_t tasks) const;
  /// Rows of the image together, or samples together, until a task is worth a thread. Of a contraction rows share their
  /// halo, and come in multiples.
  Tasks tasks(int64_t rows, double work_per_sample, double grain, int64_t multiple = 1) const;
};

}  // namespace netc::nests
