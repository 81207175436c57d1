#include "compiler/nests/table.h"
#include "compiler/nests/taps.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t vectors = 1, taps = 1, channels = 1;              // of a tile
  int64_t task_rows = 1, task_samples = 0, block_rows = 1;  // TapsTasks
  static constexpr Number<Numbers> kNumbers[] = {
      {"vectors", &Numbers::vectors},           {"taps", &Numbers::taps},
      {"channels", &Numbers::channels},         {"task_rows", &Numbers::task_rows},
      {"task_samples", &Numbers::task_samples}, {"block_rows", &Numbers::block_rows}};
};

class TapsLanes final : public NestOf<Numbers> {
  const char* name() const override { return "taps_lanes"; }
  const char* doc() const override {
    return "dw[ky, kx, c, k]: lanes along k, a tile of taps; tasks are samples, or slices of image rows where there "
           "are "
           "few";
  }
  Share share() const override { return {0.6, 1}; }
  bool fits(const Site& at) const override { return taps_kind(at) == TapsKind::lanes; }

  Numbers numbers(const Site& at, int& lanes) const override {
    const int64_t K = at.result().dims[3];
    lanes = lanes_for(K, at.m.vector_floats, 1, true).first;
    const TapsTile tile = taps_tile(at, lanes, K / lanes);
    const TapsTasks t = taps_tasks(at, TapsKind::lanes, lanes);
    return {tile.held, tile.taps, tile.channels, t.task_rows, t.task_samples, t.block_rows};
  }
  void vary(Variations<Numbers>& v) const override {
    vary_tile(v, &Numbers::vectors, v.site.result().dims[3] / v.lanes);
    vary_tasks(v);
    vary_block(v);
  }
  int64_t sums(const Numbers& n) const override { return n.vectors * n.taps * n.channels; }
  void loop(Loops& l, const Numbers& n) const override {
    taps_loop(l, {n.vectors, n.taps, n.channels}, {n.task_rows, n.task_samples, n.block_rows}, false);
  }
};

}  // namespace

const Nest& taps_lanes() {
  static const TapsLanes nest;
  return nest;
}

}  // namespace netc::nests
