// Text as bytes of UTF-8: its characters, and what a file that is not UTF-8 may be.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/utf8.h"

namespace netc {

using rt::utf8_length;
/// The number of the character that begins at `at`, which must be one.
uint32_t code_point(std::string_view text, size_t at);

/// Why a text cannot be read as UTF-8: what it seems to be, the first byte that says so, and what to do.
struct Encoding {
  std::string name;
  size_t at = 0;
  std::string help;
};
/// False when `text` is UTF-8 without zero bytes; else `guess` says what it may be.
bool not_utf8(std::string_view text, Encoding& guess);

/// A line for a terminal: tabs, control characters, marks of direction and bytes that are no character are each one
/// visible cell or none, whatever they would do.
std::string printable(std::string_view text);

}  // namespace netc
