// Text as bytes of UTF-8.
#pragma once
#include <cstddef>
#include <string_view>

namespace netc::rt {

/// Bytes of the character that begins at `at`; 0 where the bytes are no character of UTF-8.
inline size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char c = byte(at);
  const size_t n = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xF0 && c < 0xF5 ? 4 : 0;
  if (n == 0 || at + n > text.size()) return 0;
  for (size_t k = 1; k < n; ++k)
    if ((byte(at + k) & 0xC0) != 0x80) return 0;
  const unsigned char d = n > 1 ? byte(at + 1) : 0;
  const bool overlong = (c == 0xE0 && d < 0xA0) || (c == 0xF0 && d < 0x90),
             beyond = (c == 0xED && d >= 0xA0) || (c == 0xF4 && d >= 0x90);
  return overlong || beyond ? 0 : n;
}

/// Where text stops being UTF-8; its size where it does not.
inline size_t first_not_utf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t n = utf8_length(text, at);
    if (n == 0) break;
    at += n;
  }
  return at;
}

}  // namespace netc::rt
