#include "compiler/nests/table.h"
#include "compiler/nests/taps.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t filters = 1, taps = 1, channels = 1;              // of a tile
  int64_t task_rows = 1, task_samples = 0, block_rows = 1;  // TapsTasks
  static constexpr Number<Numbers> kNumbers[] = {
      {"filters", &Numbers::filters},           {"taps", &Numbers::taps},
      {"channels", &Numbers::channels},         {"task_rows", &Numbers::task_rows},
      {"task_samples", &Numbers::task_samples}, {"block_rows", &Numbers::block_rows}};
};

class TapsPlanes final : public NestOf<Numbers> {
  const char* name() const override { return "taps_planes"; }
  const char* doc() const override { return "dw[ky, kx, c, k], few filters k: lanes along x, a reduction"; }
  Share share() const override { return {0.4, 1}; }
  bool fits(const Site& at) const override { return taps_kind(at) == TapsKind::planes; }

  Numbers numbers(const Site& at, int& lanes) const override {
    const TapsTile tile = taps_tile(at, lanes, at.result().dims[3]);
    const TapsTasks t = taps_tasks(at, TapsKind::planes, lanes);
    return {tile.held, tile.taps, tile.channels, t.task_rows, t.task_samples, t.block_rows};
  }
  void vary(Variations<Numbers>& v) const override {
    vary_tile(v, &Numbers::filters, v.site.result().dims[3]);
    vary_tasks(v);
    vary_block(v);
  }
  int64_t sums(const Numbers& n) const override { return n.filters * n.taps * n.channels; }
  ir::Demands asks(const Site&, int lanes, const Numbers&) const override {
    return {.planes = true, .row_multiple = lanes};
  }
  void loop(Loops& l, const Numbers& n) const override {
    taps_loop(l, {n.filters, n.taps, n.channels}, {n.task_rows, n.task_samples, n.block_rows}, true);
  }
};

}  // namespace

const Nest& taps_planes() {
  static const TapsPlanes nest;
  return nest;
}

}  // namespace netc::nests
