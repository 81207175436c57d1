#include "compiler/nests/image.h"
#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t vectors = 1, rows = 1;  // of a tile
  int64_t phases_x = 1, phases_y = 1;
  int64_t pairs = 0;                                                                           // weights lie in pairs
  int64_t image_rows = 1, task_rows = 1, task_panels = 1, block_panels = 1, task_samples = 1;  // ConvTasks
  static constexpr Number<Numbers> kNumbers[] = {
      {"vectors", &Numbers::vectors},           {"rows", &Numbers::rows},
      {"phases_x", &Numbers::phases_x},         {"phases_y", &Numbers::phases_y},
      {"pairs", &Numbers::pairs, true},         {"image_rows", &Numbers::image_rows},
      {"task_rows", &Numbers::task_rows},       {"task_panels", &Numbers::task_panels},
      {"block_panels", &Numbers::block_panels}, {"task_samples", &Numbers::task_samples}};
};

class ConvLanes final : public NestOf<Numbers> {
  const char* name() const override { return "conv_lanes"; }
  const char* doc() const override {
    return "y[n, y, x, c]: lanes along channels, rows along x; a panel of weights meets all pixels of a task before "
           "the "
           "next";
  }
  Share share() const override { return {0.95, 1}; }
  bool fits(const Site& at) const override {
    if (!is_convolution(at)) return false;
    const auto [phases_y, phases_x] = phases_of(at);
    return at.result().dims[2] >= at.m.vector_floats || at.out().type.dims[1] < 4 || phases_x * phases_y > 1;
  }

  Numbers numbers(const Site& at, int& lanes) const override {
    const ir::Type& o = at.out().type;
    const int64_t C = at.result().dims[2], area = area_of(at);
    const auto [phases_y, phases_x] = phases_of(at);
    const auto [wide, vectors] = at.lanes_of_result(C, area > 1 ? 1 : 2);
    lanes = wide;
    Numbers n;
    n.vectors = vectors;
    n.rows = rows_for((o.dims[1] + phases_x - 1) / phases_x, at.accumulators() / (vectors * area));
    n.phases_x = phases_x, n.phases_y = phases_y;
    n.pairs = weights_in_pairs(at.p, at.k);
    const ConvTasks t = conv_tasks(at, (o.dims[0] + phases_y - 1) / phases_y, C, int64_t{wide} * vectors, at.flops());
    n.image_rows = t.image_rows, n.task_rows = t.task_rows, n.task_panels = t.task_panels;
    n.block_panels = t.block_panels, n.task_samples = t.task_samples;
    return n;
  }

  void vary(Variations<Numbers>& v) const override {
    const ir::Type& o = v.site.out().type;
    const int64_t columns = (o.dims[1] + v.n.phases_x - 1) / v.n.phases_x, area = area_of(v.site);
    const int64_t panels = o.dims[2] / (v.lanes * v.n.vectors);
    v.add(&Numbers::rows, 1, std::min<int64_t>(columns, 16),
          [&](int64_t x) { return v.in_registers(v.n.vectors, x * area); });
    const bool by_panel = v.n.task_panels < panels, by_row = v.n.task_rows < v.n.image_rows;
    if (!by_panel) v.pieces(&Numbers::task_rows, v.n.image_rows);
    if (!by_row) v.pieces(&Numbers::task_panels, panels);
    v.add(&Numbers::block_panels, 1, 16, [&](int64_t x) { return v.n.task_panels % x == 0; });
    if (!by_panel && !by_row) v.samples(&Numbers::task_samples);
  }
  int64_t sums(const Numbers& n) const override { return n.vectors * n.rows; }
  int products_at_once(const Numbers& n) const override { return n.pairs ? 2 : 1; }
  ir::Demands asks(const Site& at, int lanes, const Numbers&) const override {
    return {.planes = is_thin(at.operand(0), lanes)};
  }
  /// Channels of the image: too few for lanes.
  static bool is_thin(const ir::Type& image, int lanes) { return image.dims[2] < lanes; }

  void loop(Loops& l, const Numbers& n) const override {
    Func acc = l.b.anchor.anchor, o = l.b.out;
    Var c = l.b.vars[0], x = l.b.vars[1], y = l.b.vars[2];
    Var panel("panel"), group("group"), block("block"), px("px"), py("py"), xq("xq"), yq("yq");
    const int lanes = l.s.vector, tile = static_cast<int>(lanes * n.vectors);
    const int64_t panels = l.extent(0) / tile;
    const bool by_panel = n.task_panels < panels, by_row = n.task_rows < n.image_rows,
               phased = n.phases_x * n.phases_y > 1;
    const int blocked = n.task_panels % n.block_panels == 0 ? static_cast<int>(n.block_panels) : 1;
    Stage st(o);
    std::vector<VarOrRVar> loops = {l.ci, l.xi};
    if (phased) {
      st.split(x, xq, px, static_cast<int>(n.phases_x), TailStrategy::GuardWithIf)
          .split(y, yq, py, static_cast<int>(n.phases_y), TailStrategy::GuardWithIf);
      x = xq, y = yq;
      loops.insert(loops.end(), {px, py});
    }
    const Var tile_level = blocked > 1 ? block : l.xo;
    if (blocked > 1) loops.push_back(block);
    loops.push_back(l.xo);
    st.split(c, l.co, l.ci, tile, TailStrategy::ShiftInwards)
        .split(x, l.xo, l.xi, static_cast<int>(n.rows), TailStrategy::ShiftInwards);
    if (by_panel) st.split(l.co, group, panel, static_cast<int>(n.task_panels), TailStrategy::ShiftInwards);
    if (blocked > 1) st.split(by_panel ? panel : l.co, by_panel ? panel : l.co, block, blocked);
    if (by_row) st.split(y, l.yo, l.yi, static_cast<int>(n.task_rows), TailStrategy::ShiftInwards);
    loops.insert(loops.end(), {by_row ? l.yi : y, by_panel ? panel : l.co});
    const Var part = by_panel ? group : l.yo;  // of a sample, where it is split
    if (by_panel || by_row) loops.push_back(part);
    loops.push_back(l.n());
    st.reorder(loops).vectorize(l.ci, lanes).unroll(l.xi);
    VarOrRVar level = l.task;
    if (by_panel || by_row) st.fuse(part, l.n(), l.task).parallel(l.task);
    else level = l.tasks_of_samples(st, n.task_samples);
    const ir::Type& in = l.operand(0);
    const bool thin = is_thin(in, lanes);
    l.stage_padding(o, level, thin);
    if (phased) st.unroll(px).unroll(py);
    for (Func f : phased ? l.parts<halide::PhaseParts>().phases : std::vector<Func>{acc}) {
      const auto a = f.args();
      f.compute_at(o, tile_level).vectorize(a[0], lanes).unroll(a[0]).unroll(a[1]).unroll(a[2]);
      // The last pixel of an odd row has one phase only.
      if (phased) f.bound_extent(a[1], static_cast<int>(n.rows)).bound_extent(a[2], 1);
      Stage sums = l.accumulate(f, {a[0], a[1], a[2]}, n.pairs != 0);
      if (thin) sums.unroll(n.pairs ? RVar("pair") : f.rvars(0)[0]);
    }
    if (phased) return;
    l.prefetch_operands(acc);
    const ir::Type& w = l.operand(1);
    // A tile of pixels is one piece of the image.
    const bool as_it_lies = w.dims[0] * w.dims[1] == 1 && in.dims[0] == n.image_rows && in.dims[1] == l.extent(1);
    const Prefetch::Round round =
        n.pairs ? Prefetch::Round{".pair", in.dims[2] / 2} : Prefetch::Round{"r$x", in.dims[2]};
    if (as_it_lies) l.prefetch(acc, 0, {n.rows * in.dims[2]}, {round, {"block", blocked}});
  }
};

}  // namespace

const Nest& conv_lanes() {
  static const ConvLanes nest;
  return nest;
}

}  // namespace netc::nests
