#include "compiler/parse/characters.h"

#include <string_view>

#include <fmt/format.h>

#include "compiler/base/utf8.h"

namespace netc {
namespace {

struct Like {
  const char *characters, *is;
};
/// What editors, pages and keyboards of other scripts put in the place of the language's own characters.
constexpr Like kLikes[] = {{"\u2018\u2019\u201C\u201D\u201E\u201F\u00AB\u00BB\u2033", "\""},
                           {"\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uFE63", "-"},
                           {"\u2192\u21D2\u27F6\u279C\u2794", "->"},
                           {"\u00D7\u2217\u22C5\u00B7\u2715", "*"},
                           {"\u00F7\u2215\u2044", "/"},
                           {"\u3010", "["},
                           {"\u3011", "]"},
                           {"\uFF5D", "}"},
                           {"\u3001\u201A\u060C", ","},
                           {"\u2236", ":"},
                           {"\u2026", ".."},
                           {"\u3002", "."},
                           {"\u2264", "<="},
                           {"\u2265", ">="},
                           {"\u2260", "!="},
                           {"\u00A0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u200B\u200C\u200D"
                            "\u202F\u205F\u2060\u3000\uFEFF",
                            " "},
                           {"\u0430\u03B1", "a"},
                           {"\u0435", "e"},
                           {"\u043E\u03BF", "o"},
                           {"\u0440\u03C1", "p"},
                           {"\u0441", "c"},
                           {"\u0443", "y"},
                           {"\u0445", "x"},
                           {"\u0456\u03B9", "i"},
                           {"\u0455", "s"},
                           {"\u0458", "j"},
                           {"\u03BD", "v"},
                           {"\u0410\u0391", "A"},
                           {"\u0412\u0392", "B"},
                           {"\u0415\u0395", "E"},
                           {"\u041A\u039A", "K"},
                           {"\u041C\u039C", "M"},
                           {"\u041D\u0397", "H"},
                           {"\u041E\u039F", "O"},
                           {"\u0420\u03A1", "P"},
                           {"\u0421", "C"},
                           {"\u0422\u03A4", "T"},
                           {"\u0425\u03A7", "X"},
                           {"\u0406\u0399", "I"},
                           {"\u0405", "S"},
                           {"\u0408", "J"},
                           {"\u039D", "N"},
                           {"\u0396", "Z"},
                           {"\u03A5", "Y"}};

}  // namespace

std::string looks_like(const std::string& utf8) {
  const uint32_t c = code_point(utf8, 0);
  // full-width forms are in the order of ASCII
  if (c > 0xFF00 && c < 0xFF5F) return std::string(1, static_cast<char>(c - 0xFF00 + 0x20));
  for (const Like& l : kLikes)
    for (std::string_view all = l.characters; !all.empty(); all.remove_prefix(utf8_length(all, 0)))
      if (code_point(all, 0) == c) return l.is;
  return "";
}

std::string show_character(const std::string& utf8) {
  const uint32_t c = code_point(utf8, 0);
  const bool seen = printable(utf8) == utf8 && looks_like(utf8) != " " && c != 0xAD;
  const std::string number = fmt::format("U+{:04X}", c);
  return c < 0x80 && seen ? fmt::format("'{}'", utf8) : seen ? fmt::format("'{}' ({})", utf8, number) : number;
}

}  // namespace netc
