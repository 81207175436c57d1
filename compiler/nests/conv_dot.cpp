#include "compiler/nests/image.h"
#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t channels = 1, rows = 1;  // of a tile, of which each sum is a vector
  int64_t task_rows = 1, task_samples = 1;
  static constexpr Number<Numbers> kNumbers[] = {{"channels", &Numbers::channels},
                                                 {"rows", &Numbers::rows},
                                                 {"task_rows", &Numbers::task_rows},
                                                 {"task_samples", &Numbers::task_samples}};
};

class ConvDot final : public NestOf<Numbers> {
  const char* name() const override { return "conv_dot"; }
  const char* doc() const override {
    return "y[n, y, x, c], few channels of many, both operands contiguous along those: lanes along the reduction, a "
           "tile "
           "of channels x pixels";
  }
  Share share() const override { return {0.4, 1}; }
  bool fits(const Site& at) const override {
    if (!is_convolution(at)) return false;
    const ir::Type& w = at.operand(1);
    const int64_t C = at.result().dims[2], terms = at.operand(0).dims[2];  // that are contiguous in both operands
    return at.node().op->dot && C < at.m.vector_floats && terms % at.m.vector_floats == 0 && w.dims[2] == C &&
           w.dims[3] == terms && phases_of(at) == std::pair<int, int>{1, 1} && !weights_in_pairs(at.p, at.k);
  }

  // The sums of a channel's pixels are joined together, half of the vectors at each step. A tile of a whole row leaves
  // out what is beside the other operand's row.
  Numbers numbers(const Site& at, int&) const override {
    const ir::Type &in = at.operand(0), &w = at.operand(1), &o = at.out().type;
    const int64_t C = at.result().dims[2], W = o.dims[1], lanes = at.m.vector_floats;
    const int64_t terms = in.dims[2] / lanes * w.dims[0] * w.dims[1];
    double least = 0;
    Numbers n;
    for (int64_t c = 1; c <= C; ++c)
      for (int64_t r = 1; r <= W; ++r) {
        if (C % c != 0 || c * r > at.accumulators() || c * r + std::min(c, r) + 1 > at.m.vector_registers) continue;
        int64_t joins = 0;
        for (int64_t sums = lanes; sums > 1; sums /= 2) joins += (r * sums / 2 + lanes - 1) / lanes;
        const double tile = static_cast<double>(c * r);
        const double used = r == W ? std::min(1.0, static_cast<double>(in.dims[1]) / static_cast<double>(W)) : 1;
        const double sums = static_cast<double>(terms) * used * (1 + static_cast<double>(c + r) / tile) /
                            std::min(1.0, tile / kLatency);
        const double cost =
            (sums + 3 * static_cast<double>(joins) / static_cast<double>(r)) * static_cast<double>((W + r - 1) / r * r);
        if (least == 0 || cost < least - 1e-9) least = cost, n.channels = c, n.rows = r;
      }
    const Tasks tasks = at.tasks(o.dims[0], at.flops(), kGrainFlops);
    n.task_rows = tasks.rows, n.task_samples = tasks.samples;
    return n;
  }
  void vary(Variations<Numbers>& v) const override {
    const ir::Type& o = v.site.out().type;
    v.add(&Numbers::channels, 1, o.dims[2],
          [&](int64_t x) { return o.dims[2] % x == 0 && v.in_registers(x, v.n.rows); });
    v.add(&Numbers::rows, 1, std::min<int64_t>(o.dims[1], 16),
          [&](int64_t x) { return v.in_registers(v.n.channels, x); });
    v.pieces(&Numbers::task_rows, o.dims[0]);
    if (v.n.task_rows >= o.dims[0]) v.samples(&Numbers::task_samples);
  }
  int64_t sums(const Numbers& n) const override { return n.channels * n.rows; }
  ir::Demands asks(const Site& at, int, const Numbers& n) const override {
    return {.by_row = true, .whole_rows = n.rows == at.result().dims[1]};
  }

  // A row of sums in cache, each tile of which is joined from vectors in registers, the pixels of a channel at once.
  void loop(Loops& l, const Numbers& n) const override {
    Func acc = l.b.anchor.anchor, o = l.b.out;
    Var x = l.b.vars[1], y = l.b.vars[2], lane("lane");
    const int lanes = l.s.vector, rows = static_cast<int>(n.rows);
    const Var along = l.out.planar ? x : l.b.vars[0];
    Stage st(o);
    if (l.out.planar) st.reorder({x, l.b.vars[0], y, l.n()});
    st.vectorize(along, std::min(lanes, l.extent(l.out.planar ? 1 : 0)), TailStrategy::ShiftInwards);
    const VarOrRVar level = l.tasks(st, y, {n.task_rows, n.task_samples}, TailStrategy::ShiftInwards);
    l.stage_padding(o, level);
    const auto a = acc.args();  // c, x, y, n
    RVar ro("ro"), ri("ri");
    acc.update().split(acc.rvars(0)[0], ro, ri, lanes);
    Func part = acc.update().rfactor(ri, lane), row = acc.in();
    row.compute_at(o, n.task_rows < l.extent(2) ? l.yi : y)
        .split(a[0], l.co, l.ci, static_cast<int>(n.channels))
        .split(a[1], l.xo, l.xi, rows, TailStrategy::ShiftInwards)
        .reorder({l.xi, l.ci, l.co, l.xo})
        .vectorize(l.xi)
        .unroll(l.ci);
    if (l.out.planar) row.reorder_storage(a[1], a[0], a[2], a[3]);
    acc.compute_at(row, l.co)
        .reorder_storage(a[1], a[0], a[2], a[3])
        .reorder(a[1], a[0], a[2], a[3])
        .vectorize(a[1], rows)
        .unroll(a[0]);
    acc.update().reorder(ri, a[1], a[0]).unroll(a[0]).atomic().vectorize(ri).vectorize(a[1], rows);
    part.compute_at(row, l.co).reorder_storage(lane, a[1], a[0], a[2], a[3]).vectorize(lane).unroll(a[0]).unroll(a[1]);
    part.update().reorder(inner_to_reduction(part, {lane, a[0], a[1]})).vectorize(lane).unroll(a[0]).unroll(a[1]);
    if (rows == l.extent(1)) part.update().unroll(part.rvars(0)[1]);  // which terms are left out is known
  }
};

}  // namespace

const Nest& conv_dot() {
  static const ConvDot nest;
  return nest;
}

}  // namespace netc::nests
