// netc summary FILE.net: the layers as a table, and the totals.
#pragma once
#include <string>

#include "compiler/tool/frontend.h"

namespace netc::tool {

/// Returns the exit code.
int summary(const std::string& path, const FileOptions&, bool json);

}  // namespace netc::tool
