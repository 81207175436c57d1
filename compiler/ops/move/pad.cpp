// Padding: zeros, the image mirrored at its edges, or the edges repeated.
#include "compiler/ops/move/moves.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

/// The element that a place outside of [0, n) repeats.
int64_t source(int64_t i, int64_t n, const std::string& mode) {
  if (mode == "edge") return std::clamp<int64_t>(i, 0, n - 1);
  return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
}

bool padding_fits(int64_t n, int64_t before, int64_t after, const std::string& mode) {
  return before >= 0 && after >= 0 && (mode != "reflect" || (before < n && after < n));
}

OpDef pad() {
  OpDef d;
  d.name = "pad";
  d.doc =
      "`before` and `after` more elements on each axis. mode zero: zeros; edge: the first or last element again; "
      "reflect: the tensor mirrored at it.";
  d.kind = Kind::gather;
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const std::vector<int64_t>&before = a.ints("before"), &after = a.ints("after");
    const std::string& mode = a.s("mode");
    Type t = in[0];
    bool fits = t.dtype == DType::f32 && movable(t) && before.size() == t.dims.size() && after.size() == t.dims.size();
    fits = fits && (mode == "zero" || mode == "edge" || mode == "reflect");
    for (size_t i = 0; fits && i < before.size(); ++i) {
      fits = padding_fits(t.dims[i], before[i], after[i], mode);
      t.dims[i] += before[i] + after[i];
    }
    const std::string what = fmt::format("room for {} padding of [{}] before and [{}] after", mode,
                                         fmt::join(before, ", "), fmt::join(after, ", "));
    if (!fits) return misfit(error, "pad", what, in);
    out = {t};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Attrs& a = ctx.node.attrs;
    const Type& t = ctx.in_type(0);
    const std::vector<Var> v = vars_of(t);
    Exprs at = exprs(v);
    Halide::Region bounds(at.size());
    for (int i = 0; i < t.rank(); ++i) {
      const int k = coordinate(t, i);
      at[k] = at[k] - static_cast<int>(a.ints("before")[i]);
      if (a.ints("before")[i] + a.ints("after")[i] > 0) bounds[k] = {0, extent_of(t, i)};
    }
    namespace conditions = Halide::BoundaryConditions;
    const Func& x = ctx.in[0];
    Func y("pad");
    y(v) = (a.s("mode") == "zero"   ? conditions::constant_exterior(x, lit(0), bounds)
            : a.s("mode") == "edge" ? conditions::repeat_edge(x, bounds)
                                    : conditions::mirror_interior(x, bounds))(at);
    return Lowered{{y}};
  };
  d.reference = by_coordinates([](const Node& n, const Graph&, const Tensors& in, At at, size_t first) {
    const std::vector<int64_t>& before = n.attrs.ints("before");
    for (size_t i = 0; i < before.size(); ++i) {
      int64_t& e = at[first + i];
      const int64_t extent = in[0].dims[first + i];
      e -= before[i];
      if (n.attrs.s("mode") != "zero") e = source(e, extent, n.attrs.s("mode"));
      else if (e < 0 || e >= extent) return 0.0;
    }
    return element(in[0], at);
  });
  d.gradient = [](const GradContext& g) {
    const Attrs a = g.n().attrs;
    const std::vector<int64_t> dims = g.graph.type(g.in(0)).dims;
    ValueId dx = g.grads_out[0];
    if (a.s("mode") == "zero") {
      const std::vector<int64_t> step(dims.size(), 1);
      return std::vector<ValueId>{
          g.emit("slice", {dx}, {{"begin", a.ints("before")}, {"extent", dims}, {"step", step}})};
    }
    for (size_t i = 0; i < dims.size(); ++i) {
      const int64_t before = a.ints("before")[i], after = a.ints("after")[i];
      if (before + after == 0) continue;
      dx = g.emit("pad_grad", {dx},
                  {{"axis", static_cast<int64_t>(i)}, {"before", before}, {"after", after}, {"mode", a.s("mode")}});
    }
    return std::vector<ValueId>{dx};
  };
  return d;
}

OpDef pad_grad() {
  OpDef d;
  d.name = "pad_grad";
  d.doc =
      "Gradient of pad, mode edge or reflect, along one axis: dx[i] is the sum of dy wherever the padding repeats "
      "x[i].";
  d.kind = Kind::window;
  d.overlapping = [](const Attrs&) { return true; };  // it reads far from where it writes
  d.no_gradient = kNoSecond;
  d.cost = per_element(2);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const int64_t axis = a.i("axis"), before = a.i("before"), after = a.i("after");
    const std::string& mode = a.s("mode");
    Type t = in[0];
    bool fits =
        t.dtype == DType::f32 && movable(t) && axis >= 0 && axis < t.rank() && (mode == "edge" || mode == "reflect");
    if (fits) t.dims[axis] -= before + after;
    if (!fits || t.dims[axis] < 1 || !padding_fits(t.dims[axis], before, after, mode))
      return misfit(error, "pad_grad", "a padded tensor", in);
    out = {t};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Attrs& a = ctx.node.attrs;
    const std::vector<Var> v = vars_of(ctx.out_type());
    const int k = coordinate(ctx.out_type(), a.i("axis")), n = extent_of(ctx.out_type(), a.i("axis"));
    const int before = static_cast<int>(a.i("before")), after = static_cast<int>(a.i("after"));
    const bool edge = a.s("mode") == "edge";
    // dy, where the place lies in the padded tensor and `repeats` is true
    auto dy = [&](const Expr& repeats, const Expr& place) {
      Exprs at = exprs(v);
      at[k] = clamp(place, 0, n + before + after - 1);
      return select(repeats, ctx.in[0](at), 0.0f);
    };
    const Var& i = v[k];
    Exprs own = exprs(v);
    own[k] = i + before;
    return box_sum("pad_grad", v, {edge ? std::max(before, after) + 1 : 2}, [&](const Exprs& t) {
      // in the padding before and after
      const Expr from = edge ? before - t[0] : before - i, to = edge ? before + n - 1 + t[0] : before + 2 * (n - 1) - i;
      const Expr first = edge ? i == 0 && t[0] > 0 && t[0] <= before : t[0] == 1 && i >= 1 && i <= before;
      const Expr last = edge ? i == n - 1 && t[0] > 0 && t[0] <= after : t[0] == 1 && i <= n - 2 && i >= n - 1 - after;
      return select(t[0] == 0, ctx.in[0](own), dy(first, from) + dy(last, to));
    });
  };
  d.reference = by_scattering([](const Node& n, const Graph& g, At at, size_t first, const Place& to) {
    const size_t axis = static_cast<size_t>(n.attrs.i("axis"));
    at[first + axis] =
        source(at[first + axis] - n.attrs.i("before"), g.type(n.results[0]).dims[axis], n.attrs.s("mode"));
    to(at, 1);
  });
  return d;
}

LayerDef layer_def() {
  LayerDef l;
  l.name = "Pad";
  l.doc = "More pixels around an image. y[i, j, c] = x[i - top, j - left, c], and outside of x what mode says";
  l.section = "Shape";
  l.weight_prefix = "pad";
  l.args = {{"amount",
             ArgType::integers,
             std::nullopt,
             0,
             1e4,
             {},
             "pixels on each side; or [vertical, horizontal], or [top, bottom, left, right]"},
            {"mode",
             ArgType::choice,
             ArgValue{std::string("zero")},
             -1e300,
             1e300,
             {"zero", "reflect", "edge"},
             "zero: zeros; reflect: mirrored at the outermost pixels; edge: these repeated"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "Pad", 3)) return kNone;
    const Type t = b.in_type();
    std::vector<int64_t> p = b.ints("amount");
    if (p.size() == 1) p.assign(4, p[0]);
    if (p.size() == 2) p = {p[0], p[0], p[1], p[1]};
    if (p.size() != 4) {
      return b.error(fmt::format("Pad takes 1, 2 or 4 amounts, but they are [{}]", fmt::join(p, ", ")),
                     "as 1, [vertical, horizontal], or [top, bottom, left, right]");
    }
    for (int axis = 0; axis < 2; ++axis) {
      const int64_t most = std::max(p[2 * axis], p[2 * axis + 1]), n = t.dims[axis];
      if (padding_fits(n, p[2 * axis], p[2 * axis + 1], b.s("mode"))) continue;
      return b.error(fmt::format("Pad mirrors {} pixels, but its input {} has {} besides the outermost", most,
                                 shape_for_user(t), n - 1),
                     "use mode = edge, or less");
    }
    if (!check_size(b, "Pad", f32({t.dims[0] + p[0] + p[1], t.dims[1] + p[2] + p[3], t.dims[2]}, t.batched)))
      return kNone;
    const std::vector<int64_t> before{p[0], p[2], 0}, after{p[1], p[3], 0};
    return b.emit("pad", {b.in()[0]}, {{"before", before}, {"after", after}, {"mode", b.s("mode")}});
  };
  return l;
}

}  // namespace

void add_pad(Registry& r) {
  static const OpDef ops[] = {pad(), pad_grad()};
  static const LayerDef layer = layer_def();
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
