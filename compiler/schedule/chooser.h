// What the choosers of loops share: strategy.cpp of maps and folds, strategy_product.cpp of matrix products,
// strategy_conv.cpp of convolutions.
#pragma once
#include <algorithm>
#include <cmath>

#include "compiler/schedule/plan.h"
#include "compiler/schedule/strategy.h"

namespace netc::schedule {

using ir::Kind;
using ir::Type;

constexpr double kGrainFlops = 200e3;         // work of a task below which another thread does not pay
constexpr double kSplitSampleFlops = 1e6;     // work of a sample from which it is shared between threads
constexpr int64_t kLargeWeights = 512 << 10;  // bytes
constexpr int kManySamples = 32;              // from which a copy of small weights, turned, pays
constexpr int64_t kFewTaps = 25;              // of a kernel whose loops are unrolled
constexpr int64_t kGrainElements = 32768;     // the same for kernels bound by memory

inline int64_t largest_divisor(int64_t n, int64_t limit) {
  for (int64_t d = std::min(n, limit); d > 1; --d)
    if (n % d == 0) return d;
  return 1;
}

// Lanes and vectors per tile of a dim of this extent. `exact`: tiles must divide it.
inline std::pair<int, int> lanes_for(int64_t extent, int widest, int max_vectors, bool exact) {
  int lanes = widest;
  if (exact) {
    while (lanes > 1 && extent % lanes != 0) lanes /= 2;
    if (lanes < widest && extent <= 2 * widest) lanes = static_cast<int>(extent);  // a small odd extent is one vector
    return {lanes, static_cast<int>(largest_divisor(extent / lanes, max_vectors))};
  }
  while (lanes > extent) lanes /= 2;
  return {std::max(lanes, 1), static_cast<int>(std::clamp<int64_t>(extent / std::max(lanes, 1), 1, max_vectors))};
}

inline int64_t chunk_of(double work_per_item, double grain, int64_t limit) {
  return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(grain / std::max(work_per_item, 1.0))), 1,
                             std::max<int64_t>(limit, 1));
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
  /// Registers that one vector takes; an uneven one that is wider than a register is cut into pieces of several widths.
  int registers_of(int lanes) const {
    return (lanes + m.vector_floats - 1) / m.vector_floats + (lanes > m.vector_floats && lanes % m.vector_floats != 0);
  }

  static int64_t largest_near(int64_t rows, int64_t want) {  // fewer, even tasks
    int64_t tasks = std::max<int64_t>(1, rows / want);
    return (rows + tasks - 1) / tasks;
  }

  /// Lanes and vectors of a tile along the result's innermost dim of this extent. Where weights are in blocks a tile
  /// has one block.
  std::pair<int, int> lanes_of_result(int64_t extent, int max_vectors) const {
    const int64_t block = weights_block(p, k);
    return block > 0 ? lanes_for(block, m.vector_floats, static_cast<int>(block), true)
                     : lanes_for(extent, m.vector_floats, max_vectors, false);
  }

  /// Vectors and rows of a tile.
  struct Tile {
    int64_t vectors = 1, rows = 1;
  };
  static constexpr double kLatency = 8;  // independent sums that hide the latency of one
  static constexpr double kLoads = 4;    // vectors asked for at once that keep the second cache busy

  void tasks(int64_t rows, double work_per_sample, double grain, int64_t multiple = 1);
  Tile tile_for(int64_t extent, int64_t rows_limit, int64_t vectors_limit, bool exact, bool exact_rows = false) const;
  void gemm();
  static int64_t vectors_of_one(int64_t extent, int64_t lanes, int64_t most);
  static std::pair<int64_t, int64_t> split_of(int64_t K);
  void stream_gemm(int64_t K, int64_t U);
  void dot();
  void outer();
  void tokens();
  void strassen();
  void attention();
  void conv();
  void planes_tile(const Type& a, const Type& o);
  void dot_tile(int64_t C, int64_t W, int64_t terms, int64_t inner);
  static int64_t rows_for(int64_t extent, int64_t most);
  int64_t even_share(int64_t extent, int64_t tasks) const;
  void conv_tasks(int64_t rows, int64_t channels, int64_t panel, double work);
  void winograd(int64_t pool_x, int64_t pool_y);
  void taps();
  void tiles();
  void tile_sums();
  void pack();
  void map();
  void reduce();
  void scatter();
  void window();
  void contraction(const ir::Node& node);
  Strategy run();
};

}  // namespace netc::schedule
