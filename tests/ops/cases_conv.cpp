// Operand types for grouped, dilated and depthwise convolutions, poolings whose windows lie partly outside, and
// normalisations of a sample.
#include "tests/ops/cases.h"

namespace netc::test {

using namespace ir;

namespace {

Type batched(std::vector<int64_t> d) { return {DType::f32, true, std::move(d)}; }
Type fixed(std::vector<int64_t> d) { return {DType::f32, false, std::move(d)}; }

struct Dim {
  int64_t in, kernel, stride = 1, before = 0, after = 0, dilation = 1;
};

int64_t extent(const Dim& d) { return (d.in + d.before + d.after - (d.kernel - 1) * d.dilation - 1) / d.stride + 1; }

Attrs window(const Dim& h, const Dim& w) {
  Attrs a = {{"stride_h", h.stride},  {"stride_w", w.stride}, {"pad_top", h.before},
             {"pad_bottom", h.after}, {"pad_left", w.before}, {"pad_right", w.after}};
  if (h.dilation != 1) a.set("dilation_h", h.dilation);
  if (w.dilation != 1) a.set("dilation_w", w.dilation);
  return a;
}

Attrs with(Attrs a, std::initializer_list<std::pair<const char*, int64_t>> more) {
  for (const auto& [k, v] : more) a.set(k, v);
  return a;
}

const std::vector<std::pair<Dim, Dim>> kWindows = {
    {{7, 3}, {6, 3}},                            // plain
    {{9, 3, 1, 2, 2, 2}, {8, 2, 1, 1, 2, 3}},    // dilated, unevenly padded
    {{8, 3, 2, 0, 1}, {9, 3, 2, 1, 0}},          // strided
    {{11, 3, 2, 1, 3, 2}, {10, 2, 3, 0, 2, 4}},  // all of it
    {{1, 1}, {1, 1}},                            // one pixel
    {{4, 1, 3}, {5, 1, 2}},                      // pixels that no window reads
    {{25, 4, 9, 2, 1, 6}, {20, 3, 8, 1, 2, 4}},  // many phases
    {{30, 20, 9, 3, 2}, {13, 3, 9, 1, 0}},
};

void grouped(std::vector<Case>& c) {
  struct Channels {
    int64_t in, out, groups;
  };
  for (const auto& [h, w] : kWindows)
    for (const Channels& s : {Channels{3, 2, 1}, {4, 6, 2}, {9, 3, 3}, {2, 2, 2}, {16, 32, 2}}) {
      Attrs a = window(h, w);
      if (s.groups > 1) a.set("groups", s.groups);
      const Type x = batched({h.in, w.in, s.in}), k = fixed({h.kernel, w.kernel, s.in / s.groups, s.out}),
                 y = batched({extent(h), extent(w), s.out});
      c.push_back({"conv", {x, k}, a});
      c.push_back({"conv_data_grad", {y, k}, with(a, {{"in_h", h.in}, {"in_w", w.in}})});
      c.push_back({"conv_weight_grad", {x, y}, with(a, {{"kh", h.kernel}, {"kw", w.kernel}})});
    }
}

void packed(std::vector<Case>& c) {
  const Type w = fixed({3, 2, 8, 16});
  for (const auto& [dim, block] : {std::pair<int64_t, int64_t>{0, 8}, {0, 16}, {1, 8}, {2, 2}, {3, 1}})
    c.push_back({"pack", {w}, {{"dim", dim}, {"block", block}}});
  c.push_back({"pack", {fixed({24})}, {{"dim", int64_t{0}}, {"block", int64_t{8}}}});
  for (const auto& [dim, pairs] : {std::pair<int64_t, int64_t>{0, 1}, {1, 0}, {0, 2}})
    c.push_back(
        {"pack", {{DType::bf16, false, {3, 2, 8, 16}}}, {{"dim", dim}, {"block", int64_t{8}}, {"pairs", pairs}}});
}

void transformed(std::vector<Case>& c) {
  struct Image {
    int64_t h, w, top, bottom, left, right;
  };
  struct Channels {
    int64_t in, out, groups;
  };
  for (const auto& [m, r] : {std::pair<int64_t, int64_t>{2, 3}, {4, 3}, {6, 3}, {2, 5}, {4, 5}})
    for (const auto& [in, out, groups] : {Channels{1, 1, 1}, {3, 5, 1}, {16, 32, 1}, {8, 24, 1}, {16, 32, 2}}) {
      const int64_t side = m + r - 1;
      const Attrs size = {{"tile", m}, {"side", side}}, grouped = with(size, {{"groups", groups}});
      for (const bool turned : {false, true}) {
        Attrs a = grouped;
        a.set("turned", turned);
        c.push_back({"winograd_weights", {fixed({r, r, in / groups, out})}, a});
      }
      for (const Image& i : {Image{7, 6, 1, 1, 1, 1}, {5, 5, 0, 0, 0, 0}, {13, 14, 0, 2, 2, 1}}) {
        Attrs a = window({i.h, r, 1, i.top, i.bottom}, {i.w, r, 1, i.left, i.right});
        for (const auto& [key, value] : grouped) a.set(key, value);
        c.push_back({"winograd_conv", {batched({i.h, i.w, in}), fixed({side * side, in / groups, out})}, a});
      }
      const Attrs grid = with(size, {{"rows", int64_t{2}}, {"columns", int64_t{3}}});
      c.push_back({"winograd_image",
                   {batched({2 * m + 1, 3 * m, in})},
                   with(grid, {{"pad_top", int64_t{1}}, {"pad_left", int64_t{0}}})});
      c.push_back({"winograd_result", {batched({2 * m - 1, 3 * m, out})}, grid});
      c.push_back(
          {"winograd_sums", {batched({side * side, 6, in}), batched({side * side, 6, out})}, {{"groups", groups}}});
      c.push_back({"winograd_taps", {fixed({side * side, in / groups, out})}, size});
    }
}

void depthwise(std::vector<Case>& c) {
  for (const auto& [h, w] : kWindows)
    for (const auto& [channels, multiplier] : {std::pair<int64_t, int64_t>{1, 1}, {5, 1}, {16, 1}, {3, 2}, {1, 4}}) {
      const Attrs a = window(h, w);
      const int64_t filters = channels * multiplier;
      const Type x = batched({h.in, w.in, channels}), k = fixed({h.kernel, w.kernel, 1, filters}),
                 y = batched({extent(h), extent(w), filters});
      c.push_back({"dwconv", {x, k}, a});
      c.push_back({"dwconv_data_grad", {y, k}, with(a, {{"in_h", h.in}, {"in_w", w.in}, {"in_c", channels}})});
      c.push_back({"dwconv_weight_grad", {x, y}, with(a, {{"kh", h.kernel}, {"kw", w.kernel}})});
    }
}

void pooling(std::vector<Case>& c) {
  const std::vector<std::pair<Dim, Dim>> windows = {
      {{7, 3, 2, 1, 1}, {6, 3, 2, 1, 2}},  // ResNet's, one column more than it needs
      {{7, 2, 3, 0, 1}, {5, 2, 4, 1, 0}},  // strides larger than the window
      {{5, 5, 5}, {3, 3, 3}},              // the whole image
      {{6, 5, 2, 3, 4}, {7, 4, 1, 1, 3}},  // too large to be written out
      {{1, 2, 2, 0, 1}, {1, 2, 2, 1, 0}},  // one pixel
  };
  for (const auto& [h, w] : windows)
    for (int64_t channels : {1, 5}) {
      const Attrs a = with(window(h, w), {{"kernel_h", h.kernel}, {"kernel_w", w.kernel}});
      const Type x = batched({h.in, w.in, channels}), y = batched({extent(h), extent(w), channels});
      c.push_back({"max_pool", {x}, a});
      c.push_back({"max_pool_grad", {y, x}, a});
      const Attrs all = with(a, {{"counted_bottom", h.after}, {"counted_right", w.after}}),
                  some = with(a, {{"counted_bottom", 0}, {"counted_right", 0}});
      for (const Attrs& counted : {a, all, some}) {
        c.push_back({"avg_pool", {x}, counted});
        c.push_back({"avg_pool_grad", {y}, with(counted, {{"in_h", h.in}, {"in_w", w.in}})});
      }
    }
}

}  // namespace

void add_conv_cases(std::vector<Case>& c) {
  grouped(c);
  depthwise(c);
  packed(c);
  transformed(c);
  pooling(c);
}

void add_norm_cases(std::vector<Case>& c) {
  const Attrs eps = {{"eps", 1e-3}};
  for (const Type& x :
       {batched({3, 5, 7}), batched({9}), batched({1, 1, 2}), batched({4, 16}), batched({3, 1}), fixed({5, 3})}) {
    const Type v = fixed({x.dims.back()});
    c.push_back({"layer_norm", {x, v, v}, eps});
    c.push_back({"layer_norm_data_grad", {x, x, v}, eps});
    c.push_back({"layer_norm_gamma_grad", {x, x}, eps});
    c.push_back({"rms_norm", {x, v}, eps});
    c.push_back({"rms_norm_data_grad", {x, x, v}, eps});
    c.push_back({"rms_norm_gamma_grad", {x, x}, eps});
  }
  const std::vector<std::pair<Type, int64_t>> grouped = {{batched({3, 5, 6}), 2},
                                                         {batched({3, 5, 7}), 1},
                                                         {batched({3, 5, 7}), 7},
                                                         {batched({6}), 3},
                                                         {batched({2, 16}), 4}};
  for (const auto& [x, groups] : grouped) {
    const Type v = fixed({x.dims.back()});
    const Attrs a = with(eps, {{"groups", groups}});
    c.push_back({"group_norm", {x, v, v}, a});
    c.push_back({"group_norm_data_grad", {x, x, v}, a});
    c.push_back({"group_norm_gamma_grad", {x, x}, a});
  }
  for (const Type& x : {batched({2, 3, 11}), batched({1}), batched({3}), fixed({5, 9})})
    for (const auto& [size, beta] : {std::pair<int64_t, double>{5, 0.75}, {1, 0.75}, {3, 0.4}, {9, 1.0}}) {
      const Attrs a = {{"size", size}, {"alpha", 0.3}, {"beta", beta}, {"k", 1.5}};
      c.push_back({"lrn", {x}, a});
      c.push_back({"lrn_grad", {x, x}, a});
    }
}

}  // namespace netc::test
