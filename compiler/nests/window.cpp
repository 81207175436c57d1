#include "compiler/nests/loops.h"
#include "compiler/nests/map.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

class Window final : public NestOf<MapNumbers> {
  const char* name() const override { return "window"; }
  const char* doc() const override {
    return "as map, of windows and of elements from elsewhere: pools, copies, slices";
  }
  Share share() const override { return {0.1, 1.4}; }
  bool fits(const Site& at) const override { return at.anchored(); }
  MapNumbers numbers(const Site& at, int& lanes) const override { return map_numbers(at, lanes); }
  void vary(Variations<MapNumbers>& v) const override { v.tasks(&MapNumbers::task_rows, &MapNumbers::task_samples); }
  void loop(Loops& l, const MapNumbers& n) const override {
    map_loop(l, n);
    for (Func fold : l.b.anchor.folds) fold.compute_root();
    if (!l.b.anchor.by_row.empty()) l.by_row(!l.out.planar && n.task_rows < l.extent(2) ? l.yi : l.b.vars[2]);
  }
};

}  // namespace

const Nest& window() {
  static const Window nest;
  return nest;
}

}  // namespace netc::nests
