#include "compiler/ir/by_pixel.h"

#include <algorithm>

namespace netc::ir {

bool by_pixel(const Node& n, const Graph& g) {
  if (n.op->kind != Kind::contraction || !n.op->windows || g.type(n.inputs[1]).batched) return false;
  const Type &x = g.type(n.inputs[0]), &y = g.type(n.results[0]);
  const std::vector<WindowSteps> windows = n.op->windows(n, g);
  return std::all_of(windows.begin(), windows.end(), [&](const WindowSteps& w) {
    return w.extent == 1 && w.stride == 1 && w.before == 0 && x.dims[w.dim] == y.dims[w.dim];
  });
}

}  // namespace netc::ir
