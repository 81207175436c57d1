// Greedy by size: the largest buffers take the lowest offset where no buffer alive at the same time stands. Within a few percent of optimal on networks
// (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, section 5).
#include "compiler/schedule/arena.h"

#include <algorithm>
#include <map>
#include <set>

namespace netc::schedule {
namespace {

struct Block {
  std::vector<int> buffers;
  int64_t bytes = 0, offset = -1;
  int first = 1 << 30, last = -1;   // kernels, inclusive
};

int64_t bytes_of(const Plan& p, const Buffer& b) {
  int64_t bytes = b.type.bytes() * (b.type.batched ? p.max_batch : 1);
  return (bytes + 63) / 64 * 64;
}

// The input whose bytes output 0 of this element-wise kernel may take over: same type and layout, read at the same element only, dead afterwards.
int in_place_input(const Plan& p, const Kernel& k, const std::vector<Block>& blocks, const std::map<ir::ValueId, int>& block_of, const std::vector<ir::ValueId>& root, int at) {
  if (k.anchor != ir::kNone || k.outputs.size() != 1 || p.buffers[k.outputs[0]].storage != Storage::arena) return -1;
  for (int b : k.inputs) {
    const Buffer& in = p.buffers[b];
    const Buffer& out = p.buffers[k.outputs[0]];
    if (in.storage != Storage::arena || !in.stored_as(out)) continue;
    if (blocks[block_of.at(root[in.value])].last == at) return b;
  }
  return -1;
}

}  // namespace

void plan_arena(Plan& plan, const std::vector<ir::ValueId>& root) {
  std::vector<Block> blocks;
  std::map<ir::ValueId, int> block_of;
  for (int b = 0; b < static_cast<int>(plan.buffers.size()); ++b) {
    const Buffer& buffer = plan.buffers[b];
    if (buffer.storage != Storage::arena) continue;
    auto [it, fresh] = block_of.try_emplace(root[buffer.value], static_cast<int>(blocks.size()));
    if (fresh) blocks.emplace_back();
    blocks[it->second].buffers.push_back(b);
    blocks[it->second].bytes = std::max(blocks[it->second].bytes, bytes_of(plan, buffer));
  }
  const int n = static_cast<int>(plan.kernels.size());
  for (int k = 0, first = 0, last = 0; k < n; ++k) {
    if (k > last) first = last = k;
    while (plan.kernels[last].with_next) ++last;  // kernels in step run at the same time
    for (auto* list : {&plan.kernels[k].inputs, &plan.kernels[k].outputs})
      for (int b : *list)
        if (plan.buffers[b].storage == Storage::arena) {
          Block& block = blocks[block_of[root[plan.buffers[b].value]]];
          block.first = std::min(block.first, first);
          block.last = std::max(block.last, last);
        }
  }
  // What prepare writes is read at every later step; outputs are read after the last kernel.
  for (auto& block : blocks)
    if (block.first < n && plan.kernels[block.first].phase == Phase::prepare) { block.first = 0; block.last = n; }
  for (auto& o : plan.graph->outputs)
    if (auto it = block_of.find(root[o.value]); it != block_of.end()) blocks[it->second].last = n;

  // In place: the output's block becomes part of the input's.
  for (int k = 0; k < n; ++k) {
    int in = in_place_input(plan, plan.kernels[k], blocks, block_of, root, k);
    if (in < 0) continue;
    int from = block_of[root[plan.buffers[in].value]], to = block_of[root[plan.buffers[plan.kernels[k].outputs[0]].value]];
    if (from == to || blocks[to].first != k) continue;
    for (int b : blocks[to].buffers) block_of[root[plan.buffers[b].value]] = from, blocks[from].buffers.push_back(b);
    blocks[from].last = std::max(blocks[from].last, blocks[to].last);
    blocks[to].buffers.clear();
    blocks[to].bytes = 0;
  }

  // In slices: what is read when all samples are through must not be what a later slice works in.
  if (plan.slice > 0) {
    std::set<ir::ValueId> read_after;
    for (auto& o : plan.graph->outputs) read_after.insert(root[o.value]);
    for (const Kernel& k : plan.kernels)
      if (k.phase != Phase::forward && k.phase != Phase::prepare && k.phase != Phase::ingest)
        for (int b : k.inputs) read_after.insert(root[plan.buffers[b].value]);
    for (Block& block : blocks) {
      const auto is_read = [&](int b) { return plan.buffers[b].type.batched && read_after.count(root[plan.buffers[b].value]); };
      if (!std::any_of(block.buffers.begin(), block.buffers.end(), is_read)) continue;
      block.first = 0;
      for (int b : block.buffers) plan.buffers[b].whole = true;
    }
  }

  std::vector<int> by_size(blocks.size());
  for (size_t i = 0; i < by_size.size(); ++i) by_size[i] = static_cast<int>(i);
  std::stable_sort(by_size.begin(), by_size.end(), [&](int a, int b) { return blocks[a].bytes > blocks[b].bytes; });
  std::vector<int> placed;
  for (int i : by_size) {
    Block& block = blocks[i];
    if (block.buffers.empty()) continue;
    std::vector<std::pair<int64_t, int64_t>> taken;
    for (int j : placed)
      if (blocks[j].first <= block.last && block.first <= blocks[j].last) taken.push_back({blocks[j].offset, blocks[j].offset + blocks[j].bytes});
    std::sort(taken.begin(), taken.end());
    int64_t at = 0;
    for (auto& [begin, end] : taken) {
      if (begin - at >= block.bytes) break;
      at = std::max(at, end);
    }
    block.offset = at;
    placed.push_back(i);
    plan.arena_bytes = std::max(plan.arena_bytes, at + block.bytes);
    for (int b : block.buffers) plan.buffers[b].offset = at;
  }
}

}  // namespace netc::schedule
