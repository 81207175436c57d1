// One random network: generated, compiled in some way, run, and compared with the interpreter.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "compiler/sema/model.h"

namespace netc::random {

/// Nothing when `text` is no valid network.
std::optional<sema::Model> model_of(const std::string& text);

struct Outcome {
  bool tested = false;  // false: skipped, for the reason in `text`
  std::string text;     // of one line each: what is wrong; "" when all is right
  bool ok() const { return !tested || text.empty(); }
};

/// Compiles `text` as `seed` says (forms, loops, machine, precision, memory), and compares what it computes. `cache`: a
/// folder for compiled kernels, or "".
Outcome check(const std::string& text, uint64_t seed, const std::string& cache);

}  // namespace netc::random
