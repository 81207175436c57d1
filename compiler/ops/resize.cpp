// Resize: bilinear, Keras's convention: pixel centres at half coordinates, edges clamped, no antialiasing. Run by the data loader, per sample.
#include "compiler/ops/support.h"

namespace netc::ops {
namespace {

/// Along one dim: the two source pixels and the second one's share.
struct Taps { Expr low, high, share; };
Taps taps(const Expr& i, int out, const Expr& in) {
  const Expr at = (cast<float>(i) + 0.5f) * (cast<float>(in) / lit(out)) - 0.5f;
  const Expr low = floor(at);
  return {clamp(cast<int>(low), 0, in - 1), clamp(cast<int>(low) + 1, 0, in - 1), at - low};
}

OpDef resize() {
  OpDef d;
  d.name = "resize";
  d.doc = "Bilinear resize of an image of any height and width to `height` x `width`, in f32. Works per sample: its Func has no batch coordinate when its "
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
  d.lower = [](const LowerContext& ctx) {
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
    out(at) = mix(mix(pixel(tx.low, ty.low), pixel(tx.high, ty.low), tx.share), mix(pixel(tx.low, ty.high), pixel(tx.high, ty.high), tx.share), ty.share);
    return Lowered{{out}, out, {}, {}, {}};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor out = ref_zeros(g.type(n.results[0]), batch);
    const size_t first = in[0].dims.size() - 3;
    const int64_t H = in[0].dims[first], W = in[0].dims[first + 1], C = in[0].dims[first + 2], h = n.attrs.i("height"), w = n.attrs.i("width");
    for (int64_t i = 0; i < static_cast<int64_t>(out.data.size()); ++i) {
      const int64_t c = i % C, x = i / C % w, y = i / (C * w) % h, s = i / (C * w * h);
      const double sx = (x + 0.5) * W / w - 0.5, sy = (y + 0.5) * H / h - 0.5, fx = sx - std::floor(sx), fy = sy - std::floor(sy);
      auto at = [&](int64_t px, int64_t py) {
        px = std::clamp<int64_t>(px, 0, W - 1);
        py = std::clamp<int64_t>(py, 0, H - 1);
        return in[0].data[((s * H + py) * W + px) * C + c];
      };
      const int64_t x0 = static_cast<int64_t>(std::floor(sx)), y0 = static_cast<int64_t>(std::floor(sy));
      out.data[i] = (1 - fy) * ((1 - fx) * at(x0, y0) + fx * at(x0 + 1, y0)) + fy * ((1 - fx) * at(x0, y0 + 1) + fx * at(x0 + 1, y0 + 1));
    }
    return Tensors{out};
  };
  return d;
}

/// True when the value depends on the net's data only: an input, or preprocessing of one.
bool preprocessing(const Graph& g, ValueId v) {
  while (g.values[v].def != kNone) {
    const Node& n = g.nodes[g.values[v].def];
    if (n.inputs.size() != 1 || (n.op->kind != Kind::ingest && n.op->kind != Kind::elementwise)) return false;
    v = n.inputs[0];
  }
  return g.variables[g.values[v].variable].role == Role::input;
}

LayerDef layer_def() {
  LayerDef l;
  l.name = "Resize";
  l.doc = "Bilinear resize of an image of any size. y[i, j, c] = x at ((i + 1/2) * H/height - 1/2, (j + 1/2) * W/width - 1/2, c); edges clamped";
  l.section = "Preprocessing";
  l.weight_prefix = "resize";
  l.args = {{"height", ArgType::integer, std::nullopt, 1, 1 << 16, {}, "rows of the result"},
            {"width", ArgType::integer, std::nullopt, 1, 1 << 16, {}, "columns"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    const Type t = b.in_type();
    if (t.rank() != 3 || t.dims[2] == kAnyExtent || (t.dtype != DType::u8 && t.dtype != DType::f32)) {
      return b.error(fmt::format("Resize needs an image (height, width, channels) of u8 or f32, but its input is {}", shape_for_user(t)));
    }
    if (!preprocessing(b.graph(), b.in()[0])) {
      return b.error("Resize works on the net's input only: it runs while data is loaded", "put it before the first layer with weights");
    }
    return b.emit("resize", {b.in()[0]}, {{"height", b.i("height")}, {"width", b.i("width")}});
  };
  return l;
}

}  // namespace

void add_resize(Registry& r) {
  static const OpDef op = resize();
  static const LayerDef layer = layer_def();
  r.ops.ops.push_back(&op);
  r.layers.push_back(&layer);
}

}  // namespace netc::ops
