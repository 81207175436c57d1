// A form of attention that stores no scores.
#pragma once
#include "compiler/ops/support.h"

namespace netc::ops {

/// Of merge_heads, where it joins what a softmax of scores, read by nobody else, weighs.
Form attend_form();

}  // namespace netc::ops
