#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t vectors = 1, rows = 1;  // of a tile
  int64_t task_pairs = 1;         // pairs of rows whose blocks a task adds up
  static constexpr Number<Numbers> kNumbers[] = {
      {"vectors", &Numbers::vectors}, {"rows", &Numbers::rows}, {"task_pairs", &Numbers::task_pairs}};
};

class Strassen final : public NestOf<Numbers> {
  const char* name() const override { return "strassen"; }
  const char* doc() const override {
    return "y[n, t, u] by seven products of sums of blocks: lanes along u, rows along pairs of t; panels of columns "
           "are "
           "tasks";
  }
  Share share() const override { return {0.85, 1}; }
  bool fits(const Site& at) const override {
    return at.is(ir::Kind::contraction) && at.node().op->made_of<ir::BlockProducts>(at.node().attrs);
  }

  Numbers numbers(const Site& at, int& lanes) const override {
    const ir::Type& a = at.result();
    const int64_t pairs = (a.dims[0] + 1) / 2;
    const auto [wide, vectors] = at.lanes_of_result(a.dims[1] / 2, 2);
    lanes = wide;
    return {vectors, rows_for(pairs, at.accumulators() / vectors), at.even_share(pairs, 4 * at.m.cores)};
  }
  void vary(Variations<Numbers>& v) const override {
    const int64_t pairs = (v.site.result().dims[0] + 1) / 2;
    v.add(&Numbers::rows, 1, std::min<int64_t>(16, pairs), [&](int64_t x) { return v.in_registers(v.n.vectors, x); });
    v.pieces(&Numbers::task_pairs, pairs);
  }
  int64_t sums(const Numbers& n) const override { return n.vectors * n.rows; }

  // Blocks of all a sample's rows are added once; then each task multiplies them with its panels of the weights, one
  // product after another, and adds the products.
  void loop(Loops& l, const Numbers& n) const override {
    const auto& [blocks, products] = l.parts<halide::BlockParts>();
    Var half("half"), lane("lane"), qo("qo"), qi("qi");
    const int rows = static_cast<int>(n.rows), pairs = (l.extent(1) + 1) / 2, held = (pairs + rows - 1) / rows * rows;
    const int panel = static_cast<int>(l.s.vector * n.vectors);
    Stage(l.b.out)
        .split(l.b.vars[0], l.co, l.ci, 2 * panel)
        .split(l.ci, half, l.ci, panel)
        .split(l.ci, l.ci, lane, l.s.vector)
        .split(l.b.vars[1], l.xo, l.xi, 2, TailStrategy::GuardWithIf)
        .reorder({lane, l.xi, half, l.ci, l.xo, l.co, l.n()})
        .vectorize(lane)
        .unroll(l.xi)
        .unroll(half)
        .parallel(l.co);
    Func sums_of_blocks = blocks;
    const auto v = sums_of_blocks.args();  // c, q, e, n
    sums_of_blocks.compute_at(l.b.out, l.n())
        .bound_storage(v[1], held)
        .split(v[0], l.co, l.ci, l.s.vector, TailStrategy::GuardWithIf)
        .split(v[1], qo, qi, static_cast<int>(n.task_pairs), TailStrategy::GuardWithIf)
        .reorder({l.ci, v[2], l.co, qi, qo, v[3]})
        .vectorize(l.ci)
        .unroll(v[2])
        .parallel(qo);
    l.multiply_transformed(products, sums_of_blocks, l.co, rows, held);
  }
};

}  // namespace

const Nest& strassen() {
  static const Strassen nest;
  return nest;
}

}  // namespace netc::nests
