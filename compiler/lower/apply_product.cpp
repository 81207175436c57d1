#include "compiler/lower/applier.h"

namespace netc::lower {

// The sums (u, n) in registers for a tile; on all of K. One sample may have lanes of its own.
void Applier::gemm() {
  Func o = b.out;
  Var u = b.vars[0], batch = b.vars[1];
  const int lanes_1 = num("vector_1", s.vector);
  const auto tile = [&](Stage st, int rows, int lanes, int vectors, bool parallel) {
    st.split(u, co, ci, lanes * vectors, TailStrategy::ShiftInwards)
        .split(batch, no, ni, rows, TailStrategy::ShiftInwards)
        .reorder({ci, ni, co, no})
        .vectorize(ci, lanes);
    st.fuse(co, no, task).unroll(ni);
    if (parallel) st.parallel(task);
  };
  if (num("rows") > 1)
    tile(o.specialize(b.many.defined() ? b.many : b.batch >= num("rows")), num("rows"), s.vector, num("vectors"),
         num("tasks"));
  tile(Stage(o), 1, lanes_1, num("vectors_1"), num("tasks_1"));
  stage_padding(o, task);
  const auto sums = [&](Func acc, RVar k, int lanes) {
    const auto au = acc.args()[0], an = acc.args()[1];
    acc.compute_at(o, task).vectorize(au, lanes).unroll(au).unroll(an);
    acc.update().reorder(au, an, k).vectorize(au, lanes).unroll(au).unroll(an);
  };
  sums(b.anchor.anchor, b.anchor.r[0], s.vector);
  if (b.many.defined()) sums(b.few.anchor, b.few.r[0], lanes_1);
}

// Each task streams its slice of K once for a block of samples, and keeps a block of the slice in cache for all of
// them; the slices' sums are added in order. Many samples: a tile's weights are copied side by side, since whole rows
// lie between them in memory. Few: whole rows of the weights, one after another.
void Applier::gemm_stream() {
  Func o = b.out;
  Var u = b.vars[0], batch = b.vars[1];
  const auto samples = [&](Stage st, int n) {
    st.split(batch, no, ni, n, TailStrategy::ShiftInwards)
        .vectorize(u, s.vector, TailStrategy::ShiftInwards)
        .reorder({u, ni, no});
  };
  samples(o.specialize(b.many && b.batch >= 32), 32);
  samples(o.specialize(b.many), num("many"));
  samples(Stage(o), 1);
  stream(b.anchor.anchor, b.anchor.r[0], num("rows"), num("vectors"), num("slices", num("split_k")));
  stream(b.few.anchor, b.few.r[0], 1, num("vectors_1"), num("split_k"));
}

void Applier::stream(Func acc, RVar r, int rows, int vectors, int slices) {
  Func o = b.out;
  const auto au = acc.args()[0], an = acc.args()[1];
  Var chunk("chunk"), block("block"), panel("panel"), pu("pu"), pn("pn");
  RVar ko("ko"), ki("ki"), kb("kb"), kk("kk");
  const ir::Type& w = p.graph->type(p.graph->nodes[k.anchor].inputs[1]);
  acc.update().split(r, ko, ki, static_cast<int>(w.dims[0]) / slices);
  Func part = acc.update().rfactor(ko, chunk);
  part.update().split(ki, kb, kk, num("block_k"));
  Func reg = part.update().rfactor(kb, block);
  // of a panel
  const int panels = rows > 1 ? num("panels") : 1, tiles = static_cast<int>(w.dims[1]) / (s.vector * vectors * panels);
  part.update()
      .split(au, co, pu, s.vector * vectors, TailStrategy::GuardWithIf)
      .split(co, panel, co, tiles, TailStrategy::GuardWithIf)
      .split(an, yo, pn, rows, TailStrategy::GuardWithIf)
      .reorder({pu, pn, yo, co, kb, panel, chunk})
      .vectorize(pu, s.vector)
      .fuse(panel, chunk, task)
      .parallel(task);
  acc.compute_at(o, no).vectorize(au, s.vector, TailStrategy::GuardWithIf);
  acc.update().reorder(au, an, ko).vectorize(au, s.vector, TailStrategy::GuardWithIf);
  part.compute_at(o, no).parallel(chunk).vectorize(au, s.vector, TailStrategy::GuardWithIf);
  reg.compute_at(part, yo).vectorize(au, s.vector).unroll(an);
  if (rows > 1) {
    part.update().unroll(pu).unroll(pn);  // a tile's sums go from registers to those of the slice
    reg.unroll(au);
    reg.update().reorder(au, an, kk).vectorize(au, s.vector).unroll(au).unroll(an);
    Func copy = b.params[operand_index(p, k, 1)].in(reg);
    copy.compute_at(part, co).vectorize(copy.args()[0], s.vector);
    if (const size_t x = operand_index(p, k, 0); x < k.inputs.size()) {  // rows of samples may lie a power of two apart
      Func samples = b.params[x].in(reg);
      samples.compute_at(part, kb).vectorize(samples.args()[0], s.vector, TailStrategy::GuardWithIf);
    }
    const int64_t block = num("block_k"), row = w.dims[1];
    const FetchAhead::Panel columns =
        panels > 1 ? FetchAhead::Panel{row / panels, block, row, block * row} : FetchAhead::Panel{block * row};
    fetch_ahead(reg, 1, columns, {{".kk", block}, {".yo", 32 / rows}, {".co", tiles}});
  } else {
    reg.update().reorder(au, an, kk).vectorize(au, s.vector);
    fetch_ahead(reg, 1, {int64_t{s.vector} * vectors, 1, 0, num("ahead_1") * w.dims[1]}, {{"." + au.name(), vectors}});
  }
}

// Lanes along the reduction; their sums are added at the end.
void Applier::dot() {
  Func acc = b.anchor.anchor, o = b.out;
  Var kv = b.vars[0], batch = b.vars[1], lane("lane"), kt("kt"), kto("kto"), kti("kti");
  auto ak = acc.args()[0], an = acc.args()[1];
  RVar ro("ro"), ri("ri");
  acc.update().split(b.anchor.r[0], ro, ri, s.vector);
  Func part = acc.update().rfactor(ri, lane);
  int tile_k = num("tile"), rows = num("rows");
  auto tile = [&](Stage st, int rows_here) {
    st.split(kv, kt, ci, tile_k)
        .split(kt, kto, kti, num("task_tiles"), TailStrategy::GuardWithIf)
        .split(batch, no, ni, rows_here, TailStrategy::ShiftInwards)
        .reorder({ci, ni, no, kti, kto})
        .unroll(ci)
        .unroll(ni)
        .parallel(kto);
  };
  Stage wide = o.specialize(b.batch >= rows);
  tile(wide, rows);
  tile(Stage(o), 1);
  acc.compute_at(o, no).unroll(ak).unroll(an);
  acc.update().unroll(ak).unroll(an).atomic().vectorize(ri);
  const int64_t row = p.graph->type(p.graph->nodes[k.anchor].inputs[1]).dims[1];
  fetch_ahead(part, 1, {row * tile_k}, {{".ro", row / s.vector}, {".no", std::max(1, p.max_batch / rows)}});
  part.compute_at(o, no).reorder_storage(lane, ak, an).reorder(lane, ak, an).vectorize(lane).unroll(ak).unroll(an);
  part.update().reorder(lane, ak, an, ro).vectorize(lane).unroll(ak).unroll(an);
}

// dw(u, k), the reduction over the batch; what follows (regulariser, optimiser) works on the tile in registers.
void Applier::outer() {
  Func acc = b.anchor.anchor, o = b.out;
  Var u = b.vars[0], kv = b.vars[1], kt("kt"), kto("kto"), kti("kti");
  auto au = acc.args()[0], ak = acc.args()[1];
  o.split(u, co, ci, s.vector * num("vectors"))
      .split(kv, kt, yi, num("rows"))
      .split(kt, kto, kti, num("task_tiles"))
      .reorder({ci, yi, co, kti, kto})
      .vectorize(ci, s.vector)
      .unroll(yi)
      .parallel(kto);
  fetch_operands(acc);
  acc.compute_at(o, co).vectorize(au, s.vector).unroll(au).unroll(ak);
  acc.update().reorder(inner_to_reduction(acc, {au, ak})).vectorize(au, s.vector).unroll(au).unroll(ak);
}

// A matrix product for each sample. With more than two dims the outer ones (attention's heads) and samples are tasks,
// else panels of columns: all rows go through a panel of the second operand while it is in cache. A transposed copy of
// an operand is made once for the kernel, or once for each task where it is a sample's.
void Applier::tokens() {
  Func acc = b.anchor.anchor, o = b.out;
  Var c = b.vars[0], x = b.vars[1];
  Stage st(o);
  st.split(c, co, ci, s.vector * num("vectors"), TailStrategy::ShiftInwards)
      .split(x, xo, xi, num("rows"), TailStrategy::ShiftInwards);
  std::vector<VarOrRVar> order = {ci, xi, xo, co};
  for (size_t d = 2; d < b.vars.size(); ++d) order.push_back(b.vars[d]);
  st.reorder(order).vectorize(ci, s.vector).unroll(xi);
  st.fuse(b.vars.size() > 3 ? b.vars[b.vars.size() - 2] : co, n(), task).parallel(task);
  const Var level = b.vars.size() > 4 ? b.vars[2] : task;
  for (Func copy : b.anchor.padded) {
    auto args = copy.args();
    if (args.back().name() == "n") copy.compute_at(o, level);
    else copy.compute_root();
    transpose(copy);
  }
  auto a = acc.args();
  acc.compute_at(o, xo).vectorize(a[0], s.vector).unroll(a[0]).unroll(a[1]);
  accumulate(acc, {a[0], a[1]});
  fetch_operands(acc);
}

// Blocks of all a sample's rows are added once; then each task multiplies them with its panels of the weights, one
// product after another, and adds the products.
void Applier::strassen() {
  Func sums = b.anchor.anchor, o = b.out, blocks = b.anchor.helpers[0], products = b.anchor.helpers[1];
  Var c = b.vars[0], x = b.vars[1], half("half"), lane("lane"), qo("qo"), qi("qi");
  const int rows = num("rows"), pairs = static_cast<int>((extent(1) + 1) / 2), held = (pairs + rows - 1) / rows * rows,
            panel = s.vector * num("vectors");
  Stage(o)
      .split(c, co, ci, 2 * panel)
      .split(ci, half, ci, panel)
      .split(ci, ci, lane, s.vector)
      .split(x, xo, xi, 2, TailStrategy::GuardWithIf)
      .reorder({lane, xi, half, ci, xo, co, n()})
      .vectorize(lane)
      .unroll(xi)
      .unroll(half)
      .parallel(co);
  const auto v = blocks.args();  // c, q, e, n
  blocks.compute_at(o, n())
      .bound_storage(v[1], held)
      .split(v[0], co, ci, s.vector, TailStrategy::GuardWithIf)
      .split(v[1], qo, qi, num("task_pairs"), TailStrategy::GuardWithIf)
      .reorder({ci, v[2], co, qi, qo, v[3]})
      .vectorize(ci)
      .unroll(v[2])
      .parallel(qo);
  multiply_transformed(products, sums, blocks, co, rows, held);
}

// Tasks are heads, whose keys, transposed, and values are copied. For a tile of rows: scores, in registers tile by
// tile; their folds; then the product.
void Applier::attention() {
  Func acc = b.anchor.anchor, o = b.out, keys = b.anchor.padded[0], values = b.anchor.padded[1];
  Func sums = b.anchor.helpers[0], scores = b.anchor.helpers[1], maximum = b.anchor.helpers[2],
       share = b.anchor.helpers[3], total = b.anchor.helpers[4];
  Var c = b.vars[0], x = b.vars[1], head("head"), so("so"), si("si");
  const int heads = static_cast<int>(p.graph->nodes[k.anchor].attrs.i("heads"));
  Stage(o)
      .split(c, head, c, static_cast<int>(extent(0) / heads))
      .split(c, co, ci, s.vector * num("vectors"))
      .split(x, xo, xi, num("rows"), TailStrategy::ShiftInwards)
      .reorder({ci, xi, co, xo, head, n()})
      .vectorize(ci, s.vector)
      .unroll(xi)
      .fuse(head, n(), task)
      .parallel(task);
  keys.compute_at(o, task);
  transpose(keys);
  values.compute_at(o, task).vectorize(values.args()[0], s.vector);
  const auto a = acc.args(), w = sums.args(), q = scores.args(), e = share.args();
  acc.compute_at(o, co).vectorize(a[0], s.vector).unroll(a[0]).unroll(a[1]);
  accumulate(acc, {a[0], a[1]});
  scores.compute_at(o, xo)
      .split(q[0], so, si, s.vector * num("score_vectors"), TailStrategy::ShiftInwards)
      .reorder({si, q[1], so, q[2]})
      .vectorize(si, s.vector)
      .unroll(si)
      .unroll(q[1]);
  sums.compute_at(scores, so).vectorize(w[0], s.vector).unroll(w[0]).unroll(w[1]);
  accumulate(sums, {w[0], w[1]});
  share.compute_at(o, xo).vectorize(e[0], s.vector);
  for (Func fold : {maximum, total}) {
    fold.compute_at(o, xo);
    lanes_along_row(fold, fold.rvars(0)[0]).compute_at(fold, fold.args()[0]);
  }
}

}  // namespace netc::lower
