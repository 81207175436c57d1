// Where tensors lie, and in which order kernels run so that few lie there at once.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "compiler/schedule/order.h"
#include "runtime/arena.h"

using namespace netc;
using netc::plan::Plan;

namespace {

/// The most that blocks alive at one time take: no arena is smaller.
int64_t least(const std::vector<rt::ArenaBlock>& blocks, int batch, int slice) {
  int64_t most = 0;
  for (const rt::ArenaBlock& a : blocks) {
    int64_t now = 0;
    for (const rt::ArenaBlock& b : blocks)
      now += b.first <= a.first && a.first <= b.last ? rt::arena_bytes(b, batch, slice) : 0;
    most = std::max(most, now);
  }
  return most;
}

int add_buffer(Plan& p, ir::ValueId value, int64_t floats) {
  plan::Buffer b;
  b.value = value;
  b.type.dims = {floats};
  p.buffers.push_back(b);
  return static_cast<int>(p.buffers.size()) - 1;
}

}  // namespace

TEST_CASE("blocks that live at the same time never share bytes, whatever the batch, and a smaller batch takes less") {
  std::mt19937 random(1);
  for (int round = 0; round < 30; ++round) {
    std::vector<rt::ArenaBlock> blocks(60);
    for (rt::ArenaBlock& b : blocks) {
      const int first = static_cast<int>(random() % 40);
      b = {random() % 3 == 0 ? static_cast<int64_t>(random() % 9000) : 0, static_cast<int64_t>(random() % 5000), first,
           first + static_cast<int>(random() % 12), random() % 4 == 0};
    }
    for (const int slice : {0, 4}) {
      int64_t before = 0;
      for (const int batch : {1, 3, 8, 32}) {
        CAPTURE(batch);
        std::vector<int64_t> at(blocks.size());
        const int64_t bytes = rt::place_blocks(blocks, batch, slice, at.data());
        for (size_t i = 0; i < blocks.size(); ++i) {
          const int64_t end = at[i] + rt::arena_bytes(blocks[i], batch, slice);
          CHECK((at[i] % 64 == 0 && end <= bytes));
          for (size_t j = 0; j < i; ++j) {
            if (blocks[i].last < blocks[j].first || blocks[j].last < blocks[i].first) continue;
            CHECK((end <= at[j] || at[j] + rt::arena_bytes(blocks[j], batch, slice) <= at[i]));
          }
        }
        CHECK(bytes <= least(blocks, batch, slice) * 5 / 4);
        CHECK(bytes > before);
        before = bytes;
      }
    }
  }
}

TEST_CASE(
    "what frees memory runs before what takes much, but never before what it reads or what reads what it overwrites") {
  // a -> b; b -> tiles -> gradient (of a weight that the last kernel reads); b -> c. Without exchanges b, tiles and c
  // lie side by side.
  Plan p;
  p.graph = std::make_shared<ir::Graph>();
  std::vector<ir::ValueId> root(6);
  for (int v = 0; v < 6; ++v) root[static_cast<size_t>(v)] = v;
  const int a = add_buffer(p, 0, 100), big = add_buffer(p, 1, 100), tiles = add_buffer(p, 2, 300),
            c = add_buffer(p, 3, 100), sum = add_buffer(p, 4, 1), weight = add_buffer(p, 5, 1);
  p.buffers[static_cast<size_t>(weight)].storage = plan::Storage::variable;
  p.buffers[static_cast<size_t>(weight)].variable = 0;
  const auto kernel = [&](const char* name, std::vector<int> inputs, std::vector<int> outputs) {
    plan::Kernel k;
    k.name = name, k.inputs = std::move(inputs), k.outputs = std::move(outputs);
    p.kernels.push_back(std::move(k));
  };
  kernel("begin", {}, {a});
  kernel("big", {a}, {big});
  kernel("tiles", {big}, {tiles});
  kernel("sums", {tiles}, {weight});
  kernel("c", {a, weight}, {c});  // reads the new weight: it must stay behind `sums`
  kernel("end", {c}, {sum});
  kernel("last", {a}, {sum});
  const std::vector<plan::Kernel> before = p.kernels;
  schedule::lower_peak(p, root);
  const auto at = [&](const char* name) {
    return std::find_if(p.kernels.begin(), p.kernels.end(), [&](const plan::Kernel& k) { return k.name == name; }) -
           p.kernels.begin();
  };
  REQUIRE(p.kernels.size() == before.size());
  CHECK(at("sums") < at("c"));
  CHECK(at("end") < at("last"));  // both write sum
  // Nothing above can be exchanged to any gain. Once c does not read the weight, it and what reads it go before the
  // tiles, and a is free by then.
  p.kernels = before;
  p.kernels[4].inputs = {a};
  schedule::lower_peak(p, root);
  CHECK(at("last") < at("tiles"));
  CHECK(at("begin") == 0);
  CHECK(at("tiles") < at("sums"));
}
