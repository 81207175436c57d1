// The layers that convolve, pool and normalise: extents, variables, errors, and gradients through what they emit.
#include <doctest/doctest.h>

#include "tests/ops/builder.h"

using namespace netc;
using namespace netc::ir;
using namespace netc::test;

namespace {

using Args = std::map<std::string, ArgValue>;

ArgValue word(const char* s) { return std::string(s); }
ArgValue pair(int64_t h, int64_t w) { return std::vector<int64_t>{h, w}; }

/// The type that a layer makes of an input; the message when it makes none.
std::string made(const Type& input, const char* layer, Args a) {
  FakeBuilder b(input);
  return b.apply(layer, std::move(a)) == kNone ? b.message : to_string(b.in_type());
}

/// "conv0.weight f32[3, 3, 2, 4]" of each variable but the input.
std::vector<std::string> variables(const FakeBuilder& b) {
  std::vector<std::string> v;
  for (size_t i = 1; i < b.g.variables.size(); ++i)
    v.push_back(b.g.variables[i].name + " " + to_string(b.g.type(b.g.variables[i].value)));
  return v;
}

std::vector<std::string> operators(const FakeBuilder& b) {
  std::vector<std::string> v;
  for (const Node& n : b.g.nodes) v.push_back(n.op->name);
  return v;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("paddings of a convolution: words, one number, two, four; with dilation") {
  const Type x = batched({9, 8, 2});
  const Args base = {{"filters", num(4)}, {"kernel", num(3)}};
  auto with = [&](Args more) {
    more.insert(base.begin(), base.end());
    return made(x, "Conv", more);
  };
  CHECK(with({}) == "f32[N, 7, 6, 4]");
  CHECK(with({{"padding", word("same")}}) == "f32[N, 9, 8, 4]");
  CHECK(with({{"padding", word("same")}, {"stride", pair(2, 3)}}) == "f32[N, 5, 3, 4]");
  CHECK(with({{"padding", word("1")}}) == "f32[N, 9, 8, 4]");
  CHECK(with({{"padding", word("2, 0")}}) == "f32[N, 11, 6, 4]");
  CHECK(with({{"padding", word("1, 0, 0, 3")}}) == "f32[N, 8, 9, 4]");
  CHECK(with({{"dilation", pair(2, 1)}}) == "f32[N, 5, 6, 4]");
  CHECK(with({{"dilation", num(3)}, {"padding", word("same")}, {"stride", num(2)}}) == "f32[N, 5, 4, 4]");
  CHECK(with({{"dilation", num(4)}}) ==
        "Conv(4, 3)'s window of 9 x 9 with its dilation does not fit into its input f32[9, 8, 2]");
  FakeBuilder b(x);
  b.apply("Conv", {{"filters", num(4)}, {"kernel", num(3)}, {"padding", word("1, 0, 0, 3")}, {"stride", num(2)}});
  const Attrs& a = b.g.nodes[0].attrs;
  CHECK(std::vector<int64_t>{a.i("pad_top"), a.i("pad_bottom"), a.i("pad_left"), a.i("pad_right")} ==
        std::vector<int64_t>{1, 0, 0, 3});
  CHECK(!a.has("dilation_h"));
  CHECK(!a.has("groups"));
}

TEST_CASE("groups of a convolution: weights of a group's channels; as many groups as channels is depthwise") {
  FakeBuilder b(batched({6, 6, 4}));
  b.apply("Conv", {{"filters", num(6)}, {"kernel", num(3)}, {"groups", num(2)}, {"bias", false}});
  CHECK(variables(b) == Names{"conv0.weight f32[3, 3, 2, 6]"});
  CHECK(b.g.nodes[0].attrs.i("groups") == 2);
  CHECK(b.g.variables[1].init.fan_in == 18);
  FakeBuilder d(batched({6, 6, 4}));
  d.apply("Conv", {{"filters", num(8)}, {"kernel", num(3)}, {"groups", num(4)}});
  CHECK(operators(d) == Names{"dwconv", "bias_add"});
  CHECK(variables(d) == Names{"conv0.weight f32[3, 3, 1, 8]", "conv1.bias f32[8]"});
  CHECK(made(batched({6, 6, 4}), "Conv", {{"filters", num(6)}, {"kernel", num(3)}, {"groups", num(3)}}) ==
        "Conv(6, 3) cannot be cut into 3 groups: its input f32[6, 6, 4] has 4 channels, and its output 6");
  CHECK(made(batched({6, 6, 4}), "Conv", {{"filters", num(5)}, {"kernel", num(3)}, {"groups", num(2)}}) ==
        "Conv(5, 3) cannot be cut into 2 groups: its input f32[6, 6, 4] has 4 channels, and its output 5");
}

TEST_CASE("depthwise and separable convolutions") {
  FakeBuilder b(batched({7, 7, 3}));
  b.apply("DepthwiseConv", {{"kernel", num(3)}, {"multiplier", num(2)}, {"stride", num(2)}, {"padding", word("same")}});
  CHECK(b.in_type() == batched({4, 4, 6}));
  CHECK(variables(b) == Names{"depthwise0.weight f32[3, 3, 1, 6]", "depthwise1.bias f32[6]"});
  CHECK(operators(b) == Names{"dwconv", "bias_add"});
  FakeBuilder one(batched({7, 7, 1}));
  one.apply("DepthwiseConv", {{"kernel", num(3)}});
  CHECK(one.in_type() == batched({5, 5, 1}));
  FakeBuilder s(batched({7, 7, 3}));
  s.apply("SeparableConv", {{"filters", num(5)}, {"kernel", pair(3, 1)}, {"multiplier", num(2)}, {"dilation", num(2)}});
  CHECK(s.in_type() == batched({3, 7, 5}));
  CHECK(variables(s) == Names{"separable0.depthwise.weight f32[3, 1, 1, 6]",
                              "separable1.pointwise.weight f32[1, 1, 6, 5]", "separable2.bias f32[5]"});
  CHECK(made(batched({2, 7, 3}), "SeparableConv", {{"filters", num(5)}, {"kernel", num(3)}}) ==
        "SeparableConv(5, 3)'s window of 3 x 3 does not fit into its input f32[2, 7, 3]");
  CHECK(made(batched({7}), "DepthwiseConv", {{"kernel", num(3)}}) ==
        "DepthwiseConv(3) needs an input of 3 dimensions (height, width, channels), but its input is f32[7]");
  for (FakeBuilder* f : {&b, &one, &s}) CHECK(check_gradient(f->g, f->operands[0], 2) < 1e-5);
}

TEST_CASE("a transposed convolution has the extents that Keras and PyTorch give it") {
  const Type x = batched({4, 5, 3});
  auto with = [&](int64_t kernel, int64_t stride, const char* padding, ArgValue extra = int64_t{0}) {
    return made(x, "ConvTranspose",
                {{"filters", num(2)},
                 {"kernel", num(kernel)},
                 {"stride", num(stride)},
                 {"padding", word(padding)},
                 {"output_padding", extra}});
  };
  CHECK(with(3, 1, "valid") == "f32[N, 6, 7, 2]");
  CHECK(with(2, 2, "valid") == "f32[N, 8, 10, 2]");
  CHECK(with(3, 2, "valid") == "f32[N, 9, 11, 2]");
  CHECK(with(3, 2, "same") == "f32[N, 8, 10, 2]");
  CHECK(with(1, 2, "same") == "f32[N, 8, 10, 2]");
  CHECK(with(4, 2, "1") == "f32[N, 8, 10, 2]");
  CHECK(with(3, 2, "1", num(1)) == "f32[N, 8, 10, 2]");
  CHECK(with(3, 2, "0, 1, 1, 1", pair(0, 1)) == "f32[N, 8, 10, 2]");
  CHECK(with(3, 2, "valid", num(2)) == "ConvTranspose(2, 3)'s output_padding 2 must be less than its stride 2");
  CHECK(with(3, 2, "same", num(1)) ==
        "ConvTranspose(2, 3) has padding = same and output_padding: same fixes the output's extent");
  CHECK(with(3, 1, "3") == "ConvTranspose(2, 3)'s padding leaves nothing of its output: its input is f32[4, 5, 3]");
  for (const char* padding : {"same", "valid", "1", "1, 0, 0, 1"}) {
    FakeBuilder b(x);
    const bool same = std::string(padding) == "same";
    b.apply("ConvTranspose", {{"filters", num(2)},
                              {"kernel", num(3)},
                              {"stride", num(2)},
                              {"padding", word(padding)},
                              {"output_padding", num(same ? 0 : 1)}});
    CHECK(variables(b) == Names{"conv_transpose0.weight f32[3, 3, 2, 3]", "conv_transpose1.bias f32[2]"});
    CHECK(check_gradient(b.g, b.operands[0], 2) < 1e-5);
  }
}

TEST_CASE("poolings: padding, ceil, what counts in a mean") {
  auto max = [](std::vector<int64_t> d, Args a) { return made(batched(std::move(d)), "MaxPool", std::move(a)); };
  CHECK(max({112, 112, 3}, {{"size", num(3)}, {"stride", num(2)}, {"padding", word("1")}}) == "f32[N, 56, 56, 3]");
  CHECK(max({6, 5, 3}, {{"size", num(3)}, {"stride", num(2)}}) == "f32[N, 2, 2, 3]");
  CHECK(max({6, 5, 3}, {{"size", num(3)}, {"stride", num(2)}, {"ceil", true}}) == "f32[N, 3, 2, 3]");
  // a third row would begin outside
  CHECK(max({6, 7, 3}, {{"size", num(2)}, {"stride", num(3)}, {"ceil", true}}) == "f32[N, 2, 3, 3]");
  CHECK(max({4, 4, 3}, {{"size", num(2)}, {"stride", num(2)}, {"padding", word("1")}, {"ceil", true}}) ==
        "f32[N, 3, 3, 3]");
  CHECK(max({1, 2, 3}, {{"ceil", true}}) == "f32[N, 1, 1, 3]");
  CHECK(max({5, 5, 3}, {{"size", num(2)}, {"padding", word("0, 1, 1, 0")}}) == "f32[N, 3, 3, 3]");
  CHECK(max({5, 5, 3}, {{"size", num(2)}, {"padding", word("0, 2, 0, 0")}}) ==
        "MaxPool's padding must be less than its window of 2 x 2");
  CHECK(max({1, 2, 3}, {}) == "MaxPool's window of 2 x 2 does not fit into its input f32[1, 2, 3]");

  // The mean of ones: 1 over what exists; less where padding counts, but what ceil adds never does.
  auto means = [](Args a) {
    FakeBuilder b(batched({3, 2, 1}));
    a.insert({{"size", num(2)}, {"ceil", true}});
    const ValueId y = b.apply("AvgPool", a);
    return evaluate(b.g, {RefTensor{{1, 3, 2, 1}, std::vector<double>(6, 1.0)}}, 1)[static_cast<size_t>(y)].data;
  };
  CHECK(means({}) == std::vector<double>{1, 1});
  CHECK(means({{"count_padding", true}}) == std::vector<double>{1, 1});
  CHECK(means({{"padding", word("1, 0")}}) == std::vector<double>{1, 1});
  CHECK(means({{"padding", word("1, 0")}, {"count_padding", true}}) == std::vector<double>{0.5, 1});
  CHECK(means({{"padding", word("0, 0, 1, 0")}, {"count_padding", true}}) == std::vector<double>{0.5, 1, 0.5, 1});
}

TEST_CASE("the largest value of an image") {
  FakeBuilder b(batched({5, 4, 3}));
  const ValueId y = b.apply("GlobalMaxPool");
  CHECK(b.in_type() == batched({3}));
  CHECK(check_gradient(b.g, y, 2) < 1e-5);
  CHECK(made(batched({5}), "GlobalMaxPool", {}) ==
        "GlobalMaxPool needs an input of 3 dimensions (height, width, channels), but its input is f32[5]");
}

TEST_CASE("normalisations of a sample: variables, errors, gradients, what they do") {
  const Type x = batched({3, 2, 6});
  for (const char* name : {"LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm"}) {
    CAPTURE(name);
    const std::string layer = name;
    Args a;
    if (layer == "GroupNorm") a["groups"] = num(3);
    FakeBuilder b(x);
    const ValueId y = b.apply(name, a);
    CHECK(b.in_type() == x);
    CHECK(variables(b) ==
          (layer == "RMSNorm" ? Names{"norm0.gamma f32[6]"} : Names{"norm0.gamma f32[6]", "norm0.beta f32[6]"}));
    CHECK(check_gradient(b.g, y, 2) < 1e-5);
    a["scale"] = false;
    if (layer != "RMSNorm") a["center"] = false;
    FakeBuilder plain(x);
    plain.apply(name, a);
    for (size_t i = 1; i < plain.g.variables.size(); ++i) CHECK(plain.g.variables[i].role == Role::constant);
    CHECK(made({DType::f32, true, {}}, name, a) ==
          layer + " needs an input with channels, but its input is a single number");
  }
  CHECK(made(x, "GroupNorm", {{"groups", num(4)}}) ==
        "GroupNorm(4) cannot divide the 6 channels of its input f32[3, 2, 6]");
  CHECK(made(batched({6}), "InstanceNorm", {}) ==
        "InstanceNorm needs an input with positions beside its channels, but its input is f32[6]");

  // Two pixels of two channels: each layer's row, by hand.
  auto of = [](const char* name, Args a) {
    FakeBuilder b(batched({1, 2, 2}));
    a["epsilon"] = 0.0;
    const ValueId y = b.apply(name, a);
    const std::vector<RefTensor> v = {RefTensor{{1, 1, 2, 2}, {1, 3, 5, 11}}, RefTensor{{2}, {1, 1}},
                                      RefTensor{{2}, {0, 0}}};
    return evaluate(b.g, std::vector<RefTensor>(v.begin(), v.begin() + static_cast<long>(b.g.variables.size())),
                    1)[static_cast<size_t>(y)]
        .data;
  };
  auto near = [](const std::vector<double>& got, const std::vector<double>& want) {
    REQUIRE(got.size() == want.size());
    for (size_t i = 0; i < got.size(); ++i) CHECK(got[i] == doctest::Approx(want[i]));
  };
  near(of("LayerNorm", {}), {-1, 1, -1, 1});
  near(of("InstanceNorm", {}), {-1, -1, 1, 1});
  near(of("GroupNorm", {{"groups", num(1)}}), {-4 / std::sqrt(14.0), -2 / std::sqrt(14.0), 0, 6 / std::sqrt(14.0)});
  near(of("RMSNorm", {}), {1 / std::sqrt(5.0), 3 / std::sqrt(5.0), 5 / std::sqrt(73.0), 11 / std::sqrt(73.0)});
}

TEST_CASE("local response normalisation: the paper's sum, cut at the first and the last channel") {
  FakeBuilder b(batched({1, 1, 4}));
  const ValueId y = b.apply("LRN", {{"size", num(3)}, {"alpha", 0.5}, {"k", 1.0}});
  const std::vector<double> got =
      evaluate(b.g, {RefTensor{{1, 1, 1, 4}, {1, 2, 3, 4}}}, 1)[static_cast<size_t>(y)].data;
  const std::vector<double> sums = {1 + 4, 1 + 4 + 9, 4 + 9 + 16, 9 + 16};
  for (size_t i = 0; i < 4; ++i)
    CHECK(got[i] == doctest::Approx(static_cast<double>(i + 1) / std::pow(1 + 0.5 * sums[i], 0.75)));
  CHECK(check_gradient(b.g, y, 1) < 1e-5);
  CHECK(made(batched({1, 1, 4}), "LRN", {{"size", num(4)}}) == "LRN needs a window of odd size, not 4");
}
