// Text to tokens, comments included: what tools need that work on the text as it is written.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "compiler/base/source.h"

namespace netc {

enum class TokenKind : uint8_t { word, keyword, number, string, mark, comment /* and documentation */ };

struct Token {
  TokenKind kind;
  Span span;
  std::string_view text;  // into the source
};

/// Every token in order. The source must outlive them. Throws what ANTLR throws; parse() has read the same text before.
std::vector<Token> tokenise(const SourceFile&);

/// The text as ANTLR takes it, where bytes that are not UTF-8 are '?'; `offsets` maps its code points to bytes of the
/// source.
std::string clean_utf8(const std::string& text, std::vector<uint32_t>& offsets);

}  // namespace netc
