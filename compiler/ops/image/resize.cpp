// Resize: bilinear, Keras's convention: pixel centres at half coordinates, edges clamped, no antialiasing. Of an input
// of any size it is run by the data loader, per sample; of an image of a known size it is a part of the net: linear
// interpolation along each axis, with a gradient.
#include <numeric>

#include "compiler/base/counted.h"
#include "compiler/ir/remedies.h"
#include "compiler/ops/image/fit.h"
#include "compiler/ops/move/moves.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

/// Along one dim: the two source pixels and the second one's share.
struct Taps {
  Expr low, high, share;
};
Taps taps(const Expr& i, int out, const Expr& in) {
  const Expr at = (cast<float>(i) + 0.5f) * (cast<float>(in) / lit(out)) - 0.5f;
  const Expr low = floor(at);
  return {clamp(cast<int>(low), 0, in - 1), clamp(cast<int>(low) + 1, 0, in - 1), at - low};
}

OpDef resize() {
  OpDef d;
  d.name = "resize";
  d.doc =
      "Bilinear resize of an image of any height and width to `height` x `width`, in f32. Works per sample: its Func "
      "has no batch coordinate when its "
      "operand has none.";
  d.kind = Kind::ingest;
  d.no_gradient = "it runs in the data loader, before anything trained";
  d.cost = per_element(9);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (in[0].rank() != 3 || (in[0].dtype != DType::u8 && in[0].dtype != DType::f32) || in[0].dims[2] < 1) {
      error = fmt::format("resize needs u8 or f32 images [height, width, channels], not {}", to_string(in[0]));
      return false;
    }
    out = {f32({a.i("height"), a.i("width"), in[0].dims[2]}, in[0].batched)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Type& t = ctx.in_type(0);
    const int h = static_cast<int>(ctx.node.attrs.i("height")), w = static_cast<int>(ctx.node.attrs.i("width"));
    const Expr in_w = ctx.extents.size() > 1 ? ctx.extents[1] : Expr(static_cast<int>(t.dims[1]));
    const Expr in_h = ctx.extents.size() > 2 ? ctx.extents[2] : Expr(static_cast<int>(t.dims[0]));
    Var c("c"), x("x"), y("y"), n("n");
    std::vector<Var> at{c, x, y};
    if (ctx.in[0].dimensions() == 4) at.push_back(n);
    const Taps tx = taps(x, w, in_w), ty = taps(y, h, in_h);
    auto pixel = [&](const Expr& px, const Expr& py) {
      Exprs p = exprs(at);
      p[1] = px;
      p[2] = py;
      return cast<float>(ctx.in[0](p));
    };
    auto mix = [](const Expr& a, const Expr& b, const Expr& share) { return a + (b - a) * share; };
    Func out("resize");
    const Expr upper = mix(pixel(tx.low, ty.low), pixel(tx.high, ty.low), tx.share),
               lower = mix(pixel(tx.low, ty.high), pixel(tx.high, ty.high), tx.share);
    out(at) = select(in_w == w && in_h == h, pixel(clamp(x, 0, in_w - 1), clamp(y, 0, in_h - 1)),
                     mix(upper, lower, ty.share));
    return Lowered{{out}, out};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor out = ref_zeros(g.type(n.results[0]), batch);
    const size_t first = in[0].dims.size() - 3;
    const int64_t H = in[0].dims[first], W = in[0].dims[first + 1], C = in[0].dims[first + 2], h = n.attrs.i("height"),
                  w = n.attrs.i("width");
    for (int64_t i = 0; i < static_cast<int64_t>(out.data.size()); ++i) {
      const int64_t c = i % C, x = i / C % w, y = i / (C * w) % h, s = i / (C * w * h);
      const double sx = (x + 0.5) * W / w - 0.5, sy = (y + 0.5) * H / h - 0.5, fx = sx - std::floor(sx),
                   fy = sy - std::floor(sy);
      auto at = [&](int64_t px, int64_t py) {
        px = std::clamp<int64_t>(px, 0, W - 1);
        py = std::clamp<int64_t>(py, 0, H - 1);
        return in[0].data[((s * H + py) * W + px) * C + c];
      };
      const int64_t x0 = static_cast<int64_t>(std::floor(sx)), y0 = static_cast<int64_t>(std::floor(sy));
      out.data[i] = (1 - fy) * ((1 - fx) * at(x0, y0) + fx * at(x0 + 1, y0)) +
                    fy * ((1 - fx) * at(x0, y0 + 1) + fx * at(x0 + 1, y0 + 1));
    }
    return Tensors{out};
  };
  return d;
}

constexpr int64_t kMostInterpolated = 16384;  // positions along an axis are computed in 32 bits

/// The two elements that result element `i` of `out` lies between in an axis of `in`, and the second one's share.
struct Between {
  int64_t low, high;
  double share;
};
Between between(int64_t i, int64_t out, int64_t in) {
  const double at = (static_cast<double>(i) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5;
  const int64_t low = static_cast<int64_t>(std::floor(at));
  return {std::clamp<int64_t>(low, 0, in - 1), std::clamp<int64_t>(low + 1, 0, in - 1), at - std::floor(at)};
}

bool interpolates(const Type& x, const std::vector<int64_t>& dims) {
  if ((x.dtype != DType::f32 && x.dtype != DType::u8) || !movable(x) || dims.size() != x.dims.size()) return false;
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] != x.dims[i] && (dims[i] < 1 || dims[i] > kMostInterpolated || x.dims[i] > kMostInterpolated))
      return false;
  return true;
}

OpDef interpolate() {
  OpDef d;
  d.name = "interpolate";
  d.doc =
      "Linear interpolation along each axis whose extent changes to that of `dims`: y[i] = x at (i + 1/2) * "
      "extent/dims - 1/2, edges clamped.";
  d.kind = Kind::window;
  d.overlapping = [](const Attrs&) { return true; };
  d.cost = per_element(6);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const std::vector<int64_t>& dims = a.ints("dims");
    if (!interpolates(in[0], dims))
      return misfit(error, "interpolate", fmt::format("a u8 or f32 tensor that can become [{}]", fmt::join(dims, ", ")),
                    in);
    out = {f32(dims, in[0].batched)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Type &x = ctx.in_type(0), &t = ctx.out_type();
    const std::vector<Var> v = vars_of(t);
    Exprs at = exprs(v);
    // x interpolated along the axes up to and with `axis`, at the place `at` in those and in the others
    const std::function<Expr(int)> along = [&](int axis) -> Expr {
      if (axis < 0) return cast<float>(ctx.in[0](at));
      if (x.dims[axis] == t.dims[axis]) return along(axis - 1);
      const int k = coordinate(t, axis);
      const Taps p = taps(v[k], extent_of(t, axis), extent_of(x, axis));
      at[k] = p.low;
      const Expr low = along(axis - 1);
      at[k] = p.high;
      return low + (along(axis - 1) - low) * p.share;
    };
    Func y("interpolate");
    y(v) = along(t.rank() - 1);
    return Lowered{{y}, y};
  };
  d.reference = by_coordinates([](const Node& n, const Graph&, const Tensors& in, At at, size_t first) {
    const std::vector<int64_t>& dims = n.attrs.ints("dims");
    const std::function<double(size_t)> along = [&](size_t i) -> double {
      if (i == dims.size()) return element(in[0], at);
      const int64_t here = at[first + i];
      const Between p = between(here, dims[i], in[0].dims[first + i]);
      at[first + i] = p.low;
      const double low = along(i + 1);
      at[first + i] = p.high;
      const double high = along(i + 1);
      at[first + i] = here;
      return low * (1 - p.share) + high * p.share;
    };
    return along(0);
  });
  d.gradient = [](const GradContext& g) {
    const std::vector<int64_t> dims = g.graph.type(g.in(0)).dims;
    ValueId dx = g.grads_out[0];
    for (size_t i = 0; i < dims.size(); ++i)
      if (g.graph.type(dx).dims[i] != dims[i])
        dx = g.emit("interpolate_grad", {dx}, {{"axis", static_cast<int64_t>(i)}, {"extent", dims[i]}});
    return std::vector<ValueId>{dx};
  };
  return d;
}

OpDef interpolate_grad() {
  OpDef d;
  d.name = "interpolate_grad";
  d.doc =
      "Gradient of interpolate along one axis, whose extent was `extent`: dx[j] is the sum of dy[i] times x[j]'s share "
      "of y[i].";
  d.kind = Kind::window;
  d.overlapping = [](const Attrs&) { return true; };
  d.no_gradient = kNoSecond;
  d.cost = per_input_element(0, 6);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const int64_t axis = a.i("axis"), extent = a.i("extent");
    const bool there = axis >= 0 && axis < in[0].rank() && extent >= 1;
    Type t = in[0];
    if (there) t.dims[axis] = extent;
    if (!there || !interpolates(t, in[0].dims))
      return misfit(error, "interpolate_grad", fmt::format("a tensor interpolated along dim {}", axis), in);
    out = {t};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const int64_t axis = ctx.node.attrs.i("axis");
    const std::vector<Var> v = vars_of(ctx.out_type());
    const int k = coordinate(ctx.out_type(), axis), n = extent_of(ctx.out_type(), axis),
              m = extent_of(ctx.in_type(0), axis);
    const int common = std::gcd(n, m), nc = n / common, mc = m / common;
    // y[i] lies at (i + 1/2) * n/m - 1/2; x[j] has a share in those between j - 1 and j + 1: no more than 2m/n of them,
    // from `first` on.
    const Expr first = ((2 * v[k] - 1) * mc - nc) / (2 * nc);
    return box_sum("interpolate_grad", v, {(2 * m + n - 1) / n + 1}, [&](const Exprs& t) {
      const Expr i = first + t[0];
      const Taps p = taps(i, m, n);
      const Expr share = select(p.low == v[k], 1.0f - p.share, 0.0f) + select(p.high == v[k], p.share, 0.0f);
      Exprs at = exprs(v);
      at[k] = clamp(i, 0, m - 1);
      return select(i >= 0 && i < m, ctx.in[0](at) * share, 0.0f);
    });
  };
  d.reference = by_scattering([](const Node& n, const Graph& g, At at, size_t first, const Place& to) {
    const size_t axis = static_cast<size_t>(n.attrs.i("axis"));
    const Between p = between(at[first + axis], g.type(n.inputs[0]).dims[axis], n.attrs.i("extent"));
    at[first + axis] = p.low;
    to(at, 1 - p.share);
    at[first + axis] = p.high;
    to(at, p.share);
  });
  return d;
}

/// The operand, an image, with other extents.
ValueId interpolated(LayerBuilder& b, const char* layer, int64_t height, int64_t width) {
  const Type t = b.in_type();
  if (!check_size(b, layer, f32({height, width, t.dims[2]}, t.batched))) return kNone;
  const std::vector<int64_t> dims{height, width, t.dims[2]};
  if (dims == t.dims)
    return t.dtype == DType::f32 ? b.in()[0] : b.emit("rescale", {b.in()[0]}, {{"scale", 1.0}, {"offset", 0.0}});
  if (!interpolates(t, dims)) {
    return b.error(fmt::format("{} inside the net makes images of {} pixels a side at most, but {} x {} of {}", layer,
                               grouped(kMostInterpolated), height, width, shape_for_user(t)));
  }
  return b.emit("interpolate", {b.in()[0]}, {{"dims", dims}});
}

LayerDef resize_layer() {
  LayerDef l;
  l.name = "Resize";
  l.doc =
      "Bilinear resize of an image; of an input of any size, while data is loaded. "
      "y[i, j, c] = x at ((i + 1/2) * H/height - 1/2, (j + 1/2) * W/width - 1/2, c); edges clamped. "
      "It stretches; `fit` keeps the aspect ratio instead, and `antialias` averages over all that a pixel covers";
  l.section = "Preprocessing";
  l.weight_prefix = "resize";
  l.args = {{"height", ArgType::integer, std::nullopt, 1, 1 << 16, {}, "rows of the result"},
            {"width", ArgType::integer, std::nullopt, 1, 1 << 16, {}, "columns"},
            {"fit",
             ArgType::choice,
             ArgValue{std::string("stretch")},
             -1e300,
             1e300,
             {"stretch", "letterbox", "crop"},
             "of another aspect ratio: stretch; letterbox: the whole image, with bars of `colour`; crop: its middle"},
            {"antialias", ArgType::boolean, ArgValue{false}, -1e300, 1e300, {}, "when reducing, as Pillow does"},
            {"colour",
             ArgType::integers,
             ArgValue{std::vector<int64_t>{0}},
             0,
             255,
             {},
             "of the bars: one number, or one for each channel"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    const Type t = b.in_type();
    if (t.rank() != 3 || t.dims[2] == kAnyExtent || (t.dtype != DType::u8 && t.dtype != DType::f32)) {
      return b.error(fmt::format("Resize needs an image (height, width, channels) of u8 or f32, but its input is {}",
                                 shape_for_user(t)),
                     t.rank() == 3 && t.dtype != DType::u8 ? type_remedy(t) : "");
    }
    const bool as_it_is = t.dims[0] == b.i("height") && t.dims[1] == b.i("width");
    if (!as_it_is && (b.s("fit") != "stretch" || b.b("antialias"))) {
      const std::vector<int64_t> colour = b.ints("colour");
      if (colour.size() != 1 && colour.size() != static_cast<size_t>(t.dims[2])) {
        const std::string numbers = counted(colour.size(), "number");
        return b.error(fmt::format("Resize's colour has {}, but its input {}", numbers, counted(t.dims[2], "channel")),
                       "give one number, or one for each channel");
      }
      const Attrs attrs = {{"height", b.i("height")},
                           {"width", b.i("width")},
                           {"aspect", b.s("fit")},
                           {"antialias", b.b("antialias")},
                           {"colour", colour}};
      return ingested(b, "Resize", t.has_any_extent() ? "fit" : "fit_fixed", attrs);
    }
    if (t.has_any_extent())
      return ingested(b, "Resize", "resize", {{"height", b.i("height")}, {"width", b.i("width")}});
    return interpolated(b, "Resize", b.i("height"), b.i("width"));
  };
  return l;
}

LayerDef upsample_layer() {
  LayerDef l;
  l.name = "Upsample";
  l.doc =
      "An image made larger by whole factors. With nearest, y[i, j, c] = x[i / factor, j / factor, c]; bilinear is "
      "Resize to that size";
  l.section = "Shape";
  l.weight_prefix = "upsample";
  l.args = {{"factor", ArgType::integer_or_pair, ArgValue{int64_t{2}}, 1, 1024, {}, "of height and width"},
            {"method",
             ArgType::choice,
             ArgValue{std::string("nearest")},
             -1e300,
             1e300,
             {"nearest", "bilinear"},
             "nearest: each pixel repeated; bilinear: interpolated"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "Upsample", 3)) return kNone;
    const Type t = b.in_type();
    const std::vector<int64_t> f = b.pair("factor");
    if (b.s("method") == "bilinear") return interpolated(b, "Upsample", f[0] * t.dims[0], f[1] * t.dims[1]);
    if (!check_size(b, "Upsample", f32({f[0] * t.dims[0], f[1] * t.dims[1], t.dims[2]}, t.batched))) return kNone;
    return b.emit("repeat", {b.in()[0]}, {{"factors", std::vector<int64_t>{f[0], f[1], 1}}});
  };
  return l;
}

}  // namespace

void add_resize(Registry& r) {
  static const OpDef ops[] = {resize(), fit(), fit_fixed(), interpolate(), interpolate_grad()};
  static const LayerDef layers[] = {resize_layer(), upsample_layer()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
