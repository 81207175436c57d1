// The tester's random numbers are the verifier's.
#pragma once
#include "compiler/verify/rng.h"

namespace netc::random {

using verify::hash_of;
using verify::mix;
using verify::Rng;

}  // namespace netc::random
