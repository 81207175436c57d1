// netc graph FILE.net -o net.svg: a picture of the network.
#pragma once
#include <string>

#include "compiler/tool/frontend.h"

namespace netc::tool {

/// SVG to `out`, or to stdout when that is empty or "-". Returns the exit code.
int graph(const std::string& path, const std::string& out, const FileOptions&);

}  // namespace netc::tool
