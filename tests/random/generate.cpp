#include "tests/random/generate.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "compiler/ops/ops.h"
#include "compiler/passes/pipeline.h"
#include "tests/random/builder.h"

namespace netc::random {

using namespace ir;

namespace {

constexpr double kLargestInTraining = 1e5;
constexpr int kAttempts = 60;

bool finite(const Graph& g) {
  const std::vector<RefTensor> values = interpret(g, contents(g, Evaluation::kBatch, 0), Evaluation::kBatch);
  for (const Node& n : g.nodes)
    for (const ValueId v : n.results)
      if (!sensible(n, values[static_cast<size_t>(v)], kLargestInTraining)) return false;
  return true;
}

/// Gradients and updates are finite, too.
bool trains(const std::string& text) {
  const std::optional<sema::Model> model = analyse(text);
  if (!model) return false;
  const passes::Program program = passes::run_pipeline(*model, ops::registry());
  return finite(program.training) && finite(program.evaluation) && finite(program.inference);
}

template <class T>
const T& one_of(const std::vector<const T*>& all, uint64_t k) {
  return *all[k % all.size()];
}

}  // namespace

std::optional<std::string> Builder::file(uint64_t wanted) {
  const Registry& r = ops::registry();
  weightless_ = wanted % 2 == 0 && rng_.chance(8), frozen_ = !weightless_ && rng_.chance(4);
  for (int64_t n = 1 + static_cast<int64_t>(rng_.weighted({62, 28, 10})); n > 0; --n) {
    if (rng_.chance(8)) any_size_input();
    else input(static_cast<int>(rng_.weighted({32, 15, 20, 20, 8, 2, 1})));
  }
  if (tensors_.empty()) return std::nullopt;
  const int64_t statements = std::vector<int64_t>{1, 2, 3, 3, 4, 4, 4, 5, 5, 6, 8}[static_cast<size_t>(rng_.below(11))];
  const int64_t layer_at = rng_.below(statements), function_at = rng_.below(statements),
                setting_at = rng_.below(statements);
  for (int64_t i = 0; i < statements; ++i) {
    if (i == layer_at && !want_layer(one_of(r.layers, wanted))) return std::nullopt;
    if (i == function_at && wanted % 2 == 0 && !want_function(one_of(r.functions, wanted / 2).name))
      return std::nullopt;
    if (i == setting_at && wanted % 2 == 1 && !want_setting(one_of(r.settings, wanted / 2))) return std::nullopt;
    statement();
  }
  if (!outputs() || !train(one_of(r.losses, wanted), one_of(r.optimizers, wanted / 3))) return std::nullopt;
  prune();
  return draft_.text();
}

Generated generate(uint64_t seed, const std::function<void(const std::string&)>& before_passes) {
  for (uint64_t attempt = 0; attempt < kAttempts; ++attempt) {
    const std::optional<std::string> text = Builder(mix(seed) + attempt).file(seed);
    if (!text) continue;
    if (before_passes) before_passes(*text);
    if (trains(*text)) return {*text, seed};
  }
  std::fprintf(stderr, "no net could be drawn for seed %llu\n", static_cast<unsigned long long>(seed));
  std::abort();
}

}  // namespace netc::random
