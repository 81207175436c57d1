// Text to syntax tree.
#pragma once
#include <optional>

#include "compiler/ast/ast.h"
#include "compiler/base/diagnostics.h"

namespace netc {

/// All syntax errors go to `diagnostics`; nullopt when there was one.
std::optional<ast::File> parse(const SourceFile& source, Diagnostics& diagnostics);

}  // namespace netc
