#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t vectors = 1, rows = 1;  // of a tile
  int64_t task_tiles = 1;
  static constexpr Number<Numbers> kNumbers[] = {
      {"vectors", &Numbers::vectors}, {"rows", &Numbers::rows}, {"task_tiles", &Numbers::task_tiles}};
};

class Outer final : public NestOf<Numbers> {
  const char* name() const override { return "outer"; }
  const char* doc() const override {
    return "dw[k, u]: lanes along u, rows along k; the reduction is the batch; the optimiser follows in registers";
  }
  Share share() const override { return {0.5, 1}; }
  bool fits(const Site& at) const override {
    return at.is(ir::Kind::contraction) && !at.result().batched && at.result().rank() == 2;
  }

  Numbers numbers(const Site& at, int& lanes) const override {
    const ir::Type& t = at.result();  // f32[K, U]
    lanes = lanes_for(t.dims[1], at.m.vector_floats, 1, true).first;
    if (const int U = static_cast<int>(t.dims[1]);
        lanes < at.m.vector_floats && 3 * at.registers_of(U) <= at.m.vector_registers - 2)
      lanes = U;  // a short row is one vector
    Numbers n;
    // Pieces long enough for memory, and rows enough that an operand is seldom read again.
    n.vectors = largest_divisor(t.dims[1] / lanes, 4);
    const int64_t row = n.vectors * at.registers_of(lanes);
    const int64_t room = std::min<int64_t>(at.accumulators(), at.m.vector_registers - 2 - row);
    n.rows = largest_divisor(t.dims[0], std::max<int64_t>(1, room / row));
    const int64_t tiles = t.dims[0] / n.rows;
    n.task_tiles =
        largest_divisor(tiles, chunk_of(2.0 * 16 * static_cast<double>(n.rows * t.dims[1]), kGrainFlops, tiles));
    return n;
  }

  void vary(Variations<Numbers>& v) const override {
    const int64_t K = v.site.result().dims[0], vectors = v.site.result().dims[1] / v.lanes, tiles = K / v.n.rows;
    v.add(&Numbers::vectors, 1, 16, [&](int64_t x) { return vectors % x == 0 && v.in_registers(x, v.n.rows); });
    v.add(&Numbers::rows, 1, 16,
          [&](int64_t x) { return K % x == 0 && K / x % v.n.task_tiles == 0 && v.in_registers(v.n.vectors, x); });
    v.add(&Numbers::task_tiles, 1, tiles, [&](int64_t x) { return tiles % x == 0; });
  }
  int64_t sums(const Numbers& n) const override { return n.vectors * n.rows; }
  int64_t rows_in_step(const Numbers& n) const override { return n.rows; }
  void step_by(Numbers& n, int64_t, int64_t rows) const override { n.task_tiles = rows / n.rows; }

  // What follows (regulariser, optimiser) works on the tile in registers.
  void loop(Loops& l, const Numbers& n) const override {
    Func acc = l.b.anchor.anchor, o = l.b.out;
    Var u = l.b.vars[0], k = l.b.vars[1], kt("kt"), kto("kto"), kti("kti");
    const auto au = acc.args()[0], ak = acc.args()[1];
    o.split(u, l.co, l.ci, static_cast<int>(l.s.vector * n.vectors))
        .split(k, kt, l.yi, static_cast<int>(n.rows))
        .split(kt, kto, kti, static_cast<int>(n.task_tiles))
        .reorder({l.ci, l.yi, l.co, kti, kto})
        .vectorize(l.ci, l.s.vector)
        .unroll(l.yi)
        .parallel(kto);
    l.prefetch_operands(acc);
    acc.compute_at(o, l.co).vectorize(au, l.s.vector).unroll(au).unroll(ak);
    acc.update().reorder(inner_to_reduction(acc, {au, ak})).vectorize(au, l.s.vector).unroll(au).unroll(ak);
  }
};

}  // namespace

const Nest& outer() {
  static const Outer nest;
  return nest;
}

}  // namespace netc::nests
