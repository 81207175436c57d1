// Text to syntax tree.
#pragma once
#include <optional>

#include "compiler/ast/ast.h"
#include "compiler/base/diagnostics.h"

namespace netc {

/// All syntax errors go to `diagnostics`; nullopt when there was one. Imports are named, not read.
std::optional<ast::File> parse(const SourceFile& source, Diagnostics& diagnostics);

/// The file and all that it imports, each file once. An import is looked for beside the file that names it, then in
/// `directories` in order.
std::optional<ast::File> load(const SourceFile& source, const std::vector<std::string>& directories,
                              Diagnostics& diagnostics);

}  // namespace netc
