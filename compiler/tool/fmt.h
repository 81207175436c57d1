// netc fmt FILE.net...: the canonical layout.
#pragma once
#include <string>
#include <vector>

#include "compiler/tool/frontend.h"

namespace netc::tool {

/// Lays the files out anew, each replaced atomically and only when it changes; "-" is stdin to stdout. With `check`
/// nothing is written: the files that would change are named, and there are none when it returns kDone. A file with
/// syntax errors stays as it is.
int format_files(const std::vector<std::string>& paths, bool check, const FileOptions&);

}  // namespace netc::tool
