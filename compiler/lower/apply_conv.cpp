#include "compiler/lower/applier.h"
#include "compiler/schedule/joins.h"

namespace netc::lower {

void Applier::conv_lanes() {
  Func acc = b.anchor.anchor, o = b.out;
  Var c = b.vars[0], x = b.vars[1], y = b.vars[2], panel("panel"), group("group"), block("block"), px("px"), py("py"),
      xq("xq"), yq("yq");
  const int tile = s.vector * num("vectors");
  const int64_t panels = extent(0) / tile;
  const bool by_panel = num("task_panels") < panels, by_row = num("task_rows") < num("image_rows"),
             phased = num("phases_x") * num("phases_y") > 1;
  const int blocked = num("task_panels") % num("block_panels") == 0 ? num("block_panels") : 1;
  Stage st(o);
  std::vector<VarOrRVar> loops = {ci, xi};
  if (phased) {
    st.split(x, xq, px, num("phases_x"), TailStrategy::GuardWithIf)
        .split(y, yq, py, num("phases_y"), TailStrategy::GuardWithIf);
    x = xq, y = yq;
    loops.insert(loops.end(), {px, py});
  }
  const Var tile_level = blocked > 1 ? block : xo;
  if (blocked > 1) loops.push_back(block);
  loops.push_back(xo);
  st.split(c, co, ci, tile, TailStrategy::ShiftInwards).split(x, xo, xi, num("rows"), TailStrategy::ShiftInwards);
  if (by_panel) st.split(co, group, panel, num("task_panels"), TailStrategy::ShiftInwards);
  if (blocked > 1) st.split(by_panel ? panel : co, by_panel ? panel : co, block, blocked);
  if (by_row) st.split(y, yo, yi, num("task_rows"), TailStrategy::ShiftInwards);
  loops.insert(loops.end(), {by_row ? yi : y, by_panel ? panel : co});
  const Var part = by_panel ? group : yo;  // of a sample, where it is split
  if (by_panel || by_row) loops.push_back(part);
  loops.push_back(n());
  st.reorder(loops).vectorize(ci, s.vector).unroll(xi);
  VarOrRVar level = task;
  if (by_panel || by_row) {
    st.fuse(part, n(), task).parallel(task);
  } else {
    level = tasks_of_samples(st);
  }
  const ir::Type& in = p.graph->type(p.graph->nodes[k.anchor].inputs[0]);
  const bool thin = in.dims[2] < s.vector;  // channels of the image: too few for lanes
  stage_padding(o, level, thin);
  if (phased) st.unroll(px).unroll(py);
  for (Func f : phased ? b.anchor.helpers : std::vector<Func>{acc}) {
    const auto a = f.args();
    f.compute_at(o, tile_level).vectorize(a[0], s.vector).unroll(a[0]).unroll(a[1]).unroll(a[2]);
    // the last pixel of an odd row has one phase only
    if (phased) f.bound_extent(a[1], num("rows")).bound_extent(a[2], 1);
    Stage sums = accumulate(f, {a[0], a[1], a[2]});
    if (thin) sums.unroll(num("pairs", 0) ? RVar("pair") : f.rvars(0)[0]);
  }
  if (phased) return;
  fetch_operands(acc);
  const ir::Type& w = p.graph->type(p.graph->nodes[k.anchor].inputs[1]);
  // a tile of pixels is one piece of the image
  const bool as_it_lies = w.dims[0] * w.dims[1] == 1 && in.dims[0] == num("image_rows") && in.dims[1] == extent(1);
  const FetchAhead::Round round =
      num("pairs", 0) ? FetchAhead::Round{".pair", in.dims[2] / 2} : FetchAhead::Round{"r$x", in.dims[2]};
  if (as_it_lies) fetch_ahead(acc, 0, {num("rows") * in.dims[2]}, {round, {"block", blocked}});
}

// No padded copy: Halide cuts the loops where the image ends, so that pixels inside are read as they lie.
void Applier::conv_depth() {
  Func acc = b.anchor.anchor, o = b.out;
  Var c = b.vars[0], x = b.vars[1], y = b.vars[2];
  Stage st(o);
  st.split(c, co, ci, s.vector, TailStrategy::ShiftInwards)
      .split(x, xo, xi, num("rows"), TailStrategy::ShiftInwards)
      .reorder({ci, xi, co, xo, y, n()})
      .vectorize(ci)
      .unroll(xi);
  tasks(st, y, TailStrategy::ShiftInwards);
  const auto a = acc.args();
  acc.compute_at(o, co).vectorize(a[0], s.vector).unroll(a[1]).unroll(a[2]);
  acc.update().reorder(inner_to_reduction(acc, {a[0], a[1], a[2]})).vectorize(a[0], s.vector).unroll(a[1]).unroll(a[2]);
  if (num("unrolled", 0))
    for (const RVar& tap : acc.rvars(0)) acc.update().unroll(tap);
}

void Applier::winograd() {
  Func sums = b.anchor.anchor, o = b.out, half = b.anchor.helpers[0], tiles = b.anchor.helpers[1],
       products = b.anchor.helpers[2], back = b.anchor.helpers[3];
  Var c = b.vars[0], x = b.vars[1], y = b.vars[2], lane("lane"), yr("yr"), yt("yt"), qo("qo"), qi("qi");
  const bool by_panel = num("by_panel", 0) != 0;
  const int rows = num("rows"),
            held = (num(by_panel ? "tile_rows" : "task_rows") * num("columns") + rows - 1) / rows * rows;
  Stage st(o);
  st.split(c, co, ci, s.vector * num("vectors"), TailStrategy::ShiftInwards)
      .split(ci, ci, lane, s.vector)
      .split(x, xo, xi, num("step_x"), TailStrategy::GuardWithIf)
      .split(y, yo, yi, num("step_y"), TailStrategy::GuardWithIf);
  VarOrRVar level = task;
  if (by_panel) {
    st.reorder({lane, xi, yi, ci, xo, yo, co, n()}).parallel(co);
    level = n();
  } else if (num("task_rows") < num("tile_rows")) {
    st.split(yo, yt, yr, num("task_rows"), TailStrategy::GuardWithIf)
        .reorder({lane, xi, yi, ci, xo, yr, co, yt, n()})
        .fuse(yt, n(), task)
        .parallel(task);
  } else {
    level = tasks_of_samples(st.reorder({lane, xi, yi, ci, xo, yo, co, n()}));
  }
  st.vectorize(lane).unroll(xi).unroll(yi);
  auto v = tiles.args();  // c, q, ex, ey, n
  tiles.compute_at(o, Var(level.name()))
      .bound_storage(v[1], held)
      .split(v[0], co, ci, s.vector)
      .reorder({ci, v[2], v[3], co, v[1], v[4]})
      .vectorize(ci)
      .unroll(v[2])
      .unroll(v[3]);
  if (by_panel) tiles.split(v[1], qo, qi, num("columns"), TailStrategy::GuardWithIf).parallel(qo);
  by_panel ? stage_padding(tiles, qo) : stage_padding(o, level);
  auto h = half.args();  // c, ex, i, q, n
  half.compute_at(tiles, co).vectorize(h[0], s.vector).unroll(h[1]).unroll(h[2]);
  multiply_transformed(products, sums, tiles, co, rows, held);
  auto z = back.args();  // k, i, ex, q, n
  back.compute_at(o, ci).vectorize(z[0], s.vector).unroll(z[1]).unroll(z[2]);
}

// A panel of products at `level`, of transformed weights and of what `operand` holds transformed: k along lanes, q
// along `rows` of a tile, then the elements that are multiplied one by one. Room is for `held` q. Weights and the next
// rows are asked for ahead.
void Applier::multiply_transformed(Func products, Func sums, Func operand, Var level, int rows, int held) {
  Var qo("qo"), qi("qi");
  const auto m = products.args(), a = sums.args();  // k, q, elements, n
  std::vector<VarOrRVar> loops = {m[0], qi, qo};
  loops.insert(loops.end(), m.begin() + 2, m.end());
  products.compute_at(b.out, level)
      .bound_storage(m[1], held)
      .split(m[1], qo, qi, rows, TailStrategy::RoundUp)
      .reorder(loops)
      .vectorize(m[0], s.vector)
      .unroll(m[0])
      .unroll(qi);
  sums.compute_at(products, qo).vectorize(a[0], s.vector).unroll(a[0]).unroll(a[1]);
  accumulate(sums, {a[0], a[1]});
  const int64_t C = p.graph->type(p.graph->nodes[k.anchor].inputs[1]).dims[1];
  if (const int64_t block = weights_block(p, k); block > 0)
    fetch_ahead(sums, 1, {C * block}, {{"r$x", C}, {"qo", held / rows}});
  b.passes.push_back(std::make_unique<FetchAhead>(sums.name(), operand.name(), FetchAhead::Panel{rows * C},
                                                  std::vector<FetchAhead::Round>{{"r$x", C}}));
}

void Applier::conv_planes() {
  Func acc = b.anchor.anchor, o = b.out;
  Var c = b.vars[0], x = b.vars[1], y = b.vars[2], line("line"), lines("lines");
  const int64_t pool = schedule::pooling_of(*p.graph, k).x;
  const int width = static_cast<int>(std::clamp<int64_t>(s.vector * num("vectors") / pool, 1, extent(1)));
  int lanes = s.vector;  // of the convolution's row: all of them in the tile, unless a padded copy has what is beyond
  if (b.anchor.padded.empty())
    while (width * pool % lanes != 0) --lanes;
  Stage st(o);
  st.split(c, co, ci, num("channels"))
      .split(x, xo, xi, width, TailStrategy::ShiftInwards)
      .split(y, lines, line, num("lines"), TailStrategy::ShiftInwards)
      .reorder({xi, ci, line, co, xo, lines, n()})
      .vectorize(xi, std::min(width, s.vector))
      .unroll(ci)
      .unroll(line);
  VarOrRVar level = tasks(st, lines, TailStrategy::ShiftInwards);
  stage_padding(o, level, true);
  auto a = acc.args();
  const TailStrategy tail = width * pool % lanes != 0 ? TailStrategy::RoundUp : TailStrategy::Auto;
  acc.compute_at(o, co)
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

// A row of sums in cache, each tile of which is joined from vectors in registers, the pixels of a channel at once.
void Applier::conv_dot() {
  Func acc = b.anchor.anchor, o = b.out;
  Var x = b.vars[1], y = b.vars[2], lane("lane");
  const Var along = out.planar ? x : b.vars[0];
  Stage st(o);
  if (out.planar) st.reorder({x, b.vars[0], y, n()});
  st.vectorize(along, static_cast<int>(std::min<int64_t>(s.vector, extent(out.planar ? 1 : 0))),
               TailStrategy::ShiftInwards);
  const VarOrRVar level = tasks(st, y, TailStrategy::ShiftInwards);
  stage_padding(o, level);
  const auto a = acc.args();  // c, x, y, n
  RVar ro("ro"), ri("ri");
  acc.update().split(acc.rvars(0)[0], ro, ri, s.vector);
  Func part = acc.update().rfactor(ri, lane), row = acc.in();
  row.compute_at(o, num("task_rows") < extent(2) ? yi : y)
      .split(a[0], co, ci, num("channels"))
      .split(a[1], xo, xi, num("rows"), TailStrategy::ShiftInwards)
      .reorder({xi, ci, co, xo})
      .vectorize(xi)
      .unroll(ci);
  if (out.planar) row.reorder_storage(a[1], a[0], a[2], a[3]);
  acc.compute_at(row, co)
      .reorder_storage(a[1], a[0], a[2], a[3])
      .reorder(a[1], a[0], a[2], a[3])
      .vectorize(a[1], num("rows"))
      .unroll(a[0]);
  acc.update().reorder(ri, a[1], a[0]).unroll(a[0]).atomic().vectorize(ri).vectorize(a[1], num("rows"));
  part.compute_at(row, co).reorder_storage(lane, a[1], a[0], a[2], a[3]).vectorize(lane).unroll(a[0]).unroll(a[1]);
  part.update().reorder(inner_to_reduction(part, {lane, a[0], a[1]})).vectorize(lane).unroll(a[0]).unroll(a[1]);
  if (num("rows") == extent(1)) part.update().unroll(part.rvars(0)[1]);  // which terms are left out is known
}

// dw(k, c, kx, ky). Three levels of sums: `reg`, of a block of image rows, in registers for a tile of dw; `part`, of a
// slice of the batch, or of rows and all the batch, in cache; the anchor adds the slices in order. Image rows are read
// once for all of dw.
void Applier::taps(bool planes) {
  Func acc = b.anchor.anchor;
  auto a = acc.args();
  auto r = b.anchor.r;
  RVar piece("piece"), row("row"), sample("sample"), block("block"), line("line"), xv("xv"), xl("xl");
  Var bv("bv"), nv("nv"), k0("k0"), k1("k1"), c0("c0"), c1("c1"), q0("q0"), q1("q1");
  const bool by_sample = num("task_samples", 0) > 0;
  const RVar rows = by_sample ? RVar(r[1]) : row, samples = by_sample ? sample : RVar(r[2]);
  if (by_sample) acc.update().split(r[2], piece, sample, num("task_samples"));
  else acc.update().split(r[1], piece, row, num("task_rows"));
  if (planes) acc.update().split(r[0], xv, xl, s.vector);
  Func part = planes ? acc.update().rfactor({{piece, t}, {xl, l}}) : acc.update().rfactor(piece, t);
  part.update().split(rows, block, line, num("block_rows"));
  Func reg = part.update().rfactor({{block, bv}, {samples, nv}});
  int held = planes ? num("filters") : s.vector * num("vectors");
  acc.compute_root();
  part.compute_root().parallel(t);
  part.update().split(a[0], k0, k1, held).split(a[1], c0, c1, num("channels")).split(a[2], q0, q1, num("taps"));
  std::vector<VarOrRVar> loops = {k1, c1, q1, k0, c0, q0, a[3], block, samples, t};
  auto unrolled = [&](Stage st) {
    if (planes) st.unroll(a[0]).unroll(a[1]).unroll(a[2]);
    else st.vectorize(a[0], s.vector).unroll(a[0]).unroll(a[1]).unroll(a[2]);
  };
  if (planes) {
    loops.insert(loops.begin(), l);
    part.reorder_storage({l, a[0], a[1], a[2], a[3], t}).reorder({l, a[0], a[1], a[2], a[3], t}).vectorize(l);
    part.update().reorder(loops).vectorize(l).unroll(k1).unroll(c1).unroll(q1).parallel(t);
    reg.compute_at(part, k0)
        .reorder_storage({l, a[0], a[1], a[2], a[3], t, bv, nv})
        .reorder({l, a[0], a[1], a[2], a[3], t, bv, nv})
        .vectorize(l);
    reg.update().reorder({l, a[0], a[1], a[2], xv, line, a[3], t, bv, nv}).vectorize(l);
    acc.update().reorder({xl, piece, a[0], a[1], a[2], a[3]}).atomic().vectorize(xl);
  } else {
    part.vectorize(a[0], s.vector);
    part.update().reorder(loops).vectorize(k1, s.vector).unroll(k1).unroll(c1).unroll(q1).parallel(t);
    reg.compute_at(part, k0);
    reg.update().reorder({a[0], a[1], a[2], r[0], line, a[3], t, bv, nv});
    acc.vectorize(a[0], s.vector);
    acc.update().reorder({a[0], a[1], a[2], a[3], piece}).vectorize(a[0], s.vector);
  }
  unrolled(reg);
  unrolled(reg.update());
  if (planes) fetch_next_rows(reg);
  for (Func pad : b.anchor.padded) {
    auto args = pad.args();
    pad.compute_at(part, block).reorder_storage(args[1], args[2], args[0], args[3]);
    if (planes) pad.reorder(args[1], args[2], args[0], args[3]).vectorize(args[1], s.vector, TailStrategy::RoundUp);
    fill_rows(pad);
  }
}

// While a block of rows is multiplied, those that the next one reads besides are asked for, of each operand.
void Applier::fetch_next_rows(Func sums) {
  const ir::Node& node = p.graph->nodes[k.anchor];
  const ir::Type& dw = p.graph->type(node.results[0]);  // ky, kx, c, k
  const int64_t rows = num("block_rows"), vectors = (p.graph->type(node.inputs[1]).dims[1] + s.vector - 1) / s.vector;
  for (size_t i : {size_t{0}, size_t{1}}) {
    const size_t at = operand_index(p, k, i);
    if (at >= k.inputs.size()) continue;
    const schedule::Buffer& of = p.buffers[k.inputs[at]];
    const int64_t row = of.type.dims[1], channels = of.type.dims[2], read = rows + (i == 0 ? dw.dims[0] - 1 : 0);
    const FetchAhead::Panel next = of.planar
                                       ? FetchAhead::Panel{rows * row, channels, of.type.dims[0] * row, read * row}
                                       : FetchAhead::Panel{rows * row * channels, 1, 0, read * row * channels};
    fetch_ahead(sums, i, next,
                {{".xv", vectors}, {".line", rows}, {".c0", dw.dims[2] / num("channels")}, {".ky", dw.dims[0]}});
  }
}

// The same for a large dw: tasks are groups of channels, each of which adds over the whole batch, and what follows
// works on the group while it is in cache.
void Applier::taps_panels() {
  Func acc = b.anchor.anchor, o = b.out;
  auto a = acc.args();
  auto r = b.anchor.r;
  RVar block("block"), line("line");
  Var bv("bv"), nv("nv"), k0("k0"), k1("k1"), c0("c0"), c1("c1"), q0("q0"), q1("q1"), group("group"), cc("cc");
  o.split(b.vars[1], group, cc, num("task_channels"))
      .reorder({b.vars[0], cc, b.vars[2], b.vars[3], group})
      .vectorize(b.vars[0], s.vector)
      .parallel(group);
  acc.update().split(r[1], block, line, num("block_rows"));
  Func reg = acc.update().rfactor({{block, bv}, {r[2], nv}});
  acc.compute_at(o, group).vectorize(a[0], s.vector);
  acc.update()
      .split(a[0], k0, k1, s.vector * num("vectors"))
      .split(a[1], c0, c1, num("channels"))
      .split(a[2], q0, q1, num("taps"))
      .reorder({k1, c1, q1, k0, c0, q0, a[3], block, r[2]})
      .vectorize(k1, s.vector)
      .unroll(k1)
      .unroll(c1)
      .unroll(q1);
  reg.compute_at(acc, k0);
  reg.update().reorder({a[0], a[1], a[2], r[0], line, a[3], bv, nv});
  for (Stage st : {Stage(reg), reg.update()}) st.vectorize(a[0], s.vector).unroll(a[0]).unroll(a[1]).unroll(a[2]);
  for (Func pad : b.anchor.padded) {
    auto args = pad.args();
    pad.compute_at(acc, block).vectorize(args[0], std::min(s.vector, num("task_channels")), TailStrategy::GuardWithIf);
  }
}

// The elements of a tile at once.
void Applier::tiles() {
  Func half = b.anchor.helpers[0], o = b.out;
  Var c = b.vars[0], e = b.vars[2], ex("ex"), ey("ey");
  Stage(o)
      .split(c, co, ci, s.vector)
      .split(e, ey, ex, num("side"))
      .reorder({ci, ex, ey, co, b.vars[1], n()})
      .vectorize(ci)
      .unroll(ex)
      .unroll(ey)
      .parallel(n());
  stage_padding(o, n());
  auto h = half.args();  // c, ex, i, q, n
  half.compute_at(o, co).vectorize(h[0], s.vector).unroll(h[1]).unroll(h[2]);
}

// Sums of a block of samples in registers; those of an element in cache.
void Applier::tile_sums() {
  Func sums = b.anchor.anchor;
  auto a = sums.args();  // k, c, e
  auto r = b.anchor.r;
  RVar block("block"), sample("sample");
  Var bv("bv"), k0("k0"), k1("k1"), c0("c0"), c1("c1"), e = b.vars[2];
  Stage(b.out).vectorize(b.vars[0], s.vector).parallel(e);
  sums.update().split(r[1], block, sample, num("samples"));
  Func reg = sums.update().rfactor(block, bv);
  sums.compute_at(b.out, e).vectorize(a[0], s.vector);
  sums.update()
      .split(a[0], k0, k1, s.vector * num("vectors"))
      .split(a[1], c0, c1, num("channels"))
      .reorder({k1, c1, k0, c0, block, a[2]})
      .vectorize(k1, s.vector)
      .unroll(k1)
      .unroll(c1);
  reg.compute_at(sums, k0);
  reg.update().reorder({a[0], a[1], r[0], sample, a[2], bv});
  for (Stage st : {Stage(reg), reg.update()}) st.vectorize(a[0], s.vector).unroll(a[0]).unroll(a[1]);
}

void Applier::taps_back() {
  Func half = b.anchor.helpers[0], o = b.out;
  Stage(o)
      .split(b.vars[0], co, ci, s.vector)
      .reorder({ci, b.vars[2], b.vars[3], co, b.vars[1]})
      .vectorize(ci)
      .unroll(b.vars[2])
      .unroll(b.vars[3])
      .parallel(b.vars[1]);
  auto h = half.args();  // k, c, x, ey
  half.compute_at(o, co).vectorize(h[0], s.vector).unroll(h[2]).unroll(h[3]);
}

}  // namespace netc::lower
