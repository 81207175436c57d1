// The checker of plans sees what is wrong with one.
#include <algorithm>

#include <fmt/format.h>

#include "compiler/schedule/check.h"
#include "compiler/schedule/make_plan.h"
#include "tests/schedule/support.h"

using namespace netc;
using namespace netc::test;
using plan::Plan;

namespace {

Plan training_plan() {
  return schedule::make_plan(program_of(R"(
net A {
  input x: f32[9, 9, 3]
  output y = x -> Conv(8, 3) -> ReLU -> MaxPool(2) -> Conv(8, 3, padding = same) -> BatchNorm -> Flatten -> Dense(4)
}
train { loss = mse(y, label)  optimizer = adam(lr = 1e-3)  batch = 4 }
)")
                                 .training,
                             machine(), 4);
}

bool says(const Plan& p, const std::string& what) {
  const auto errors = schedule::check_plan(p);
  return std::any_of(errors.begin(), errors.end(),
                     [&](const std::string& e) { return e.find(what) != std::string::npos; });
}

}  // namespace

TEST_CASE("a plan as it is made is well formed") {
  const Plan p = training_plan();
  for (const std::string& e : schedule::check_plan(p)) FAIL_CHECK(e);
  CHECK(p.kernels.size() > 8);
}

TEST_CASE("kernels out of order") {
  Plan p = training_plan();
  std::reverse(p.kernels.begin(), p.kernels.end());
  CHECK(says(p, "before it is computed"));
}

TEST_CASE("a variable that is overwritten too early") {
  Plan p = training_plan();
  std::stable_partition(p.kernels.begin(), p.kernels.end(),
                        [](const plan::Kernel& k) { return k.phase != plan::Phase::backward || k.outputs.empty(); });
  bool found = false;
  // each update in turn, as early as its operands allow and earlier
  for (size_t at = 0; at < p.kernels.size() && !found; ++at) {
    Plan moved = training_plan();
    if (moved.kernels[at].phase != plan::Phase::update) continue;
    std::rotate(moved.kernels.begin(), moved.kernels.begin() + static_cast<std::ptrdiff_t>(at),
                moved.kernels.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    found = says(moved, "after it was overwritten");
  }
  CHECK(found);
}

TEST_CASE("two tensors in one place of the arena") {
  Plan p = training_plan();
  for (plan::Buffer& b : p.buffers) b.offset = 0;
  CHECK(says(p, "where something else was written since"));
}

TEST_CASE("a kernel that lacks an operand, or has a node that may not follow its anchor") {
  Plan p = training_plan();
  for (plan::Kernel& k : p.kernels)
    if (!k.input_values.empty()) {
      k.input_values.pop_back();
      break;
    }
  CHECK(says(p, "which is none of its operands"));
  Plan q = training_plan();
  plan::Kernel &a = q.kernels[0], &b = q.kernels[1];
  a.nodes.insert(a.nodes.end(), b.nodes.begin(), b.nodes.end());
  a.input_values.insert(a.input_values.end(), b.input_values.begin(), b.input_values.end());
  CHECK((says(q, "may not follow its anchor") || says(q, "besides its anchor")));
}

TEST_CASE("samples in slices, and kernels in step, are well formed, too") {
  const passes::Program small = program_of(R"(
net A {
  input x: f32[32, 32, 8]
  output y = x -> Conv(16, 3, padding = same) -> ReLU -> Conv(16, 3, padding = same) -> ReLU -> MaxPool(2) -> Flatten -> Dense(4)
}
)");
  Machine m = machine();
  m.l3 = 256 << 10;
  const Plan sliced = schedule::make_plan(small.inference, m, 32);
  CHECK(sliced.slice > 0);
  for (const std::string& e : schedule::check_plan(sliced)) FAIL_CHECK(e);

  const passes::Program large = program_of(R"(
net A {
  input x: f32[512]
  output y = x -> Dense(1024) -> ReLU -> Dense(512, l2 = 1e-3) -> ReLU -> Dense(4)
}
train { loss = mse(y, label)  optimizer = adam(lr = 1e-3)  batch = 8 }
)");
  m.l2 = 256 << 10;
  const Plan step = schedule::make_plan(large.training, m, 8);
  CHECK(std::any_of(step.kernels.begin(), step.kernels.end(), [](const plan::Kernel& k) { return k.with_next; }));
  for (const std::string& e : schedule::check_plan(step)) FAIL_CHECK(e);
}
