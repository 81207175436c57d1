// Which nodes make one kernel, that fusing ends, and what it costs.
#include <chrono>
#include <sstream>

#include <fmt/format.h>

#include "compiler/schedule/check.h"
#include "compiler/schedule/make_plan.h"
#include "compiler/schedule/fuse.h"
#include "compiler/plan/joins.h"
#include "tests/schedule/support.h"

using namespace netc;
using namespace netc::test;

namespace {

void check_all(const passes::Program& p, int batch) {
  for (const ir::Graph* g : {&p.inference, &p.training, &p.evaluation}) {
    if (g->nodes.empty()) continue;
    for (const std::string& e : schedule::check_plan(schedule::make_plan(*g, machine(), batch)))
      FAIL_CHECK(g->name << ": " << e);
  }
}

bool joined(const std::string& text, const std::string& a, const std::string& b) {
  const plan::Plan p = schedule::make_plan(program_of(text).inference, machine(), 2);
  CHECK(schedule::check_plan(p).empty());
  return kernel_with(p, a) == kernel_with(p, b);
}

std::string net(const std::string& body) {
  return "net A {\n  input x: f32[13, 13, 4]\n  output y = x -> " + body + "\n}\n";
}

}  // namespace

TEST_CASE("a pooling follows a convolution in its kernel where its windows lie side by side in tiles of an image") {
  CHECK(joined(net("Conv(9, 5) -> MaxPool(2)"), "conv", "max_pool"));
  CHECK(joined(net("Conv(9, 5) -> ReLU -> AvgPool(3)"), "conv", "avg_pool"));
  CHECK(!joined(net("Conv(9, 5) -> MaxPool(3, stride = 2)"), "conv", "max_pool"));   // windows overlap
  CHECK(!joined(net("Conv(9, 5) -> MaxPool(2, stride = 3)"), "conv", "max_pool"));   // pixels lie between windows
  CHECK(!joined(net("Conv(9, 5) -> MaxPool(2, padding = 1)"), "conv", "max_pool"));  // outside of the image
  // pixels of several phases
  CHECK(!joined(net("ConvTranspose(9, 5, stride = 2) -> MaxPool(2)"), "conv_data_grad", "max_pool"));
}

TEST_CASE("sums of blocks, the gradient of what repeats elements, follow no contraction") {
  for (const char* layer : {"Repeat(3)", "Repeat(2, axis = width)", "Upsample(2)"})
    for (const char* next : {"Conv(1, 1)", "Conv(3, 3, stride = 2, padding = 1)", "Conv(4, 3, groups = 2)",
                             "DepthwiseConv(3)", "ConvTranspose(3, 2)"}) {
      const std::string text = fmt::format(
          "net A {{\n  input x: f32[6, 5, 4]\n  output y = x -> Conv(4, 1) -> {} -> {}\n}}\n"
          "train {{ loss = mse(y, label)  optimizer = sgd(lr = 1)  batch = 2 }}\n",
          layer, next);
      CAPTURE(text);
      const plan::Plan p = schedule::make_plan(program_of(text).training, machine(), 2);
      CHECK(schedule::check_plan(p).empty());
      const plan::Kernel* k = kernel_with(p, "block_sum");
      REQUIRE(k);
      CHECK(p.graph->nodes[static_cast<size_t>(k->anchor)].op->name == "block_sum");
    }
}

// Each gradient recomputes what the other's weight makes, and both weights are overwritten at once.
TEST_CASE("kernels that overwrite what the others read do not wait for each other") {
  for (const char* act : {"PReLU()", "BatchNorm() -> PReLU()"}) {
    const std::string text = fmt::format(
        "net A {{\n  input x: f32[3, 7]\n  input z: f32[3, 7]\n  let a = x -> {0}\n  let b = z -> {0}\n"
        "  output y = mean(((tanh(b) ^ 2) * -1.5), channel)\n  output w = a * b\n}}\n"
        "train {{ loss = mse(y, l) + mse(w, m)  optimizer = adam(lr = 1)  batch = 3 }}\n",
        act);
    check_all(program_of(text), 3);
  }
}

TEST_CASE("no kernel has more element-wise nodes than there is room for") {
  std::ostringstream text;
  text << "net A {\n  input x: f32[5]\n  var y = x -> Dense(5)\n  for i in 0..400 { y = tanh(y * 1.1) + x }\n  output "
          "z = y\n}\n"
       << "train { loss = mse(z, label)  optimizer = sgd(lr = 1)  batch = 2 }\n";
  const passes::Program program = program_of(text.str());
  check_all(program, 2);
  for (const plan::Kernel& k : schedule::fuse(program.training).kernels) CHECK(k.nodes.size() <= 2 * plan::kMostNodes);
}

// No clock fails here: what is counted is printed, and a cost that grew as n^2 would end the test run.
TEST_CASE("fusing ten thousand nodes") {
  std::ostringstream text;
  text << "net A {\n  input x: f32[4]\n  var y = x\n  for i in 0..1100 { y = y -> Dense(4) -> PReLU -> Add(y) }\n  "
          "output z = y\n}\n"
       << "train { loss = mse(z, label)  optimizer = sgd(lr = 1)  batch = 2 }\n";
  const passes::Program program = program_of(text.str());
  CHECK(program.training.nodes.size() > 10000);
  const auto start = std::chrono::steady_clock::now();
  const schedule::Groups groups = schedule::fuse(program.training);
  MESSAGE(program.training.nodes.size()
          << " nodes, " << groups.kernels.size() << " kernels, "
          << std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count() << " ms");
  CHECK(groups.kernels.size() > 1000);
}
