// Operand types for every operator: odd sizes, one channel, one pixel, channels that are no multiple of 8.
#include "tests/ops/cases.h"

namespace netc::test {

using namespace ir;

namespace {

Type batched(std::vector<int64_t> d) { return {DType::f32, true, std::move(d)}; }
Type fixed(std::vector<int64_t> d) { return {DType::f32, false, std::move(d)}; }
const Type kCounter{DType::u32, false, {}};

Attrs window(int64_t s, int64_t top, int64_t left, int64_t bottom, int64_t right) {
  return {{"stride_h", s},    {"stride_w", s},        {"pad_top", top},
          {"pad_left", left}, {"pad_bottom", bottom}, {"pad_right", right}};
}
Attrs with(Attrs a, std::initializer_list<std::pair<const char*, int64_t>> more) {
  for (const auto& [k, v] : more) a.set(k, v);
  return a;
}

void dense(std::vector<Case>& c) {
  for (const auto& [k, u] : {std::pair<int64_t, int64_t>{7, 5}, {1, 1}, {13, 9}}) {
    c.push_back({"matmul", {batched({k}), fixed({k, u})}});
    c.push_back({"matmul_data_grad", {batched({u}), fixed({k, u})}});
    c.push_back({"matmul_weight_grad", {batched({k}), batched({u})}});
  }
}

void conv(std::vector<Case>& c) {
  struct Shape {
    int64_t h, w, c, k, kh, kw, s, top, left, bottom, right;
  };
  for (const Shape& s : {Shape{7, 5, 3, 4, 3, 3, 1, 0, 0, 0, 0},
                         {6, 7, 1, 5, 3, 2, 1, 1, 0, 1, 1},
                         {1, 1, 9, 2, 1, 1, 1, 0, 0, 0, 0},
                         {8, 9, 2, 3, 3, 3, 2, 0, 0, 1, 1},
                         {7, 8, 3, 2, 2, 2, 3, 0, 0, 0, 0},
                         {5, 5, 2, 3, 1, 1, 2, 0, 0, 0, 0}}) {
    const Attrs a = window(s.s, s.top, s.left, s.bottom, s.right);
    const Type x = batched({s.h, s.w, s.c}), w = fixed({s.kh, s.kw, s.c, s.k});
    const Type y = batched({(s.h + s.top + s.bottom - s.kh) / s.s + 1, (s.w + s.left + s.right - s.kw) / s.s + 1, s.k});
    c.push_back({"conv", {x, w}, a});
    c.push_back({"conv_data_grad", {y, w}, with(a, {{"in_h", s.h}, {"in_w", s.w}})});
    c.push_back({"conv_weight_grad", {x, y}, with(a, {{"kh", s.kh}, {"kw", s.kw}})});
  }
}

void norm(std::vector<Case>& c) {
  const Attrs eps = {{"eps", 1e-3}};
  for (const std::vector<int64_t>& d : {std::vector<int64_t>{3, 5, 7}, {1, 1, 1}, {9}}) {
    const Type x = batched(d), v = fixed({d.back()});
    const Fill n = Fill::normal, p = Fill::positive;
    c.push_back({"bias_add", {x, v}});
    c.push_back({"sum_to_channel", {x}});
    c.push_back({"batch_mean", {x, v}});
    c.push_back({"batch_variance", {x, v, v}});
    c.push_back({"normalize", {x, v, v, v, v}, eps, {n, n, p, n, n}});
    c.push_back({"normalize_gamma_grad", {x, x, v, v}, eps, {n, n, n, p}});
    c.push_back({"normalize_data_grad", {x, x, v, v, v, v, v}, eps, {n, n, n, p}});
    c.push_back({"normalize_direct_grad", {x, v, v}, eps, {n, p}});
    c.push_back({"normalize_mean_grad", {v, v, v}, eps, {p}});
    c.push_back({"normalize_variance_grad", {v, v, v}, eps, {p}});
    c.push_back({"normalize_scale", {v, v}, eps, {p}});
    c.push_back({"normalize_shift", {v, v, v}});
    c.push_back({"batch_mean_grad", {v, x}});
    c.push_back({"batch_variance_grad", {v, x, v}});
    c.push_back({"running_update", {v, v}, {{"momentum", 0.9}}});
  }
}

void pool(std::vector<Case>& c) {
  struct Shape {
    int64_t h, w, c, k, s, before, after;
  };
  for (const Shape& s : {Shape{7, 6, 3, 2, 2, 0, 0},
                         {9, 8, 2, 3, 2, 1, 1},
                         {1, 1, 9, 1, 1, 0, 0},
                         {6, 6, 1, 3, 1, 1, 1},
                         {11, 10, 2, 5, 3, 0, 0},
                         {5, 7, 1, 2, 3, 0, 0}}) {
    const Attrs a = with(window(s.s, s.before, s.before, s.after, s.after), {{"kernel_h", s.k}, {"kernel_w", s.k}});
    const Type x = batched({s.h, s.w, s.c});
    const Type y =
        batched({(s.h + s.before + s.after - s.k) / s.s + 1, (s.w + s.before + s.after - s.k) / s.s + 1, s.c});
    c.push_back({"max_pool", {x}, a});
    Case grad{"max_pool_grad", {y, x}, a};
    grad.fix = [](std::vector<RefTensor>& in, int64_t) {
      for (double& v : in[1].data) v = std::round(v);  // ties: the first maximum counts
    };
    c.push_back(grad);
    c.push_back({"avg_pool", {x}, a});
    c.push_back({"avg_pool_grad", {y}, with(a, {{"in_h", s.h}, {"in_w", s.w}})});
    c.push_back({"mean_spatial", {x}});
    c.push_back({"mean_spatial_grad", {batched({s.c})}, {{"in_h", s.h}, {"in_w", s.w}}});
  }
}

void preprocessing(std::vector<Case>& c) {
  for (const Type& x : {batched({3, 5, 7}), batched({1}), fixed({5, 3})}) {
    c.push_back({"rescale", {x}, {{"scale", 0.25}, {"offset", -1.0}}});
  }
  c.push_back({"rescale", {Type{DType::u8, true, {3, 2, 3}}}, {{"scale", 1 / 255.0}, {"offset", 0.0}}, {Fill::byte}});
}

void view(std::vector<Case>& c) {
  c.push_back({"reshape", {batched({3, 2, 5})}, {{"dims", std::vector<int64_t>{30}}}});
}

void softmax(std::vector<Case>& c) {
  for (const Type& x : {batched({1}), batched({3}), batched({11}), batched({3, 2, 5})}) {
    c.push_back({"softmax", {x}});
    c.push_back({"softmax_grad", {x, x}});
  }
}

void training(std::vector<Case>& c) {
  const Fill n = Fill::normal, p = Fill::positive;
  for (const Type& w : {fixed({3, 3, 2, 5}), fixed({1}), fixed({9, 7})}) {
    for (const Attrs& a : {Attrs{{"l1", 0.0}, {"l2", 1e-2}}, Attrs{{"l1", 0.1}, {"l2", 0.2}}}) {
      c.push_back({"penalty", {w}, a});
      c.push_back({"penalty_grad", {w, w}, a});
    }
    c.push_back({"sgd_update", {w, w, fixed({})}});
    c.push_back({"at_least_zero", {w}});
    for (double low : {0.0, 1.0})
      c.push_back({"limit_norm", {w, fixed({w.dims.back()})}, {{"low", low}, {"high", 1.0}}, {n, p}});
    if (w.rank() > 1)
      c.push_back({"limit_norm",
                   {w, fixed({w.dims[static_cast<size_t>(w.rank()) - 2], 1})},
                   {{"low", 1.0}, {"high", 1.0}},
                   {n, p}});
    for (int64_t dim = 0; w.rank() > 1 && dim < w.rank(); ++dim) c.push_back({"column_norm", {w}, {{"dim", dim}}});
    for (bool nesterov : {false, true})
      c.push_back({"momentum_update", {w, w, w, fixed({})}, {{"momentum", 0.9}, {"nesterov", nesterov}}});
    c.push_back({"adam_update",
                 {w, w, w, w, fixed({}), kCounter},
                 {{"beta1", 0.9}, {"beta2", 0.999}, {"epsilon", 1e-7}},
                 {n, n, n, p, p, Fill::counter}});
  }
}

void ingest(std::vector<Case>& c) {
  const Attrs a = {{"height", int64_t{5}}, {"width", int64_t{8}}};
  // the last one is as large as the result
  const std::vector<std::vector<int64_t>> any = {{3, 4, 3}, {9, 2, 3}, {1, 1, 3}, {17, 23, 3}, {5, 8, 3}};
  c.push_back({"resize", {Type{DType::u8, true, {kAnyExtent, kAnyExtent, 3}}}, a, {Fill::byte}, 1, any});
  c.push_back({"resize", {batched({7, 7, 1})}, a});
  c.push_back({"resize", {fixed({4, 3, 2})}, a});
  for (const char* mode : {"stretch", "letterbox", "crop"})
    for (const bool antialias : {false, true}) {
      Attrs f = a;
      f.set("aspect", std::string(mode)), f.set("antialias", antialias),
          f.set("colour", std::vector<int64_t>{7, 80, 255});
      c.push_back({"fit", {Type{DType::u8, true, {kAnyExtent, kAnyExtent, 3}}}, f, {Fill::byte}, 1, any});
      f.set("colour", std::vector<int64_t>{114});
      c.push_back({"fit_fixed", {fixed({40, 3, 2})}, f});
      c.push_back({"fit_fixed", {batched({7, 7, 1})}, f});
      c.push_back({"fit_fixed", {Type{DType::u8, true, {33, 9, 3}}}, f, {Fill::byte}});
    }
}

// Contractions of bf16: every third case of each, with all operands rounded.
void add_bf16_cases(std::vector<Case>& all) {
  std::map<std::string, int> seen;
  const std::vector<Case> before = all;
  for (const Case& c : before) {
    const OpDef& op = ops::registry().ops.at(c.op);
    if (op.kind != Kind::contraction || op.structure || c.fix || seen[c.op]++ % 3 != 0) continue;
    Case rounded = c;
    for (Type& t : rounded.in) t.dtype = DType::bf16;
    std::vector<Type> out;
    if (std::string error; op.shape(rounded.in, rounded.attrs, out, error)) all.push_back(rounded);
  }
  all.push_back({"round_bf16", {batched({5, 7})}});
  all.push_back({"round_bf16", {fixed({33})}, {}, {Fill::positive}});
  all.push_back({"widen_bf16", {{DType::bf16, true, {5, 7}}}});
}

}  // namespace

const std::vector<Case>& cases() {
  static const std::vector<Case> all = [] {
    std::vector<Case> c;
    dense(c);
    conv(c);
    add_conv_cases(c);
    norm(c);
    add_norm_cases(c);
    add_elementwise_cases(c);
    pool(c);
    view(c);
    preprocessing(c);
    softmax(c);
    loss_cases(c);
    training(c);
    ingest(c);
    move_cases(c);
    sequence_cases(c);
    add_bf16_cases(c);
    return c;
  }();
  return all;
}

}  // namespace netc::test
