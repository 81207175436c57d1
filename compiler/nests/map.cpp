#include "compiler/nests/map.h"

#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {

MapNumbers map_numbers(const Site& at, int& lanes) {
  const ir::Type& t = at.out().type;
  int64_t inner = at.out().planar ? t.dims[1] : t.rank() ? t.dims.back() : 1;
  if (inner == 1 && t.rank() > 1 && t.dims[t.rank() - 2] >= at.m.vector_floats) inner = t.dims[t.rank() - 2];
  lanes = lanes_for(inner, at.m.vector_floats, 1, false).first;
  if (inner < at.m.vector_floats && inner > 1) lanes = static_cast<int>(inner);
  const Tasks tasks =
      at.tasks(t.rank() ? t.dims[0] : 1, static_cast<double>(t.has_any_extent() ? 1 : t.elements()), kGrainElements);
  return {tasks.rows, tasks.samples};
}

void map_loop(Loops& l, const MapNumbers& n) {
  const plan::Buffer& out = l.out;
  if (out.type.rank() == 0) return;
  const TailStrategy tail = l.k.anchor == ir::kNone ? TailStrategy::GuardWithIf : l.last;
  const std::vector<Var>& vars = l.b.vars;
  const int vector = l.s.vector;
  Stage st(l.b.out);
  const int inner = out.planar || (out.type.rank() > 1 && l.extent(0) == 1 && vector > 1) ? 1 : 0;
  if (out.planar) st.reorder({vars[1], vars[2], vars[0], vars[3]});
  const int outer = out.type.rank() - 1;
  if (vector > 1) {
    if (inner == outer && !out.type.batched) {  // one long row: tasks are pieces of it
      int64_t piece = (l.extent(0) + 15) / 16;
      piece = (piece + vector - 1) / vector * vector;
      if (l.extent(0) > 65536)
        st.split(vars[0], l.yo, l.yi, static_cast<int>(piece), TailStrategy::GuardWithIf)
            .parallel(l.yo)
            .vectorize(l.yi, vector, tail);
      else st.vectorize(vars[0], vector, l.extent(0) % vector ? tail : TailStrategy::GuardWithIf);
      return;
    }
    st.vectorize(vars[inner], vector, tail);
  }
  std::optional<Var> rows;
  if (outer > inner && !out.planar) rows = vars[outer];
  VarOrRVar level = Var::outermost();
  if (out.planar) {
    level = l.tasks_of_samples(st, n.task_samples);
  } else {
    // Conditions on coordinates make Halide cut loops in parts whose sums LLVM may round otherwise: no two tasks
    // compute the same row.
    level =
        l.tasks(st, rows, {n.task_rows, n.task_samples}, l.b.anchor.padded.empty() ? TailStrategy::GuardWithIf : tail);
  }
  if (l.b.has_anchor) l.stage_padding(l.b.out, level);
}

namespace {

class Map final : public NestOf<MapNumbers> {
  const char* name() const override { return "map"; }
  const char* doc() const override { return "one element after another, lanes along the innermost dim"; }
  Share share() const override { return {0.1, 1.5}; }
  bool fits(const Site& at) const override { return !at.anchored(); }
  MapNumbers numbers(const Site& at, int& lanes) const override { return map_numbers(at, lanes); }
  void vary(Variations<MapNumbers>& v) const override { v.tasks(&MapNumbers::task_rows, &MapNumbers::task_samples); }
  void loop(Loops& l, const MapNumbers& n) const override { map_loop(l, n); }
};

}  // namespace

const Nest& map() {
  static const Map nest;
  return nest;
}

}  // namespace netc::nests
