#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"
#include "compiler/plan/joins.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t tile = 1, step_x = 1, step_y = 1;  // results along a side of a tile, and pooled ones
  int64_t columns = 1;                       // tiles along a row of the image
  int64_t vectors = 1, rows = 1;             // of a tile in registers
  int64_t by_panel = 0;                      // tasks are panels of channels, else rows of tiles
  int64_t task_rows = 1, tile_rows = 1;      // rows of tiles: of a task, of the image
  int64_t task_samples = 1;
  static constexpr Number<Numbers> kNumbers[] = {
      {"tile", &Numbers::tile},           {"step_x", &Numbers::step_x},
      {"step_y", &Numbers::step_y},       {"columns", &Numbers::columns},
      {"vectors", &Numbers::vectors},     {"rows", &Numbers::rows},
      {"by_panel", &Numbers::by_panel},   {"task_rows", &Numbers::task_rows},
      {"tile_rows", &Numbers::tile_rows}, {"task_samples", &Numbers::task_samples}};
};

class Winograd final : public NestOf<Numbers> {
  const char* name() const override { return "winograd"; }
  const char* doc() const override {
    return "y[n, y, x, c]: tiles of a task are transformed, then for each panel of channels multiplied, lanes along "
           "it, "
           "rows along tiles, and transformed back";
  }
  Share share() const override { return {0.75, 1}; }
  bool fits(const Site& at) const override { return at.is(ir::Kind::contraction) && tiles(at.node()); }

  Numbers numbers(const Site& at, int& lanes) const override {
    const ir::Type &a = at.result(), &o = at.out().type;
    const auto [pool_y, pool_x] = pooling_of(*at.p.graph, at.k);
    const auto [tile, side] = *tiles(at.node());
    const int64_t C = at.operand(0).dims[2], step_y = tile / pool_y;
    const auto [wide, vectors] = at.lanes_of_result(a.dims[2], 2);
    lanes = wide;
    const int64_t rows = (o.dims[0] + step_y - 1) / step_y, columns = (a.dims[1] + tile - 1) / tile;
    const int64_t panel = int64_t{wide} * vectors, of_tile = side * side * 4;  // bytes of a channel of a tile
    // Tile rows of a task: their transforms, and their products of a panel, fit a core's cache, and a sample that is
    // worth it keeps all cores busy.
    const int64_t most = std::max<int64_t>(1, at.m.l2 / (of_tile * (C + panel) * columns));
    int64_t task_rows = largest_divisor(rows, most);
    if (at.flops() >= kSplitSampleFlops) {
      const auto busiest = [&](int64_t r) { return (rows / r + at.m.cores - 1) / at.m.cores * r; };
      for (int64_t r = task_rows = 1; r <= most; ++r)
        if (rows % r == 0 && busiest(r) <= busiest(task_rows)) task_rows = r;
    }
    // Where weights are larger than the tiles of a sample, tasks are panels of channels: each reads its weights once,
    // and all the tiles. A panel's products are to fit a core's cache.
    const int64_t all = (a.dims[0] + tile - 1) / tile * columns;
    const bool by_panel = at.flops() >= kSplitSampleFlops && a.dims[2] / panel >= at.m.cores &&
                          at.operand(1).bytes() > of_tile * all * C && of_tile * all * panel <= at.m.l2;
    Numbers n;
    n.tile = tile, n.step_x = tile / pool_x, n.step_y = step_y, n.columns = columns;
    n.vectors = vectors;
    n.rows = rows_for((by_panel ? rows : task_rows) * columns, at.accumulators() / vectors);
    n.by_panel = by_panel ? 1 : 0;
    n.task_rows = task_rows, n.tile_rows = rows;
    n.task_samples = chunk_of(at.flops(), kGrainFlops, 1 << 10);
    return n;
  }

  void vary(Variations<Numbers>& v) const override {
    const int64_t side = tiles(v.site.node())->side, rows = v.n.tile_rows, columns = v.n.columns,
                  row = side * side * v.site.operand(0).dims[2] * 4 * columns;
    v.add(&Numbers::rows, 1, std::min<int64_t>(16, v.n.task_rows * columns),
          [&](int64_t x) { return v.in_registers(v.n.vectors, x); });
    v.add(&Numbers::by_panel, 0, 1);
    if (v.n.by_panel == 1) return;  // tasks have all rows
    v.add(&Numbers::task_rows, 1, rows,
          [&](int64_t x) { return rows % x == 0 && x * columns >= v.n.rows && x * row <= 8 * v.site.m.l2; });
    if (v.n.task_rows >= rows) v.samples(&Numbers::task_samples);
  }
  int64_t sums(const Numbers& n) const override { return n.vectors * n.rows; }

  void loop(Loops& l, const Numbers& n) const override {
    auto [half, tiles, products, back] = l.parts<halide::ImageTileParts>();
    Func o = l.b.out;
    Var lane("lane"), yr("yr"), yt("yt"), qo("qo"), qi("qi");
    const int lanes = l.s.vector, rows = static_cast<int>(n.rows);
    const int of_task = static_cast<int>((n.by_panel ? n.tile_rows : n.task_rows) * n.columns),
              held = (of_task + rows - 1) / rows * rows;
    Stage st(o);
    st.split(l.b.vars[0], l.co, l.ci, static_cast<int>(lanes * n.vectors), TailStrategy::ShiftInwards)
        .split(l.ci, l.ci, lane, lanes)
        .split(l.b.vars[1], l.xo, l.xi, static_cast<int>(n.step_x), TailStrategy::GuardWithIf)
        .split(l.b.vars[2], l.yo, l.yi, static_cast<int>(n.step_y), TailStrategy::GuardWithIf);
    VarOrRVar level = l.task;
    if (n.by_panel) {
      st.reorder({lane, l.xi, l.yi, l.ci, l.xo, l.yo, l.co, l.n()}).parallel(l.co);
      level = l.n();
    } else if (n.task_rows < n.tile_rows) {
      st.split(l.yo, yt, yr, static_cast<int>(n.task_rows), TailStrategy::GuardWithIf)
          .reorder({lane, l.xi, l.yi, l.ci, l.xo, yr, l.co, yt, l.n()})
          .fuse(yt, l.n(), l.task)
          .parallel(l.task);
    } else {
      level = l.tasks_of_samples(st.reorder({lane, l.xi, l.yi, l.ci, l.xo, l.yo, l.co, l.n()}), n.task_samples);
    }
    st.vectorize(lane).unroll(l.xi).unroll(l.yi);
    const auto v = tiles.args();  // c, q, ex, ey, n
    tiles.compute_at(o, Var(level.name()))
        .bound_storage(v[1], held)
        .split(v[0], l.co, l.ci, lanes)
        .reorder({l.ci, v[2], v[3], l.co, v[1], v[4]})
        .vectorize(l.ci)
        .unroll(v[2])
        .unroll(v[3]);
    if (n.by_panel) {
      tiles.split(v[1], qo, qi, static_cast<int>(n.columns), TailStrategy::GuardWithIf).parallel(qo);
      l.stage_padding(tiles, qo);
    } else {
      l.stage_padding(o, level);
    }
    const auto h = half.args();  // c, ex, i, q, n
    half.compute_at(tiles, l.co).vectorize(h[0], lanes).unroll(h[1]).unroll(h[2]);
    l.multiply_transformed(products, tiles, l.co, rows, held);
    const auto z = back.args();  // k, i, ex, q, n
    back.compute_at(o, l.ci).vectorize(z[0], lanes).unroll(z[1]).unroll(z[2]);
  }

  static std::optional<ir::ImageTiles> tiles(const ir::Node& node) {
    return node.op->made_of<ir::ImageTiles>(node.attrs);
  }
};

}  // namespace

const Nest& winograd() {
  static const Winograd nest;
  return nest;
}

}  // namespace netc::nests
