// Characters that are no part of the language, for people.
#pragma once
#include <string>

namespace netc {

/// "'#'"; "'×' (U+00D7)"; "U+200B" of one that cannot be seen.
std::string show_character(const std::string& utf8);
/// What of the language it looks like: "*" of ×, "a" of the Cyrillic а, " " of a blank of another kind; "" of nothing.
std::string looks_like(const std::string& utf8);

}  // namespace netc
