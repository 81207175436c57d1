// Normalisation over a batch of one sample.
#pragma once
#include <string>

#include "runtime/model.h"

namespace netc::rt {

/// The first layer whose statistics over a batch of one sample are of one value each, so that it gives the same for every input: "norm1, BatchNorm, …"; "" without one.
std::string statistics_of_one(const ModelInfo&);

}  // namespace netc::rt
