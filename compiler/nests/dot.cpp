#include "compiler/nests/loops.h"
#include "compiler/nests/product.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

constexpr int kManySamples = 32;  // from which a copy of small weights, transposed, pays: gemm

struct Numbers {
  int64_t tile = 1, rows = 1;  // results and samples of a tile, of which each sum is a vector
  int64_t task_tiles = 1;
  static constexpr Number<Numbers> kNumbers[] = {
      {"tile", &Numbers::tile}, {"rows", &Numbers::rows}, {"task_tiles", &Numbers::task_tiles}};
};

class Dot final : public NestOf<Numbers> {
  const char* name() const override { return "dot"; }
  const char* doc() const override {
    return "y[n, k], both operands contiguous along the reduction: lanes along it, a tile of k x n sums";
  }
  Share share() const override { return {0.5, 1}; }
  bool fits(const Site& at) const override {
    return is_product(at) && at.node().op->dot &&
           (at.p.max_batch < kManySamples || at.operand(1).bytes() > at.m.l2 / 2);
  }

  Numbers numbers(const Site& at, int& lanes) const override {
    const ir::Type& w = at.operand(1);
    const int64_t K = at.result().dims[0], U = w.dims[1];
    lanes = static_cast<int>(std::min<int64_t>(at.m.vector_floats, U));
    // A guard of the last vector costs more in a short sum.
    if (U % lanes != 0 && U % (lanes / 2) == 0 && U < 16 * lanes) lanes /= 2;
    // Rows of the weights stay in the first cache for all samples, whose rows come from the second: the more rows of
    // weights in a tile, the less often.
    const int64_t held = at.m.l1 * 2 / 3 / std::max<int64_t>(1, U * 4);
    Numbers n;
    n.tile = largest_divisor(K, std::clamp<int64_t>(held, 4, at.accumulators() / 3));
    n.rows = at.accumulators() / n.tile;
    const double work = 2.0 * static_cast<double>(U * 8 * n.tile);
    n.task_tiles =
        std::max<int64_t>(1, largest_near(K / n.tile, std::max<int64_t>(1, chunk_of(work, kGrainFlops, K / n.tile))));
    return n;
  }

  void vary(Variations<Numbers>& v) const override {
    const int64_t K = v.site.result().dims[0];
    v.add(&Numbers::tile, 1, 8, [&](int64_t x) { return K % x == 0 && v.in_registers(x, v.n.rows); });
    v.add(&Numbers::rows, 2, 8, [&](int64_t x) { return v.in_registers(v.n.tile, x); });
    v.add(&Numbers::task_tiles, 1, K, v.power);
  }
  int64_t sums(const Numbers& n) const override { return n.tile * n.rows; }
  int64_t rows_in_step(const Numbers& n) const override { return n.tile; }
  void step_by(Numbers& n, int64_t, int64_t rows) const override { n.task_tiles = rows / n.tile; }

  // The lanes' sums are added at the end.
  void loop(Loops& l, const Numbers& n) const override {
    Func acc = l.b.anchor.anchor, o = l.b.out;
    Var k = l.b.vars[0], batch = l.b.vars[1], lane("lane"), kt("kt"), kto("kto"), kti("kti");
    const auto ak = acc.args()[0], an = acc.args()[1];
    RVar ro("ro"), ri("ri");
    acc.update().split(l.b.anchor.r[0], ro, ri, l.s.vector);
    Func part = acc.update().rfactor(ri, lane);
    const int of_k = static_cast<int>(n.tile), rows = static_cast<int>(n.rows);
    const auto tile = [&](Stage st, int rows_here) {
      st.split(k, kt, l.ci, of_k)
          .split(kt, kto, kti, static_cast<int>(n.task_tiles), TailStrategy::GuardWithIf)
          .split(batch, l.no, l.ni, rows_here, TailStrategy::ShiftInwards)
          .reorder({l.ci, l.ni, l.no, kti, kto})
          .unroll(l.ci)
          .unroll(l.ni)
          .parallel(kto);
    };
    Stage wide = o.specialize(l.b.batch >= rows);
    tile(wide, rows);
    tile(Stage(o), 1);
    acc.compute_at(o, l.no).unroll(ak).unroll(an);
    acc.update().unroll(ak).unroll(an).atomic().vectorize(ri);
    const int64_t row = l.operand(1).dims[1];
    l.prefetch(part, 1, {row * of_k}, {{".ro", row / l.s.vector}, {".no", std::max(1, l.p.max_batch / rows)}});
    part.compute_at(o, l.no).reorder_storage(lane, ak, an).reorder(lane, ak, an).vectorize(lane).unroll(ak).unroll(an);
    part.update().reorder(lane, ak, an, ro).vectorize(lane).unroll(ak).unroll(an);
  }
};

}  // namespace

const Nest& dot() {
  static const Dot nest;
  return nest;
}

}  // namespace netc::nests
