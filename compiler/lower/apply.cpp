// Each function below carries out one strategy of schedule/strategy.cpp, which says in words what the loops are for.
//
// Two rules of Halide shape the code. A reduction keeps its accumulators in registers only if its Func has constant size and is computed inside the loop over
// tiles; so a contraction is always a Func of its own (`acc`), computed at a tile of the output. And what is split must stay inside its bounds: fixed extents are
// tiled by shifting the last tile inwards, except where the kernel overwrites its input (tiles divide the extent there), and the batch by a guard.
#include "compiler/lower/apply.h"

#include <algorithm>
#include <optional>

namespace netc::lower {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RVar;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;
using schedule::Buffer;

struct Applier {
  const schedule::Plan& p;
  const schedule::Kernel& k;
  Built& b;
  const schedule::Strategy& s = k.strategy;
  const Buffer& out = p.buffers[k.outputs[0]];
  Var xo{"xo"}, xi{"xi"}, co{"co"}, ci{"ci"}, yo{"yo"}, yi{"yi"}, no{"no"}, ni{"ni"}, task{"task"}, t{"t"}, l{"l"};

  int num(const char* key, int64_t fallback = 1) const { return static_cast<int>(s.get(key, fallback)); }
  int64_t extent(int dim) const { return out.type.dims[out.type.rank() - 1 - dim]; }
  Var n() const { return b.vars.back(); }

  // Splits the outermost image dim and the batch into tasks and runs them on all threads. Returns the loop inside which one task lies.
  // `outer`: out's loop over rows, already the last but the batch; empty when the type has no such dim.
  VarOrRVar tasks(Stage st, std::optional<Var> rows, TailStrategy tail) {
    bool batched = out.type.batched;
    if (rows && num("task_rows", extent(out.type.rank() - 1)) < extent(out.type.rank() - 1)) {
      st.split(*rows, yo, yi, num("task_rows") / num("lines"), tail);
      if (batched) st.fuse(yo, n(), task).parallel(task);
      else st.parallel(yo);
      return batched ? task : yo;
    }
    if (!batched) return Var::outermost();
    st.split(n(), no, ni, num("task_samples"), TailStrategy::GuardWithIf).parallel(no);
    return ni;
  }

  // Per-sample folds. A fold over rows is computed for the row that reads it; one of another shape (a group of channels) for the sample.
  void rows() {
    const int rank = out.type.rank();
    std::vector<Func> folds = b.anchor.helpers;
    const bool listed = std::any_of(folds.begin(), folds.end(), [&](Func f) { return f.name() == b.anchor.anchor.name(); });
    if (!listed && b.anchor.anchor.defined() && b.anchor.anchor.has_update_definition()) folds.push_back(b.anchor.anchor);
    const std::vector<std::string> names = coordinate_names();
    bool by_row = rank >= 2;  // every fold is known inside one slice of the outermost dim
    for (Func f : folds) by_row = by_row && is_suffix(f, names) && f.dimensions() > 1;
    Stage st(b.out);
    const int lanes = rank ? static_cast<int>(std::min<int64_t>(s.vector, extent(0))) : 1;
    if (rank) st.split(b.vars[0], co, ci, lanes, TailStrategy::ShiftInwards).vectorize(ci);
    std::optional<Var> outer;
    if (by_row) outer = b.vars[rank - 1];
    const VarOrRVar sample = tasks(st, outer, TailStrategy::ShiftInwards);
    const bool sliced = sample.name() == task.name();
    for (Func f : folds) {
      VarOrRVar level = sample;
      const int missing = rank + 1 - f.dimensions();  // innermost dims that are folded away
      if (is_suffix(f, names)) {
        if (missing <= 0) level = rank ? VarOrRVar(co) : sample;
        else if (missing < rank) level = sliced && missing == rank - 1 ? VarOrRVar(yi) : VarOrRVar(b.vars[missing]);
      }
      f.compute_at(b.out, Var(level.name()));
      fold(f, level);
    }
  }
  /// Names that ops::vars_of gives the coordinates of the result.
  std::vector<std::string> coordinate_names() const {
    static const char* const all[] = {"c", "x", "y", "z", "v"};
    std::vector<std::string> names(all, all + std::min(out.type.rank(), 5));
    names.push_back("n");
    return names;
  }
  static bool is_suffix(Func f, const std::vector<std::string>& names) {
    const auto args = f.args();
    if (args.size() > names.size()) return false;
    for (size_t i = 0; i < args.size(); ++i)
      if (args[i].name() != names[names.size() - args.size() + i]) return false;
    return true;
  }
  // Lanes along the result where it has the operand's innermost dim, else along the row, whose partial results are joined at the end.
  void fold(Func f, VarOrRVar level) {
    if (!f.has_update_definition()) return;
    const auto args = f.args();
    const auto r = f.rvars(0);
    if (!args.empty() && args[0].name() == "c" && f.dimensions() > 1) {
      std::vector<VarOrRVar> order = {args[0]};
      for (const RVar& v : r) order.push_back(v);
      f.vectorize(args[0], s.vector, TailStrategy::GuardWithIf).update().reorder(order).vectorize(args[0], s.vector, TailStrategy::GuardWithIf);
      return;
    }
    const Expr value = f.update_value();
    const bool joins = f.outputs() == 1 && (value.as<Halide::Internal::Add>() || value.as<Halide::Internal::Max>());
    if (!joins || r.empty()) return;
    const ir::Type& in = p.graph->type(p.graph->nodes[k.anchor].inputs[0]);
    if (in.rank() == 0 || in.dims.back() < s.vector) return;
    RVar ro("ro"), ri("ri");
    Var lane("lane");
    f.update().split(r[0], ro, ri, s.vector);
    Func part = f.update().rfactor(ri, lane);
    part.compute_at(b.out, Var(level.name())).vectorize(lane);
    std::vector<VarOrRVar> order = {lane, ro};
    for (size_t i = 1; i < r.size(); ++i) order.push_back(r[i]);
    part.update().reorder(order).vectorize(lane);
    f.update().atomic().vectorize(ri);
  }

  void map() {
    if (out.type.rank() == 0) return;
    TailStrategy tail = k.anchor == ir::kNone ? TailStrategy::GuardWithIf : TailStrategy::ShiftInwards;
    Stage st(b.out);
    int inner = out.planar ? 1 : 0;
    if (out.planar) st.reorder({b.vars[1], b.vars[2], b.vars[0], b.vars[3]});
    int outer = out.type.rank() - 1;
    if (s.vector > 1) {
      if (inner == outer && !out.type.batched) {  // one long row: tasks are pieces of it
        int64_t piece = (extent(0) + 15) / 16;
        piece = (piece + s.vector - 1) / s.vector * s.vector;
        if (extent(0) > 65536) st.split(b.vars[0], yo, yi, static_cast<int>(piece), TailStrategy::GuardWithIf).parallel(yo).vectorize(yi, s.vector, tail);
        else st.vectorize(b.vars[0], s.vector, extent(0) % s.vector ? tail : TailStrategy::GuardWithIf);
        return;
      }
      st.vectorize(b.vars[inner], s.vector, tail);
    }
    std::optional<Var> rows;
    if (outer > inner && !out.planar) rows = b.vars[outer];
    VarOrRVar level = Var::outermost();
    if (out.planar) {
      st.split(n(), no, ni, num("task_samples"), TailStrategy::GuardWithIf).parallel(no);
      level = ni;
    } else {
      level = tasks(st, rows, tail);
    }
    if (b.has_anchor) stage_padding(b.out, level);
  }

  // Zero-padded copies, made once per task.
  void stage_padding(Func at, VarOrRVar level, bool planes = false) {
    for (Func pad : b.anchor.padded) {
      auto args = pad.args();
      if (args.back().name() != "n") {  // a transposed copy of weights: once for the kernel
        pad.compute_root().parallel(args.back()).vectorize(args[0], s.vector, TailStrategy::GuardWithIf);
        continue;
      }
      pad.compute_at(at, Var(level.name()));
      bool vector_x = planes && args.size() == 4;
      if (vector_x) pad.reorder_storage(args[1], args[2], args[0], args[3]).reorder(args[1], args[2], args[0], args[3]);
      pad.vectorize(args[vector_x ? 1 : 0], s.vector, TailStrategy::GuardWithIf);
    }
  }

  // acc(u, n) in registers for a tile; on all of K.
  void gemm() {
    Func acc = b.anchor.anchor, o = b.out;
    Var u = b.vars[0], batch = b.vars[1];
    auto tile = [&](Stage st, int rows, int vectors, bool parallel) {
      st.split(u, co, ci, s.vector * vectors, TailStrategy::ShiftInwards).split(batch, no, ni, rows, TailStrategy::ShiftInwards).reorder({ci, ni, co, no}).vectorize(ci, s.vector);
      st.fuse(co, no, task).unroll(ni);
      if (parallel) st.parallel(task);
    };
    if (num("rows") > 1) {
      Stage wide = o.specialize(b.batch >= num("rows"));
      tile(wide, num("rows"), num("vectors"), num("tasks"));
    }
    tile(Stage(o), 1, num("vectors_1"), num("tasks_1"));
    auto au = acc.args()[0], an = acc.args()[1];
    acc.compute_at(o, task).vectorize(au, s.vector).unroll(au).unroll(an);
    acc.update().reorder(au, an, b.anchor.r[0]).vectorize(au, s.vector).unroll(au).unroll(an);
  }

  // Each task streams its slice of K once for a block of rows, and keeps a block of the slice in cache for all of them; the slices' sums are added in order.
  void gemm_stream() {
    Func acc = b.anchor.anchor, o = b.out;
    auto au = acc.args()[0], an = acc.args()[1];
    Var u = b.vars[0], batch = b.vars[1], chunk_v("chunk"), block_v("block"), pu("pu"), pn("pn");
    RVar ko("ko"), ki("ki"), kb("kb"), kk("kk");
    int K = static_cast<int>(p.graph->type(p.graph->nodes[k.anchor].inputs[1]).dims[0]);
    acc.update().split(b.anchor.r[0], ko, ki, K / num("split_k"));
    Func part = acc.update().rfactor(ko, chunk_v);
    part.update().split(ki, kb, kk, num("block_k"));
    Func reg = part.update().rfactor(kb, block_v);
    auto rows_of = [&](Stage st, int rows) {
      st.split(batch, no, ni, rows, TailStrategy::ShiftInwards).vectorize(u, s.vector, TailStrategy::ShiftInwards).reorder({u, ni, no});
    };
    auto tile = [&](Stage st, int rows, int vectors) {
      st.split(au, co, pu, s.vector * vectors, TailStrategy::GuardWithIf).split(an, yo, pn, rows, TailStrategy::GuardWithIf).reorder({pu, pn, yo, co, kb, chunk_v})
          .vectorize(pu, s.vector).parallel(chunk_v);
    };
    for (int rows : {32, 8}) {
      rows_of(o.specialize(b.batch >= rows), rows);
      tile(part.update().specialize(b.batch >= rows), num("rows"), num("vectors"));
    }
    rows_of(Stage(o), 1);
    tile(part.update(), 1, num("vectors_1"));
    acc.compute_at(o, no).vectorize(au, s.vector, TailStrategy::GuardWithIf);
    acc.update().reorder(au, an, ko).vectorize(au, s.vector, TailStrategy::GuardWithIf);
    part.compute_at(o, no).parallel(chunk_v).vectorize(au, s.vector, TailStrategy::GuardWithIf);
    reg.compute_at(part, yo).vectorize(au, s.vector).unroll(an);
    reg.specialize(b.batch >= 8).unroll(au);
    reg.update().specialize(b.batch >= 8).reorder(au, an, kk).vectorize(au, s.vector).unroll(au).unroll(an);
    RVar kko("kko"), kki("kki");  // few rows: whole rows of the weights, read one after another
    reg.update().split(kk, kko, kki, 2).reorder(kki, au, an, kko).vectorize(au, s.vector).unroll(kki);
  }

  // Lanes along the reduction; their sums are added at the end.
  void dot() {
    Func acc = b.anchor.anchor, o = b.out;
    Var kv = b.vars[0], batch = b.vars[1], lane("lane"), kt("kt"), kto("kto"), kti("kti");
    auto ak = acc.args()[0], an = acc.args()[1];
    RVar ro("ro"), ri("ri");
    acc.update().split(b.anchor.r[0], ro, ri, s.vector);
    Func part = acc.update().rfactor(ri, lane);
    int tile_k = num("tile"), rows = num("rows");
    auto tile = [&](Stage st, int rows_here) {
      st.split(kv, kt, ci, tile_k).split(kt, kto, kti, num("task_tiles"), TailStrategy::GuardWithIf).split(batch, no, ni, rows_here, TailStrategy::ShiftInwards)
          .reorder({ci, ni, kti, no, kto}).unroll(ci).unroll(ni).parallel(kto);
    };
    Stage wide = o.specialize(b.batch >= rows);
    tile(wide, rows);
    tile(Stage(o), 1);
    acc.compute_at(o, kti).unroll(ak).unroll(an);
    acc.update().unroll(ak).unroll(an).atomic().vectorize(ri);
    part.compute_at(o, kti).reorder_storage(lane, ak, an).reorder(lane, ak, an).vectorize(lane).unroll(ak).unroll(an);
    part.update().reorder(lane, ak, an, ro).vectorize(lane).unroll(ak).unroll(an);
  }

  // dw(u, k), the reduction over the batch; what follows (regulariser, optimiser) works on the tile in registers.
  void outer() {
    Func acc = b.anchor.anchor, o = b.out;
    Var u = b.vars[0], kv = b.vars[1], kt("kt"), kto("kto"), kti("kti");
    auto au = acc.args()[0], ak = acc.args()[1];
    o.split(u, co, ci, s.vector * num("vectors")).split(kv, kt, yi, num("rows")).split(kt, kto, kti, num("task_tiles")).reorder({ci, yi, co, kti, kto})
        .vectorize(ci, s.vector).unroll(yi).parallel(kto);
    acc.compute_at(o, co).vectorize(au, s.vector).unroll(au).unroll(ak);
    acc.update().reorder(inner_to_reduction({au, ak})).vectorize(au, s.vector).unroll(au).unroll(ak);
  }

  // The dims of a tile in registers, and the loops of the reduction around it.
  std::vector<VarOrRVar> inner_to_reduction(std::vector<Var> tile) {
    std::vector<VarOrRVar> order(tile.begin(), tile.end());
    for (int d = 0; d < b.anchor.r.dimensions(); ++d) order.push_back(b.anchor.r[d]);
    return order;
  }

  // A matrix product for each sample. With more than two dims the outer ones (attention's heads) and samples are tasks, else panels of columns: all rows go through
  // a panel of the second operand while it is in cache. A transposed copy of an operand is made once for the kernel, or once for each task where it is a sample's.
  void tokens() {
    Func acc = b.anchor.anchor, o = b.out;
    Var c = b.vars[0], x = b.vars[1];
    Stage st(o);
    st.split(c, co, ci, s.vector * num("vectors"), TailStrategy::ShiftInwards).split(x, xo, xi, num("rows"), TailStrategy::ShiftInwards);
    std::vector<VarOrRVar> order = {ci, xi, xo, co};
    for (size_t d = 2; d < b.vars.size(); ++d) order.push_back(b.vars[d]);
    st.reorder(order).vectorize(ci, s.vector).unroll(xi);
    st.fuse(b.vars.size() > 3 ? b.vars[b.vars.size() - 2] : co, n(), task).parallel(task);
    const Var level = b.vars.size() > 4 ? b.vars[2] : task;
    for (Func copy : b.anchor.padded) {
      auto args = copy.args();
      bool of_sample = args.back().name() == "n";
      if (of_sample) copy.compute_at(o, level);
      else copy.compute_root().parallel(args.back());
      copy.vectorize(args[0], s.vector, TailStrategy::GuardWithIf);
    }
    auto a = acc.args();
    acc.compute_at(o, xo).vectorize(a[0], s.vector).unroll(a[0]).unroll(a[1]);
    acc.update().reorder(inner_to_reduction({a[0], a[1]})).vectorize(a[0], s.vector).unroll(a[0]).unroll(a[1]);
  }

  // In the order of the batch: sums are the same each time, whatever the threads.
  void scatter() {
    Func acc = b.anchor.anchor;
    auto a = acc.args();
    acc.compute_root().vectorize(a[0], s.vector, TailStrategy::GuardWithIf);
    acc.update().reorder(inner_to_reduction({a[0]})).vectorize(a[0], s.vector, TailStrategy::GuardWithIf);
    b.out.vectorize(b.vars[0], s.vector, TailStrategy::GuardWithIf);
  }

  void conv_lanes() {
    Func acc = b.anchor.anchor, o = b.out;
    Var c = b.vars[0], x = b.vars[1], y = b.vars[2];
    Stage st(o);
    st.split(c, co, ci, s.vector * num("vectors"), TailStrategy::ShiftInwards).split(x, xo, xi, num("rows"), TailStrategy::ShiftInwards)
        .reorder({ci, xi, co, xo, y, n()}).vectorize(ci, s.vector).unroll(xi);
    VarOrRVar level = tasks(st, y, TailStrategy::ShiftInwards);
    stage_padding(o, level);
    auto a = acc.args();
    acc.compute_at(o, co).vectorize(a[0], s.vector).unroll(a[0]).unroll(a[1]).unroll(a[2]);
    acc.update().reorder(inner_to_reduction({a[0], a[1], a[2]})).vectorize(a[0], s.vector).unroll(a[0]).unroll(a[1]).unroll(a[2]);
  }

  void conv_planes() {
    Func acc = b.anchor.anchor, o = b.out;
    Var c = b.vars[0], x = b.vars[1], y = b.vars[2], line("line"), lines("lines");
    Stage st(o);
    st.split(c, co, ci, num("channels")).split(x, xo, xi, s.vector * num("vectors"), TailStrategy::ShiftInwards)
        .split(y, lines, line, num("lines"), TailStrategy::ShiftInwards).reorder({xi, ci, line, co, xo, lines, n()}).vectorize(xi, s.vector).unroll(ci).unroll(line);
    VarOrRVar level = tasks(st, lines, TailStrategy::ShiftInwards);
    stage_padding(o, level, true);
    auto a = acc.args();
    acc.compute_at(o, co).reorder(a[1], a[0], a[2], a[3]).reorder_storage(a[1], a[0], a[2], a[3]).vectorize(a[1], s.vector).unroll(a[1]).unroll(a[0]).unroll(a[2]);
    acc.update().reorder(inner_to_reduction({a[1], a[0], a[2]})).vectorize(a[1], s.vector).unroll(a[1]).unroll(a[0]).unroll(a[2]);
  }

  // dw(k, c, kx, ky). Three levels of sums: `reg`, of a block of image rows, in registers for a tile of dw; `part`, of a slice of rows and the batch, in cache;
  // the anchor adds the slices in order. Image rows are read once for all of dw.
  void taps(bool planes) {
    Func acc = b.anchor.anchor;
    auto a = acc.args();
    auto r = b.anchor.r;
    RVar piece("piece"), row("row"), block("block"), line("line"), xv("xv"), xl("xl");
    Var bv("bv"), nv("nv"), k0("k0"), k1("k1"), c0("c0"), c1("c1"), q0("q0"), q1("q1");
    acc.update().split(r[1], piece, row, num("task_rows"));
    if (planes) acc.update().split(r[0], xv, xl, s.vector);
    Func part = planes ? acc.update().rfactor({{piece, t}, {xl, l}}) : acc.update().rfactor(piece, t);
    part.update().split(row, block, line, num("block_rows"));
    Func reg = part.update().rfactor({{block, bv}, {r[2], nv}});
    int held = planes ? num("filters") : s.vector * num("vectors");
    acc.compute_root();
    part.compute_root().parallel(t);
    part.update().split(a[0], k0, k1, held).split(a[1], c0, c1, num("channels")).split(a[2], q0, q1, num("taps"));
    std::vector<VarOrRVar> loops = {k1, c1, q1, k0, c0, q0, a[3], block, r[2], t};
    auto unrolled = [&](Stage st) {
      if (planes) st.unroll(a[0]).unroll(a[1]).unroll(a[2]);
      else st.vectorize(a[0], s.vector).unroll(a[0]).unroll(a[1]).unroll(a[2]);
    };
    if (planes) {
      loops.insert(loops.begin(), l);
      part.reorder_storage({l, a[0], a[1], a[2], a[3], t}).reorder({l, a[0], a[1], a[2], a[3], t}).vectorize(l);
      part.update().reorder(loops).vectorize(l).unroll(k1).unroll(c1).unroll(q1).parallel(t);
      reg.compute_at(part, k0).reorder_storage({l, a[0], a[1], a[2], a[3], t, bv, nv}).reorder({l, a[0], a[1], a[2], a[3], t, bv, nv}).vectorize(l);
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
    for (Func pad : b.anchor.padded) {
      auto args = pad.args();
      pad.compute_at(part, block).reorder_storage(args[1], args[2], args[0], args[3]);
    }
  }

  // Folds over leading dims: slices of the outermost fixed dim are tasks, whose sums are added in order.
  void reduce() {
    Func acc = b.anchor.anchor;
    auto r = b.anchor.r;
    auto a = acc.args();
    int rd = r.dimensions();
    for (Func h : b.anchor.helpers) h.compute_root();
    acc.compute_root();
    if (rd < 2) {
      if (!a.empty() && s.vector > 1) {
        acc.vectorize(a[0], s.vector, TailStrategy::GuardWithIf);
        acc.update().reorder(a[0], r[0]).vectorize(a[0], s.vector, TailStrategy::GuardWithIf);
      }
      return;
    }
    bool lanes_in_result = !a.empty() && extent_of_result() >= s.vector;
    const ir::Type& in = p.graph->type(p.graph->nodes[k.anchor].inputs[0]);
    bool batched = in.batched;
    int slices_dim = batched ? rd - 2 : rd - 1;
    int64_t rows = in.dims[0];
    int rows_per_task = static_cast<int>((rows + num("tasks") - 1) / num("tasks"));
    RVar yo_r("yo"), yi_r("yi"), xo_r("xo"), xi_r("xi");
    acc.update().split(r[slices_dim], yo_r, yi_r, rows_per_task);
    if (lanes_in_result) {
      Func part = acc.update().rfactor(yo_r, t);
      part.compute_root().parallel(t).vectorize(a[0], s.vector, TailStrategy::GuardWithIf);
      part.update().parallel(t).vectorize(a[0], s.vector, TailStrategy::GuardWithIf);
      acc.vectorize(a[0], s.vector, TailStrategy::GuardWithIf);
      acc.update().vectorize(a[0], s.vector, TailStrategy::GuardWithIf);
      return;
    }
    if (slices_dim == 0) {  // a vector of one dim and the batch: tasks only
      Func part = acc.update().rfactor(yo_r, t);
      part.compute_root().parallel(t);
      part.update().parallel(t);
      return;
    }
    acc.update().split(r[0], xo_r, xi_r, s.vector);
    Func part = acc.update().rfactor({{yo_r, t}, {xi_r, l}});
    Func store = part.in(acc);
    std::vector<Var> order = {l};
    order.insert(order.end(), a.begin(), a.end());
    order.push_back(t);
    std::vector<VarOrRVar> loops(order.begin(), order.end());
    store.compute_root().reorder_storage(order).reorder(loops).vectorize(l).parallel(t);
    part.compute_at(store, a.empty() ? t : a[0]).reorder_storage(order).vectorize(l);
    std::vector<VarOrRVar> inner = {l, xo_r};
    for (int d = 1; d < rd; ++d) inner.push_back(d == slices_dim ? VarOrRVar(yi_r) : VarOrRVar(r[d]));
    inner.insert(inner.end(), a.begin(), a.end());
    inner.push_back(t);
    part.update().reorder(inner).vectorize(l);
  }
  int64_t extent_of_result() const {
    const ir::Type& ty = p.graph->type(p.graph->nodes[k.anchor].results[0]);
    return ty.rank() ? ty.dims.back() : 1;
  }

  void ingest() {
    Stage st(b.out);
    if (out.planar) st.reorder({b.vars[1], b.vars[2], b.vars[0]});
    st.vectorize(b.vars[1], s.vector, TailStrategy::ShiftInwards);
    for (Func h : b.anchor.helpers) h.compute_root();
  }

  void run() {
    if (s.name == "map" || s.name == "window") map();
    else if (s.name == "gemm") gemm();
    else if (s.name == "gemm_stream") gemm_stream();
    else if (s.name == "dot") dot();
    else if (s.name == "outer") outer();
    else if (s.name == "conv_lanes") conv_lanes();
    else if (s.name == "conv_planes") conv_planes();
    else if (s.name == "taps_lanes") taps(false);
    else if (s.name == "taps_planes") taps(true);
    else if (s.name == "tokens") tokens();
    else if (s.name == "rows") rows();
    else if (s.name == "scatter") scatter();
    else if (s.name == "reduce") reduce();
    else if (s.name == "ingest") ingest();
    if (s.name == "window")
      for (Func h : b.anchor.helpers) h.compute_root();
  }
};

}  // namespace

void apply(const schedule::Plan& p, const schedule::Kernel& k, Built& b) { Applier{p, k, b}.run(); }

}  // namespace netc::lower
