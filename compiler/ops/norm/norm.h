// What the normalising layers share.
#pragma once
#include "compiler/ops/support.h"

namespace netc::ops {

/// A variable f32[channels] that starts as `value`: trained, called `name`, or else a constant called `fixed`.
ValueId trained_or_fixed(LayerBuilder& b, bool trained, const char* name, const char* fixed, float value,
                         int64_t channels);

}  // namespace netc::ops
