#include "compiler/nests/loops.h"

#include <bit>

namespace netc::nests {

const Strategy& strategy_of(const Loops& loops) { return loops.s; }

std::vector<VarOrRVar> inner_to_reduction(Func f, std::vector<Var> tile) {
  std::vector<VarOrRVar> order(tile.begin(), tile.end());
  for (const RVar& v : f.rvars(0)) order.push_back(v);
  return order;
}

VarOrRVar Loops::tasks(Stage st, std::optional<Var> rows, const Tasks& of, TailStrategy tail, int64_t lines) {
  const bool batched = out.type.batched;
  if (rows && of.rows < extent(out.type.rank() - 1)) {
    st.split(*rows, yo, yi, static_cast<int>(of.rows / lines), tail);
    if (batched) st.fuse(yo, n(), task).parallel(task);
    else st.parallel(yo);
    return batched ? task : yo;
  }
  if (!batched) return Var::outermost();
  return tasks_of_samples(st, of.samples);
}

// One body for all tasks: Halide would give the last, of fewer samples, one of its own, whose sums LLVM may round
// otherwise; then a sample's result would depend on its place in the batch.
VarOrRVar Loops::tasks_of_samples(Stage st, int64_t samples) {
  st.split(n(), no, ni, static_cast<int>(samples), TailStrategy::GuardWithIf)
      .parallel(no)
      .partition(no, Halide::Partition::Never)
      .partition(ni, Halide::Partition::Never);
  return ni;
}

void Loops::fill_rows(Func pad) {
  if (!pad.has_update_definition()) return;
  const auto args = pad.args();
  const RVar column = pad.rvars(0)[0];
  pad.update().reorder({column, args[2], args[0], args[3]}).vectorize(column, s.vector, TailStrategy::GuardWithIf);
}

void Loops::stage_padding(Func at, VarOrRVar level, bool planes) {
  for (Func pad : b.anchor.padded) {
    auto args = pad.args();
    if (args.back().name() != "n") {  // a transposed copy of weights: once for the kernel
      pad.compute_root();
      transpose(pad);
      continue;
    }
    pad.compute_at(at, Var(level.name()));
    const bool vector_x = planes && args.size() == 4;
    if (vector_x) pad.reorder_storage(args[1], args[2], args[0], args[3]).reorder(args[1], args[2], args[0], args[3]);
    pad.vectorize(args[vector_x ? 1 : 0], s.vector, TailStrategy::GuardWithIf);
    fill_rows(pad);
  }
}

void Loops::transpose(Func copy) {
  const auto a = copy.args();
  Var x("tx"), y("ty"), in_x("txi"), in_y("tyi");
  copy.split(a[0], x, in_x, s.vector, TailStrategy::GuardWithIf)
      .split(a[1], y, in_y, s.vector, TailStrategy::GuardWithIf);
  std::vector<VarOrRVar> loops = {in_x, in_y, x, y};
  loops.insert(loops.end(), a.begin() + 2, a.end());
  copy.reorder(loops).vectorize(in_x).align_storage(a[0], s.vector);
  if (!result().batched) copy.parallel(a.size() > 2 ? a.back() : y);
}

Stage Loops::accumulate(Func f, std::vector<Var> tile, bool pairs) {
  Stage st = f.update();
  std::vector<VarOrRVar> order = inner_to_reduction(f, tile);
  if (pairs) {
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

void Loops::prefetch(Func sums, size_t operand, Prefetch::Panel panel, std::vector<Prefetch::Round> rounds) {
  if (const size_t at = operand_index(p, k, operand); at < k.inputs.size())
    b.passes.push_back(std::make_unique<Prefetch>(sums.name(), b.params[at].name(), panel, std::move(rounds)));
}

void Loops::prefetch_operands(Func f) {
  const std::vector<ir::ValueId>& of_anchor = node().inputs;
  std::vector<std::string> operands;
  for (size_t i = 0; i < k.inputs.size(); ++i)
    if (p.buffers[k.inputs[i]].type.dims == out.type.dims &&
        std::find(of_anchor.begin(), of_anchor.end(), k.input_values[i]) == of_anchor.end())
      operands.push_back(b.params[i].name());
  if (!operands.empty()) b.passes.push_back(std::make_unique<PrefetchOperands>(f.name(), std::move(operands)));
}

int Loops::lanes_of(const Func& f) const {
  return f.type().bits() == 64 ? static_cast<int>(std::bit_floor(static_cast<unsigned>(s.vector))) : s.vector;
}

Func Loops::lanes_along_row(Func f, RVar row) {
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

void Loops::by_row(const Var& row) {
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

void Loops::multiply_transformed(Func products, Func transformed, Var level, int rows, int held) {
  Func sums = b.anchor.anchor;
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
  const int64_t C = operand(1).dims[1];
  if (const int64_t block = weights_block(p, k); block > 0)
    prefetch(sums, 1, {C * block}, {{"r$x", C}, {"qo", held / rows}});
  b.passes.push_back(std::make_unique<Prefetch>(sums.name(), transformed.name(), Prefetch::Panel{rows * C},
                                                std::vector<Prefetch::Round>{{"r$x", C}}));
}

}  // namespace netc::nests
