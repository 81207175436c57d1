// Random arguments, from their definitions in the registry.
#pragma once
#include <string>
#include <vector>

#include "compiler/ir/layer_def.h"
#include "tests/random/draft.h"

namespace netc::random {

/// Where arguments are drawn for: what they are applied to, and the parameters that stand for numbers.
struct Site {
  Rng& rng;
  std::vector<int64_t> dims;                     // of the operand
  std::vector<Parameter>* parameters = nullptr;  // null: numbers are written as they are
  Draft* draft = nullptr;                        // names them
  const ir::SettingDef* setting = nullptr;       // one that is to occur, where an argument takes it
};

/// A size as nets have them, and as they do not: odd ones, and those around vectors' lengths.
int64_t extent(Rng&);
int64_t channels(Rng&);

/// "(4, 3, padding = same)", or "" where there is nothing to say. `named`: no argument by its place.
/// `before` is what stands before them in the brackets.
std::string arguments(const std::vector<ir::ArgDef>&, Site&, bool named = false, const std::string& before = "");
/// A number as the language writes it.
std::string number(double);

}  // namespace netc::random
