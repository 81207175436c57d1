#include "tests/random/shrink.h"

#include <doctest/doctest.h>

#include "tests/random/draft.h"
#include "tests/random/generate.h"

using namespace netc::random;

namespace {

const char* const kLarge = R"(
block Twice(n = 2) { Repeat(n, width) -> ReLU }
op Half(x, by = 0.5) = by * x + mean(x, channel)
net Main(width = 8) {
  input image: f32[12, 10, 3]
  input other: f32[7]
  let a = image -> Conv(width, 3, padding = same, l2 = 1e-3) -> BatchNorm -> ReLU
  var b = a
  for k in [1, 3] { b = b -> Conv(8, k, padding = same) }
  let c = a -> Add(b) -> Half -> Twice(3)
  let d = other -> Dense(5)
  output y = c -> GlobalAvgPool -> Dense(4) -> Softmax
  output z = d
}
train {
  loss = categorical_crossentropy(y, label) + 0.5 * mse(z, goal)
  optimizer = adam(lr = 1e-3)
  batch = 7
}
)";

}  // namespace

TEST_CASE("what has nothing to do with a failure goes") {
  int calls = 0;
  const std::string small = shrink(kLarge, [&](const std::string& text) {
    ++calls;
    return text.find("Repeat(") != std::string::npos;
  });
  INFO(small);
  CHECK(calls <= 400);
  CHECK(analyse(small).has_value());
  CHECK(small.find("Repeat(") != std::string::npos);
  CHECK(small.size() < 90);
}

TEST_CASE("extents and numbers become small") {
  const std::string small = shrink(kLarge, [](const std::string& text) {
    const auto model = analyse(text);
    if (!model || !model->train.present) return false;
    for (const auto& n : model->graph.nodes)
      for (const auto v : n.results)
        // an image of four columns or more
        if (model->graph.type(v).rank() == 3 && model->graph.type(v).dims[1] >= 4) return true;
    return false;
  });
  INFO(small);
  CHECK(small.size() < 170);
  CHECK(small.find("Conv") == std::string::npos);
}

TEST_CASE("a text that is no net is made small, too, and the number of tries is held") {
  int calls = 0;
  const std::string text = "net A { input x: f32[4] let a = x -> Nothing(3) -> ReLU output y = a -> Dense(4) }";
  const std::string small =
      shrink(text, [&](const std::string& t) { return ++calls, t.find("Nothing") != std::string::npos; }, 60);
  INFO(small);
  CHECK(calls <= 60);
  CHECK(small.size() < text.size() / 2);
  CHECK(shrink(text, [](const std::string&) { return true; }, 0) == text);
}
