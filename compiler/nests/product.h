// What the nests of matrix products share.
#pragma once
#include "compiler/nests/site.h"

namespace netc::nests {

/// A product of the samples' vectors and weights: y[n, u].
bool is_product(const Site&);
/// Vectors of a tile of one sample: a few loads at once keep the cache that has the weights busy, and the last tile,
/// shifted inwards, reads few of them again.
int64_t vectors_of_one(int64_t extent, int64_t lanes, int64_t most);

}  // namespace netc::nests
