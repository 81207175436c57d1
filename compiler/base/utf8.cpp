#include "compiler/base/utf8.h"

#include <algorithm>

#include <fmt/format.h>

namespace netc {
namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";
constexpr size_t kSample = 4096;  // bytes that a guess looks at

unsigned char byte(std::string_view text, size_t i) { return static_cast<unsigned char>(text[i]); }

/// UTF-16 and UTF-32 by their byte order mark, or by where the zero bytes of Latin letters lie; "" for neither.
std::string wide(std::string_view text) {
  const auto begins = [&](std::string_view mark) { return text.substr(0, mark.size()) == mark; };
  using namespace std::string_view_literals;
  if (begins("\xFF\xFE\0\0"sv) || begins("\0\0\xFE\xFF"sv)) return "UTF-32";
  if (begins("\xFF\xFE"sv)) return "UTF-16, little-endian";
  if (begins("\xFE\xFF"sv)) return "UTF-16, big-endian";
  const size_t n = std::min(text.size(), kSample);
  size_t zeros[4] = {};
  for (size_t i = 0; i < n; ++i) zeros[i % 4] += text[i] == '\0';
  const auto most = [&](size_t k) { return zeros[k] * 4 > n / 4 * 3; };  // three quarters of these bytes
  const auto none = [&](size_t k) { return zeros[k] * 16 < std::max<size_t>(n / 4, 1); };
  if (n < 4) return "";
  if ((most(1) && most(2) && most(3) && none(0)) || (most(0) && most(1) && most(2) && none(3))) return "UTF-32";
  if (most(1) && most(3) && none(0) && none(2)) return "UTF-16, little-endian";
  if (most(0) && most(2) && none(1) && none(3)) return "UTF-16, big-endian";
  return "";
}

/// What terminals obey rather than show: controls of C0 and C1, and those that turn the direction of writing.
bool obeyed(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);
}

}  // namespace

uint32_t code_point(std::string_view text, size_t at) {
  const size_t n = std::max<size_t>(utf8_length(text, at), 1);
  uint32_t c = n == 1 ? byte(text, at) : byte(text, at) & (0xFF >> (n + 1));
  for (size_t k = 1; k < n; ++k) c = c << 6 | (byte(text, at + k) & 0x3F);
  return c;
}

bool not_utf8(std::string_view text, Encoding& guess) {
  guess = {};
  if (std::string name = wide(text); !name.empty()) {
    guess = {std::move(name), 0, "save it as UTF-8: editors offer it where they save, or iconv -f UTF-16 -t UTF-8"};
    if (guess.name == "UTF-32")
      guess.help = "save it as UTF-8: editors offer it where they save, or iconv -f UTF-32 -t UTF-8";
    return true;
  }
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '\0') {
      guess = {"no text: it has a zero byte", i, "a .net file is text in UTF-8"};
      return true;
    }
    const size_t n = utf8_length(text, i);
    if (n == 0) {
      const unsigned char c = byte(text, i);
      // Of the encodings of one byte a character, the one that most editors mean: Windows-1252, which is Latin-1 from
      // 0xA0 on.
      std::string seen;
      if (c >= 0xA0)
        seen = fmt::format(", '{}{}' there,", static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F)));
      guess = {fmt::format("perhaps Latin-1 or Windows-1252: its byte 0x{:02X}{} is no character in UTF-8", c, seen), i,
               "save it as UTF-8: editors offer it where they save, or iconv -f WINDOWS-1252 -t UTF-8"};
      return true;
    }
    i += n;
  }
  return false;
}

std::string printable(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t n = utf8_length(text, i);
    if (n == 0) out += kReplacement;
    else if (n == 1 && obeyed(byte(text, i))) out += ' ';
    else if (obeyed(code_point(text, i))) out += kReplacement;
    else out += text.substr(i, n);
    i += std::max<size_t>(n, 1);
  }
  return out;
}

}  // namespace netc
