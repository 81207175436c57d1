// Every strategy's kernels against the interpreter, on odd shapes, for batches that fill tiles and that do not.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <random>
#include <regex>
#include <vector>

#include <fmt/format.h>

#include "compiler/ir/interpret.h"
#include "compiler/ir/layer_def.h"
#include "compiler/lower/lower.h"
#include "compiler/schedule/make_plan.h"
#include "compiler/verify/compare.h"
#include "tests/support/kernel_runner.h"

using namespace netc;
using namespace netc::ir;

namespace {

struct Net {
  Graph g;
  const OpTable& ops = ops::registry().ops;
  ValueId variable(const char* name, Role role, bool batched, std::vector<int64_t> dims, DType t = DType::f32) {
    Variable v;
    v.name = name;
    v.role = role;
    return g.add_variable(v, Type{t, batched, std::move(dims)});
  }
  ValueId op(const char* name, std::vector<ValueId> in, Attrs a = {}) {
    return g.add(ops.at(name), std::move(in), std::move(a));
  }
  void out(ValueId v) { g.outputs.push_back({fmt::format("out{}", g.outputs.size()), v}); }
};

Attrs conv_attrs(int64_t stride, int64_t pad) {
  return {{"stride_h", stride}, {"stride_w", stride}, {"pad_top", pad},
          {"pad_left", pad},    {"pad_bottom", pad},  {"pad_right", pad}};
}

void check(const Net& net, int batch, int max_batch, double tolerance = 2e-4) {
  std::mt19937 rng(static_cast<unsigned>(net.g.nodes.size() * 7 + batch));
  std::normal_distribution<double> normal;
  std::map<std::string, RefTensor> variables;
  for (auto& v : net.g.variables) {
    if (v.role == Role::constant) continue;
    RefTensor t;
    if (net.g.type(v.value).batched) t.dims.push_back(batch);
    for (int64_t d : net.g.type(v.value).dims) t.dims.push_back(d);
    int64_t n = 1;
    for (int64_t d : t.dims) n *= d;
    for (int64_t i = 0; i < n; ++i)
      t.data.push_back(static_cast<float>(v.role == Role::scalar ? 3
                                          : v.role == Role::slot ? std::abs(normal(rng))
                                                                 : normal(rng)));
    variables[v.name] = t;
  }
  auto want = interpret(net.g, variables, batch);
  std::vector<const char*> machines = {"x86-64-avx2"};
  if (host_machine().vector_floats > 8) machines.push_back("host");  // else it is the same code twice
  for (auto machine : machines)
    for (int threads : {1, 2}) {
      Machine m;
      REQUIRE(machine_for(machine, m));
      std::string error;
      auto got = run_kernels(net.g, m, variables, batch, max_batch, threads, error);
      CAPTURE(machine);
      CAPTURE(batch);
      REQUIRE_MESSAGE(error.empty(), error);
      for (auto& [v, t] : got) {
        REQUIRE(t.data.size() == want[v].data.size());
        const double worst = verify::compare(want[v], t, {}).error;
        CHECK_MESSAGE(worst < tolerance,
                      fmt::format("{} of {}: relative error {}", net.g.values[v].name, machine, worst));
      }
    }
}

/// The loops of a net's only kernel, for a processor with AVX-512.
std::string loops(const Net& n, const std::string& strategy) {
  Machine m;
  REQUIRE(machine_for("x86-64-avx512", m));
  const plan::Plan plan = schedule::make_plan(n.g, m, 32);
  REQUIRE(plan.kernels.size() == 1);
  REQUIRE(plan.kernels[0].strategy.name == strategy);
  netc::lower::Options options;
  options.want_halide_text = true;
  std::vector<netc::lower::Object> objects;
  std::string error;
  REQUIRE_MESSAGE(netc::lower::lower_all(plan, m, options, objects, error), error);
  return objects[0].halide_text;
}

auto count(const std::string& text, const std::string& pattern) {
  const std::regex r(pattern);
  return std::distance(std::sregex_iterator(text.begin(), text.end(), r), std::sregex_iterator());
}

}  // namespace

TEST_CASE("convolution with bias, relu and pooling in one kernel") {
  for (int channels : {1, 6, 16, 19})
    for (int pad : {0, 2}) {
      Net n;
      auto x = n.variable("x", Role::input, true, {21, 23, 3}),
           w = n.variable("w", Role::weight, false, {5, 5, 3, channels}),
           b = n.variable("b", Role::weight, false, {channels});
      auto y = n.op("relu", {n.op("bias_add", {n.op("conv", {x, w}, conv_attrs(1, pad)), b})});
      n.out(n.op("max_pool", {y},
                 {{"kernel_h", int64_t{2}},
                  {"kernel_w", int64_t{2}},
                  {"stride_h", int64_t{2}},
                  {"stride_w", int64_t{2}},
                  {"pad_top", int64_t{0}},
                  {"pad_left", int64_t{0}},
                  {"pad_bottom", int64_t{0}},
                  {"pad_right", int64_t{0}}}));
      check(n, 3, 4);
    }
}

// No processor is needed to read code. `, 0, 2, 16)`: of two vectors the even elements, `, 1, 2, 16)`: the odd ones.
TEST_CASE("a pooling takes its columns from whole vectors of sums") {
  Net n;
  const auto x = n.variable("x", Role::input, true, {34, 34, 3}),
             w = n.variable("w", Role::weight, false, {3, 3, 3, 6}), b = n.variable("b", Role::weight, false, {6});
  Attrs pool = conv_attrs(2, 0);
  pool.set("kernel_h", int64_t{2}), pool.set("kernel_w", int64_t{2});
  n.out(n.op("max_pool", {n.op("bias_add", {n.op("conv", {x, w}, conv_attrs(1, 0)), b})}, pool));
  const std::string text = loops(n, "conv_planes");
  CHECK(count(text, R"(slice_vectors\(conv[$\d]*\[ramp\(\d*[02468], 1, 32\)[^\]]*\], 1, 2, 16\))") > 0);
  CHECK(count(text, R"(slice_vectors\(conv[$\d]*\[ramp\(\d*[02468], 1, 32\)[^\]]*\], 0, 2, 16\))") > 0);
  CHECK(count(text, R"(slice_vectors\(conv[$\d]*\[ramp\(\d*[13579], 1)") == 0);
}

TEST_CASE("what comes from memory is asked for ahead: weights of a sample alone and of many, the next rows of planes") {
  Net dense, grad;
  dense.out(dense.op("matmul", {dense.variable("x", Role::input, true, {8192}),
                                dense.variable("w", Role::weight, false, {8192, 1024})}));
  CHECK(count(loops(dense, "gemm_stream"), "prefetch\\(") == 3);  // 32 samples, 8, one
  Attrs at = conv_attrs(1, 0);
  at.set("kh", int64_t{3}), at.set("kw", int64_t{3});
  grad.out(grad.op(
      "conv_weight_grad",
      {grad.variable("x", Role::input, true, {34, 34, 3}), grad.variable("dy", Role::input, true, {32, 32, 6})}, at));
  CHECK(count(loops(grad, "taps_planes"), "prefetch\\(") == 2);
}

TEST_CASE("the difference of equal numbers is 0, however they were computed") {
  Net n;
  const auto a = n.variable("a", Role::input, true, {24}), b = n.variable("b", Role::input, true, {24});
  n.out(n.op("sub", {a, n.op("add", {a, b})}));
  CHECK(count(loops(n, "map"), "strict_sub") > 0);
}

// Two bodies, one for full tasks and one for the last, may be rounded otherwise by LLVM: then what a sample gives
// depends on its place in the batch.
TEST_CASE("tasks of samples have one body, whatever the batch") {
  Net rows, map;
  rows.out(rows.op("rms_norm",
                   {rows.variable("x", Role::input, true, {24}), rows.variable("gamma", Role::weight, false, {24})},
                   {{"eps", 1e-3}}));
  map.out(map.op("exp", {map.variable("x", Role::input, true, {24})}));
  for (const std::string& text : {loops(rows, "rows"), loops(map, "map")})
    CHECK(count(text, R"(for \(out[$\d]*\.s0\.n\.ni,)") == 1);
}

TEST_CASE("windows of poolings that tiles of few channels do not divide by") {
  for (auto [size, pad] : {std::pair{3, 0}, {3, 2}, {5, 0}, {5, 2}, {2, 2}})
    for (auto [h, w] : {std::pair{24, 38}, {18, 28}}) {
      Net n;
      auto x = n.variable("x", Role::input, true, {h, w, 2}), f = n.variable("w", Role::weight, false, {5, 5, 2, 6});
      Attrs a = {{"kernel_h", int64_t{size}},
                 {"kernel_w", int64_t{size}},
                 {"stride_h", int64_t{size}},
                 {"stride_w", int64_t{size}}};
      for (const char* side : {"pad_top", "pad_left", "pad_bottom", "pad_right"}) a.set(side, int64_t{0});
      n.out(n.op("max_pool", {n.op("relu", {n.op("conv", {x, f}, conv_attrs(1, pad))})}, a));
      check(n, 2, 2);
    }
}

TEST_CASE("what a convolution alone reads of the input is made in its copy of the image") {
  for (int channels : {1, 3, 16})
    for (int filters : {6, 32})
      for (int pad : {0, 1}) {
        Net n;
        auto x = n.variable("x", Role::input, true, {19, 21, channels}),
             w = n.variable("w", Role::weight, false, {3, 3, channels, filters});
        n.out(n.op("conv", {n.op("rescale", {x}, {{"scale", 1.0 / 255}, {"offset", -0.5}}), w}, conv_attrs(1, pad)));
        CHECK(schedule::make_plan(n.g, host_machine(), 3).kernels.back().input_values.front() == x);
        check(n, 2, 3);
      }
}

TEST_CASE("what a 1 x 1 convolution alone reads element by element is made in its tasks' copies") {
  for (const auto& [h, w, channels, filters] :
       {std::array<int64_t, 4>{56, 28, 64, 128}, {7, 7, 32, 512}, {5, 6, 6, 8}, {9, 21, 24, 6}}) {
    Net n;
    auto x = n.variable("x", Role::input, true, {h, w, channels / 2}),
         b = n.variable("b", Role::weight, false, {channels});
    auto f = n.variable("w", Role::weight, false, {1, 1, channels, filters});
    const auto joined = n.op("concat", {x, x}, {{"axis", int64_t{2}}});
    n.out(joined);
    n.out(n.op("relu", {n.op("conv", {n.op("relu", {n.op("bias_add", {joined, b})}), f}, conv_attrs(1, 0))}));
    const plan::Plan plan = schedule::make_plan(n.g, host_machine(), 3);
    CHECK(plan.kernels.back().input_values.front() == joined);
    check(n, 2, 3);
  }
}

TEST_CASE("the gradient in few channels, as planes") {
  Net n;
  auto dy = n.variable("dy", Role::input, true, {33, 35, 16}), w = n.variable("w", Role::weight, false, {3, 3, 6, 16}),
       x = n.variable("x", Role::weight, false, {3, 3, 6, 6});
  Attrs a = conv_attrs(1, 0);
  a.set("in_h", int64_t{35});
  a.set("in_w", int64_t{37});
  n.out(n.op("conv", {n.op("relu", {n.op("conv_data_grad", {dy, w}, a)}), x}, conv_attrs(1, 1)));
  check(n, 2, 2);
}

TEST_CASE("convolution's gradients") {
  for (auto [c, k] : {std::pair{3, 6}, {6, 16}, {16, 33}, {1, 6}})
    for (int stride : {1, 2})
      for (int pad : {0, 1}) {
        Net n;
        int64_t h = (19 + 2 * pad - 3) / stride + 1;
        auto x = n.variable("x", Role::input, true, {19, 19, c}), dy = n.variable("dy", Role::input, true, {h, h, k}),
             w = n.variable("w", Role::weight, false, {3, 3, c, k});
        Attrs a = conv_attrs(stride, pad), d = a;
        a.set("kh", int64_t{3});
        a.set("kw", int64_t{3});
        d.set("in_h", int64_t{19});
        d.set("in_w", int64_t{19});
        n.out(n.op("conv_weight_grad", {x, dy}, a));
        n.out(n.op("conv_data_grad", {dy, w}, d));
        check(n, 2, 3);
      }
}

TEST_CASE(
    "gradients and sums of few channels, in rows that fit the registers and longer ones, whose tasks are samples or "
    "rows") {
  for (auto [size, kernel] : {std::pair{10, 5}, {14, 5}, {31, 3}}) {
    Net n;
    const int64_t left = size - kernel + 1;
    auto x = n.variable("x", Role::input, true, {size, size, 6}),
         dy = n.variable("dy", Role::input, true, {left, left, 16});
    auto w = n.variable("w", Role::weight, false, {kernel, kernel, 6, 16});
    Attrs a = conv_attrs(1, 0), d = a;
    a.set("kh", int64_t{kernel});
    a.set("kw", int64_t{kernel});
    d.set("in_h", int64_t{size});
    d.set("in_w", int64_t{size});
    const ValueId dx = n.op("relu_grad", {n.op("conv_data_grad", {dy, w}, d), x});
    n.out(n.op("conv_weight_grad", {x, dy}, a));
    Attrs one = conv_attrs(1, 0);
    one.set("kh", int64_t{1});
    one.set("kw", int64_t{1});
    n.out(n.op("conv_weight_grad", {x, dx}, one));
    for (ValueId v : {dx, dy}) n.out(n.op("sum_to_channel", {v}));
    check(n, 2, 3);
    for (int batch : {16, 19}) check(n, batch, 19);
  }
}

TEST_CASE("matrix products, streamed and small, whole tiles and single rows") {
  for (auto [k, u] : {std::pair{120, 84}, {400, 10}, {37, 5}, {9000, 300}})
    for (int batch : {1, 9, 33}) {
      Net n;
      auto x = n.variable("x", Role::input, true, {k}), w = n.variable("w", Role::weight, false, {k, u}),
           dy = n.variable("dy", Role::input, true, {u}), b = n.variable("b", Role::weight, false, {u});
      n.out(n.op("relu", {n.op("bias_add", {n.op("matmul", {x, w}), b})}));
      n.out(n.op("matmul_data_grad", {dy, w}));
      n.out(n.op("matmul_weight_grad", {x, dy}));
      n.out(n.op("sum_to_channel", {dy}));
      check(n, batch, 40);
      if (batch < 10) check(n, batch, 10);
    }
}

TEST_CASE("operands broadcast inside kernels, and are reduced again") {
  for (int channels : {3, 8, 19}) {
    Net n;
    auto x = n.variable("x", Role::input, true, {9, 11, channels}),
         row = n.variable("row", Role::input, true, {1, 11, 1});
    auto pixel = n.variable("pixel", Role::input, true, {1, 1, channels});
    auto column = n.variable("column", Role::weight, false, {9, 1, 1}),
         one = n.variable("one", Role::input, true, {1, 1, 1});
    const Attrs image = {{"axes", std::vector<int64_t>{0, 1}}}, channel = {{"axes", std::vector<int64_t>{2}}};
    const Attrs all = {{"axes", std::vector<int64_t>{0, 1, 2}}};
    n.out(n.op("sigmoid", {n.op("mul", {x, n.op("add", {row, pixel})})}));  // both expand
    n.out(n.op("sub", {n.op("mul", {row, column}), n.op("tanh", {one})}));
    n.out(n.op("div", {n.op("sub", {x, n.op("reduce_mean", {x}, image)}),
                       n.op("exp", {n.op("reduce_variance", {x}, image)})}));
    const ValueId squares = n.op("reduce_sum", {n.op("squared", {x})}, channel);
    n.out(n.op("mul", {x, n.op("rsqrt", {n.op("rescale", {squares}, {{"scale", 1.0}, {"offset", 1e-3}})})}));
    n.out(n.op("reduce_max", {n.op("mul", {x, pixel})}, all));
    n.out(n.op("reduce_max_grad", {x, one}, all));
    n.out(n.op("reduce_max_grad", {x, n.op("reduce_sum", {x}, channel)}, channel));
    n.out(
        n.op("expand", {n.op("scale", {pixel}, {{"factor", 0.5}})}, {{"dims", std::vector<int64_t>{9, 11, channels}}}));
    n.out(n.op("sum_to", {n.op("reduce_sum", {n.op("mul", {x, row})}, {{"axes", std::vector<int64_t>{1, 2}}})},
               {{"rank", int64_t{3}}}));
    for (int batch : {1, 5}) check(n, batch, 5);
  }
}

TEST_CASE("element-wise work on one channel, and what joins its rows") {
  for (int width : {3, 16, 37}) {
    Net n;
    auto x = n.variable("x", Role::input, true, {width, 1}), y = n.variable("y", Role::input, true, {1, 1}),
         image = n.variable("image", Role::input, true, {5, width, 1});
    n.out(n.op("rescale", {image}, {{"scale", 0.5}, {"offset", 1.0}}));
    n.out(n.op("join_rows", {y, x}));
    n.out(n.op("join_rows", {x, y}));
    for (int batch : {1, 5}) check(n, batch, 5);
  }
}

TEST_CASE("reductions of what has no batch") {
  for (auto [h, w] : {std::pair{5, 3}, {1, 9}, {33, 17}}) {
    Net n;
    auto x = n.variable("x", Role::weight, false, {h, w}), y = n.variable("y", Role::weight, false, {4, h, w});
    for (const char* op : {"reduce_sum", "reduce_mean", "reduce_variance", "reduce_max"}) {
      for (const std::vector<int64_t>& axes : {std::vector<int64_t>{0}, {1}, {0, 1}})
        n.out(n.op(op, {x}, {{"axes", axes}}));
      n.out(n.op(op, {y}, {{"axes", std::vector<int64_t>{0, 2}}}));
    }
    n.out(n.op("reduce_max_grad", {x, n.op("reduce_sum", {x}, {{"axes", std::vector<int64_t>{1}}})},
               {{"axes", std::vector<int64_t>{1}}}));
    check(n, 1, 1);
  }
}

TEST_CASE("activations, random layers and rows of logarithms in kernels") {
  Net n;
  auto x = n.variable("x", Role::input, true, {5, 3, 11}), rows = n.variable("rows", Role::input, true, {13});
  auto slope = n.variable("slope", Role::weight, false, {11});
  auto seed = n.variable("seed", Role::scalar, false, {}, DType::u32),
       step = n.variable("step", Role::scalar, false, {}, DType::u32);
  ValueId y = n.op("prelu", {x, slope});
  for (const char* op : {"gelu", "mish", "silu", "softplus", "hard_swish"}) y = n.op(op, {y});
  y = n.op("elu", {y}, {{"alpha", 1.0}});
  n.out(y);
  n.out(n.op("dropout_channels", {x, seed, step}, {{"rate", 0.3}, {"stream", int64_t{1}}}));
  n.out(n.op("dropout_samples", {x, seed, step}, {{"rate", 0.3}, {"stream", int64_t{2}}}));
  n.out(n.op("noise", {x, seed, step}, {{"stddev", 0.3}, {"stream", int64_t{3}}}));
  const ValueId l = n.op("log_softmax", {rows});
  n.out(l);
  n.out(n.op("log_softmax_grad", {rows, l}));
  check(n, 3, 4);
}

TEST_CASE("functions of functions, on both sides of an absolute value and of a maximum") {
  // Halide knows functions of its own by names such as abs; an operator's is not to be taken for one.
  const std::vector<const char*> functions = {
      "exp",  "log",      "sqrt",     "rsqrt", "reciprocal", "squared", "abs",     "sign",
      "sin",  "cos",      "erf",      "relu",  "relu6",      "selu",    "sigmoid", "hard_sigmoid",
      "tanh", "softplus", "softsign", "gelu",  "gelu_tanh",  "silu",    "mish",    "hard_swish"};
  for (int form = 0; form < 3; ++form) {
    CAPTURE(form);
    Net n;
    const ValueId x = n.variable("x", Role::input, true, {37}), y = n.variable("y", Role::input, true, {37});
    const ValueId positive = n.op("rescale", {n.op("abs", {x})}, {{"scale", 0.5}, {"offset", 0.25}});
    ValueId sum = x;
    for (const char* f : functions) {
      const ValueId inner = form == 0   ? n.op("abs", {positive})
                            : form == 1 ? n.op("maximum", {positive, n.op("abs", {y})})
                                        : n.op("add", {n.op("abs", {x}), n.op("sigmoid", {y})});
      const ValueId outer = n.op(f, {inner});
      sum = n.op("add", {sum, form == 1 ? n.op("minimum", {outer, n.op("abs", {outer})}) : n.op("abs", {outer})});
    }
    n.out(sum);
    check(n, 3, 4);
  }
}

TEST_CASE("grouped, dilated and depthwise convolutions and their gradients") {
  struct Shape {
    int64_t c, k, groups;
  };
  for (const Shape& s : {Shape{4, 6, 2}, {16, 32, 2}, {32, 48, 4}, {3, 3, 3}, {16, 16, 16}, {8, 16, 8}})
    for (const auto& [stride, dilation] : {std::pair<int64_t, int64_t>{1, 1}, {2, 1}, {1, 2}}) {
      Net n;
      const bool depthwise = s.groups == s.c;
      const int64_t h = (19 + 2 - 2 * dilation - 1) / stride + 1;
      auto x = n.variable("x", Role::input, true, {19, 19, s.c}), dy = n.variable("dy", Role::input, true, {h, h, s.k});
      auto w = n.variable("w", Role::weight, false, {3, 3, s.c / s.groups, s.k});
      Attrs a = conv_attrs(stride, 1);
      if (dilation > 1) a.set("dilation_h", dilation), a.set("dilation_w", dilation);
      if (!depthwise) a.set("groups", s.groups);
      Attrs k = a, d = a;
      k.set("kh", int64_t{3});
      k.set("kw", int64_t{3});
      d.set("in_h", int64_t{19});
      d.set("in_w", int64_t{19});
      if (depthwise) d.set("in_c", s.c);
      n.out(n.op("relu", {n.op("bias_add", {n.op(depthwise ? "dwconv" : "conv", {x, w}, a),
                                            n.variable("b", Role::weight, false, {s.k})})}));
      n.out(n.op(depthwise ? "dwconv_weight_grad" : "conv_weight_grad", {x, dy}, k));
      n.out(n.op(depthwise ? "dwconv_data_grad" : "conv_data_grad", {dy, w}, d));
      check(n, 2, 3);
    }
}

TEST_CASE("poolings whose windows overlap or lie partly outside, after a convolution") {
  for (const char* pool : {"max_pool", "avg_pool"})
    for (const auto& [size, stride, before, after] :
         {std::array<int64_t, 4>{3, 2, 1, 1}, {2, 2, 1, 0}, {5, 3, 0, 1}, {2, 3, 0, 0}}) {
      Net n;
      auto x = n.variable("x", Role::input, true, {19, 21, 3}), w = n.variable("w", Role::weight, false, {3, 3, 3, 16});
      Attrs a = {{"kernel_h", size},  {"kernel_w", size},   {"stride_h", stride},  {"stride_w", stride},
                 {"pad_top", before}, {"pad_left", before}, {"pad_bottom", after}, {"pad_right", after}};
      n.out(n.op(pool, {n.op("relu", {n.op("conv", {x, w}, conv_attrs(1, 1))})}, a));
      check(n, 3, 4);
    }
}

TEST_CASE("normalisations of a sample and their gradients") {
  for (const std::vector<int64_t>& dims : {std::vector<int64_t>{5, 7, 12}, {9, 24}, {20}}) {
    Net n;
    const int64_t c = dims.back();
    auto x = n.variable("x", Role::input, true, dims), dy = n.variable("dy", Role::input, true, dims),
         gamma = n.variable("gamma", Role::weight, false, {c});
    auto beta = n.variable("beta", Role::weight, false, {c}), sum = n.op("add", {x, dy});
    const Attrs eps = {{"eps", 1e-3}}, groups = {{"eps", 1e-3}, {"groups", int64_t{4}}};
    const Attrs lrn = {{"size", int64_t{5}}, {"alpha", 0.1}, {"beta", 0.75}, {"k", 2.0}};
    n.out(n.op("relu", {n.op("layer_norm", {sum, gamma, beta}, eps)}));
    n.out(n.op("layer_norm_data_grad", {dy, x, gamma}, eps));
    n.out(n.op("layer_norm_gamma_grad", {dy, x}, eps));
    n.out(n.op("rms_norm", {sum, gamma}, eps));
    n.out(n.op("rms_norm_data_grad", {dy, x, gamma}, eps));
    n.out(n.op("rms_norm_gamma_grad", {dy, x}, eps));
    n.out(n.op("relu", {n.op("group_norm", {sum, gamma, beta}, groups)}));
    n.out(n.op("group_norm_data_grad", {dy, x, gamma}, groups));
    n.out(n.op("group_norm_gamma_grad", {dy, x}, groups));
    n.out(n.op("lrn", {n.op("relu", {sum})}, lrn));
    n.out(n.op("lrn_grad", {dy, x}, lrn));
    check(n, 3, 4);
  }
}
