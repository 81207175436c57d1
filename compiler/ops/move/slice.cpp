// Parts of a tensor: slices and their gradient, Split, and crops, also of images of any size while data is loaded.
#include "compiler/base/counted.h"
#include "compiler/ops/move/moves.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

/// Elements begin, begin + step, ... of each axis, `extent` of them.
struct Region {
  const std::vector<int64_t>&begin, &extent, &step;
  Region(const Attrs& a, const char* extents) : begin(a.ints("begin")), extent(a.ints(extents)), step(a.ints("step")) {}
  /// Of a tensor whose extents are `whole`, taking `part`.
  bool inside(const std::vector<int64_t>& whole, const std::vector<int64_t>& part) const {
    if (begin.size() != whole.size() || part.size() != whole.size() || step.size() != whole.size()) return false;
    for (size_t i = 0; i < whole.size(); ++i)
      if (begin[i] < 0 || part[i] < 1 || step[i] < 1 || begin[i] >= whole[i] ||
          part[i] - 1 > (whole[i] - 1 - begin[i]) / step[i])
        return false;
    return true;
  }
  bool contiguous() const { return std::count(step.begin(), step.end(), 1) == static_cast<long>(step.size()); }
};

OpDef slice() {
  OpDef d;
  d.name = "slice";
  d.doc =
      "Of each axis the elements begin + step * i, `extent` of them: y[i, j, ...] = x[begin[0] + step[0]*i, begin[1] + "
      "step[1]*j, ...].";
  d.kind = Kind::gather;
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const Region r(a, "extent");
    if (!movable(in[0]) || !r.inside(in[0].dims, r.extent)) {
      const auto list = [](const std::vector<int64_t>& v) { return fmt::format("[{}]", fmt::join(v, ", ")); };
      return misfit(error, "slice",
                    fmt::format("room for {} from {} in steps of {}", list(r.extent), list(r.begin), list(r.step)), in);
    }
    out = {Type{in[0].dtype, in[0].batched, r.extent}};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Region r(ctx.node.attrs, "extent");
    const std::vector<Var> v = vars_of(ctx.out_type());
    Exprs at = exprs(v);
    for (size_t i = 0; i < r.begin.size(); ++i) {
      Expr& e = at[coordinate(ctx.out_type(), static_cast<int64_t>(i))];
      e = e * static_cast<int>(r.step[i]) + static_cast<int>(r.begin[i]);
    }
    Func y("slice");
    y(v) = ctx.in[0](at);
    return Lowered{{y}};
  };
  d.reference = by_coordinates([](const Node& n, const Graph&, const Tensors& in, At at, size_t first) {
    const Region r(n.attrs, "extent");
    for (size_t i = 0; i < r.begin.size(); ++i) at[first + i] = r.begin[i] + r.step[i] * at[first + i];
    return element(in[0], at);
  });
  d.gradient = [](const GradContext& g) {
    if (!g.wanted[0]) return std::vector<ValueId>{kNone};
    const Region r(g.n().attrs, "extent");
    return std::vector<ValueId>{g.emit("slice_grad", {g.grads_out[0]},
                                       {{"begin", r.begin}, {"dims", g.graph.type(g.in(0)).dims}, {"step", r.step}})};
  };
  return d;
}

OpDef slice_grad() {
  OpDef d;
  d.name = "slice_grad";
  d.doc = "Gradient of slice: dy at the places it was taken from, of a tensor of extents `dims`, and zero elsewhere.";
  d.kind = Kind::gather;
  d.no_gradient = kNoSecond;
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const Region r(a, "dims");
    out = {f32(r.extent, in[0].batched)};
    if (in[0].dtype == DType::f32 && movable(in[0]) && movable(out[0]) && r.inside(r.extent, in[0].dims)) return true;
    return misfit(error, "slice_grad", fmt::format("a slice of {}", to_string(out[0])), in);
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Region r(ctx.node.attrs, "dims");
    const Type& t = ctx.in_type(0);
    const std::vector<Var> v = vars_of(ctx.out_type());
    Exprs at = exprs(v);
    Func dx("slice_grad");
    if (r.contiguous()) {
      Halide::Region bounds(at.size());
      for (int i = 0; i < t.rank(); ++i) {
        const int k = coordinate(t, i);
        at[k] = at[k] - static_cast<int>(r.begin[i]);
        if (t.dims[i] != r.extent[i]) bounds[k] = {0, extent_of(t, i)};
      }
      dx(v) = Halide::BoundaryConditions::constant_exterior(ctx.in[0], lit(0), bounds)(at);
      return Lowered{{dx}};
    }
    Expr taken;
    for (int i = 0; i < t.rank(); ++i) {
      const int k = coordinate(t, i), step = static_cast<int>(r.step[i]), n = extent_of(t, i);
      const Expr from = at[k] - static_cast<int>(r.begin[i]), which = from / step;
      const Expr here = from % step == 0 && which >= 0 && which < n;
      taken = taken.defined() ? taken && here : here;
      at[k] = clamp(which, 0, n - 1);
    }
    dx(v) = select(taken, ctx.in[0](at), 0.0f);
    return Lowered{{dx}};
  };
  d.reference = by_scattering([](const Node& n, const Graph&, At at, size_t first, const Place& to) {
    const Region r(n.attrs, "dims");
    for (size_t i = 0; i < r.begin.size(); ++i) at[first + i] = r.begin[i] + r.step[i] * at[first + i];
    to(at, 1);
  });
  return d;
}

OpDef crop() {
  OpDef d;
  d.name = "crop";
  d.doc =
      "The middle `height` x `width` pixels of an image of any height and width; the edges are repeated where it is "
      "smaller. Works per sample, as resize "
      "does.";
  d.kind = Kind::ingest;
  d.no_gradient = "it runs in the data loader, before anything trained";
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (in[0].rank() != 3 || in[0].dims[2] < 1) return misfit(error, "crop", "images [height, width, channels]", in);
    out = {Type{in[0].dtype, in[0].batched, {a.i("height"), a.i("width"), in[0].dims[2]}}};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Type& t = ctx.in_type(0);
    std::vector<Var> v = vars_of(t);
    v.resize(static_cast<size_t>(ctx.in[0].dimensions()));  // no batch where the operand has none
    Exprs at = exprs(v);
    const int wanted[] = {extent_of(ctx.out_type(), 1), extent_of(ctx.out_type(), 0)};
    for (int k = 1; k <= 2; ++k) {
      const Expr extent = static_cast<int>(ctx.extents.size()) > k ? ctx.extents[k] : Expr(extent_of(t, 2 - k));
      at[k] = clamp(at[k] + (extent - wanted[k - 1]) / 2, 0, extent - 1);
    }
    Func y("crop");
    y(v) = ctx.in[0](at);
    return Lowered{{y}, y};
  };
  d.reference = by_coordinates([](const Node& n, const Graph& g, const Tensors& in, At at, size_t first) {
    for (size_t i = first; i < first + 2; ++i) {
      const int64_t extent = in[0].dims[i], wanted = g.type(n.results[0]).dims[i - first];
      at[i] = std::clamp<int64_t>(at[i] + floor_div(extent - wanted, 2), 0, extent - 1);
    }
    return element(in[0], at);
  });
  return d;
}

/// Elements [begin, begin + extent) in steps along one axis.
ValueId part(LayerBuilder& b, int axis, int64_t begin, int64_t extent, int64_t step = 1) {
  const Type t = b.in_type();
  std::vector<int64_t> begins(t.dims.size(), 0), extents = t.dims, steps(t.dims.size(), 1);
  begins[axis] = begin, extents[axis] = extent, steps[axis] = step;
  return b.emit("slice", {b.in()[0]}, {{"begin", begins}, {"extent", extents}, {"step", steps}});
}

LayerDef slice_layer() {
  LayerDef l;
  l.name = "Slice";
  l.doc = "A part along one axis. y[i] = x[begin + step*i] up to, and without, end";
  l.section = "Shape";
  l.weight_prefix = "slice";
  l.args = {{"begin", ArgType::integer, std::nullopt, -1e9, 1e9, {}, "the first element; negative: from the end"},
            {"end",
             ArgType::integer,
             ArgValue{int64_t{0}},
             -1e9,
             1e9,
             {},
             "the first element that is left out; negative: from the end; 0: none is"},
            {"step", ArgType::integer, ArgValue{int64_t{1}}, 1, 1e9, {}, "every so many"},
            axis_arg()};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_extents(b, "Slice")) return kNone;
    const Type t = b.in_type();
    const int axis = axis_of(b, "Slice", t);
    if (axis == kNone) return kNone;
    const int64_t n = t.dims[axis], begin = b.i("begin") + (b.i("begin") < 0 ? n : 0),
                  end = b.i("end") + (b.i("end") <= 0 ? n : 0);
    if (begin < 0 || end > n || begin >= end) {
      return b.error(fmt::format("Slice({}, {}) along {} takes nothing or leaves its input {}", b.i("begin"),
                                 b.i("end"), b.s("axis"), shape_for_user(t)),
                     fmt::format("that axis has the elements 0 to {}", n - 1));
    }
    return part(b, axis, begin, (end - begin - 1) / b.i("step") + 1, b.i("step"));
  };
  return l;
}

LayerDef split_layer() {
  LayerDef l;
  l.name = "Split";
  l.doc =
      "A list of parts along an axis: (x -> Split(2))[0] is the first half. Part k holds the extents[k] elements after "
      "those of the parts before it";
  l.section = "Shape";
  l.weight_prefix = "split";
  l.args = {{"parts", ArgType::integers, std::nullopt, 1, 1e6, {}, "how many equal parts, or a list of their extents"},
            axis_arg()};
  l.build_many = [](LayerBuilder& b) -> std::vector<ValueId> {
    if (!check_extents(b, "Split")) return {kNone};
    const Type t = b.in_type();
    const int axis = axis_of(b, "Split", t);
    if (axis == kNone) return {kNone};
    std::vector<int64_t> parts = b.ints("parts");
    const int64_t n = t.dims[axis], count = parts[0];
    if (parts.size() == 1) {
      if (n % count) {
        return {
            b.error(fmt::format("Split({0}) along {1} needs an extent that is a multiple of {0}, but its input is {2}",
                                count, b.s("axis"), shape_for_user(t)),
                    "give the parts' extents: Split([16, 32])")};
      }
      parts.assign(static_cast<size_t>(count), n / count);
    }
    int64_t sum = 0;
    for (const int64_t p : parts) sum += p;
    if (sum != n) {
      return {b.error(fmt::format("the parts of Split([{}]) along {} have {}, but its input {} has {}",
                                  fmt::join(parts, ", "), b.s("axis"), counted(sum, "element"), shape_for_user(t),
                                  grouped(n)))};
    }
    std::vector<ValueId> out;
    int64_t from = 0;
    for (const int64_t p : parts) out.push_back(part(b, axis, from, p)), from += p;
    return out;
  };
  return l;
}

LayerDef crop_layer() {
  LayerDef l;
  l.name = "Crop";
  l.doc =
      "The middle of an image; of one of any size while data is loaded, with edges repeated where it is smaller. "
      "y[i, j, c] = x[i + (H - height)/2, j + (W - width)/2, c]";
  l.section = "Shape";
  l.weight_prefix = "crop";
  l.args = {{"height", ArgType::integer, std::nullopt, 1, 1 << 16, {}, "rows of the result"},
            {"width", ArgType::integer, std::nullopt, 1, 1 << 16, {}, "columns"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    const Type t = b.in_type();
    const int64_t h = b.i("height"), w = b.i("width");
    if (t.rank() != 3 || t.dims[2] == kAnyExtent) {
      return b.error(
          fmt::format("Crop needs an image (height, width, channels), but its input is {}", shape_for_user(t)));
    }
    if (t.has_any_extent()) return ingested(b, "Crop", "crop", {{"height", h}, {"width", w}, {"aspect", "cut"}});
    if (h > t.dims[0] || w > t.dims[1]) {
      return b.error(
          fmt::format("Crop({}, {}) needs an image at least that large, but its input is {}", h, w, shape_for_user(t)),
          "put Pad or Resize before it");
    }
    if (h == t.dims[0] && w == t.dims[1]) return b.in()[0];
    const std::vector<int64_t> begin{(t.dims[0] - h) / 2, (t.dims[1] - w) / 2, 0}, extent{h, w, t.dims[2]},
        step{1, 1, 1};
    return b.emit("slice", {b.in()[0]}, {{"begin", begin}, {"extent", extent}, {"step", step}});
  };
  return l;
}

}  // namespace

void add_slice(Registry& r) {
  static const OpDef ops[] = {slice(), slice_grad(), crop()};
  static const LayerDef layers[] = {slice_layer(), split_layer(), crop_layer()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
