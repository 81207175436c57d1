// What the nests of convolutions' weight gradients share: dw[ky, kx, c, k].
#pragma once
#include "compiler/nests/loops.h"

namespace netc::nests {

/// A tile of dw in registers: `held` filters, or vectors of them, x `taps` along a kernel's row x `channels`.
struct TapsTile {
  int64_t held = 1, taps = 1, channels = 1;
};
/// Rows of the image, or samples, of a task (0: rows of all samples), and rows whose sums stay in registers.
struct TapsTasks {
  int64_t task_rows = 1, task_samples = 0, block_rows = 1;
};

enum class TapsKind : uint8_t { none, lanes, planes, panels };
/// Of a gradient of weights: lanes along filters, or along rows where these are few; or panels of many weights.
TapsKind taps_kind(const Site&);
/// All must divide, as the sums are added into. `held_of`: filters, or vectors of them.
TapsTile taps_tile(const Site&, int lanes, int64_t held_of);
TapsTasks taps_tasks(const Site&, TapsKind, int lanes);

/// How tasks and tiles may vary; `held`: the first number of the tile, of `held_of`.
template <class Numbers>
void vary_tile(Variations<Numbers>& v, int64_t Numbers::* held, int64_t held_of,
               const std::function<bool(int64_t)>& channels_fit = {}) {
  const ir::Type& w = v.site.result();  // f32[KH, KW, C, K]
  const int64_t C = w.dims[2];
  v.add(held, 1, std::min<int64_t>(held_of, 16),
        [&](int64_t x) { return held_of % x == 0 && v.in_registers(x, v.n.taps * v.n.channels); });
  v.add(&Numbers::taps, 1, w.dims[1],
        [&](int64_t x) { return w.dims[1] % x == 0 && v.in_registers(v.n.*held, x * v.n.channels); });
  v.add(&Numbers::channels, 1, std::min<int64_t>(C, 16), [&](int64_t x) {
    return C % x == 0 && v.in_registers(v.n.*held, v.n.taps * x) && (!channels_fit || channels_fit(x));
  });
}
template <class Numbers>
void vary_tasks(Variations<Numbers>& v) {
  const int64_t H = v.site.operand(1).dims[0];
  if (v.n.task_samples > 0) v.samples(&Numbers::task_samples);
  else v.add(&Numbers::task_rows, (H + 31) / 32, H, [&](int64_t x) { return x % v.n.block_rows == 0; });
}
template <class Numbers>
void vary_block(Variations<Numbers>& v) {
  v.add(&Numbers::block_rows, 1, v.n.task_rows, [&](int64_t x) { return v.n.task_rows % x == 0; });
}

/// Three levels of sums: `reg`, of a block of image rows, in registers for a tile of dw; `part`, of a slice of the
/// batch, or of rows and all the batch, in cache; the anchor adds the slices in order. Image rows are read once for all
/// of dw. `planes`: lanes along rows of the image, and `tile.held` filters; else lanes along filters, and `tile.held`
/// vectors of them.
void taps_loop(Loops&, const TapsTile& tile, const TapsTasks&, bool planes);

}  // namespace netc::nests
