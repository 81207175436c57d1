// What the machine code of kernels must keep: the widest vectors, fused multiply-adds, no spills in the inner loop. No
// clock, no special machine: code is only read.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include "compiler/ops/ops.h"
#include "compiler/parse/parse.h"
#include "compiler/passes/pipeline.h"
#include "compiler/report/loops.h"
#include "compiler/report/report.h"
#include "compiler/schedule/make_plan.h"

using namespace netc;

namespace {

/// The code of the kernels of `net`'s training step or inference whose strategy is called `strategy`.
std::vector<report::Code> codes(const std::string& net, const char* target, bool training,
                                const std::string& strategy) {
  const SourceFile file("test.net", net);
  Diagnostics diagnostics(file);
  auto tree = parse(file, diagnostics);
  REQUIRE(tree);
  auto model = sema::analyse(*tree, {}, ops::registry(), diagnostics);
  REQUIRE_MESSAGE(model, diagnostics.render(false));
  const passes::Program program = passes::run_pipeline(*model, ops::registry());
  Machine machine;
  REQUIRE(machine_for(target, machine));
  plan::Plan plan = schedule::make_plan(training ? program.training : program.inference, machine, 32);
  std::erase_if(plan.kernels, [&](const plan::Kernel& k) { return k.strategy.name != strategy; });
  REQUIRE_MESSAGE(!plan.kernels.empty(), strategy);
  std::vector<lower::Object> objects;
  std::string error;
  REQUIRE_MESSAGE(lower::lower_all(plan, machine, {}, objects, error), error);
  std::vector<report::Code> result;
  for (size_t i = 0; i < objects.size(); ++i) {
    report::Code c;
    REQUIRE_MESSAGE(report::inspect(objects[i].object, machine.cpu, c, error), error);
    result.push_back(c);
  }
  return result;
}

const char* kWide = R"(
net Wide { input x: f32[56, 56, 64]
  output y = x -> Conv(64, 3, padding = same) -> ReLU -> MaxPool(2) -> Flatten -> Dense(256) -> ReLU -> Dense(16) -> Softmax }
train { loss = sparse_categorical_crossentropy(y, label)  optimizer = adam(lr = 1e-3)  batch = 32  epochs = 1 }
)";

const char* kLarge = R"(
net Large { input x: f32[28, 28, 64]
  output y = x -> Conv(64, 1) -> Conv(64, 5, padding = same) -> ReLU -> MaxPool(2) -> Flatten -> Dense(16) -> Softmax }
train { loss = sparse_categorical_crossentropy(y, label)  optimizer = adam(lr = 1e-3)  batch = 32  epochs = 1 }
)";

const char* kThin = R"(
net Thin { input x: f32[64, 64, 3]  output y = x -> Conv(6, 3) -> ReLU -> Flatten -> Dense(4) -> Softmax }
train { loss = sparse_categorical_crossentropy(y, label)  optimizer = adam(lr = 1e-3)  batch = 32  epochs = 1 }
)";

// LeNet-5's convolutions, without the gradient of the second one's input, whose rows of 14 fill no whole vectors.
const char* kDigits = R"(
net Digits { input x: f32[28, 28, 1]
  output y = x -> Conv(6, 5, padding = same) -> ReLU -> MaxPool(2) -> Flatten -> Dense(10) -> Softmax }
train { loss = sparse_categorical_crossentropy(y, label)  optimizer = adam(lr = 1e-3)  batch = 64  epochs = 1 }
)";

const char* kSecond = R"(
net Second { input x: f32[14, 14, 6]  output y = x -> Conv(16, 5) -> ReLU -> MaxPool(2) -> Flatten -> Dense(10) -> Softmax }
train { loss = sparse_categorical_crossentropy(y, label)  optimizer = adam(lr = 1e-3)  batch = 64  epochs = 1 }
)";

struct Target {
  const char* name;
  int bits;
};
constexpr Target kTargets[] = {{"x86-64-avx2", 256}, {"x86-64-avx512", 512}};

void check(const char* net, bool training, const char* strategy, int least_fma, int most_spills_avx512 = 0) {
  for (const Target& t : kTargets) {
    for (const report::Code& c : codes(net, t.name, training, strategy)) {
      INFO(fmt::format("{} on {}: {} FMAs in the inner loop of {}, {} bits, {} spills there", strategy, t.name,
                       c.inner.fma, c.all.fma, c.inner.vector_bits, c.inner.spills));
      CHECK(c.inner.vector_bits == t.bits);
      CHECK(c.inner.fma >= least_fma);
      CHECK(c.inner.spills <= (t.bits == 512 ? most_spills_avx512 : 0));
      CHECK(c.bytes > c.inner_bytes);
    }
  }
}

}  // namespace

TEST_CASE("inner loops use the widest vectors and do not spill") {
  // 24 sums, 6 weights and what is loaded early are more than 32 registers: one sum goes through the stack once in 24
  // multiply-adds.
  check(kDigits, true, "conv_planes", 8, 2);
  check(kSecond, true, "conv_lanes", 8);
  check(kLarge, true, "conv_lanes", 8);
  check(kWide, true, "tile_sums", 8);
  check(kThin, true, "conv_planes", 8);
  check(kWide, false, "gemm_stream", 8);
  check(kLarge, true, "taps_lanes", 8);
  check(kWide, true, "outer", 8);
  check(kDigits, true, "outer", 4);  // ten outputs fill no whole vectors: few rows fit beside their pieces
}

TEST_CASE("bytes that are no object are an error") {
  report::Code c;
  std::string error;
  for (const std::string& bytes : {std::string(), std::string("not an object"), std::string(4096, '\x7f')}) {
    CHECK(!report::inspect(bytes, "", c, error));
    CHECK(!error.empty());
    error.clear();
  }
}

TEST_CASE("innermost loops are found however blocks are laid out") {
  using Blocks = std::vector<std::vector<int>>;
  CHECK(report::innermost_loops({}) == Blocks{});
  CHECK(report::innermost_loops({{1}, {}}) == Blocks{});
  CHECK(report::innermost_loops({{0, 1}, {}}) == Blocks{{0}});                    // the entry is the loop
  CHECK(report::innermost_loops({{1}, {2}, {2, 3}, {1, 4}, {}}) == Blocks{{2}});  // one in another
  CHECK(report::innermost_loops({{1}, {1, 2}, {2, 3}, {}}) == Blocks{{1}, {2}});  // one after another
  // the outer loop's head lies behind the inner loop
  CHECK(report::innermost_loops({{3}, {1, 2}, {3, 4}, {1}, {}}) == Blocks{{1}});
  CHECK(report::innermost_loops({{1}, {2, 3}, {1}, {1, 4}, {}}) == Blocks{{1, 2, 3}});  // two branches back
  CHECK(report::innermost_loops({{1}, {}, {2, 1}}) == Blocks{});                        // out of reach
  CHECK(report::innermost_loops({{1, 2}, {2, 3}, {1, 3}, {}}) == Blocks{});  // entered at two places: no natural loop
}
