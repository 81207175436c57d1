// netc layers [NAME]: the layers of the language, from their definitions.
#pragma once
#include <string>

#include "compiler/tool/frontend.h"

namespace netc::tool {

/// All layers, losses and optimisers, or the one called `name`. Returns the exit code.
int layers(const std::string& name, bool json);

}  // namespace netc::tool
