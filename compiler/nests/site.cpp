#include "compiler/nests/site.h"

#include <cmath>

namespace netc::nests {

int64_t largest_divisor(int64_t n, int64_t limit) {
  for (int64_t d = std::min(n, limit); d > 1; --d)
    if (n % d == 0) return d;
  return 1;
}

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
  return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(grain / std::max(work_per_item, 1.0))), 1,
                             std::max<int64_t>(limit, 1));
}

int64_t largest_near(int64_t rows, int64_t want) {
  const int64_t tasks = std::max<int64_t>(1, rows / want);
  return (rows + tasks - 1) / tasks;
}

int64_t rows_for(int64_t extent, int64_t most) {
  int64_t best = 1;
  double best_score = 0;
  for (int64_t r = 1; r <= std::min(extent, std::max<int64_t>(most, 1)); ++r) {
    const double useful = static_cast<double>(extent) / static_cast<double>((extent + r - 1) / r * r);
    const double score = useful * static_cast<double>(r) / (static_cast<double>(r) + 0.5);
    if (score >= best_score) best_score = score, best = r;
  }
  return best;
}

std::pair<int, int> Site::lanes_of_result(int64_t extent, int max_vectors) const {
  const int64_t block = weights_block(p, k);
  return block > 0 ? lanes_for(block, m.vector_floats, static_cast<int>(block), true)
                   : lanes_for(extent, m.vector_floats, max_vectors, false);
}

Tile Site::tile_for(int64_t extent, int64_t rows_limit, int64_t vectors_limit, bool exact, bool exact_rows) const {
  Tile best;
  double best_score = 0;
  for (int64_t v = 1; v <= std::min(extent, vectors_limit); ++v) {
    if (exact && extent % v != 0) continue;
    for (int64_t r = 1; r <= rows_limit; ++r) {
      if (v * r + v + 1 > m.vector_registers - 1 || v * r > accumulators()) break;
      if (exact_rows && rows_limit % r != 0) continue;
      const double useful = static_cast<double>(extent) / static_cast<double>((extent + v - 1) / v * v);
      // Enough independent sums hide the latency of one; loads compete with the multiply-adds.
      const double busy = std::min(1.0, static_cast<double>(v * r) / kLatency);
      const double fed = 1.0 / (1.0 + static_cast<double>(v + r) / static_cast<double>(v * r));
      const double score = useful * busy * fed;
      if (score > best_score + 1e-9) best_score = score, best = {v, r};
    }
  }
  return best;
}

int64_t Site::even_share(int64_t extent, int64_t tasks) const {
  if (tasks <= 1) return extent;
  int64_t best = extent;
  double least = 0;
  for (int64_t share = 1; share <= extent; ++share) {
    const int64_t n = (extent + share - 1) / share, longest = (n + m.cores - 1) / m.cores * share;
    const double apart = static_cast<double>(n) / static_cast<double>(tasks);
    const double cost =
        static_cast<double>(longest * m.cores) / static_cast<double>(extent) + 0.02 * std::max(apart, 1 / apart);
    if (least == 0 || cost < least - 1e-9) least = cost, best = share;
  }
  return best;
}

Tasks Site::tasks(int64_t rows, double work_per_sample, double grain, int64_t multiple) const {
  if (is(ir::Kind::contraction)) {
    // Tasks are large for the halo's sake, but one sample alone still keeps all cores busy when it is worth it.
    const bool split = work_per_sample >= kSplitSampleFlops && rows >= 2 * multiple;
    const int64_t even = std::max<int64_t>(
        multiple, largest_near(rows, std::max<int64_t>(1, rows / (4 * m.cores))) / multiple * multiple);
    return {split ? even : rows, chunk_of(work_per_sample, grain, 1 << 10)};
  }
  if (work_per_sample >= 2 * grain && rows > 1)
    return {largest_near(rows, chunk_of(work_per_sample / static_cast<double>(rows), grain, rows)), 1};
  return {rows, chunk_of(work_per_sample, grain, 1 << 10)};
}

}  // namespace netc::nests
