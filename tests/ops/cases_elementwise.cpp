// Element-wise operators, with each way of broadcasting, and the reductions that undo it.
#include "tests/ops/cases.h"

namespace netc::test {

using namespace ir;

namespace {

Type batched(std::vector<int64_t> d) { return {DType::f32, true, std::move(d)}; }
Type fixed(std::vector<int64_t> d) { return {DType::f32, false, std::move(d)}; }
const Type kCounter{DType::u32, false, {}};

void binary(std::vector<Case>& c) {
  const Fill n = Fill::normal, p = Fill::positive;
  const std::vector<std::pair<Type, Type>> shapes = {{batched({3, 5, 7}), batched({3, 5, 7})},
                                                     {batched({3, 5, 7}), fixed({7})},
                                                     {fixed({}), batched({3, 5})},
                                                     {batched({3, 5, 7}), batched({1, 1, 7})},
                                                     {batched({3, 1, 1}), batched({1, 5, 9})},
                                                     {batched({4, 1}), batched({4, 9})},
                                                     {fixed({1, 7}), batched({5, 1})},
                                                     {fixed({5, 1}), fixed({3})},
                                                     {batched({1}), batched({1})},
                                                     {batched({1, 1, 1}), batched({2, 3, 5})},
                                                     {batched({}), fixed({})},
                                                     {fixed({3, 1, 1}), batched({3, 2, 2})}};
  for (const auto& [a, b] : shapes) {
    for (const char* op : {"add", "sub", "mul", "minimum", "maximum", "less", "less_equal"}) c.push_back({op, {a, b}});
    c.push_back({"div", {a, b}, {}, {n, p}});
    c.push_back({"pow", {a, b}, {}, {p, n}});
  }
  using Expansion = std::pair<Type, std::vector<int64_t>>;
  for (const auto& [from, to] : {Expansion{batched({1, 1, 7}), {3, 5, 7}},
                                 {batched({3, 1}), {3, 5}},
                                 {fixed({1, 4}), {9, 4}},
                                 {batched({2}), {2}}}) {
    c.push_back({"expand", {from}, {{"dims", to}}});
  }
}

void unary(std::vector<Case>& c) {
  for (const Type& x : {batched({3, 5, 7}), batched({1}), fixed({5, 3})}) {
    for (const char* op : {"exp", "squared", "abs", "sign", "sin", "cos", "erf"}) c.push_back({op, {x}});
    for (const char* op : {"log", "sqrt", "rsqrt", "reciprocal"}) c.push_back({op, {x}, {}, {Fill::positive}});
    c.push_back({"erf_grad", {x, x}});
    c.push_back({"clip", {x}, {{"min", -0.5}, {"max", 0.75}}});
    c.push_back({"clip_grad", {x, x}, {{"min", -0.5}, {"max", 0.75}}});
    c.push_back({"scale", {x}, {{"factor", -0.7}}});
    c.push_back({"constant_fill", {x}, {{"value", 3.0}}});
    c.push_back({"copy", {x}});
  }
}

void activation(std::vector<Case>& c) {
  const std::vector<std::string> plain = {"relu", "relu6",    "selu",      "sigmoid", "hard_sigmoid",
                                          "tanh", "softplus", "softsign",  "gelu",    "gelu_tanh",
                                          "silu", "mish",     "hard_swish"};
  for (const Type& x : {batched({3, 5, 7}), batched({1}), fixed({5, 3})}) {
    for (const std::string& op : plain) {
      for (double spread : {1.0, 4.0}) {
        Case wide{op, {x}};
        wide.fix = [spread](std::vector<RefTensor>& in, int64_t) {
          for (double& v : in[0].data) v = static_cast<double>(static_cast<float>(v * spread));
        };
        c.push_back(wide);
      }
      c.push_back({op + "_grad", {x, x}});
    }
    c.push_back({"leaky_relu", {x}, {{"slope", 0.1}}});
    c.push_back({"leaky_relu_grad", {x, x}, {{"slope", 0.1}}});
    c.push_back({"elu", {x}, {{"alpha", 1.3}}});
    c.push_back({"elu_grad", {x, x}, {{"alpha", 1.3}}});
    c.push_back({"prelu", {x, fixed({x.dims.back()})}});
    c.push_back({"prelu_grad", {x, x, fixed({x.dims.back()})}});
  }
  for (int64_t k : {1, 3, 11}) {
    c.push_back({"log_softmax", {batched({k})}});
    c.push_back({"log_softmax_grad", {batched({k}), batched({k})}});
  }
  c.push_back({"log_softmax", {batched({3, 2, 5})}});
}

void random(std::vector<Case>& c) {
  const std::vector<Fill> fill = {Fill::normal, Fill::counter, Fill::counter};
  for (const Type& x : {batched({5, 3, 2}), batched({31}), batched({1}), batched({2, 9}), batched({})}) {
    for (const char* op : {"dropout", "dropout_channels", "dropout_samples"}) {
      c.push_back({op, {x, kCounter, kCounter}, {{"rate", 0.4}, {"stream", int64_t{2}}}, fill});
    }
    c.push_back({"noise", {x, kCounter, kCounter}, {{"stddev", 0.3}, {"stream", int64_t{3}}}, fill});
  }
}

void reduction(std::vector<Case>& c) {
  using Axes = std::vector<int64_t>;
  const std::vector<std::pair<Type, Axes>> folds = {
      {batched({3, 5, 7}), {0, 1}}, {batched({3, 5, 7}), {2}},       {batched({3, 5, 7}), {0, 1, 2}},
      {batched({4, 1, 9}), {1}},    {batched({6, 5}), {0}},          {batched({1}), {0}},
      {batched({9}), {0}},          {batched({2, 3, 2, 5}), {0, 3}}, {fixed({5, 3}), {1}},
      {fixed({4, 3, 5}), {0, 2}}};
  for (const auto& [x, axes] : folds) {
    const Attrs a = {{"axes", axes}};
    for (const char* op : {"reduce_sum", "reduce_mean", "reduce_variance", "reduce_max"}) c.push_back({op, {x}, a});
    Type dy = x;
    for (int64_t axis : axes) dy.dims[static_cast<size_t>(axis)] = 1;
    Case grad{"reduce_max_grad", {x, dy}, a};
    grad.fix = [](std::vector<RefTensor>& in, int64_t) {
      for (double& v : in[0].data) v = std::round(v);  // ties: the first maximum counts
    };
    c.push_back(grad);
  }
  for (const Type& x : {batched({3, 5, 7}), batched({1, 1, 1}), batched({9})}) {
    for (int64_t rank = 0; rank <= x.rank(); ++rank) c.push_back({"sum_to", {x}, {{"rank", rank}}});
  }
}

}  // namespace

void add_elementwise_cases(std::vector<Case>& c) {
  binary(c);
  unary(c);
  activation(c);
  random(c);
  reduction(c);
}

}  // namespace netc::test
