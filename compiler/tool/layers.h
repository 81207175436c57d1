// netc layers [NAME]: the layers of the language, from their definitions.
#pragma once
#include <string>

#include "compiler/tool/frontend.h"

namespace netc::tool {

enum class ListFormat { text, json, markdown };

/// All layers, losses and optimisers, or the one called `name`. Returns the exit code.
int layers(const std::string& name, ListFormat format);

}  // namespace netc::tool
