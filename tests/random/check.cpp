#include "tests/random/check.h"

#include <fmt/format.h>

#include "compiler/ops/ops.h"
#include "compiler/parse/parse.h"
#include "compiler/passes/pipeline.h"
#include "compiler/verify/contents.h"
#include "compiler/verify/rounding.h"
#include "compiler/verify/verify.h"
#include "tests/random/plans.h"
#include "tests/random/product.h"

namespace netc::random {
namespace {

constexpr int kDraws = 12;        // of data, until no comparison is near a tie
constexpr size_t kNodes = 20000;  // operators of a step that are compiled here

/// All that is over its bound, a line each.
std::string wrong(const verify::Report& report) {
  std::string s;
  for (const auto* lines : {&report.kernels, &report.results})
    for (const verify::Line& l : *lines)
      if (!l.result.ok())
        s += fmt::format("{}  {}: {:.2e} of {:.2e}; {}\n", l.where, l.what, l.result.error, l.result.bound, l.text);
  for (const std::string& fault : report.faults) s += fault + "\n";
  return s;
}

}  // namespace

std::optional<sema::Model> model_of(const std::string& text) {
  SourceFile file("random.net", text);
  Diagnostics diagnostics(file);
  const auto tree = parse(file, diagnostics);
  return tree ? sema::analyse(*tree, {}, ops::registry(), diagnostics) : std::nullopt;
}

Outcome check(const std::string& text, uint64_t seed, const std::string& cache) {
  Outcome outcome;
  const auto model = model_of(text);
  if (!model) return outcome.text = "it is no valid network", outcome;
  verify::Rng rng(seed);
  const bool bf16 = rng.chance(10);
  const passes::Program program = passes::run_pipeline(*model, ops::registry(), {.bf16 = bf16, .verify = true});
  const bool trains = !program.training.nodes.empty();
  verify::Options how;
  how.machine = any_machine(rng);
  how.batch = trains ? static_cast<int>(model->train.batch) : static_cast<int>(rng.between(1, 5));
  how.threads = {1, static_cast<int>(rng.between(2, 3))};
  how.lower = {.cache_dir = cache, .threads = 1};
  how.toolchain.cxx = "g++";
  how.passes = !bf16;
  how.gradients = rng.chance(25);
  how.plan = [&](const ir::Graph& g, const Machine& m, int batch) { return any_plan(g, m, batch, rng); };
  const ir::Graph& judged = trains ? program.training : program.inference;
  if (judged.nodes.size() > kNodes)
    return outcome.text = fmt::format("it has {} operators: a recurrence over thousands of steps", judged.nodes.size()),
           outcome;
  uint64_t draw = 0;
  for (; draw < kDraws; ++draw) {
    const auto data = verify::contents(judged, how.batch, draw);
    if (!verify::overflows(judged, data, how.batch) && !verify::is_near_tie(judged, data, how.batch)) break;
  }
  if (draw == kDraws) return outcome.text = "its results overflow, or jump with the last bit of its data", outcome;
  const auto contents = [&](const ir::Graph& g) { return verify::contents(g, how.batch, draw); };
  outcome.tested = true;
  if (rng.chance(12)) {
    const plan::Plan train = trains ? any_plan(program.training, how.machine, how.batch, rng) : plan::Plan();
    const plan::Plan infer = any_plan(trains ? program.evaluation : program.inference, how.machine, how.batch, rng);
    outcome.text = check_product(*model, trains ? &train : nullptr, infer, contents(judged), how);
    return outcome;
  }
  verify::Report report;
  std::string error;
  if (!verify::verify_model(*model, program, contents, how, report, error)) return outcome.text = error + "\n", outcome;
  outcome.text = wrong(report);
  return outcome;
}

}  // namespace netc::random
