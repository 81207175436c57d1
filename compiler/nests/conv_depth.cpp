#include "compiler/nests/image.h"
#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t rows = 1;      // of a tile
  int64_t unrolled = 0;  // whether the loops over taps are
  int64_t image_rows = 1, task_rows = 1, task_panels = 1, block_panels = 1, task_samples = 1;  // ConvTasks
  static constexpr Number<Numbers> kNumbers[] = {{"rows", &Numbers::rows},
                                                 {"unrolled", &Numbers::unrolled},
                                                 {"image_rows", &Numbers::image_rows},
                                                 {"task_rows", &Numbers::task_rows},
                                                 {"task_panels", &Numbers::task_panels},
                                                 {"block_panels", &Numbers::block_panels},
                                                 {"task_samples", &Numbers::task_samples}};
};

class ConvDepth final : public NestOf<Numbers> {
  const char* name() const override { return "conv_depth"; }
  const char* doc() const override {
    return "y[n, y, x, c], each channel its own kernel: lanes along channels, rows along x; all channels of a tile of "
           "pixels before the next";
  }
  Share share() const override { return {0.3, 1}; }
  bool fits(const Site& at) const override {
    if (!is_convolution(at)) return false;
    const int64_t C = at.result().dims[2];
    return at.operand(1).dims[2] == 1 && at.operand(0).dims[2] == C && C >= at.m.vector_floats && area_of(at) == 1 &&
           phases_of(at) == std::pair<int, int>{1, 1};
  }

  Numbers numbers(const Site& at, int& lanes) const override {
    const ir::Type &w = at.operand(1), &o = at.out().type;
    const int64_t C = at.result().dims[2];
    lanes = lanes_for(C, at.m.vector_floats, 1, false).first;
    Numbers n;
    n.rows = rows_for(o.dims[1], 7);
    n.unrolled = w.dims[0] * w.dims[1] <= kFewTaps ? 1 : 0;
    const ConvTasks t = conv_tasks(at, o.dims[0], C, lanes, 4 * at.flops());  // bound by memory
    n.image_rows = t.image_rows, n.task_rows = t.task_rows, n.task_panels = t.task_panels;
    n.block_panels = t.block_panels, n.task_samples = t.task_samples;
    return n;
  }
  void vary(Variations<Numbers>& v) const override {
    const ir::Type& o = v.site.out().type;
    v.add(&Numbers::rows, 1, std::min<int64_t>(o.dims[1], v.site.m.vector_registers / 2));
    v.pieces(&Numbers::task_rows, o.dims[0]);
    if (v.n.task_rows >= o.dims[0]) v.samples(&Numbers::task_samples);
  }
  int64_t sums(const Numbers& n) const override { return n.rows; }

  // No padded copy: Halide cuts the loops where the image ends, so that pixels inside are read as they lie.
  void loop(Loops& l, const Numbers& n) const override {
    Func acc = l.b.anchor.anchor, o = l.b.out;
    Var c = l.b.vars[0], x = l.b.vars[1], y = l.b.vars[2];
    const int lanes = l.s.vector;
    Stage st(o);
    st.split(c, l.co, l.ci, lanes, TailStrategy::ShiftInwards)
        .split(x, l.xo, l.xi, static_cast<int>(n.rows), TailStrategy::ShiftInwards)
        .reorder({l.ci, l.xi, l.co, l.xo, y, l.n()})
        .vectorize(l.ci)
        .unroll(l.xi);
    l.tasks(st, y, {n.task_rows, n.task_samples}, TailStrategy::ShiftInwards);
    const auto a = acc.args();
    acc.compute_at(o, l.co).vectorize(a[0], lanes).unroll(a[1]).unroll(a[2]);
    acc.update().reorder(inner_to_reduction(acc, {a[0], a[1], a[2]})).vectorize(a[0], lanes).unroll(a[1]).unroll(a[2]);
    if (n.unrolled)
      for (const RVar& tap : acc.rvars(0)) acc.update().unroll(tap);
  }
};

}  // namespace

const Nest& conv_depth() {
  static const ConvDepth nest;
  return nest;
}

}  // namespace netc::nests
