#include "compiler/nests/table.h"
#include "compiler/nests/taps.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t vectors = 1, taps = 1, channels = 1;  // of a tile
  int64_t task_channels = 1;
  int64_t task_rows = 1, task_samples = 0, block_rows = 1;  // TapsTasks
  static constexpr Number<Numbers> kNumbers[] = {
      {"vectors", &Numbers::vectors},      {"taps", &Numbers::taps},
      {"channels", &Numbers::channels},    {"task_channels", &Numbers::task_channels},
      {"task_rows", &Numbers::task_rows},  {"task_samples", &Numbers::task_samples},
      {"block_rows", &Numbers::block_rows}};
};

class TapsPanels final : public NestOf<Numbers> {
  const char* name() const override { return "taps_panels"; }
  const char* doc() const override {
    return "dw[ky, kx, c, k], many weights: lanes along k, a tile of taps; tasks are groups of channels c, over the "
           "whole batch";
  }
  Share share() const override { return {0.5, 1}; }
  bool fits(const Site& at) const override { return taps_kind(at) == TapsKind::panels; }

  Numbers numbers(const Site& at, int& lanes) const override {
    const int64_t C = at.result().dims[2], K = at.result().dims[3], tasks = 4 * at.m.cores;
    lanes = lanes_for(K, at.m.vector_floats, 1, true).first;
    const TapsTile tile = taps_tile(at, lanes, K / lanes);
    const int64_t tiles = C / tile.channels;
    const int64_t task_channels = tile.channels * largest_divisor(tiles, std::max<int64_t>(1, tiles / tasks));
    const TapsTasks t = taps_tasks(at, TapsKind::panels, lanes);
    return {tile.held, tile.taps, tile.channels, task_channels, t.task_rows, t.task_samples, t.block_rows};
  }
  void vary(Variations<Numbers>& v) const override {
    const int64_t C = v.site.result().dims[2];
    vary_tile(v, &Numbers::vectors, v.site.result().dims[3] / v.lanes,
              [&](int64_t x) { return v.n.task_channels % x == 0; });
    v.add(&Numbers::task_channels, 1, C, [&](int64_t x) { return C % x == 0 && x % v.n.channels == 0; });
    vary_block(v);
  }
  int64_t sums(const Numbers& n) const override { return n.vectors * n.taps * n.channels; }

  // Each group adds over the whole batch, and what follows works on the group while it is in cache.
  void loop(Loops& l, const Numbers& n) const override {
    Func acc = l.b.anchor.anchor, o = l.b.out;
    auto a = acc.args();
    auto r = l.b.anchor.r;
    RVar block("block"), line("line");
    Var bv("bv"), nv("nv"), k0("k0"), k1("k1"), c0("c0"), c1("c1"), q0("q0"), q1("q1"), group("group"), cc("cc");
    const int lanes = l.s.vector, task_channels = static_cast<int>(n.task_channels);
    const std::vector<Var>& v = l.b.vars;
    o.split(v[1], group, cc, task_channels)
        .reorder({v[0], cc, v[2], v[3], group})
        .vectorize(v[0], lanes)
        .parallel(group);
    acc.update().split(r[1], block, line, static_cast<int>(n.block_rows));
    Func reg = acc.update().rfactor({{block, bv}, {r[2], nv}});
    acc.compute_at(o, group).vectorize(a[0], lanes);
    acc.update()
        .split(a[0], k0, k1, static_cast<int>(lanes * n.vectors))
        .split(a[1], c0, c1, static_cast<int>(n.channels))
        .split(a[2], q0, q1, static_cast<int>(n.taps))
        .reorder({k1, c1, q1, k0, c0, q0, a[3], block, r[2]})
        .vectorize(k1, lanes)
        .unroll(k1)
        .unroll(c1)
        .unroll(q1);
    reg.compute_at(acc, k0);
    reg.update().reorder({a[0], a[1], a[2], r[0], line, a[3], bv, nv});
    for (Stage st : {Stage(reg), reg.update()}) st.vectorize(a[0], lanes).unroll(a[0]).unroll(a[1]).unroll(a[2]);
    for (Func pad : l.b.anchor.padded)
      pad.compute_at(acc, block).vectorize(pad.args()[0], std::min(lanes, task_channels), TailStrategy::GuardWithIf);
  }
};

}  // namespace

const Nest& taps_panels() {
  static const TapsPanels nest;
  return nest;
}

}  // namespace netc::nests
