#include "compiler/nests/taps.h"

namespace netc::nests {

TapsKind taps_kind(const Site& at) {
  if (!at.is(ir::Kind::contraction) || at.result().batched || at.result().rank() != 4) return TapsKind::none;
  const ir::Type& w = at.result();
  if (w.dims[3] < at.m.vector_floats && at.operand(1).dims[1] >= at.m.vector_floats / 2) return TapsKind::planes;
  return w.bytes() > kLargeWeights ? TapsKind::panels : TapsKind::lanes;
}

TapsTile taps_tile(const Site& at, int lanes, int64_t held_of) {
  const int64_t KW = at.result().dims[1], C = at.result().dims[2], each = at.registers_of(lanes);
  double best = 0;
  TapsTile tile;
  for (int64_t h = 1; h <= std::min<int64_t>(held_of, 8); ++h)
    for (int64_t q = 1; q <= KW; ++q)
      // Whole rows of taps first: they read the same pixels.
      for (int64_t c = 1; c <= std::min<int64_t>(C, 8) && (c == 1 || q == KW); ++c) {
        if (held_of % h || KW % q || C % c || h * q * c * each > at.accumulators() ||
            (h * q * c + h) * each + 1 > at.m.vector_registers - 1)
          continue;
        const double score = std::min(1.0, static_cast<double>(h * q * c) / kLatency) /
                             (1.0 + static_cast<double>(h + q * c) / static_cast<double>(h * q * c));
        if (score > best + 1e-9) best = score, tile = {h, q, c};
      }
  return tile;
}

TapsTasks taps_tasks(const Site& at, TapsKind kind, int lanes) {
  const bool planes = kind == TapsKind::planes, panels = kind == TapsKind::panels;
  const ir::Type& dy = at.operand(1);
  const int64_t H = dy.dims[0], W = dy.dims[1], C = at.result().dims[2], K = at.result().dims[3];
  // Tasks are samples, or rows of the image where there are few; one copy of dw for each would be too much of a large
  // one.
  const int64_t tasks = 4 * at.m.cores, of_row = 4 * (at.operand(0).dims[1] * C + W * K);
  const bool by_sample = !panels && at.p.max_batch >= tasks;
  TapsTasks t;
  t.task_rows =
      panels || by_sample ? H : at.even_share(H, planes ? 2 * at.m.cores : 8);  // planes: a slice reads its halo again
  t.task_samples = by_sample ? (at.p.max_batch + tasks - 1) / tasks : 0;
  const int64_t steps = planes ? (W + lanes - 1) / lanes : W;  // of the innermost loop along a row
  const int64_t cached = at.m.l1 / 4 / of_row;                 // rows
  t.block_rows = largest_divisor(t.task_rows, std::max<int64_t>({1, (planes ? 64 : 16) / steps, panels ? 1 : cached}));
  return t;
}

namespace {

// While a block of rows is multiplied, those that the next one reads besides are prefetched, of each operand.
void prefetch_next_rows(Loops& l, Func sums, int64_t rows, int64_t channels_of_tile) {
  const ir::Type& dw = l.result();  // ky, kx, c, k
  const int64_t vectors = (l.operand(1).dims[1] + l.s.vector - 1) / l.s.vector;
  for (size_t i : {size_t{0}, size_t{1}}) {
    const size_t at = operand_index(l.p, l.k, i);
    if (at >= l.k.inputs.size()) continue;
    const plan::Buffer& of = l.p.buffers[l.k.inputs[at]];
    const int64_t row = of.type.dims[1], channels = of.type.dims[2], read = rows + (i == 0 ? dw.dims[0] - 1 : 0);
    const Prefetch::Panel next = of.planar ? Prefetch::Panel{rows * row, channels, of.type.dims[0] * row, read * row}
                                           : Prefetch::Panel{rows * row * channels, 1, 0, read * row * channels};
    l.prefetch(sums, i, next,
               {{".xv", vectors}, {".line", rows}, {".c0", dw.dims[2] / channels_of_tile}, {".ky", dw.dims[0]}});
  }
}

}  // namespace

void taps_loop(Loops& l, const TapsTile& tile, const TapsTasks& tasks, bool planes) {
  Func acc = l.b.anchor.anchor;
  auto a = acc.args();
  auto r = l.b.anchor.r;
  RVar piece("piece"), row("row"), sample("sample"), block("block"), line("line"), xv("xv"), xl("xl");
  Var bv("bv"), nv("nv"), k0("k0"), k1("k1"), c0("c0"), c1("c1"), q0("q0"), q1("q1");
  const int lanes = l.s.vector;
  const bool by_sample = tasks.task_samples > 0;
  const RVar rows = by_sample ? RVar(r[1]) : row, samples = by_sample ? sample : RVar(r[2]);
  if (by_sample) acc.update().split(r[2], piece, sample, static_cast<int>(tasks.task_samples));
  else acc.update().split(r[1], piece, row, static_cast<int>(tasks.task_rows));
  if (planes) acc.update().split(r[0], xv, xl, lanes);
  Func part = planes ? acc.update().rfactor({{piece, l.t}, {xl, l.l}}) : acc.update().rfactor(piece, l.t);
  part.update().split(rows, block, line, static_cast<int>(tasks.block_rows));
  Func reg = part.update().rfactor({{block, bv}, {samples, nv}});
  const int held = static_cast<int>(planes ? tile.held : lanes * tile.held);
  acc.compute_root();
  part.compute_root().parallel(l.t);
  part.update()
      .split(a[0], k0, k1, held)
      .split(a[1], c0, c1, static_cast<int>(tile.channels))
      .split(a[2], q0, q1, static_cast<int>(tile.taps));
  std::vector<VarOrRVar> loops = {k1, c1, q1, k0, c0, q0, a[3], block, samples, l.t};
  const auto unrolled = [&](Stage st) {
    if (planes) st.unroll(a[0]).unroll(a[1]).unroll(a[2]);
    else st.vectorize(a[0], lanes).unroll(a[0]).unroll(a[1]).unroll(a[2]);
  };
  if (planes) {
    loops.insert(loops.begin(), l.l);
    part.reorder_storage({l.l, a[0], a[1], a[2], a[3], l.t}).reorder({l.l, a[0], a[1], a[2], a[3], l.t}).vectorize(l.l);
    part.update().reorder(loops).vectorize(l.l).unroll(k1).unroll(c1).unroll(q1).parallel(l.t);
    reg.compute_at(part, k0)
        .reorder_storage({l.l, a[0], a[1], a[2], a[3], l.t, bv, nv})
        .reorder({l.l, a[0], a[1], a[2], a[3], l.t, bv, nv})
        .vectorize(l.l);
    reg.update().reorder({l.l, a[0], a[1], a[2], xv, line, a[3], l.t, bv, nv}).vectorize(l.l);
    acc.update().reorder({xl, piece, a[0], a[1], a[2], a[3]}).atomic().vectorize(xl);
  } else {
    part.vectorize(a[0], lanes);
    part.update().reorder(loops).vectorize(k1, lanes).unroll(k1).unroll(c1).unroll(q1).parallel(l.t);
    reg.compute_at(part, k0);
    reg.update().reorder({a[0], a[1], a[2], r[0], line, a[3], l.t, bv, nv});
    acc.vectorize(a[0], lanes);
    acc.update().reorder({a[0], a[1], a[2], a[3], piece}).vectorize(a[0], lanes);
  }
  unrolled(reg);
  unrolled(reg.update());
  if (planes) prefetch_next_rows(l, reg, tasks.block_rows, tile.channels);
  for (Func pad : l.b.anchor.padded) {
    auto args = pad.args();
    pad.compute_at(part, block).reorder_storage(args[1], args[2], args[0], args[3]);
    if (planes) pad.reorder(args[1], args[2], args[0], args[3]).vectorize(args[1], lanes, TailStrategy::RoundUp);
    l.fill_rows(pad);
  }
}

}  // namespace netc::nests
