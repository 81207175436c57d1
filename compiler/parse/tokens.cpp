#include "compiler/parse/tokens.h"

#include <antlr4-runtime.h>

#include <cctype>

#include "NetLexer.h"

namespace netc {

std::string clean_utf8(const std::string& text, std::vector<uint32_t>& offsets) {
  std::string out = text;
  size_t i = 0;
  while (i < out.size()) {
    const unsigned char c = out[i];
    size_t n = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xF0 && c < 0xF5 ? 4 : 0;
    bool ok = n > 0 && i + n <= out.size();
    for (size_t k = 1; ok && k < n; ++k) ok = (static_cast<unsigned char>(out[i + k]) & 0xC0) == 0x80;
    if (ok && n == 3) {
      const unsigned char d = out[i + 1];
      ok = !(c == 0xE0 && d < 0xA0) && !(c == 0xED && d >= 0xA0);
    }
    if (ok && n == 4) {
      const unsigned char d = out[i + 1];
      ok = !(c == 0xF0 && d < 0x90) && !(c == 0xF4 && d >= 0x90);
    }
    if (!ok) out[i] = '?', n = 1;
    if (out[i] == '\0') out[i] = '?';
    offsets.push_back(static_cast<uint32_t>(i));
    i += n;
  }
  offsets.push_back(static_cast<uint32_t>(out.size()));
  // The runtime drops a byte order mark itself; a blank keeps the count of code points.
  if (out.rfind("\xEF\xBB\xBF", 0) == 0) out.replace(0, 3, " ");
  return out;
}

namespace {

TokenKind kind_of(const antlr4::Token& t, const std::string& text) {
  switch (t.getType()) {
    case NetLexer::ID: return TokenKind::word;
    case NetLexer::INT:
    case NetLexer::FLOAT: return TokenKind::number;
    case NetLexer::STRING: return TokenKind::string;
    case NetLexer::DOC:
    case NetLexer::COMMENT: return TokenKind::comment;
    default: return std::isalpha(static_cast<unsigned char>(text[0])) ? TokenKind::keyword : TokenKind::mark;
  }
}

}  // namespace

std::vector<Token> tokenise(const SourceFile& source) {
  std::vector<uint32_t> offsets;
  antlr4::ANTLRInputStream input(clean_utf8(source.text(), offsets));
  NetLexer lexer(&input);
  lexer.removeErrorListeners();
  std::vector<Token> out;
  for (const auto& t : lexer.getAllTokens()) {
    const uint32_t begin = offsets[std::min(t->getStartIndex(), offsets.size() - 1)], end = offsets[std::min(t->getStopIndex() + 1, offsets.size() - 1)];
    if (begin < end) out.push_back({kind_of(*t, t->getText()), {begin, end}, std::string_view(source.text()).substr(begin, end - begin)});
  }
  return out;
}

}  // namespace netc
