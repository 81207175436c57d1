// Along each axis a result pixel is a sum of source pixels weighted by a triangle around its place: of one source
// pixel's width to each side, or with antialiasing of as many as one result pixel covers, as Pillow and PyTorch have
// it. Weights of pixels outside are left out, and the others made to sum to 1.
#include "compiler/ops/image/fit.h"

#include "compiler/ops/move/moves.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

/// What an axis of the result shows: its `content` pixels from `lead` on, each step/unit source pixels wide. Pixel i's
/// middle is at (2 * (i - lead) + 1) * step + shift of 2 * unit parts of a source pixel, counted from the first one's
/// middle. All of it is whole numbers, so that weights are exact.
template <class Whole>
struct Axis {
  Whole lead, content, step, unit, shift;
  Whole place(const Whole& i) const { return (2 * (i - lead) + 1) * step + shift; }
};

/// The same rule for numbers and for expressions. `in`, `other_in`: the source's extents along the axis and across;
/// `out`, `other_out`: the result's.
template <class Whole, class Choose>
Axis<Whole> axis_of(const std::string& mode, const Whole& in, const Whole& other_in, const Whole& out,
                    const Whole& other_out, Choose choose) {
  const Whole zero = out - out;
  const auto longer = in * other_out >= other_in * out;  // than the result is
  if (mode == "letterbox") {                             // as long as the result, or as the other axis lets it be
    const Whole other = (2 * in * other_out + other_in) / (2 * other_in),
                content = choose(longer, out, choose(other > 1, other, zero + 1));
    return {(out - content) / 2, content, in, content, -content};
  }
  if (mode == "crop") {
    const Whole step = choose(longer, other_in, in), unit = choose(longer, other_out, out);
    return {zero, out, step, unit, in * unit - out * step - unit};
  }
  return {zero, out, in, out, -out};
}

Axis<int64_t> axis_of(const std::string& mode, int64_t in, int64_t other_in, int64_t out, int64_t other_out) {
  return axis_of<int64_t>(mode, in, other_in, out, other_out, [](bool c, int64_t a, int64_t b) { return c ? a : b; });
}

/// The weights along one axis, which are made once: source pixel first(i) + t counts share(i, t) in result pixel i; a
/// result pixel's shares sum to 1.
struct Weights {
  Func weight, total, share, first;
  RDom taps;
  std::function<Expr(const Expr& i)> shown;  // whether result pixel i shows the source
  Expr in;
  Expr pixel(const Expr& i) const { return clamp(first(i) + taps, 0, in - 1); }
  Expr share_of(const Expr& i) const { return share(i, taps); }
};

Weights weights_of(const std::string& name, const std::string& mode, bool antialias, const Expr& in,
                   const Expr& other_in, int out, int other_out) {
  const auto wide = [](const Expr& e) { return cast<int64_t>(e); };
  const Axis<Expr> a = axis_of<Expr>(mode, wide(in), wide(other_in), wide(out), wide(other_out),
                                     [](const Expr& c, const Expr& x, const Expr& y) { return select(c, x, y); });
  const Expr lead = cast<int>(a.lead), content = cast<int>(a.content),
             reach = 2 * (antialias ? Halide::max(a.step, a.unit) : a.unit);
  Weights w{Func(name + "_weight"),
            Func(name + "_total"),
            Func(name + "_share"),
            Func(name + "_first"),
            RDom(0, cast<int>(reach / a.unit) + 1, name + "_taps"),
            {},
            in};
  Var t("t"), i("i");
  w.first(i) = cast<int>((a.place(wide(i)) - reach) / (2 * a.unit)) + 1;  // Halide's division rounds down
  const Expr at = w.first(i) + t;
  w.weight(i, t) =
      select(at >= 0 && at < in,
             cast<float>(Halide::max(reach - Halide::abs(2 * a.unit * wide(at) - a.place(wide(i))), wide(0))), 0.0f);
  w.total(i) = 0.0f;
  w.total(i) += w.weight(i, w.taps);
  w.share(i, t) = w.weight(i, t) / w.total(i);
  w.shown = [=](const Expr& x) { return x >= lead && x < lead + content; };
  return w;
}

OpDef fit(const char* name, Kind kind, const char* where) {
  OpDef d;
  d.name = name;
  d.doc = fmt::format(
      "An image as one of `height` x `width`, in f32: stretched, whole with `colour` beside it (letterbox), or its "
      "middle (crop); reduced with "
      "antialiasing or by interpolation between neighbours. {}",
      where);
  d.kind = kind;
  d.overlapping = [](const Attrs&) { return true; };
  d.no_gradient = "only the net's inputs are fitted, before anything trained";
  d.cost = per_element(24);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (in[0].rank() != 3 || (in[0].dtype != DType::u8 && in[0].dtype != DType::f32) || in[0].dims[2] < 1) {
      return misfit(error, "fit", "u8 or f32 images [height, width, channels]", in);
    }
    out = {f32({a.i("height"), a.i("width"), in[0].dims[2]}, in[0].batched)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Type& t = ctx.in_type(0);
    const Attrs& a = ctx.node.attrs;
    const int h = static_cast<int>(a.i("height")), w = static_cast<int>(a.i("width"));
    const Expr in_w = ctx.extents.size() > 1 ? ctx.extents[1] : Expr(static_cast<int>(t.dims[1]));
    const Expr in_h = ctx.extents.size() > 2 ? ctx.extents[2] : Expr(static_cast<int>(t.dims[0]));
    const Weights across = weights_of("across", a.s("aspect"), a.b("antialias"), in_w, in_h, w, h),
                  down = weights_of("down", a.s("aspect"), a.b("antialias"), in_h, in_w, h, w);
    Var c("c"), x("x"), y("y"), n("n");
    std::vector<Var> at{c, x, y};
    if (ctx.in[0].dimensions() == 4) at.push_back(n);
    const auto with = [&](const Expr& px, const Expr& py) {
      Exprs p = exprs(at);
      p[1] = px, p[2] = py;
      return p;
    };
    Func low("fit_low"), whole("fit_whole"), out("fit");  // of the result's height; and of its width, too
    low(at) = 0.0f;
    low(at) += down.share_of(y) * cast<float>(ctx.in[0](with(x, down.pixel(y))));
    whole(at) = 0.0f;
    whole(at) += across.share_of(x) * low(with(across.pixel(x), y));
    const std::vector<int64_t>& colours = a.ints("colour");
    Expr colour = lit(static_cast<double>(colours.back()));
    for (size_t k = colours.size() - 1; k-- > 0;)
      colour = select(c == static_cast<int>(k), lit(static_cast<double>(colours[k])), colour);
    out(at) = select(in_w == w && in_h == h, cast<float>(ctx.in[0](with(clamp(x, 0, in_w - 1), clamp(y, 0, in_h - 1)))),
                     across.shown(x) && down.shown(y), whole(at), colour);
    return Lowered{
        {out},
        out,
        {},
        {},
        {across.first, across.weight, across.total, across.share, down.first, down.weight, down.total, down.share},
        {low, whole}};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor out = ref_zeros(g.type(n.results[0]), batch);
    const size_t first = in[0].dims.size() - 3;
    const int64_t H = in[0].dims[first], W = in[0].dims[first + 1], C = in[0].dims[first + 2], h = n.attrs.i("height"),
                  w = n.attrs.i("width");
    const Axis<int64_t> across = axis_of(n.attrs.s("aspect"), W, H, w, h),
                        down = axis_of(n.attrs.s("aspect"), H, W, h, w);
    const std::vector<int64_t>& colours = n.attrs.ints("colour");
    // the weights of source pixels in result pixel i, which sum to 1
    const auto weights = [&](const Axis<int64_t>& a, int64_t i, int64_t extent) {
      const int64_t reach = 2 * (n.attrs.b("antialias") ? std::max(a.step, a.unit) : a.unit);
      std::vector<double> all(static_cast<size_t>(extent));
      double total = 0;
      for (int64_t k = 0; k < extent; ++k)
        total += all[static_cast<size_t>(k)] =
            static_cast<double>(std::max<int64_t>(reach - std::abs(2 * a.unit * k - a.place(i)), 0));
      for (double& v : all) v /= total;
      return all;
    };
    for (int64_t y = 0; y < h; ++y)
      for (int64_t x = 0; x < w; ++x) {
        const bool shown =
            x >= across.lead && x < across.lead + across.content && y >= down.lead && y < down.lead + down.content;
        const std::vector<double> wx = shown ? weights(across, x, W) : std::vector<double>{},
                                  wy = shown ? weights(down, y, H) : std::vector<double>{};
        const auto samples = static_cast<int64_t>(out.data.size()) / (C * w * h);
        for (int64_t s = 0; s < samples; ++s)
          for (int64_t c = 0; c < C; ++c) {
            double v =
                shown
                    ? 0
                    : static_cast<double>(
                          colours[static_cast<size_t>(std::min<int64_t>(c, static_cast<int64_t>(colours.size()) - 1))]);
            for (int64_t i = 0; i < H && shown; ++i)
              for (int64_t j = 0; j < W && wy[static_cast<size_t>(i)] > 0; ++j)
                v += wy[static_cast<size_t>(i)] * wx[static_cast<size_t>(j)] *
                     in[0].data[static_cast<size_t>(((s * H + i) * W + j) * C + c)];
            out.data[static_cast<size_t>(((s * h + y) * w + x) * C + c)] = v;
          }
      }
    return Tensors{out};
  };
  return d;
}

}  // namespace

OpDef fit() { return fit("fit", Kind::ingest, "Of any height and width: works per sample, as resize does."); }
OpDef fit_fixed() {
  return fit("fit_fixed", Kind::window, "Of a known size, as a part of the net: others may read the image as it is.");
}

}  // namespace netc::ops
