#include "compiler/nests/loops.h"
#include "compiler/nests/product.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t vectors = 1, rows = 1;       // of a tile
  int64_t vectors_1 = 1, ahead_1 = 1;  // a sample alone: vectors of a step, and rows of the weights prefetched
  int64_t many = 8;                    // samples, from which on a task keeps weights for all of them
  int64_t panels = 1, slices = 1;      // of the columns, and of K beside that
  int64_t split_k = 1, block_k = 16;   // slices of K for a sample alone, and rows of a block
  static constexpr Number<Numbers> kNumbers[] = {
      {"vectors", &Numbers::vectors}, {"rows", &Numbers::rows},       {"vectors_1", &Numbers::vectors_1},
      {"ahead_1", &Numbers::ahead_1}, {"many", &Numbers::many},       {"panels", &Numbers::panels},
      {"slices", &Numbers::slices},   {"split_k", &Numbers::split_k}, {"block_k", &Numbers::block_k}};
};

/// Slices of K, and rows of a block of a slice: both must divide.
std::pair<int64_t, int64_t> split_of(int64_t K) {
  for (int64_t slices : {16, 15, 14, 18, 20, 12, 24, 10, 8, 31, 32})
    if (K % slices == 0) {
      const int64_t block = largest_divisor(K / slices, 96);
      if (block >= 16) return {slices, block};
    }
  return {1, K};
}

class GemmStream final : public NestOf<Numbers> {
  const char* name() const override { return "gemm_stream"; }
  const char* doc() const override {
    return "y[n, u] with weights larger than the caches: K is split into tasks that stream a slice of the weights each";
  }
  Share share() const override { return {0.6, 1}; }
  bool fits(const Site& at) const override {
    if (!is_product(at)) return false;
    const ir::Type& w = at.operand(1);
    const int64_t U = at.result().dims[0], K = w.elements() / U;
    return w.bytes() > at.m.l2 * 2 && K >= 4096 && U % 4 == 0 && split_of(K).first > 1;
  }

  Numbers numbers(const Site& at, int& lanes) const override {
    const int64_t U = at.result().dims[0], K = at.operand(1).elements() / U;
    while (U % lanes != 0) lanes /= 2;
    const Tile tile = at.tile_for(U / lanes, 8, 8, true, true);
    Numbers n;
    n.vectors = tile.vectors;
    n.rows = tile.rows;
    // A sample alone reads rows of the weights whole, one after another, and prefetches a later one: its sums stay in
    // the first cache.
    n.vectors_1 = largest_divisor(U / lanes, at.m.l1 / 2 / (4 * lanes));
    n.ahead_1 = std::max<int64_t>(1, at.m.l1 / 6 / (4 * U));
    const auto [slices, block] = split_of(K);
    // A block of weights and the next, which is prefetched, have room in the second cache; wide layers are cut into
    // panels of columns, and K into fewer slices.
    const int64_t tiles = U / lanes / tile.vectors;
    while (n.panels < tiles && (tiles % n.panels != 0 || block * (U / n.panels) * 4 > at.m.l2 / 4)) ++n.panels;
    n.slices = largest_divisor(slices, std::max<int64_t>(1, slices / n.panels));
    n.split_k = slices;
    n.block_k = block;
    return n;
  }

  void vary(Variations<Numbers>& v) const override {
    const int64_t K = v.site.operand(1).dims[0], vectors = v.site.result().dims[0] / v.lanes;
    v.add(&Numbers::rows, 1, 8, [&](int64_t x) { return v.power(x) && v.in_registers(v.n.vectors, x); });
    v.add(&Numbers::vectors, 1, 8, [&](int64_t x) { return vectors % x == 0 && v.in_registers(x, v.n.rows); });
    v.add(&Numbers::vectors_1, 1, vectors, [&](int64_t x) { return vectors % x == 0; });
    v.add(&Numbers::split_k, 2, 64,
          [&](int64_t x) { return K % x == 0 && K / x % v.n.block_k == 0 && x % v.n.slices == 0; });
    v.add(&Numbers::block_k, 16, 256, [&](int64_t x) { return K / v.n.split_k % x == 0; });
  }
  int64_t sums(const Numbers& n) const override { return n.vectors * n.rows; }
  ir::Demands asks(const Site&, int, const Numbers& n) const override { return {.many = n.many}; }

  // Each task streams its slice of K once for a block of samples, and keeps a block of the slice in cache for all of
  // them; the slices' sums are added in order. Many samples: a tile's weights are copied side by side, since whole rows
  // lie between them in memory. Few: whole rows of the weights, one after another.
  void loop(Loops& l, const Numbers& n) const override {
    const auto samples = [&](Stage st, int64_t together) {
      st.split(l.b.vars[1], l.no, l.ni, static_cast<int>(together), TailStrategy::ShiftInwards)
          .vectorize(l.b.vars[0], l.s.vector, TailStrategy::ShiftInwards)
          .reorder({l.b.vars[0], l.ni, l.no});
    };
    samples(l.b.out.specialize(l.b.many && l.b.batch >= 32), 32);
    samples(l.b.out.specialize(l.b.many), n.many);
    samples(Stage(l.b.out), 1);
    stream(l, n, l.b.anchor, n.rows, n.vectors, n.slices);
    stream(l, n, l.b.few, 1, n.vectors_1, n.split_k);
  }

  static void stream(Loops& l, const Numbers& n, const halide::Lowered& of, int64_t rows, int64_t vectors,
                     int64_t slices) {
    Func o = l.b.out, acc = of.anchor;
    const auto au = acc.args()[0], an = acc.args()[1];
    Var chunk("chunk"), block("block"), panel("panel"), pu("pu"), pn("pn");
    RVar ko("ko"), ki("ki"), kb("kb"), kk("kk");
    const ir::Type& w = l.operand(1);
    const int lanes = l.s.vector, wide = static_cast<int>(lanes * vectors);
    acc.update().split(of.r[0], ko, ki, static_cast<int>(w.dims[0] / slices));
    Func part = acc.update().rfactor(ko, chunk);
    part.update().split(ki, kb, kk, static_cast<int>(n.block_k));
    Func reg = part.update().rfactor(kb, block);
    const int64_t panels = rows > 1 ? n.panels : 1, tiles = w.dims[1] / (wide * panels);  // of a panel
    part.update()
        .split(au, l.co, pu, wide, TailStrategy::GuardWithIf)
        .split(l.co, panel, l.co, static_cast<int>(tiles), TailStrategy::GuardWithIf)
        .split(an, l.yo, pn, static_cast<int>(rows), TailStrategy::GuardWithIf)
        .reorder({pu, pn, l.yo, l.co, kb, panel, chunk})
        .vectorize(pu, lanes)
        .fuse(panel, chunk, l.task)
        .parallel(l.task);
    acc.compute_at(o, l.no).vectorize(au, lanes, TailStrategy::GuardWithIf);
    acc.update().reorder(au, an, ko).vectorize(au, lanes, TailStrategy::GuardWithIf);
    part.compute_at(o, l.no).parallel(chunk).vectorize(au, lanes, TailStrategy::GuardWithIf);
    reg.compute_at(part, l.yo).vectorize(au, lanes).unroll(an);
    if (rows == 1) {
      reg.update().reorder(au, an, kk).vectorize(au, lanes);
      l.prefetch(reg, 1, {wide, 1, 0, n.ahead_1 * w.dims[1]}, {{"." + au.name(), vectors}});
      return;
    }
    part.update().unroll(pu).unroll(pn);  // a tile's sums go from registers to those of the slice
    reg.unroll(au);
    reg.update().reorder(au, an, kk).vectorize(au, lanes).unroll(au).unroll(an);
    Func copy = l.b.params[operand_index(l.p, l.k, 1)].in(reg);
    copy.compute_at(part, l.co).vectorize(copy.args()[0], lanes);
    // Rows of samples may lie a power of two apart.
    if (const size_t x = operand_index(l.p, l.k, 0); x < l.k.inputs.size()) {
      Func samples = l.b.params[x].in(reg);
      samples.compute_at(part, kb).vectorize(samples.args()[0], lanes, TailStrategy::GuardWithIf);
    }
    const int64_t row = w.dims[1];
    const Prefetch::Panel columns =
        panels > 1 ? Prefetch::Panel{row / panels, n.block_k, row, n.block_k * row} : Prefetch::Panel{n.block_k * row};
    l.prefetch(reg, 1, columns, {{".kk", n.block_k}, {".yo", 32 / rows}, {".co", tiles}});
  }
};

}  // namespace

const Nest& gemm_stream() {
  static const GemmStream nest;
  return nest;
}

}  // namespace netc::nests
