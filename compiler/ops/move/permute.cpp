// The axes in another order; and what is a permutation between two views: patches, space to depth and back.
#include "compiler/ops/move/moves.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

/// Each of 0 .. rank-1 once.
bool is_order(std::vector<int64_t> order, int rank) {
  std::sort(order.begin(), order.end());
  for (size_t i = 0; i < order.size(); ++i)
    if (order[i] != static_cast<int64_t>(i)) return false;
  return static_cast<int>(order.size()) == rank;
}

OpDef permute() {
  OpDef d;
  d.name = "permute";
  d.doc = "The axes in another order: dim i of the result is dim order[i] of x.";
  d.kind = Kind::gather;
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const std::vector<int64_t>& order = a.ints("order");
    if (!movable(in[0]) || !is_order(order, in[0].rank()))
      return misfit(error, "permute", fmt::format("the dims [{}]", fmt::join(order, ", ")), in);
    Type t = in[0];
    for (size_t i = 0; i < order.size(); ++i) t.dims[i] = in[0].dims[order[i]];
    out = {t};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const std::vector<int64_t>& order = ctx.node.attrs.ints("order");
    const std::vector<Var> v = vars_of(ctx.out_type());
    Exprs at = exprs(v);
    for (size_t i = 0; i < order.size(); ++i)
      at[coordinate(ctx.in_type(0), order[i])] = v[coordinate(ctx.out_type(), static_cast<int64_t>(i))];
    Func y("permute");
    y(v) = ctx.in[0](at);
    return Lowered{{y}};
  };
  d.reference = by_coordinates([](const Node& n, const Graph&, const Tensors& in, At at, size_t first) {
    const std::vector<int64_t>& order = n.attrs.ints("order");
    At from = at;
    for (size_t i = 0; i < order.size(); ++i) from[first + static_cast<size_t>(order[i])] = at[first + i];
    return element(in[0], from);
  });
  d.gradient = [](const GradContext& g) {
    const std::vector<int64_t>& order = g.n().attrs.ints("order");
    std::vector<int64_t> back(order.size());
    for (size_t i = 0; i < order.size(); ++i) back[order[i]] = static_cast<int64_t>(i);
    return std::vector<ValueId>{g.emit("permute", {g.grads_out[0]}, {{"order", back}})};
  };
  return d;
}

LayerDef permute_layer() {
  LayerDef l;
  l.name = "Permute";
  l.doc =
      "The dimensions of a sample in another order. Dimension i of the result is dimension order[i] of x: Permute(2, "
      "0, 1) puts the channels first";
  l.section = "Shape";
  l.weight_prefix = "permute";
  l.args = {
      {"order", ArgType::integers, std::nullopt, 0, 3, {}, "for each dimension of the result, the number of x's"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_extents(b, "Permute")) return kNone;
    const Type t = b.in_type();
    const std::vector<int64_t> order = b.ints("order");
    if (!is_order(order, t.rank())) {
      return b.error(fmt::format("Permute({}) does not name each dimension of its input {} once",
                                 fmt::join(order, ", "), shape_for_user(t)),
                     t.rank() == 0 ? "" : fmt::format("there are {}, numbered from 0 to {}", t.rank(), t.rank() - 1));
    }
    return b.emit("permute", {b.in()[0]}, {{"order", order}});
  };
  return l;
}

/// x of rank 4 by `dims`, its two middle dims exchanged, by `result`.
ValueId exchanged(LayerBuilder& b, std::vector<int64_t> dims, std::vector<int64_t> result) {
  const ValueId blocks = b.emit("reshape", {b.in()[0]}, {{"dims", std::move(dims)}});
  return b.emit("reshape", {b.emit("permute", {blocks}, {{"order", std::vector<int64_t>{0, 2, 1, 3}}})},
                {{"dims", std::move(result)}});
}

/// Squares of size x size pixels, each with its pixels' channels in a row; a sequence of them, or an image.
LayerDef patches_layer(const char* name, const char* doc, bool sequence) {
  LayerDef l;
  l.name = name;
  l.doc = doc;
  l.section = "Shape";
  l.weight_prefix = sequence ? "patchify" : "space_to_depth";
  l.args = {{"size", ArgType::integer_or_pair, std::nullopt, 1, 1e4, {}, "height and width of a patch"}};
  const std::string layer = name;
  l.build = [layer, sequence](LayerBuilder& b) -> ValueId {
    if (!check_extents(b, layer.c_str())) return kNone;
    const Type t = b.in_type();
    const std::vector<int64_t> p = b.pair("size");
    if (t.rank() != 3)
      return b.error(
          fmt::format("{} needs an image (height, width, channels), but its input is {}", layer, shape_for_user(t)));
    if (t.dims[0] % p[0] || t.dims[1] % p[1]) {
      return b.error(fmt::format("{} needs a height and width that patches of {} x {} fill, but its input is {}", layer,
                                 p[0], p[1], shape_for_user(t)),
                     "choose a size that divides both, or put Resize, Crop or Pad before it");
    }
    const int64_t h = t.dims[0] / p[0], w = t.dims[1] / p[1], row = p[1] * t.dims[2];
    return exchanged(b, {h, p[0], w, row},
                     sequence ? std::vector<int64_t>{h * w, p[0] * row} : std::vector<int64_t>{h, w, p[0] * row});
  };
  return l;
}

LayerDef depth_to_space_layer() {
  LayerDef l;
  l.name = "DepthToSpace";
  l.doc =
      "Channels become pixels: the inverse of SpaceToDepth. y[i*size + dy, j*size + dx, c] = x[i, j, (dy*size + dx)*C "
      "+ c]";
  l.section = "Shape";
  l.weight_prefix = "depth_to_space";
  l.args = {{"size", ArgType::integer_or_pair, std::nullopt, 1, 1e4, {}, "height and width of what a pixel becomes"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_extents(b, "DepthToSpace")) return kNone;
    const Type t = b.in_type();
    const std::vector<int64_t> p = b.pair("size");
    if (t.rank() != 3 || t.dims[2] % (p[0] * p[1])) {
      return b.error(
          fmt::format("DepthToSpace needs an image whose channels are a multiple of {} * {}, but its input is {}", p[0],
                      p[1], shape_for_user(t)),
          fmt::format("put Conv({} * channels, 1) before it", p[0] * p[1]));
    }
    const int64_t row = t.dims[2] / p[0];
    return exchanged(b, {t.dims[0], t.dims[1], p[0], row}, {t.dims[0] * p[0], t.dims[1] * p[1], row / p[1]});
  };
  return l;
}

}  // namespace

void add_permute(Registry& r) {
  static const OpDef op = permute();
  static const LayerDef layers[] = {
      permute_layer(),
      patches_layer("Patchify",
                    "An image as a sequence of patches, row by row. y[i*(W/size) + j, (dy*size + dx)*C + c] = x[i*size "
                    "+ dy, j*size + dx, c]",
                    true),
      patches_layer(
          "SpaceToDepth",
          "Pixels of each block become channels. y[i, j, (dy*size + dx)*C + c] = x[i*size + dy, j*size + dx, c]",
          false),
      depth_to_space_layer()};
  r.ops.ops.push_back(&op);
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
