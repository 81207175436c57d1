#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t vectors = 1, rows = 1;  // of a tile
  int64_t pairs = 0;              // weights lie in pairs
  static constexpr Number<Numbers> kNumbers[] = {
      {"vectors", &Numbers::vectors}, {"rows", &Numbers::rows}, {"pairs", &Numbers::pairs, true}};
};

class Tokens final : public NestOf<Numbers> {
  const char* name() const override { return "tokens"; }
  const char* doc() const override {
    return "y[n, ..., t, u], a matrix product for each sample: lanes along u, rows along t; panels of columns, or the "
           "outer dims, are tasks";
  }
  Share share() const override { return {0.85, 1}; }
  bool fits(const Site& at) const override {
    return at.is(ir::Kind::contraction) && at.result().batched && (at.result().rank() == 2 || at.operand(1).batched);
  }

  Numbers numbers(const Site& at, int& lanes) const override {
    const ir::Type& a = at.result();
    const int64_t U = a.dims.back(), T = a.dims[a.rank() - 2];
    if (weights_block(at.p, at.k) > 0) {
      const auto [wide, vectors] = at.lanes_of_result(U, 1);
      lanes = wide;
      return {vectors, rows_for(T, at.accumulators() / vectors), weights_in_pairs(at.p, at.k)};
    }
    lanes = lanes_for(U, at.m.vector_floats, 1, false).first;
    if (U < at.m.vector_floats) lanes = static_cast<int>(U);
    const int64_t fit = std::max<int64_t>(1, U / lanes);
    const Tile tile = at.tile_for((U + lanes - 1) / lanes, std::min<int64_t>(12, T), std::min<int64_t>(fit, 4), false);
    return {tile.vectors, tile.rows, 0};
  }

  void vary(Variations<Numbers>& v) const override {
    const ir::Type& t = v.site.result();
    const int64_t fit = std::max<int64_t>(1, t.dims.back() / v.lanes);
    v.add(&Numbers::rows, 1, std::min<int64_t>(16, t.dims[t.rank() - 2]),
          [&](int64_t x) { return v.in_registers(v.n.vectors, x); });
    if (weights_block(v.site.p, v.site.k) == 0)
      v.add(&Numbers::vectors, 1, std::min<int64_t>(fit, 8), [&](int64_t x) { return v.in_registers(x, v.n.rows); });
  }
  int64_t sums(const Numbers& n) const override { return n.vectors * n.rows; }
  int products_at_once(const Numbers& n) const override { return n.pairs ? 2 : 1; }

  // With more than two dims the outer ones (attention's heads) and samples are tasks, else panels of columns: all rows
  // go through a panel of the second operand while it is in cache. A transposed copy of an operand is made once for the
  // kernel, or once for each task where it is a sample's.
  void loop(Loops& l, const Numbers& n) const override {
    Func acc = l.b.anchor.anchor, o = l.b.out;
    const std::vector<Var>& vars = l.b.vars;
    Stage st(o);
    st.split(vars[0], l.co, l.ci, static_cast<int>(l.s.vector * n.vectors), TailStrategy::ShiftInwards)
        .split(vars[1], l.xo, l.xi, static_cast<int>(n.rows), TailStrategy::ShiftInwards);
    std::vector<VarOrRVar> order = {l.ci, l.xi, l.xo, l.co};
    for (size_t d = 2; d < vars.size(); ++d) order.push_back(vars[d]);
    st.reorder(order).vectorize(l.ci, l.s.vector).unroll(l.xi);
    st.fuse(vars.size() > 3 ? vars[vars.size() - 2] : l.co, l.n(), l.task).parallel(l.task);
    const Var level = vars.size() > 4 ? vars[2] : l.task;
    for (Func copy : l.b.anchor.padded) {
      if (copy.args().back().name() == "n") copy.compute_at(o, level);
      else copy.compute_root();
      l.transpose(copy);
    }
    const auto a = acc.args();
    acc.compute_at(o, l.xo).vectorize(a[0], l.s.vector).unroll(a[0]).unroll(a[1]);
    l.accumulate(acc, {a[0], a[1]}, n.pairs != 0);
    l.prefetch_operands(acc);
  }
};

}  // namespace

const Nest& tokens() {
  static const Tokens nest;
  return nest;
}

}  // namespace netc::nests
