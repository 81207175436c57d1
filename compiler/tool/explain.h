// netc explain ID: what a diagnostic means, with an example.
#pragma once
#include <string>

#include "compiler/tool/frontend.h"

namespace netc::tool {

/// The diagnostic called `id`, or the list of all. Returns the exit code.
int explain(const std::string& id);

}  // namespace netc::tool
