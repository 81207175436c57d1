// Training with kernels in step against training without.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/emit/support.h"

using namespace netc;

namespace {

const char* const kNet = R"(
net Wide {
  input x: f32[40]
  output y = x -> Dense(192, l2 = 0.001) -> ReLU -> Dense(64, l1 = 0.001, l2 = 0.01) -> ReLU -> Dense(3, l2 = 0.01)
}
train { loss = squared_error(y, target)  optimizer = adam(lr = 0.01)  batch = 12 }
)";

struct Trained {
  std::vector<float> losses, weights;
};

Trained train(const support::Net& net, int threads) {
  auto loaded = support::load_product(net);
  std::string error;
  auto model = loaded->create({.threads = threads, .max_batch = 12, .training = true, .own_weights = true}, error);
  REQUIRE_MESSAGE(model, error);
  std::mt19937 rng(3);
  const auto number = [&] { return static_cast<float>(rng() % 1000) / 1000 - 0.5f; };
  const auto variables = model->info().variables;
  for (size_t i = 0; i < variables.size(); ++i)
    if (variables[i].role != rt::VarRole::slot) std::generate_n(model->variable(i), variables[i].elements(), number);
  std::generate_n(static_cast<float*>(model->input(0)), 12 * 40, number);
  std::generate_n(static_cast<float*>(model->labels(0)), 12 * 3, number);
  Trained t;
  for (uint32_t step = 1; step <= 3; ++step) t.losses.push_back(model->train_step(12, 0.01f, 1, step));
  for (size_t i = 0; i < variables.size(); ++i)
    t.weights.insert(t.weights.end(), model->variable(i), model->variable(i) + variables[i].elements());
  return t;
}

void close(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == doctest::Approx(b[i]).epsilon(1e-3));
}

}  // namespace

TEST_CASE("a large weight's penalty, data gradient and update run in step, and compute the same whatever the threads") {
  Machine small = host_machine(), large = small;
  small.l2 = 20 << 10;  // the weights of the second layer are larger than the caches
  large.l2 = 4 << 20;
  const auto net = support::load("wide", kNet, 12, true, &small), plain = support::load("wide", kNet, 12, true, &large);
  const auto in_step = [](const support::Net& n) {
    return std::count_if(n.train.kernels.begin(), n.train.kernels.end(), [](const auto& k) { return k.with_next; });
  };
  CHECK(in_step(*net) == 2);
  CHECK(in_step(*plain) == 0);
  const Trained one = train(*net, 1), three = train(*net, 3), without = train(*plain, 2);
  CHECK(one.losses == three.losses);
  CHECK(one.weights == three.weights);
  close(one.losses, without.losses);
  close(one.weights, without.weights);
  CHECK(one.losses[2] < one.losses[0]);
}
