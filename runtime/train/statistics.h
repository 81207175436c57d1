// Whether the running statistics of normalisation serve: their batches may be too small, or their run too short.
#pragma once
#include <string>

#include "runtime/model.h"

namespace netc::rt {

/// The first layer whose statistics over a batch of one sample are of one value each, so that it gives the same for
/// every input: "norm1, BatchNorm, …"; "" without one.
std::string statistics_of_one(const ModelInfo&);

/// Of the running averages that change most slowly: that they still hold their initial values, by more than a
/// thousandth, after `steps` steps; "" when none do.
std::string statistics_too_slow(const ModelInfo&, int64_t steps);

}  // namespace netc::rt
