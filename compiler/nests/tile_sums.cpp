#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t vectors = 1, channels = 1;  // of a tile
  int64_t samples = 1;                // whose sums stay in registers
  static constexpr Number<Numbers> kNumbers[] = {
      {"vectors", &Numbers::vectors}, {"channels", &Numbers::channels}, {"samples", &Numbers::samples}};
};

class TileSums final : public NestOf<Numbers> {
  const char* name() const override { return "tile_sums"; }
  const char* doc() const override {
    return "s[e, c, k], of tiles that the kernels `tiles` transformed: lanes along k; each element e is a task";
  }
  Share share() const override { return {0.55, 1}; }
  bool fits(const Site& at) const override {
    return at.is(ir::Kind::contraction) && !at.result().batched && at.result().rank() == 3;
  }
  Numbers numbers(const Site& at, int& lanes) const override {
    const ir::Type& t = at.result();  // f32[E, C, K]
    lanes = lanes_for(t.dims[2], at.m.vector_floats, 1, true).first;
    const int64_t vectors = largest_divisor(t.dims[2] / lanes, 2), Q = at.operand(0).dims[1];
    return {vectors, largest_divisor(t.dims[1], at.accumulators() / vectors), std::max<int64_t>(1, 64 / Q)};
  }
  void vary(Variations<Numbers>& v) const override {
    const ir::Type& t = v.site.result();
    const int64_t vectors = t.dims[2] / v.lanes;
    v.add(&Numbers::vectors, 1, 8, [&](int64_t x) { return vectors % x == 0 && v.in_registers(x, v.n.channels); });
    v.add(&Numbers::channels, 1, std::min<int64_t>(t.dims[1], 16),
          [&](int64_t x) { return t.dims[1] % x == 0 && v.in_registers(v.n.vectors, x); });
    v.add(&Numbers::samples, 1, 256, v.power);
  }
  int64_t sums(const Numbers& n) const override { return n.vectors * n.channels; }

  // Sums of a block of samples in registers; those of an element in cache.
  void loop(Loops& l, const Numbers& n) const override {
    Func sums = l.b.anchor.anchor;
    const auto a = sums.args();  // k, c, e
    auto r = l.b.anchor.r;
    RVar block("block"), sample("sample");
    Var bv("bv"), k0("k0"), k1("k1"), c0("c0"), c1("c1"), e = l.b.vars[2];
    const int lanes = l.s.vector;
    Stage(l.b.out).vectorize(l.b.vars[0], lanes).parallel(e);
    sums.update().split(r[1], block, sample, static_cast<int>(n.samples));
    Func reg = sums.update().rfactor(block, bv);
    sums.compute_at(l.b.out, e).vectorize(a[0], lanes);
    sums.update()
        .split(a[0], k0, k1, static_cast<int>(lanes * n.vectors))
        .split(a[1], c0, c1, static_cast<int>(n.channels))
        .reorder({k1, c1, k0, c0, block, a[2]})
        .vectorize(k1, lanes)
        .unroll(k1)
        .unroll(c1);
    reg.compute_at(sums, k0);
    reg.update().reorder({a[0], a[1], r[0], sample, a[2], bv});
    for (Stage st : {Stage(reg), reg.update()}) st.vectorize(a[0], lanes).unroll(a[0]).unroll(a[1]);
  }
};

}  // namespace

const Nest& tile_sums() {
  static const TileSums nest;
  return nest;
}

}  // namespace netc::nests
