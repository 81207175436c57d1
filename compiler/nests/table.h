// The loop nests, one file each.
#pragma once
#include "compiler/nests/nest.h"

namespace netc::nests {

#define NETC_NEST(name) const Nest& name();
#include "compiler/nests/nests.def"
#undef NETC_NEST

}  // namespace netc::nests
