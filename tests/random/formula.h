// Random expressions of tensors: the registry's functions inside each other, with numbers on either side.
#pragma once
#include <string>
#include <vector>

#include "tests/random/arguments.h"

namespace netc::random {

struct FormulaSite {
  Rng& rng;
  std::vector<std::string> tensors, numbers;  // names that may be read; the first tensor is read at least once
  int rank = 1;
  std::string must;  // a function that is to occur; ""
};

/// `depth` is how many functions stand inside each other at most, at least 1.
std::string formula(FormulaSite&, int depth);
/// A function of one tensor whose values stay near 0, of a tensor.
std::string squashed(Rng&, const std::string& tensor);

}  // namespace netc::random
