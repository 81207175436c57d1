// Where the tensors of a step lie: offsets in one arena by liveness. The compiler plans with it for the largest batch,
// an instance for its own.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace netc::rt {

/// What one tensor, or several one after another, take of the arena from the step's kernel `first` to its kernel
/// `last`.
struct ArenaBlock {
  int64_t fixed = 0;      // bytes, whatever the batch
  int64_t of_sample = 0;  // bytes of each sample
  int first = 0, last = 0;
  bool whole = true;  // has the batch's samples even where those go through the net in slices
};

inline int64_t arena_bytes(const ArenaBlock& b, int batch, int slice) {
  const int64_t samples = slice > 0 && !b.whole ? std::min(batch, slice) : batch;
  return (std::max(b.fixed, b.of_sample * samples) + 63) / 64 * 64;
}

/// Sets offsets, one for each block, 64-byte aligned: blocks that live at the same time never share bytes. Returns the
/// arena's size. `slice`: samples that go through the net at a time, 0: all. Greedy by size: the largest take the
/// lowest offset where none alive at the same time stands. Within a few percent of optimal on networks (Pisarchyk and
/// Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, section 5).
inline int64_t place_blocks(std::span<const ArenaBlock> blocks, int batch, int slice, int64_t* offsets) {
  std::vector<size_t> by_size(blocks.size()), placed;
  for (size_t i = 0; i < by_size.size(); ++i) by_size[i] = i;
  const auto bytes = [&](size_t i) { return arena_bytes(blocks[i], batch, slice); };
  std::stable_sort(by_size.begin(), by_size.end(), [&](size_t a, size_t b) { return bytes(a) > bytes(b); });
  int64_t all = 0;
  std::vector<std::pair<int64_t, int64_t>> taken;
  for (const size_t i : by_size) {
    taken.clear();
    for (const size_t j : placed)
      if (blocks[j].first <= blocks[i].last && blocks[i].first <= blocks[j].last)
        taken.push_back({offsets[j], offsets[j] + bytes(j)});
    std::sort(taken.begin(), taken.end());
    int64_t at = 0;
    for (const auto& [begin, end] : taken) {
      if (begin - at >= bytes(i)) break;
      at = std::max(at, end);
    }
    offsets[i] = at;
    placed.push_back(i);
    all = std::max(all, at + bytes(i));
  }
  return all;
}

}  // namespace netc::rt
