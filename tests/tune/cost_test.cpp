// The estimate: finite for every kernel, and it follows work and machine. Nothing is measured.
#include <doctest/doctest.h>

#include <cmath>

#include "compiler/emit/process.h"
#include "compiler/nests/nest.h"
#include "compiler/schedule/make_plan.h"
#include "compiler/tune/limits.h"
#include "tests/tune/support.h"

using namespace netc;
using namespace netc::schedule;

namespace {

const char* kNet = R"(
net N { input x: f32[32, 32, 3]
  output y = x -> Conv(6, 3, padding = same) -> MaxPool(2) -> Conv(32, 3) -> BatchNorm -> ReLU -> DepthwiseConv(3) -> Conv(32, 3, padding = same)
    -> Flatten -> Dense(100) -> Dropout(0.5) -> Dense(10) -> Softmax }
train { loss = sparse_categorical_crossentropy(y, label)  optimizer = adam(lr = 1e-3)  batch = 8  epochs = 1 }
)";

double total(const ir::Graph& g, const Machine& m, int batch) {
  double us = 0;
  const Plan p = make_plan(g, m, batch);
  for (const Kernel& k : p.kernels) {
    CHECK_MESSAGE((std::isfinite(k.strategy.cost_us) && k.strategy.cost_us > 0), k.name);
    CHECK(k.strategy.cost_us == nests::estimate_us({p, k, m}, k.strategy));
    us += k.strategy.cost_us;
  }
  return us;
}

}  // namespace

TEST_CASE("estimates are finite, grow with the batch, and shrink with a faster machine") {
  const passes::Program p = support::program(kNet);
  Machine m = support::machine();
  for (const ir::Graph* g : {&p.training, &p.inference}) {
    const double small = total(*g, m, 8), large = total(*g, m, 64);
    CHECK(large > 2 * small);
    Machine fast = m;
    fast.limits = {2 * m.limits.gflops, 2 * m.limits.cache_gbytes, 2 * m.limits.memory_gbytes};
    CHECK(total(*g, fast, 64) < large);
  }
}

TEST_CASE("limits that were measured are found again; others, and broken ones, are not") {
  emit::TempFolder folder;
  Machine m = support::machine();
  CHECK(!tune::load_limits("", m));
  CHECK(!tune::load_limits(folder.file("none"), m));
  tune::update_limits(folder.file("cache"), m);
  const double gflops = m.limits.gflops;
  CHECK(gflops > 0);
  Machine again = support::machine();
  REQUIRE(tune::load_limits(folder.file("cache"), again));
  CHECK(again.limits.gflops == doctest::Approx(gflops).epsilon(0.01));
  Machine other = support::machine();
  other.cores += 1;
  CHECK(!tune::load_limits(folder.file("cache"), other));
  std::string error;
  for (const char* text : {"", "1 2", "nan 1 1", "1 -1 1", "words", "1e99 1 1"}) {
    REQUIRE(emit::replace_file(folder.file("cache/limits/") + machine_key(m), text, error));
    Machine broken = support::machine();
    CHECK_MESSAGE(!tune::load_limits(folder.file("cache"), broken), text);
    CHECK(broken.limits.gflops == support::machine().limits.gflops);
  }
}
