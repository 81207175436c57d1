// The layers that convolve: Conv, DepthwiseConv, SeparableConv and ConvTranspose.
#include <tuple>

#include "compiler/ops/conv/conv.h"

namespace netc::ops {
namespace {

const ArgDef kFilters{"filters", ArgType::integer, std::nullopt, 1, 1e6, {}, "number of output channels"};
const ArgDef kKernel{"kernel", ArgType::integer_or_pair, std::nullopt, 1, 1e4, {}, "height and width of the window"};
const ArgDef kStride{
    "stride", ArgType::integer_or_pair, ArgValue{int64_t{1}}, 1, 1e4, {}, "step of the window, down and across"};
const ArgDef kPadding{"padding",
                      ArgType::padding,
                      ArgValue{std::string("valid")},
                      0,
                      1e4,
                      {},
                      "valid: none; same: output extent = ceil(input / stride); or zeros: on all sides, [height, "
                      "width] or [top, bottom, left, right]"};
const ArgDef kDilation{"dilation",
                       ArgType::integer_or_pair,
                       ArgValue{int64_t{1}},
                       1,
                       1e4,
                       {},
                       "distance of the window's pixels, down and across"};
const ArgDef kMultiplier{
    "multiplier", ArgType::integer, ArgValue{int64_t{1}}, 1, 1e4, {}, "filters of each input channel"};
const ArgDef kBias{"bias", ArgType::boolean, ArgValue{true}, 0, 1, {}, "adds a trained bias per channel"};

LayerDef layer(const char* name, const char* doc, const char* prefix, std::vector<ArgDef> args) {
  LayerDef l;
  l.name = name;
  l.doc = doc;
  l.section = "Convolution";
  l.weight_prefix = prefix;
  l.args = std::move(args);
  add_weight_args(l.args);
  return l;
}

/// "3" or "(3, 1)"
std::string text(const std::vector<int64_t>& k) {
  return k[0] == k[1] ? std::to_string(k[0]) : fmt::format("({}, {})", k[0], k[1]);
}

/// Where the windows of a layer's arguments lie on its input, as attributes; false after an error.
bool windows(LayerBuilder& b, const std::string& me, Attrs& a) {
  if (!check_operand(b, me.c_str(), 3)) return false;
  const std::vector<int64_t> k = b.pair("kernel"), stride = b.pair("stride"), dilation = b.pair("dilation");
  const Type t = b.in_type();
  const int64_t kh = (k[0] - 1) * dilation[0] + 1, kw = (k[1] - 1) * dilation[1] + 1;
  const Window h = window_of(t.dims[0], kh, stride[0], b.s("padding"), 0),
               w = window_of(t.dims[1], kw, stride[1], b.s("padding"), 1);
  if (h.out <= 0 || w.out <= 0) {
    const char* dilated = kh == k[0] && kw == k[1] ? "" : " with its dilation";
    b.error(
        fmt::format("{}'s window of {} x {}{} does not fit into its input {}", me, kh, kw, dilated, shape_for_user(t)),
        "use a smaller kernel, padding = same, or fewer poolings before it");
    return false;
  }
  a = window_attrs(h, w, stride);
  if (dilation[0] != 1) a.set("dilation_h", dilation[0]);
  if (dilation[1] != 1) a.set("dilation_w", dilation[1]);
  return true;
}

ValueId with_bias(LayerBuilder& b, ValueId y) {
  if (y == kNone || !b.b("bias")) return y;
  return b.emit("bias_add", {y, b.variable("bias", f32({b.graph().type(y).dims.back()}, false), {})});
}

/// A kernel f32[KH, KW, C/groups, filters] for x, and x convolved with it.
ValueId convolve(LayerBuilder& b, ValueId x, const char* weight, const std::vector<int64_t>& k, int64_t filters,
                 int64_t groups, Attrs a) {
  const int64_t channels = b.graph().type(x).dims[2], area = k[0] * k[1];
  const Initializer init = weight_init(b, area * channels / groups, area * filters);
  const ValueId w = b.variable(weight, f32({k[0], k[1], channels / groups, filters}, false), init, Role::weight,
                               b.f("l1"), b.f("l2"));
  if (groups > 1 && groups == channels) return b.emit("dwconv", {x, w}, a);
  if (groups > 1) a.set("groups", groups);
  return b.emit("conv", {x, w}, a);
}

LayerDef conv() {
  LayerDef l = layer(
      "Conv",
      "2-D convolution. y[oy, ox, k] = sum_{c,ky,kx} x[oy*stride + ky*dilation - pad, ox*stride + kx*dilation - pad, "
      "c] "
      "* weight[ky, kx, c, k] + bias[k]; with groups, k sees the channels of its group only, and weight has C / groups "
      "of them",
      "conv",
      {kFilters,
       kKernel,
       kStride,
       kPadding,
       kDilation,
       {"groups", ArgType::integer, ArgValue{int64_t{1}}, 1, 1e6, {}, "so many groups of channels are convolved apart"},
       kBias});
  l.build = [](LayerBuilder& b) -> ValueId {
    const int64_t filters = b.i("filters"), groups = b.i("groups");
    const std::string me = fmt::format("Conv({}, {})", filters, text(b.pair("kernel")));
    Attrs a;
    if (!windows(b, me, a)) return kNone;
    if (b.in_type().dims[2] % groups != 0 || filters % groups != 0) {
      return b.error(fmt::format("{} cannot be cut into {} groups: its input {} has {} channels, and its output {}", me,
                                 groups, shape_for_user(b.in_type()), b.in_type().dims[2], filters),
                     "both numbers of channels must be multiples of groups");
    }
    return with_bias(b, convolve(b, b.in()[0], "weight", b.pair("kernel"), filters, groups, a));
  };
  return l;
}

LayerDef depthwise() {
  LayerDef l = layer("DepthwiseConv",
                     "Convolution of each channel with kernels of its own. y[oy, ox, c*multiplier + m] = sum_{ky,kx} "
                     "x[oy*stride + ky*dilation - pad, ox*stride + kx*dilation - pad, c] * weight[ky, kx, 0, "
                     "c*multiplier + m] + bias[c*multiplier + m]",
                     "depthwise", {kKernel, kMultiplier, kStride, kPadding, kDilation, kBias});
  l.build = [](LayerBuilder& b) -> ValueId {
    Attrs a;
    if (!windows(b, fmt::format("DepthwiseConv({})", text(b.pair("kernel"))), a)) return kNone;
    const int64_t c = b.in_type().dims[2];
    return with_bias(b, convolve(b, b.in()[0], "weight", b.pair("kernel"), c * b.i("multiplier"), c, a));
  };
  return l;
}

LayerDef separable() {
  LayerDef l = layer("SeparableConv",
                     "Depthwise convolution, then a pointwise one that mixes the channels. y[oy, ox, k] = sum_c "
                     "pointwise.weight[0, 0, c, k] "
                     "* d[oy, ox, c] + bias[k], d[oy, ox, c*multiplier + m] = sum_{ky,kx} x[oy*stride + ky*dilation - "
                     "pad, ox*stride + kx*dilation - pad, c] "
                     "* depthwise.weight[ky, kx, 0, c*multiplier + m]",
                     "separable", {kFilters, kKernel, kStride, kPadding, kDilation, kMultiplier, kBias});
  l.build = [](LayerBuilder& b) -> ValueId {
    const int64_t filters = b.i("filters");
    Attrs a;
    if (!windows(b, fmt::format("SeparableConv({}, {})", filters, text(b.pair("kernel"))), a)) return kNone;
    const int64_t c = b.in_type().dims[2];
    const ValueId d = convolve(b, b.in()[0], "depthwise.weight", b.pair("kernel"), c * b.i("multiplier"), c, a);
    const Attrs pointwise = window_attrs({}, {}, {1, 1});
    return with_bias(b, convolve(b, d, "pointwise.weight", {1, 1}, filters, 1, pointwise));
  };
  return l;
}

/// One dim of a transposed convolution: its output's extent, and the padding of the convolution that takes that back to
/// `in`.
Window transposed(int64_t in, int64_t kernel, int64_t stride, const std::string& padding, int dim, int64_t extra) {
  Window w;
  if (padding == "same") {
    const int64_t total = std::max<int64_t>(kernel - stride, 0);
    return {in * stride, total / 2, total - total / 2};
  }
  std::tie(w.before, w.after) = padding_of(padding, dim);
  w.out = (in - 1) * stride + kernel - w.before - w.after + extra;
  return w;
}

LayerDef transpose() {
  ArgDef padding = kPadding;
  padding.doc =
      "output extent valid: (input - 1)*stride + kernel + output_padding; same: input*stride; with pixels, on all "
      "sides, [height, width] or "
      "[top, bottom, left, right]: these less than valid's";
  LayerDef l =
      layer("ConvTranspose",
            "Transposed convolution: the map that a convolution's gradient takes, from small images to large ones. "
            "y[iy*stride + ky - pad, ix*stride + kx - pad, k] += x[iy, ix, c] * weight[ky, kx, k, c] for all iy, ix, "
            "ky, kx, c; then + bias[k]",
            "conv_transpose",
            {kFilters,
             kKernel,
             kStride,
             padding,
             {"output_padding",
              ArgType::integer_or_pair,
              ArgValue{int64_t{0}},
              0,
              1e4,
              {},
              "rows below and columns right that are added to the output, less than stride"},
             kBias});
  l.dim_of_outputs = 1;
  l.build = [](LayerBuilder& b) -> ValueId {
    const int64_t filters = b.i("filters");
    const std::vector<int64_t> k = b.pair("kernel"), stride = b.pair("stride"), extra = b.pair("output_padding");
    const std::string me = fmt::format("ConvTranspose({}, {})", filters, text(k)), pad = b.s("padding");
    if (!check_operand(b, me.c_str(), 3)) return kNone;
    if (extra[0] >= stride[0] || extra[1] >= stride[1]) {
      return b.error(
          fmt::format("{}'s output_padding {} must be less than its stride {}", me, text(extra), text(stride)),
          "it chooses between the extents that a convolution with this stride takes to the same one");
    }
    if (pad == "same" && (extra[0] != 0 || extra[1] != 0)) {
      return b.error(fmt::format("{} has padding = same and output_padding: same fixes the output's extent", me),
                     "leave output_padding out, or give padding as a number");
    }
    const Type t = b.in_type();
    const Window h = transposed(t.dims[0], k[0], stride[0], pad, 0, extra[0]),
                 w = transposed(t.dims[1], k[1], stride[1], pad, 1, extra[1]);
    if (h.out <= 0 || w.out <= 0) {
      return b.error(fmt::format("{}'s padding leaves nothing of its output: its input is {}", me, shape_for_user(t)),
                     "use less padding, or a larger kernel");
    }
    const int64_t area = k[0] * k[1];
    const Initializer init = weight_init(b, area * filters, area * t.dims[2]);
    const ValueId weight =
        b.variable("weight", f32({k[0], k[1], filters, t.dims[2]}, false), init, Role::weight, b.f("l1"), b.f("l2"));
    Attrs a = window_attrs(h, w, stride);
    a.set("in_h", h.out);
    a.set("in_w", w.out);
    return with_bias(b, b.emit("conv_data_grad", {b.in()[0], weight}, a));
  };
  return l;
}

}  // namespace

void add_conv_layers(Registry& r) {
  static const LayerDef layers[] = {conv(), depthwise(), separable(), transpose()};
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
