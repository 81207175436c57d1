// Lives of tensors, and which share their bytes; runtime/arena.h places them.
#include "compiler/schedule/arena.h"

#include <algorithm>
#include <map>
#include <set>

namespace netc::schedule {
namespace {

struct Block : rt::ArenaBlock {
  std::vector<int> buffers;
};

// The input whose bytes output 0 of this element-wise kernel may take over: same type and layout, read at the same
// element only, dead afterwards.
int in_place_input(const Plan& p, const Kernel& k, const std::vector<Block>& blocks,
                   const std::map<ir::ValueId, int>& block_of, const std::vector<ir::ValueId>& root, int at) {
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
    if (fresh) blocks.push_back({{.first = 1 << 30, .last = -1}, {}});
    Block& block = blocks[it->second];
    block.buffers.push_back(b);
    int64_t& bytes = buffer.type.batched ? block.of_sample : block.fixed;
    bytes = std::max(bytes, buffer.type.bytes());
  }
  // Kernels in the order in which they run: what depends on weights alone is prepared before the others.
  const int n = static_cast<int>(plan.kernels.size());
  std::vector<int> time(n);
  int prepared = 0;
  for (const Kernel& k : plan.kernels) prepared += k.phase == Phase::prepare;
  for (int k = 0, prepare = 0, other = prepared; k < n; ++k)
    time[k] = plan.kernels[k].phase == Phase::prepare ? prepare++ : other++;
  for (int k = 0, first = 0, last = 0; k < n; ++k) {
    if (k > last) first = last = k;
    while (plan.kernels[last].with_next) ++last;  // kernels in step run at the same time
    for (auto* list : {&plan.kernels[k].inputs, &plan.kernels[k].outputs})
      for (int b : *list)
        if (plan.buffers[b].storage == Storage::arena) {
          Block& block = blocks[block_of[root[plan.buffers[b].value]]];
          block.first = std::min(block.first, time[first]);
          block.last = std::max(block.last, time[last]);
        }
  }
  // What later kernels read of what was prepared is read at every later step; outputs are read after the last kernel.
  for (Block& block : blocks)
    if (block.first < prepared && block.last >= prepared) block.last = n;
  for (auto& o : plan.graph->outputs)
    if (auto it = block_of.find(root[o.value]); it != block_of.end()) blocks[it->second].last = n;

  // In place: the output's block becomes part of the input's.
  for (int k = 0; k < n; ++k) {
    int in = in_place_input(plan, plan.kernels[k], blocks, block_of, root, time[k]);
    if (in < 0) continue;
    int from = block_of[root[plan.buffers[in].value]],
        to = block_of[root[plan.buffers[plan.kernels[k].outputs[0]].value]];
    if (from == to || blocks[to].first != time[k]) continue;
    for (int b : blocks[to].buffers) block_of[root[plan.buffers[b].value]] = from, blocks[from].buffers.push_back(b);
    blocks[from].last = std::max(blocks[from].last, blocks[to].last);
    blocks[to].buffers.clear();
  }

  // In slices: what is read when all samples are through must not be what a later slice works in.
  if (plan.slice > 0) {
    std::set<ir::ValueId> read_after;
    for (auto& o : plan.graph->outputs) read_after.insert(root[o.value]);
    for (const Kernel& k : plan.kernels)
      if (k.phase != Phase::forward && k.phase != Phase::prepare && k.phase != Phase::ingest)
        for (int b : k.inputs) read_after.insert(root[plan.buffers[b].value]);
    for (Block& block : blocks) {
      const auto is_read = [&](int b) {
        return plan.buffers[b].type.batched && read_after.count(root[plan.buffers[b].value]);
      };
      block.whole = std::any_of(block.buffers.begin(), block.buffers.end(), is_read);
      if (!block.whole) continue;
      block.first = std::min(block.first, prepared);
      for (int b : block.buffers) plan.buffers[b].whole = true;
    }
  }

  for (const Block& block : blocks) {
    if (block.buffers.empty()) continue;
    for (int b : block.buffers) plan.buffers[b].arena_block = static_cast<int>(plan.blocks.size());
    plan.blocks.push_back(block);
  }
  std::vector<int64_t> offsets(plan.blocks.size());
  plan.arena_bytes = rt::place_blocks(plan.blocks, plan.max_batch, plan.slice, offsets.data());
  for (Buffer& b : plan.buffers)
    if (b.storage == Storage::arena) b.offset = offsets[static_cast<size_t>(b.arena_block)];
}

}  // namespace netc::schedule
