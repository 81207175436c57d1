// Random networks, made of all that the registry offers.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "compiler/verify/contents.h"
#include "tests/random/rng.h"

namespace netc::random {

struct Generated {
  std::string text;  // a valid .net file with a net and a train section
  uint64_t seed = 0;
};

/// The same text for the same seed, on every machine. `seed` also says which layer, function, loss, optimizer and
/// setting of the registry must occur, so that as many seeds in a row as the longest of these lists is cover them all.
/// `before_passes` is told each text before its training graph is made: a crash there is a finding, too.
Generated generate(uint64_t seed, const std::function<void(const std::string&)>& before_passes = nullptr);

using verify::contents;
using verify::is_quantity;

}  // namespace netc::random
