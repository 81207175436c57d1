#include "compiler/nests/loops.h"
#include "compiler/nests/product.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t vectors = 1, rows = 1;  // of a tile
  int64_t vector_1 = 0,
          many = 0;       // lanes of a sample alone, whose loops batches of fewer than `many` have; 0: the same
  int64_t vectors_1 = 1;  // of a sample alone
  int64_t tasks = 0, tasks_1 = 0;  // whether tiles go to all threads: of a batch, of a sample
  static constexpr Number<Numbers> kNumbers[] = {{"vectors", &Numbers::vectors},         {"rows", &Numbers::rows},
                                                 {"vector_1", &Numbers::vector_1, true}, {"many", &Numbers::many, true},
                                                 {"vectors_1", &Numbers::vectors_1},     {"tasks", &Numbers::tasks},
                                                 {"tasks_1", &Numbers::tasks_1}};
};

class Gemm final : public NestOf<Numbers> {
  const char* name() const override { return "gemm"; }
  const char* doc() const override {
    return "y[n, u]: lanes along u, rows along n; small weights that lie along the sum are transposed first, for many "
           "samples";
  }
  Share share() const override { return {0.8, 1}; }
  bool fits(const Site& at) const override { return is_product(at); }

  Numbers numbers(const Site& at, int& lanes) const override {
    const ir::Type &t = at.result(), &w = at.operand(1);
    const int64_t U = t.dims[0];
    lanes = lanes_for(U, at.m.vector_floats, 1, false).first;
    if (U < at.m.vector_floats) lanes = static_cast<int>(U);
    const int64_t vectors = (U + lanes - 1) / lanes, fit = std::max<int64_t>(1, U / lanes);
    const int64_t rows = std::min<int64_t>(12, std::max(at.p.max_batch, 1));
    const Tile tile = at.tile_for(vectors, rows, std::min<int64_t>(fit, 4), false);
    Numbers n;
    n.vectors = std::min(tile.vectors, fit);
    n.rows = tile.rows;
    // A sample alone reads whole rows of the weights, where they are short: what is read is then one piece of memory.
    const bool whole_rows = !at.node().op->dot && tile.rows > 1 && vectors * lanes > U &&
                            at.registers_of(static_cast<int>(U)) <= at.accumulators() / 2;
    if (whole_rows) n.vector_1 = U, n.many = tile.rows;
    else n.vectors_1 = vectors_of_one(U, lanes, std::min<int64_t>(fit, at.accumulators() / 2));
    n.tasks = at.k.flops * at.p.max_batch >= 2 * kGrainFlops ? 1 : 0;
    n.tasks_1 = w.bytes() > 256 << 10 ? 1 : 0;
    return n;
  }

  void vary(Variations<Numbers>& v) const override {
    const int64_t fit = std::max<int64_t>(1, v.site.result().dims[0] / v.lanes);
    v.add(&Numbers::vectors, 1, std::min<int64_t>(fit, 8), [&](int64_t x) { return v.in_registers(x, v.n.rows); });
    if (v.n.many == 0) {  // else small batches have loops of their own
      v.add(&Numbers::rows, 1, std::min<int64_t>(12, std::max(v.site.p.max_batch, 1)),
            [&](int64_t x) { return v.in_registers(v.n.vectors, x); });
      v.add(&Numbers::vectors_1, 1, fit, [&](int64_t x) { return v.in_registers(x, 1); });
    }
    v.add(&Numbers::tasks, 0, 1);
    v.add(&Numbers::tasks_1, 0, 1);
  }
  int64_t sums(const Numbers& n) const override { return n.vectors * n.rows; }
  ir::Demands asks(const Site&, int, const Numbers& n) const override { return {.transposed = true, .many = n.many}; }

  // The sums (u, n) in registers for a tile; on all of K. One sample may have lanes of its own.
  void loop(Loops& l, const Numbers& n) const override {
    halide::Built& b = l.b;
    const Var u = b.vars[0], batch = b.vars[1];
    const int lanes_1 = n.vector_1 > 0 ? static_cast<int>(n.vector_1) : l.s.vector, rows = static_cast<int>(n.rows);
    const auto tile = [&](Stage st, int of_rows, int lanes, int64_t vectors, bool parallel) {
      st.split(u, l.co, l.ci, static_cast<int>(lanes * vectors), TailStrategy::ShiftInwards)
          .split(batch, l.no, l.ni, of_rows, TailStrategy::ShiftInwards)
          .reorder({l.ci, l.ni, l.co, l.no})
          .vectorize(l.ci, lanes);
      st.fuse(l.co, l.no, l.task).unroll(l.ni);
      if (parallel) st.parallel(l.task);
    };
    if (rows > 1)
      tile(b.out.specialize(b.many.defined() ? b.many : b.batch >= rows), rows, l.s.vector, n.vectors, n.tasks != 0);
    tile(Stage(b.out), 1, lanes_1, n.vectors_1, n.tasks_1 != 0);
    l.stage_padding(b.out, l.task);
    const auto sums = [&](Func acc, RVar k, int lanes) {
      const auto au = acc.args()[0], an = acc.args()[1];
      acc.compute_at(b.out, l.task).vectorize(au, lanes).unroll(au).unroll(an);
      acc.update().reorder(au, an, k).vectorize(au, lanes).unroll(au).unroll(an);
    };
    sums(b.anchor.anchor, b.anchor.r[0], l.s.vector);
    if (b.many.defined()) sums(b.few.anchor, b.few.r[0], lanes_1);
  }
};

}  // namespace

const Nest& gemm() {
  static const Gemm nest;
  return nest;
}

}  // namespace netc::nests
