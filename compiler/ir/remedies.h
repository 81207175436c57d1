// What to do about a tensor that a layer does not take, for messages. Only what then compiles is said.
#pragma once
#include <string>

#include "compiler/ir/type.h"

namespace netc::ops {

/// Of a tensor that is to be f32 of known extents and, unless `rank` is 0, of so many dimensions: "put Rescale(1/255)
/// before it"; "" of one that is f32.
std::string type_remedy(const ir::Type&, int rank = 0);

}  // namespace netc::ops
