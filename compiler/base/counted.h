// Numbers of things in the compiler's messages, as programs write them too.
#pragma once
#include "runtime/counted.h"

namespace netc {

using rt::are, rt::counted, rt::grouped;

}  // namespace netc
