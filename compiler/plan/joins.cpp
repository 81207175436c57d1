#include "compiler/plan/joins.h"

#include <algorithm>

namespace netc::plan {

using ir::Graph;
using ir::Kind;
using ir::Node;
using ir::Type;
using ir::ValueId;

namespace {
constexpr int64_t kMostPixels = 16;  // of a window, which are in registers together: loops over them are unrolled
}

std::optional<Pooling> pooling_of(const Graph& g, const Node& n) {
  if (n.op->kind != Kind::window || n.inputs.size() != 1 || n.results.size() != 1 || !n.op->windows ||
      n.op->overlaps(n.attrs))
    return std::nullopt;
  const Type &in = g.type(n.inputs[0]), &out = g.type(n.results[0]);
  if (!in.batched || in.rank() != 3 || out.rank() != 3 || in.dims[2] != out.dims[2]) return std::nullopt;
  int64_t steps[2] = {1, 1};
  for (const ir::WindowSteps& w : n.op->windows(n, g)) {
    if (w.dim > 1 || w.before != 0 || w.extent != w.stride || in.dims[w.dim] / w.stride != out.dims[w.dim])
      return std::nullopt;
    steps[w.dim] = w.stride;
  }
  if (steps[0] * steps[1] > kMostPixels) return std::nullopt;
  return Pooling{steps[0], steps[1]};
}

Pooling pooling_of(const Graph& g, const Kernel& k) {
  for (const ir::NodeId n : k.nodes)
    if (n != k.anchor)
      if (const auto pooling = pooling_of(g, g.nodes[n])) return *pooling;
  return {};
}

bool same_shape(const Graph& g, ValueId a, ValueId b) {
  return g.type(a).dims == g.type(b).dims && g.type(a).batched == g.type(b).batched;
}

namespace {

/// The anchors whose loops have tiles of an image's rows and columns: of convolutions whose pixels all are sums over
/// the same taps.
bool has_image_tiles(const Graph& g, const Node& anchor) {
  if (anchor.op->kind != Kind::contraction || anchor.op->made_of<ir::AttentionHeads>(anchor.attrs) ||
      g.type(anchor.inputs[1]).batched)
    return false;
  const Type& t = g.type(anchor.results[0]);
  return t.batched && t.rank() == 3 &&
         (!anchor.op->phases || anchor.op->phases(anchor.attrs) == std::pair<int, int>{1, 1});
}

}  // namespace

bool may_follow(const Graph& g, const Node& anchor, ValueId v, const Node& next, bool pooled) {
  if (next.op->kind == Kind::elementwise) return same_shape(g, v, next.results[0]);
  const auto pooling = pooled || !has_image_tiles(g, anchor) ? std::nullopt : pooling_of(g, next);
  if (!pooling) return false;
  const auto tiles = anchor.op->made_of<ir::ImageTiles>(anchor.attrs);
  // Results that are transformed together have whole windows.
  return !tiles || (tiles->tile % pooling->y == 0 && tiles->tile % pooling->x == 0);
}

}  // namespace netc::plan
