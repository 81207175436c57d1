#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t tasks = 16;
  int64_t sums = 0;  // vectors of sums that a task adds up side by side; 0: one
  static constexpr Number<Numbers> kNumbers[] = {{"tasks", &Numbers::tasks}, {"sums", &Numbers::sums, true}};
};

class Reduce final : public NestOf<Numbers> {
  const char* name() const override { return "reduce"; }
  const char* doc() const override {
    return "folds over the batch: slices of it, or of the outermost dim where there are few samples, are tasks, whose "
           "sums are added in order";
  }
  Share share() const override { return {0.2, 1.2}; }
  bool fits(const Site& at) const override {
    return (at.is(ir::Kind::reduction) || at.is(ir::Kind::contraction)) && !at.result().batched;
  }

  Numbers numbers(const Site& at, int& lanes) const override {
    const ir::Type &o = at.result(), &in = at.operand(0);
    const int64_t inner = o.rank() ? o.dims.back() : 1;
    int64_t along = at.m.vector_floats;  // the dim of lanes: of the result, or where that is short of the operand
    if (inner < at.m.vector_floats && in.rank() > (o.rank() ? 1 : 0)) along = in.dims[in.rank() - (o.rank() ? 2 : 1)];
    lanes = static_cast<int>(std::min<int64_t>(at.m.vector_floats, along));
    Numbers n;
    // What one vector adds up, others needn't wait for. Whole vectors: Halide cannot cut one vector and an element more
    // from a load that is guarded.
    if (o.rank() == 0 && !in.batched && lanes == at.m.vector_floats)
      n.sums = largest_divisor(in.dims.back() / lanes, 4);
    return n;
  }
  void vary(Variations<Numbers>& v) const override { v.add(&Numbers::tasks, 2, 64, v.power); }
  int64_t rows_in_step(const Numbers&) const override { return 1; }
  void step_by(Numbers& n, int64_t all, int64_t rows) const override { n.tasks = all / rows; }

  // Slices of the batch, where it has samples for all tasks, or of the outermost fixed dim. A task of samples reads
  // them from end to end, and they are those which its thread wrote. Lanes go along the result, else along a row of the
  // operand, or its plane.
  void loop(Loops& l, const Numbers& n) const override {
    Func acc = l.b.anchor.anchor;
    auto r = l.b.anchor.r;
    auto a = acc.args();
    const int rd = r.dimensions(), lanes = l.lanes_of(acc), tasks = static_cast<int>(n.tasks);
    for (Func fold : l.b.anchor.folds) fold.compute_root();
    acc.compute_root();
    if (rd < 2) {
      if (!a.empty() && l.s.vector > 1) {
        acc.vectorize(a[0], lanes, TailStrategy::GuardWithIf);
        acc.update().reorder(a[0], r[0]).vectorize(a[0], lanes, TailStrategy::GuardWithIf);
      }
      return;
    }
    const int64_t innermost = l.result().rank() ? l.result().dims.back() : 1;
    const bool lanes_in_result = !a.empty() && innermost >= l.s.vector;
    const ir::Type& in = l.operand(0);
    const bool by_sample = in.batched && l.p.max_batch >= tasks;
    const int slices_dim = in.batched && !by_sample ? rd - 2 : rd - 1;
    const int64_t rows = by_sample ? l.p.max_batch : in.dims[0];
    const int rows_per_task = static_cast<int>((rows + tasks - 1) / tasks);
    RVar yo("yo"), yi("yi"), xo("xo"), xi("xi"), plane("plane");
    acc.update().split(r[slices_dim], yo, yi, rows_per_task);
    if (lanes_in_result) {
      Func part = acc.update().rfactor(yo, l.t);
      part.compute_root().parallel(l.t).vectorize(a[0], lanes, TailStrategy::GuardWithIf);
      // All sums of a task grow together, as the operand is read once from end to end.
      std::vector<VarOrRVar> inner(a.begin(), a.end());
      for (int d = 0; d < rd; ++d) inner.push_back(d == slices_dim ? VarOrRVar(yi) : VarOrRVar(r[d]));
      inner.push_back(l.t);
      part.update().reorder(inner).parallel(l.t).vectorize(a[0], lanes, TailStrategy::GuardWithIf);
      acc.vectorize(a[0], lanes, TailStrategy::GuardWithIf);
      acc.update().vectorize(a[0], lanes, TailStrategy::GuardWithIf);
      return;
    }
    if (slices_dim == 0) {  // a vector of one dim and the batch: tasks only
      Func part = acc.update().rfactor(yo, l.t);
      part.compute_root().parallel(l.t);
      part.update().parallel(l.t);
      return;
    }
    const auto in_planes = [&](int i) { return l.p.buffers[i].planar || !l.p.buffers[i].type.batched; };
    const bool planes = slices_dim == 2 && rd == 3 && std::all_of(l.k.inputs.begin(), l.k.inputs.end(), in_planes);
    if (planes) acc.update().fuse(r[0], r[1], plane);
    acc.update().split(planes ? plane : RVar(r[0]), xo, xi, lanes * static_cast<int>(std::max<int64_t>(1, n.sums)));
    Func part = acc.update().rfactor({{yo, l.t}, {xi, l.l}});
    Func store = part.in(acc);
    std::vector<Var> order = {l.l};
    order.insert(order.end(), a.begin(), a.end());
    order.push_back(l.t);
    std::vector<VarOrRVar> loops(order.begin(), order.end());
    store.compute_root().reorder_storage(order).reorder(loops).vectorize(l.l).parallel(l.t);
    part.compute_at(store, a.empty() ? l.t : a[0]).reorder_storage(order).vectorize(l.l);
    std::vector<VarOrRVar> inner = {l.l, xo};
    for (int d = planes ? 2 : 1; d < rd; ++d) inner.push_back(d == slices_dim ? VarOrRVar(yi) : VarOrRVar(r[d]));
    inner.insert(inner.end(), a.begin(), a.end());
    inner.push_back(l.t);
    part.update().reorder(inner).vectorize(l.l);
  }
};

}  // namespace

const Nest& reduce() {
  static const Reduce nest;
  return nest;
}

}  // namespace netc::nests
