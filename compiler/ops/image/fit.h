// Resize's other ways: with the aspect ratio kept, and with antialiasing.
#pragma once
#include "compiler/ops/support.h"

namespace netc::ops {

OpDef fit();
OpDef fit_fixed();

}  // namespace netc::ops
