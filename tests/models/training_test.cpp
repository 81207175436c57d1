// Every shipped model at a small size: a training step through compiled kernels, every output and every gradient, against the reference interpreter.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "compiler/ir/interpret.h"
#include "compiler/ops/ops.h"
#include "compiler/passes/passes.h"
#include "compiler/passes/pipeline.h"
#include "tests/models/contents.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/model_file.h"

using namespace netc;
using namespace netc::ir;

namespace {

constexpr int kBatch = 3;
constexpr double kTolerance = 2e-2;   // of the largest element of a tensor: float32 through dozens of layers

// A ReLU whose argument is as near to 0 as float32's error passes its gradient here and not there. That changes one channel by its share, of a dozen pixels, and
// nothing else much: so of many channels one may differ.
constexpr size_t kManyChannels = 64;

struct Small { const char* file; std::vector<std::pair<std::string, std::string>> defines; };

const Small kSmall[] = {
    {"alexnet.net", {{"size", "67"}, {"hidden", "24"}, {"classes", "3"}}},
    {"vgg.net", {{"depth", "11"}, {"size", "32"}, {"width", "8"}, {"hidden", "24"}, {"classes", "3"}}},
    {"resnet.net", {{"depth", "18"}, {"size", "40"}, {"width", "8"}, {"classes", "3"}}},
    {"vit.net", {{"size", "24"}, {"patch", "8"}, {"dim", "24"}, {"depth", "2"}, {"heads", "3"}, {"mlp", "40"}, {"classes", "3"}}},
    {"vit.net", {{"size", "16"}, {"patch", "8"}, {"dim", "16"}, {"depth", "1"}, {"heads", "2"}, {"mlp", "20"}, {"classes", "3"}, {"pool", "mean"}}},
    {"mobilenet_v2.net", {{"size", "40"}, {"width", "0.25"}, {"classes", "3"}}},
    {"squeezenet.net", {{"size", "48"}, {"classes", "3"}}},
    {"densenet.net", {{"blocks", "[2, 2]"}, {"growth", "4"}, {"size", "32"}, {"classes", "3"}}},
    {"inception.net", {{"size", "64"}, {"classes", "3"}}},
    {"gpt.net", {{"vocabulary", "11"}, {"length", "7"}, {"dim", "16"}, {"depth", "2"}, {"heads", "2"}}},
    {"siamese.net", {{"size", "14"}}},
    {"two_outputs.net", {{"width", "4"}}},
    {"unet.net", {{"size", "12"}, {"width", "3"}}},
    {"mlp.net", {}},
    {"autoencoder.net", {{"size", "12"}, {"width", "3"}}},
};

void agree(const Graph& g, const std::string& what) {
  const auto variables = test::contents(g, kBatch);
  const auto want = interpret(g, variables, kBatch);
  std::string error;
  const auto got = run_kernels(g, schedule::host_machine(), variables, kBatch, 4, 2, error);
  REQUIRE_MESSAGE(error.empty(), what << ": " << error);
  for (const Output& o : g.outputs) {
    const RefTensor &a = want[static_cast<size_t>(o.value)], &b = got.at(o.value);
    REQUIRE(a.data.size() == b.data.size());
    double scale = 1e-3;
    for (const double x : a.data) scale = std::max(scale, std::abs(x));
    std::vector<double> channels(static_cast<size_t>(a.dims.empty() ? 1 : a.dims.back()));  // the worst of each
    for (size_t i = 0; i < a.data.size(); ++i) {
      double& worst = channels[i % channels.size()];
      worst = std::max(worst, std::isfinite(b.data[i]) ? std::abs(a.data[i] - b.data[i]) / scale : INFINITY);
    }
    std::sort(channels.rbegin(), channels.rend());
    const bool lenient = channels.size() >= kManyChannels && std::isfinite(channels[0]);
    const double worst = channels[lenient ? 1 : 0];
    CHECK_MESSAGE(worst < kTolerance, fmt::format("{}: {} {}: {}", what, o.name, to_string(g.type(o.value)), worst));
  }
}

}  // namespace

TEST_CASE("every model: outputs and gradients of a training step agree with the interpreter") {
  for (const Small& s : kSmall) {
    const sema::Model m = test::model_file(s.file, s.defines);
    passes::Program p = passes::run_pipeline(m, ops::registry(), {.verify = true});
    Graph& g = p.training;
    size_t trained = 0;
    for (const Variable& v : g.variables) trained += v.role == Role::weight && v.trainable;
    CHECK(p.gradients.size() == trained);
    for (const auto& [variable, gradient] : p.gradients) g.outputs.push_back({"gradient of " + g.variables[static_cast<size_t>(variable)].name, gradient});
    g.updates.clear();
    agree(passes::remove_dead(g), std::string(s.file) + ", training");
    agree(p.inference, std::string(s.file) + ", inference");
  }
}
