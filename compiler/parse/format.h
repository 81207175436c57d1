// The canonical layout of a .net file.
#pragma once
#include <optional>
#include <string>

#include "compiler/base/diagnostics.h"

namespace netc {

/// The file laid out anew: the same tokens and comments, other blanks and line ends. nullopt, with the diagnostics,
/// when it has syntax errors. What the author says with a line end stays: before ->, after an opening bracket, between
/// the elements of such a list; so do columns below each other.
std::optional<std::string> format(const SourceFile&, Diagnostics&);

}  // namespace netc
