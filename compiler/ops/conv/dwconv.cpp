// Depthwise convolution: a kernel (or several) for each channel, nothing summed over channels. It is a convolution in
// as many groups as there are channels, but with one operand a vector of channels and the other a vector of weights:
// all lanes multiply at once. x f32[N, H, W, C], w f32[KH, KW, 1, C * multiplier].
#include "compiler/ops/conv/conv.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

/// Filters of a channel when x has `c` channels and y has `k`; 0 when they do not fit together.
int multiplier(int64_t c, int64_t k) { return c > 0 && k % c == 0 ? static_cast<int>(k / c) : 0; }

OpDef dwconv() {
  OpDef d;
  d.name = "dwconv";
  d.doc =
      "Depthwise convolution: y[n,oy,ox,k] = sum_{ky,kx} x[n, oy*stride_h + ky*dilation_h - pad_top, ox*stride_w + "
      "kx*dilation_w - pad_left, k/multiplier] "
      "* w[ky,kx,0,k], zero outside.";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.scales_input = 1;
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (!is_image(in[0]) || !is_kernel(in[1]) || in[1].dims[2] != 1 || multiplier(in[0].dims[2], in[1].dims[3]) == 0) {
      error = fmt::format("dwconv needs f32[N, H, W, C] and f32[KH, KW, 1, C * multiplier], not {}", list_types(in));
      return false;
    }
    out.resize(1);
    return convolved(in[0], in[1], ConvGeometry(a), out[0], error, "dwconv");
  };
  d.cost = [](const Node& n, const Graph& g) {
    const double m = conv_macs(g.type(n.inputs[1]), g.type(n.results[0]));
    return Cost{m, 2 * m};
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const ConvGeometry g(ctx.node.attrs);
    const Type &x = ctx.in_type(0), &w = ctx.in_type(1);
    const int m = multiplier(x.dims[2], w.dims[3]);
    Lowered l;
    Func in = ctx.in[0];
    if (g.padded()) {
      in = zero_padded(in, x, "dwconv_padded");
      l.padded = {in};
    }
    Var k("k"), ox("x"), oy("y"), n("n");
    Func y("dwconv");
    // r.x: the one channel of a group
    RDom r(0, 1, 0, static_cast<int>(w.dims[1]), 0, static_cast<int>(w.dims[0]), "r");
    const Expr c = m == 1 ? Expr(k) : k / m;
    y(k, ox, oy, n) = 0.0f;
    y(k, ox, oy, n) += product(in(c, ox * g.sw + tap(r.y, g.dw) - g.left, oy * g.sh + tap(r.z, g.dh) - g.top, n),
                               ctx.in[1](k, r.x, r.y, r.z));
    l.funcs = {y};
    l.anchor = y;
    l.r = r;
    return l;
  };
  d.reference = ref_conv;
  d.gradient = [](const GradContext& g) {
    std::vector<ValueId> r(2, kNone);
    const Type x = g.graph.type(g.in(0)), w = g.graph.type(g.in(1));
    const Attrs a = g.n().attrs;  // emit moves the nodes
    if (g.wanted[0])
      r[0] = g.emit("dwconv_data_grad", {g.grads_out[0], g.in(1)},
                    conv_attrs(a, {{"in_h", x.dims[0]}, {"in_w", x.dims[1]}, {"in_c", x.dims[2]}}));
    if (g.wanted[1])
      r[1] = g.emit("dwconv_weight_grad", {g.in(0), g.grads_out[0]},
                    conv_attrs(a, {{"kh", w.dims[0]}, {"kw", w.dims[1]}}));
    return r;
  };
  return d;
}

OpDef dwconv_data_grad() {
  OpDef d;
  d.name = "dwconv_data_grad";
  d.doc =
      "Gradient of dwconv in its image: dx[n,y,x,c] = sum_{m,ky,kx} dy[n, (y + pad_top - ky*dilation_h)/stride_h, "
      "(x + pad_left - kx*dilation_w)/stride_w, k] * w[ky,kx,0,k] with k = c*multiplier + m, where the divisions are "
      "exact.";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (!is_image(in[0]) || !is_kernel(in[1]) || in[1].dims[2] != 1 || in[0].dims[2] != in[1].dims[3] ||
        multiplier(a.i("in_c"), in[1].dims[3]) == 0) {
      error =
          fmt::format("dwconv_data_grad needs f32[N, H, W, K] and f32[KH, KW, 1, K] with K a multiple of {}, not {}",
                      a.i("in_c"), list_types(in));
      return false;
    }
    out.resize(1);
    return convolved_from(in[0], in[1], a.i("in_c"), a, out[0], error, "dwconv_data_grad");
  };
  d.cost = [](const Node& n, const Graph& g) {
    const double m = conv_macs(g.type(n.inputs[1]), g.type(n.inputs[0]));
    return Cost{m, 2 * m};
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const ConvGeometry g(ctx.node.attrs);
    const Type &dy = ctx.in_type(0), &w = ctx.in_type(1);
    const int m = multiplier(ctx.out_type().dims[2], w.dims[3]);
    const Func in = zero_padded(ctx.in[0], dy, "dwconv_data_grad_padded");
    Var c("c"), x("x"), y("y"), n("n");
    Func dx("dwconv_data_grad");
    RDom r(0, m, 0, static_cast<int>(w.dims[1]), 0, static_cast<int>(w.dims[0]), "r");
    const Expr k = m == 1 ? c + r.x : c * m + r.x, px = x + g.left - tap(r.y, g.dw), py = y + g.top - tap(r.z, g.dh);
    dx(c, x, y, n) = 0.0f;
    if (!g.strided()) {
      dx(c, x, y, n) += product(in(k, px, py, n), ctx.in[1](k, 0, r.y, r.z));
    } else {
      const Expr exact = px % g.sw == 0 && py % g.sh == 0;
      dx(c, x, y, n) +=
          product(select(exact, cast<float>(in(k, px / g.sw, py / g.sh, n)), 0.0f), ctx.in[1](k, 0, r.y, r.z));
    }
    return Lowered{{dx}, dx, r, {in}};
  };
  d.reference = ref_conv_data_grad;
  return d;
}

OpDef dwconv_weight_grad() {
  OpDef d;
  d.name = "dwconv_weight_grad";
  d.doc =
      "Gradient of dwconv in its weights: dw[ky,kx,0,k] = sum_{n,oy,ox} x[n, oy*stride_h + ky*dilation_h - pad_top, "
      "ox*stride_w + kx*dilation_w - pad_left, k/multiplier] * dy[n,oy,ox,k].";
  d.kind = Kind::contraction;
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    if (!is_image(in[0]) || !is_image(in[1]) || multiplier(in[0].dims[2], in[1].dims[2]) == 0) {
      error = fmt::format("dwconv_weight_grad needs f32[N, H, W, C] and f32[N, OH, OW, C * multiplier], not {}",
                          list_types(in));
      return false;
    }
    out.resize(1);
    return convolved_with(in[0], in[1], 1, in[1].dims[2], a, out[0], error, "dwconv_weight_grad");
  };
  d.cost = [](const Node& n, const Graph& g) {
    const double m = conv_macs(g.type(n.results[0]), g.type(n.inputs[1]));
    return Cost{m, 2 * m};
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const ConvGeometry g(ctx.node.attrs);
    const Type &x = ctx.in_type(0), &dy = ctx.in_type(1);
    const int m = multiplier(x.dims[2], dy.dims[2]);
    Lowered l;
    Func in = ctx.in[0];
    if (g.padded()) {
      in = zero_padded(in, x, "dwconv_weight_grad_padded");
      l.padded = {in};
    }
    Var k("k"), one("c"), kx("kx"), ky("ky");
    Func dw("dwconv_weight_grad");
    RDom r(0, static_cast<int>(dy.dims[1]), 0, static_cast<int>(dy.dims[0]), 0, ctx.batch, "r");
    const Expr c = m == 1 ? Expr(k) : k / m;
    dw(k, one, kx, ky) = 0.0f;
    dw(k, one, kx, ky) += product(in(c, r.x * g.sw + tap(kx, g.dw) - g.left, r.y * g.sh + tap(ky, g.dh) - g.top, r.z),
                                  ctx.in[1](k, r.x, r.y, r.z));
    l.funcs = {dw};
    l.anchor = dw;
    l.r = r;
    return l;
  };
  d.reference = ref_conv_weight_grad;
  return d;
}

}  // namespace

void add_dwconv(Registry& r) {
  static const OpDef ops[] = {dwconv(), dwconv_data_grad(), dwconv_weight_grad()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
}

}  // namespace netc::ops
