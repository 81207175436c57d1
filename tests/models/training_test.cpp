// Every shipped model at a small size, as netc verify does it: each kernel, whole steps and what each weight becomes,
// against the interpreter.
#include <doctest/doctest.h>

#include <cmath>

#include <fmt/format.h>

#include "compiler/ops/ops.h"
#include "compiler/passes/pipeline.h"
#include "compiler/verify/contents.h"
#include "compiler/verify/rounding.h"
#include "compiler/verify/verify.h"
#include "tests/support/kernel_runner.h"
#include "tests/support/model_file.h"

using namespace netc;
using namespace netc::ir;

namespace {

constexpr int kBatch = 3;

struct Small {
  const char* file;
  std::vector<std::pair<std::string, std::string>> defines;
};

const Small kSmall[] = {
    {"alexnet.net", {{"size", "67"}, {"width", "0.5"}, {"hidden", "24"}, {"classes", "3"}}},
    {"vgg.net", {{"depth", "11"}, {"size", "32"}, {"width", "8"}, {"hidden", "24"}, {"classes", "3"}}},
    {"resnet.net", {{"depth", "18"}, {"size", "40"}, {"width", "8"}, {"classes", "3"}}},
    {"vit.net",
     {{"size", "24"}, {"patch", "8"}, {"dim", "24"}, {"depth", "2"}, {"heads", "3"}, {"mlp", "40"}, {"classes", "3"}}},
    {"vit.net",
     {{"size", "16"},
      {"patch", "8"},
      {"dim", "16"},
      {"depth", "1"},
      {"heads", "2"},
      {"mlp", "20"},
      {"classes", "3"},
      {"pool", "mean"}}},
    {"mobilenet_v2.net", {{"size", "40"}, {"width", "0.25"}, {"classes", "3"}}},
    {"squeezenet.net", {{"size", "48"}, {"classes", "3"}}},
    {"densenet.net", {{"blocks", "[2, 2]"}, {"growth", "4"}, {"size", "32"}, {"classes", "3"}}},
    {"inception.net", {{"size", "32"}, {"width", "0.25"}, {"classes", "3"}}},
    {"gpt.net", {{"vocabulary", "11"}, {"length", "7"}, {"dim", "16"}, {"depth", "2"}, {"heads", "2"}}},
    {"siamese.net", {{"size", "14"}}},
    {"two_outputs.net", {{"width", "4"}}},
    {"unet.net", {{"size", "12"}, {"width", "3"}}},
    {"mlp.net", {}},
    {"autoencoder.net", {{"size", "12"}, {"width", "3"}}},
};

/// Data of which no ReLU, maximum or pooling is decided by the last bit, so that results of a whole step have tight
/// bounds. Of hundreds of thousands of activations some may always be: then false.
bool draw_without_ties(const Graph& g, uint64_t& draw) {
  for (draw = 1; draw < 3; ++draw)
    if (!verify::is_near_tie(g, verify::contents(g, kBatch, draw), kBatch)) return true;
  return false;
}

}  // namespace

TEST_CASE("every model: each kernel of a training step agrees with the interpreter, and whole steps do") {
  for (const Small& s : kSmall) {
    const std::string file = s.file;
    const sema::Model m = test::model_file(s.file, s.defines);
    const passes::Program p = passes::run_pipeline(m, ops::registry(), {.verify = true});
    size_t trained = 0;
    for (const Variable& v : p.training.variables) trained += v.role == Role::weight && v.trainable;
    CHECK(p.gradients.size() == trained);
    uint64_t draw = 0;
    const bool smooth = draw_without_ties(p.training, draw);
    verify::Options how{.machine = host_machine(),
                        .batch = kBatch,
                        .threads = {2},
                        .batches = false,
                        .lower = lower_options(),
                        .toolchain = toolchain(),
                        .plan = {}};
    how.roundings = 1, how.passes = how.gradients = false;  // the interpreter is slow: random networks have these
    verify::Report report;
    std::string error;
    const bool ran = verify::verify_model(
        m, p, [&](const Graph& g) { return verify::contents(g, kBatch, draw); }, how, report, error);
    REQUIRE_MESSAGE(ran, file << ": " << error);
    CHECK(report.kernels.size() > trained);
    CHECK(report.results.size() > trained);
    for (const verify::Line& l : report.kernels)
      CHECK_MESSAGE(l.result.ok(), fmt::format("{}, {}, {}: {} of {}; {}", file, l.where, l.what, l.result.error,
                                               l.result.bound, l.text));
    // The same bits as where blocks share no memory is among the faults. Where a tie falls on the other side, a share
    // of a gradient is another: no more is said then.
    for (const verify::Line& l : report.results)
      CHECK_MESSAGE(
          (smooth ? l.result.ok() : std::isfinite(l.result.got)),
          fmt::format("{}, {}, {}: {} of {}; {}", file, l.where, l.what, l.result.error, l.result.bound, l.text));
    for (const std::string& fault : report.faults) FAIL_CHECK(file << ": " << fault);
  }
}
