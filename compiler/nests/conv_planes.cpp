#include "compiler/nests/image.h"
#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t channels = 1, vectors = 1, lines = 1;  // of a tile: vectors along a row, rows of the image
  int64_t task_rows = 1, task_samples = 1;
  static constexpr Number<Numbers> kNumbers[] = {{"channels", &Numbers::channels},
                                                 {"vectors", &Numbers::vectors},
                                                 {"lines", &Numbers::lines},
                                                 {"task_rows", &Numbers::task_rows},
                                                 {"task_samples", &Numbers::task_samples}};
};

class ConvPlanes final : public NestOf<Numbers> {
  const char* name() const override { return "conv_planes"; }
  const char* doc() const override { return "y[n, y, x, c], few channels: lanes along x, all channels in the tile"; }
  Share share() const override { return {0.4, 1}; }
  bool fits(const Site& at) const override { return is_convolution(at); }

  // Pixels of several rows have nothing in common that stays in registers: fewer of them. Where the image is padded the
  // copy has what the last vector of a row reads beyond it.
  Numbers numbers(const Site& at, int& lanes) const override {
    const ir::Node& node = at.node();
    const ir::Type &a = at.result(), &o = at.out().type;
    bool padded = false;
    if (node.op->windows)
      for (const ir::WindowSteps& w : node.op->windows(node, *at.p.graph)) padded |= w.before > 0;
    const int64_t C = a.dims[2], W = o.dims[1], row = a.dims[1];
    const auto [pool_y, pool_x] = pooling_of(*at.p.graph, at.k);
    const int64_t area = pool_x * pool_y;
    lanes = padded && row > at.m.vector_floats / 2 ? at.m.vector_floats
                                                   : lanes_for(row, at.m.vector_floats, 1, false).first;
    const int64_t fit = std::max<int64_t>(1, W / lanes);
    double best = -1;
    Numbers n;
    for (int64_t c = 1; c <= C; ++c)
      for (int64_t v = 1; v <= (area > 1 ? 4 : 2); ++v) {
        const int64_t width = std::min(W, v * lanes / pool_x), computed = (width * pool_x + lanes - 1) / lanes * lanes;
        if (width == 0 || computed != v * lanes || (!padded && computed != width * pool_x)) continue;
        if (v > 1 && area > 1 && width * pool_x < computed)
          continue;  // pooled pixels of several vectors are whole ones
        for (int64_t l = 1; l <= (area > 1 || v < fit ? 1 : o.dims[0]); ++l) {
          const int64_t pixels = v * l * pool_y,
                        most = v > 1 && area == 1 ? at.accumulators() : at.accumulators() * 3 / 4;
          if (C % c != 0 || c * pixels > std::max(most, pool_y)) continue;
          const double useful =
              static_cast<double>(W * pool_x) / static_cast<double>((W + width - 1) / width * computed);
          const double score = useful * std::min(1.0, static_cast<double>(c * pixels) / kLatency) /
                               (1.0 + static_cast<double>(c + pixels) / static_cast<double>(c * pixels));
          if (score > best + 1e-9) best = score, n.channels = c, n.vectors = v, n.lines = l;
        }
      }
    const Tasks tasks = at.tasks(o.dims[0], at.flops(), kGrainFlops, n.lines);
    n.task_rows = tasks.rows, n.task_samples = tasks.samples;
    return n;
  }

  void vary(Variations<Numbers>& v) const override {
    const ir::Type& o = v.site.out().type;
    const int64_t row = v.site.result().dims[1], area = area_of(v.site), pool_x = std::max<int64_t>(1, row / o.dims[1]),
                  pool_y = area / pool_x, rows = v.n.task_rows;
    const auto held = [&](int64_t channels, int64_t vectors, int64_t lines) {
      return v.in_registers(channels, vectors * lines * pool_y);
    };
    v.add(&Numbers::channels, 1, o.dims[2],
          [&](int64_t x) { return o.dims[2] % x == 0 && held(x, v.n.vectors, v.n.lines); });
    v.add(&Numbers::vectors, 1, row / v.lanes,
          [&](int64_t x) { return x * v.lanes % pool_x == 0 && held(v.n.channels, x, v.n.lines); });
    if (area == 1)
      v.add(&Numbers::lines, 1, o.dims[0],
            [&](int64_t x) { return (rows >= o.dims[0] || rows % x == 0) && held(v.n.channels, v.n.vectors, x); });
    v.pieces(&Numbers::task_rows, o.dims[0], v.n.lines);
    if (rows >= o.dims[0]) v.samples(&Numbers::task_samples);
  }
  int64_t sums(const Numbers& n) const override { return n.channels * n.vectors * n.lines; }
  ir::Demands asks(const Site&, int, const Numbers&) const override { return {.planes = true}; }

  void loop(Loops& l, const Numbers& n) const override {
    Func acc = l.b.anchor.anchor, o = l.b.out;
    Var c = l.b.vars[0], x = l.b.vars[1], y = l.b.vars[2], line("line"), lines("lines");
    const int64_t pool = pooling_of(*l.p.graph, l.k).x;
    const int width = static_cast<int>(std::clamp<int64_t>(l.s.vector * n.vectors / pool, 1, l.extent(1)));
    int lanes =
        l.s.vector;  // of the convolution's row: all of them in the tile, unless a padded copy has what is beyond
    if (l.b.anchor.padded.empty())
      while (width * pool % lanes != 0) --lanes;
    Stage st(o);
    st.split(c, l.co, l.ci, static_cast<int>(n.channels))
        .split(x, l.xo, l.xi, width, TailStrategy::ShiftInwards)
        .split(y, lines, line, static_cast<int>(n.lines), TailStrategy::ShiftInwards)
        .reorder({l.xi, l.ci, line, l.co, l.xo, lines, l.n()})
        .vectorize(l.xi, std::min(width, l.s.vector))
        .unroll(l.ci)
        .unroll(line);
    const VarOrRVar level = l.tasks(st, lines, {n.task_rows, n.task_samples}, TailStrategy::ShiftInwards, n.lines);
    l.stage_padding(o, level, true);
    const auto a = acc.args();
    const TailStrategy tail = width * pool % lanes != 0 ? TailStrategy::RoundUp : TailStrategy::Auto;
    acc.compute_at(o, l.co)
        .reorder(a[1], a[0], a[2], a[3])
        .reorder_storage(a[1], a[0], a[2], a[3])
        .vectorize(a[1], lanes, tail)
        .unroll(a[1])
        .unroll(a[0])
        .unroll(a[2]);
    acc.update()
        .reorder(inner_to_reduction(acc, {a[1], a[0], a[2]}))
        .vectorize(a[1], lanes, tail)
        .unroll(a[1])
        .unroll(a[0])
        .unroll(a[2]);
  }
};

}  // namespace

const Nest& conv_planes() {
  static const ConvPlanes nest;
  return nest;
}

}  // namespace netc::nests
