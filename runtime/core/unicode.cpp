#include "runtime/core/unicode.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "runtime/core/optional_library.h"

namespace netc::rt {

std::string nfc(std::string_view text) {
  std::string plain(text);
  const bool ascii =
      std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
  if (ascii || plain.find('\0') != std::string::npos) return plain;  // a zero would end what the library reads
  using Nfc = uint8_t*(const uint8_t*);  // utf8proc_NFC: the caller's to free, null where it is no UTF-8
  static Nfc* const normal = [] {
    Nfc* f = nullptr;
    OptionalLibrary({"libutf8proc.so.2", "libutf8proc.so.3"}).take("utf8proc_NFC", f);
    return f;
  }();
  if (!normal) return plain;
  uint8_t* made = normal(reinterpret_cast<const uint8_t*>(plain.c_str()));
  if (!made) return plain;
  std::string out(reinterpret_cast<const char*>(made));
  std::free(made);
  return out;
}

}  // namespace netc::rt
