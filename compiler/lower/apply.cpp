#include "compiler/lower/apply.h"

#include <bit>
#include <stdexcept>

#include "compiler/lower/applier.h"
#include "compiler/lower/once.h"

namespace netc::lower {

// Splits the outermost image dim and the batch into tasks and runs them on all threads. Returns the loop inside which
// one task lies. `outer`: out's loop over rows, already the last but the batch; empty when the type has no such dim.
VarOrRVar Applier::tasks(Stage st, std::optional<Var> rows, TailStrategy tail) {
  bool batched = out.type.batched;
  if (rows && num("task_rows", extent(out.type.rank() - 1)) < extent(out.type.rank() - 1)) {
    st.split(*rows, yo, yi, num("task_rows") / num("lines"), tail);
    if (batched) st.fuse(yo, n(), task).parallel(task);
    else st.parallel(yo);
    return batched ? task : yo;
  }
  if (!batched) return Var::outermost();
  return tasks_of_samples(st);
}

// One body for all tasks: Halide would give the last, of fewer samples, one of its own, whose sums LLVM may round
// otherwise; then a sample's result would depend on its place in the batch.
VarOrRVar Applier::tasks_of_samples(Stage st) {
  st.split(n(), no, ni, num("task_samples"), TailStrategy::GuardWithIf)
      .parallel(no)
      .partition(no, Halide::Partition::Never)
      .partition(ni, Halide::Partition::Never);
  return ni;
}

// Per-sample folds. A fold over rows is computed for the row that reads it; one of another shape (a group of channels)
// for the sample.
void Applier::rows() {
  const int rank = out.type.rank();
  std::vector<Func> folds = b.anchor.helpers;
  const bool listed =
      std::any_of(folds.begin(), folds.end(), [&](Func f) { return f.name() == b.anchor.anchor.name(); });
  if (!listed && b.anchor.anchor.defined() && b.anchor.anchor.has_update_definition()) folds.push_back(b.anchor.anchor);
  const std::vector<std::string> names = coordinate_names();
  bool by_row = rank >= 2;  // every fold is known inside one slice of the outermost dim
  for (Func f : folds) by_row = by_row && is_suffix(f, names) && f.dimensions() > 1;
  Stage st(b.out);
  const int lanes = rank ? static_cast<int>(std::min<int64_t>(s.vector, extent(0))) : 1;
  if (rank) st.split(b.vars[0], co, ci, lanes, last).vectorize(ci);
  std::optional<Var> outer;
  if (by_row) outer = b.vars[rank - 1];
  const VarOrRVar sample = tasks(st, outer, last);
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
std::vector<std::string> Applier::coordinate_names() const {
  static const char* const all[] = {"c", "x", "y", "z", "v"};
  std::vector<std::string> names(all, all + std::min(out.type.rank(), 5));
  names.push_back("n");
  return names;
}

bool Applier::is_suffix(Func f, const std::vector<std::string>& names) {
  const auto args = f.args();
  if (args.size() > names.size()) return false;
  for (size_t i = 0; i < args.size(); ++i)
    if (args[i].name() != names[names.size() - args.size() + i]) return false;
  return true;
}

// Vectors of doubles are a power of two wide: Halide cuts a masked store into the machine's vectors, and fails where
// one number is left over.
int Applier::lanes_of(const Func& f) const {
  return f.type().bits() == 64 ? static_cast<int>(std::bit_floor(static_cast<unsigned>(s.vector))) : s.vector;
}

// Lanes along the result where it has the operand's innermost dim, else along the row, whose partial results are joined
// at the end.
void Applier::fold(Func f, VarOrRVar level) {
  if (!f.has_update_definition()) return;
  const auto args = f.args();
  const auto r = f.rvars(0);
  if (!args.empty() && args[0].name() == "c" && f.dimensions() > 1 && extent_of_result() > 1) {
    f.vectorize(args[0], lanes_of(f), TailStrategy::GuardWithIf)
        .update()
        .reorder(inner_to_reduction(f, {args[0]}))
        .vectorize(args[0], lanes_of(f), TailStrategy::GuardWithIf);
    return;
  }
  Expr value = f.update_value();
  while (const auto* let = value.as<Halide::Internal::Let>()) value = let->body;  // Halide names what occurs twice
  const bool joins = f.outputs() == 1 && (value.as<Halide::Internal::Add>() || value.as<Halide::Internal::Max>());
  if (!joins || r.empty()) return;
  const ir::Type& in = p.graph->type(p.graph->nodes[k.anchor].inputs[0]);
  if (in.rank() == 0) return;
  const int64_t row = in.dims.back(), plane = in.rank() > 1 ? row * in.dims[in.rank() - 2] : 0;
  if (row >= s.vector) lanes_along_row(f, r[0]).compute_at(b.out, Var(level.name()));
  else if (plane >= s.vector && r.size() > 1) {  // few channels: along rows of pixels
    RVar pixels("pixels");
    f.update().fuse(r[0], r[1], pixels);
    lanes_along_row(f, pixels).compute_at(b.out, Var(level.name()));
  }
}

// What each lane folds of a row, whose lanes f joins at the end: to be computed where f is, or nearer.
Func Applier::lanes_along_row(Func f, RVar row) {
  const auto r = f.rvars(0);
  RVar ro("ro"), ri("ri");
  Var lane("lane");
  f.update().split(row, ro, ri, lanes_of(f));
  Func part = f.update().rfactor(ri, lane);
  std::vector<VarOrRVar> order = {lane, ro};
  for (size_t i = row.name() == r[0].name() ? 1 : 2; i < r.size(); ++i) order.push_back(r[i]);
  part.vectorize(lane).update().reorder(order).vectorize(lane);
  f.update().atomic().vectorize(ri);
  return part;
}

void Applier::map() {
  if (out.type.rank() == 0) return;
  const TailStrategy tail = k.anchor == ir::kNone ? TailStrategy::GuardWithIf : last;
  Stage st(b.out);
  const int inner = out.planar || (out.type.rank() > 1 && extent(0) == 1 && s.vector > 1) ? 1 : 0;
  if (out.planar) st.reorder({b.vars[1], b.vars[2], b.vars[0], b.vars[3]});
  int outer = out.type.rank() - 1;
  if (s.vector > 1) {
    if (inner == outer && !out.type.batched) {  // one long row: tasks are pieces of it
      int64_t piece = (extent(0) + 15) / 16;
      piece = (piece + s.vector - 1) / s.vector * s.vector;
      if (extent(0) > 65536)
        st.split(b.vars[0], yo, yi, static_cast<int>(piece), TailStrategy::GuardWithIf)
            .parallel(yo)
            .vectorize(yi, s.vector, tail);
      else st.vectorize(b.vars[0], s.vector, extent(0) % s.vector ? tail : TailStrategy::GuardWithIf);
      return;
    }
    st.vectorize(b.vars[inner], s.vector, tail);
  }
  std::optional<Var> rows;
  if (outer > inner && !out.planar) rows = b.vars[outer];
  VarOrRVar level = Var::outermost();
  if (out.planar) {
    level = tasks_of_samples(st);
  } else {
    // Conditions on coordinates make Halide cut loops in parts whose sums LLVM may round otherwise: no two tasks
    // compute the same row.
    level = tasks(st, rows, b.anchor.padded.empty() ? TailStrategy::GuardWithIf : tail);
  }
  if (b.has_anchor) stage_padding(b.out, level);
}

// The columns of a padded copy that are inside the image.
void Applier::fill_rows(Func pad) {
  if (!pad.has_update_definition()) return;
  const auto args = pad.args();
  const RVar column = pad.rvars(0)[0];
  pad.update().reorder({column, args[2], args[0], args[3]}).vectorize(column, s.vector, TailStrategy::GuardWithIf);
}

// Zero-padded copies, made once per task.
void Applier::stage_padding(Func at, VarOrRVar level, bool planes) {
  for (Func pad : b.anchor.padded) {
    auto args = pad.args();
    if (args.back().name() != "n") {  // a transposed copy of weights: once for the kernel
      pad.compute_root();
      transpose(pad);
      continue;
    }
    pad.compute_at(at, Var(level.name()));
    bool vector_x = planes && args.size() == 4;
    if (vector_x) pad.reorder_storage(args[1], args[2], args[0], args[3]).reorder(args[1], args[2], args[0], args[3]);
    pad.vectorize(args[vector_x ? 1 : 0], s.vector, TailStrategy::GuardWithIf);
    fill_rows(pad);
  }
}

// A copy whose first two dims change places: square tiles of it, so that the lines of memory that its vectors are
// gathered from are read once.
void Applier::transpose(Func copy) {
  const auto a = copy.args();
  Var x("tx"), y("ty"), in_x("txi"), in_y("tyi");
  copy.split(a[0], x, in_x, s.vector, TailStrategy::GuardWithIf)
      .split(a[1], y, in_y, s.vector, TailStrategy::GuardWithIf);
  std::vector<VarOrRVar> loops = {in_x, in_y, x, y};
  loops.insert(loops.end(), a.begin() + 2, a.end());
  copy.reorder(loops).vectorize(in_x).align_storage(a[0], s.vector);
  if (!p.graph->type(p.graph->nodes[k.anchor].results[0]).batched) copy.parallel(a.size() > 2 ? a.back() : y);
}

// The dims of a tile in registers, and the loops of f's reduction around it.
std::vector<VarOrRVar> Applier::inner_to_reduction(Func f, std::vector<Var> tile) {
  std::vector<VarOrRVar> order(tile.begin(), tile.end());
  for (const RVar& v : f.rvars(0)) order.push_back(v);
  return order;
}

// What a tile in registers adds up: lanes along its first dim. Weights in pairs: each lane adds two products at a time,
// all lanes of the tile at once, which is the shape in which Halide knows the instruction.
Stage Applier::accumulate(Func f, std::vector<Var> tile) {
  Stage st = f.update();
  std::vector<VarOrRVar> order = inner_to_reduction(f, tile);
  if (num("pairs", 0)) {
    RVar two("two"), pair("pair");
    st.split(f.rvars(0)[0], pair, two, 2);
    order[tile.size()] = pair;
    order.insert(order.begin(), two);
    st.reorder(order).atomic().vectorize(two).vectorize(tile[0]);
  } else {
    st.reorder(order).vectorize(tile[0], s.vector).unroll(tile[0]);
  }
  for (size_t d = 1; d < tile.size(); ++d) st.unroll(tile[d]);
  return st;
}

void Applier::fetch_ahead(Func sums, size_t operand, FetchAhead::Panel panel, std::vector<FetchAhead::Round> rounds) {
  if (const size_t at = operand_index(p, k, operand); at < k.inputs.size())
    b.passes.push_back(std::make_unique<FetchAhead>(sums.name(), b.params[at].name(), panel, std::move(rounds)));
}

// Operands as large as the result that the sums `f` of a tile are combined with.
void Applier::fetch_operands(Func f) {
  const std::vector<ir::ValueId>& of_anchor = p.graph->nodes[k.anchor].inputs;
  std::vector<std::string> operands;
  for (size_t i = 0; i < k.inputs.size(); ++i)
    if (p.buffers[k.inputs[i]].type.dims == out.type.dims &&
        std::find(of_anchor.begin(), of_anchor.end(), k.input_values[i]) == of_anchor.end())
      operands.push_back(b.params[i].name());
  if (!operands.empty()) b.passes.push_back(std::make_unique<FetchOperands>(f.name(), std::move(operands)));
}

// In the order of the batch: sums are the same each time, whatever the threads.
void Applier::scatter() {
  Func acc = b.anchor.anchor;
  auto a = acc.args();
  acc.compute_root().vectorize(a[0], s.vector, TailStrategy::GuardWithIf);
  acc.update().reorder(inner_to_reduction(acc, {a[0]})).vectorize(a[0], s.vector, TailStrategy::GuardWithIf);
  b.out.vectorize(b.vars[0], s.vector, TailStrategy::GuardWithIf);
}

// Weights into blocks. The elements of a transformed tile are computed together, from taps that are read once.
void Applier::blocks() {
  if (num("elements") > 1) b.out.reorder({b.vars[0], b.vars[2], b.vars[1], b.vars[3]}).unroll(b.vars[2]);
  const bool pairs = out.pair_dim >= 0;
  if (pairs) b.out.unroll(b.vars[0]);
  b.out.vectorize(b.vars[pairs ? 1 : 0], s.vector).parallel(b.vars.back());
  stage_padding(b.out, Var::outermost());
}

// Folds over leading dims: slices of the batch, where it has samples for all tasks, or of the outermost fixed dim are
// tasks, whose sums are added in order. A task of samples reads them from end to end, and they are those which its
// thread wrote. Lanes go along the result, else along a row of the operand, or its plane.
void Applier::reduce() {
  Func acc = b.anchor.anchor;
  auto r = b.anchor.r;
  auto a = acc.args();
  int rd = r.dimensions();
  const int lanes = lanes_of(acc);
  for (Func h : b.anchor.helpers) h.compute_root();
  acc.compute_root();
  if (rd < 2) {
    if (!a.empty() && s.vector > 1) {
      acc.vectorize(a[0], lanes, TailStrategy::GuardWithIf);
      acc.update().reorder(a[0], r[0]).vectorize(a[0], lanes, TailStrategy::GuardWithIf);
    }
    return;
  }
  bool lanes_in_result = !a.empty() && extent_of_result() >= s.vector;
  const ir::Type& in = p.graph->type(p.graph->nodes[k.anchor].inputs[0]);
  bool batched = in.batched;
  const bool by_sample = batched && p.max_batch >= num("tasks");
  const int slices_dim = batched && !by_sample ? rd - 2 : rd - 1;
  const int64_t rows = by_sample ? p.max_batch : in.dims[0];
  int rows_per_task = static_cast<int>((rows + num("tasks") - 1) / num("tasks"));
  RVar yo_r("yo"), yi_r("yi"), xo_r("xo"), xi_r("xi"), plane("plane");
  acc.update().split(r[slices_dim], yo_r, yi_r, rows_per_task);
  if (lanes_in_result) {
    Func part = acc.update().rfactor(yo_r, t);
    part.compute_root().parallel(t).vectorize(a[0], lanes, TailStrategy::GuardWithIf);
    // all sums of a task grow together, as the operand is read once from end to end
    std::vector<VarOrRVar> inner(a.begin(), a.end());
    for (int d = 0; d < rd; ++d) inner.push_back(d == slices_dim ? VarOrRVar(yi_r) : VarOrRVar(r[d]));
    inner.push_back(t);
    part.update().reorder(inner).parallel(t).vectorize(a[0], lanes, TailStrategy::GuardWithIf);
    acc.vectorize(a[0], lanes, TailStrategy::GuardWithIf);
    acc.update().vectorize(a[0], lanes, TailStrategy::GuardWithIf);
    return;
  }
  if (slices_dim == 0) {  // a vector of one dim and the batch: tasks only
    Func part = acc.update().rfactor(yo_r, t);
    part.compute_root().parallel(t);
    part.update().parallel(t);
    return;
  }
  const bool planes = slices_dim == 2 && rd == 3 && std::all_of(k.inputs.begin(), k.inputs.end(), [&](int i) {
                        return p.buffers[i].planar || !p.buffers[i].type.batched;
                      });
  if (planes) acc.update().fuse(r[0], r[1], plane);
  acc.update().split(planes ? plane : RVar(r[0]), xo_r, xi_r, lanes * num("sums"));
  Func part = acc.update().rfactor({{yo_r, t}, {xi_r, l}});
  Func store = part.in(acc);
  std::vector<Var> order = {l};
  order.insert(order.end(), a.begin(), a.end());
  order.push_back(t);
  std::vector<VarOrRVar> loops(order.begin(), order.end());
  store.compute_root().reorder_storage(order).reorder(loops).vectorize(l).parallel(t);
  part.compute_at(store, a.empty() ? t : a[0]).reorder_storage(order).vectorize(l);
  std::vector<VarOrRVar> inner = {l, xo_r};
  for (int d = planes ? 2 : 1; d < rd; ++d) inner.push_back(d == slices_dim ? VarOrRVar(yi_r) : VarOrRVar(r[d]));
  inner.insert(inner.end(), a.begin(), a.end());
  inner.push_back(t);
  part.update().reorder(inner).vectorize(l);
}

int64_t Applier::extent_of_result() const {
  const ir::Type& ty = p.graph->type(p.graph->nodes[k.anchor].results[0]);
  return ty.rank() ? ty.dims.back() : 1;
}

void Applier::ingest() {
  Stage st(b.out);
  if (out.planar) st.reorder({b.vars[1], b.vars[2], b.vars[0]});
  st.vectorize(b.vars[1], s.vector, TailStrategy::ShiftInwards);
  // An image that has the size already is copied.
  if (b.params[0].dimensions() >= 3)
    st.specialize(b.params[0].dim(1).extent() == static_cast<int>(extent(1)) &&
                  b.params[0].dim(2).extent() == static_cast<int>(extent(2)));
  for (Func h : b.anchor.helpers) h.compute_root();
  if (!b.anchor.by_row.empty()) by_row(b.vars[2]);
}

/// What a row of the result is summed of: made for each, lanes along its columns, in planes.
void Applier::by_row(const Var& row) {
  for (Func f : b.anchor.by_row) {
    std::vector<Var> planes = f.args();
    const Var x = planes[1];
    std::swap(planes[0], planes[1]);
    f.compute_at(b.out, row).reorder_storage(planes).update().reorder(inner_to_reduction(f, {x}));
    if (s.vector == 1) continue;
    f.vectorize(x, s.vector, TailStrategy::GuardWithIf);
    f.update().vectorize(x, s.vector, TailStrategy::GuardWithIf);
  }
}

void Applier::run() {
  if (s.name == "map" || s.name == "window") map();
  else if (s.name == "blocks") blocks();
  else if (s.name == "winograd") winograd();
  else if (s.name == "tiles") tiles();
  else if (s.name == "tile_sums") tile_sums();
  else if (s.name == "taps_back") taps_back();
  else if (s.name == "gemm") gemm();
  else if (s.name == "gemm_stream") gemm_stream();
  else if (s.name == "dot") dot();
  else if (s.name == "outer") outer();
  else if (s.name == "conv_lanes") conv_lanes();
  else if (s.name == "conv_depth") conv_depth();
  else if (s.name == "conv_planes") conv_planes();
  else if (s.name == "conv_dot") conv_dot();
  else if (s.name == "taps_lanes") taps(false);
  else if (s.name == "taps_planes") taps(true);
  else if (s.name == "taps_panels") taps_panels();
  else if (s.name == "tokens") tokens();
  else if (s.name == "strassen") strassen();
  else if (s.name == "attention") attention();
  else if (s.name == "rows") rows();
  else if (s.name == "scatter") scatter();
  else if (s.name == "reduce") reduce();
  else if (s.name == "ingest") ingest();
  else throw std::logic_error("there are no loops called " + s.name);
  if (s.name == "window") {
    for (Func h : b.anchor.helpers) h.compute_root();
    if (!b.anchor.by_row.empty())
      by_row(!out.planar && num("task_rows", static_cast<int>(extent(2))) < extent(2) ? yi : b.vars[2]);
  }
}

void apply(const schedule::Plan& p, const schedule::Kernel& k, Built& b) {
  Applier{p, k, b}.run();
  if (const std::string why = visits_twice(p, k, b); !why.empty())
    throw std::logic_error("loops visit elements twice that the kernel overwrites: " + why);
}

}  // namespace netc::lower
