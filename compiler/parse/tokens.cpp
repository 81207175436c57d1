#include "compiler/parse/tokens.h"

#include <antlr4-runtime.h>

#include <cctype>

#include "NetLexer.h"
#include "compiler/base/utf8.h"

namespace netc {

std::string clean_utf8(const std::string& text, std::vector<uint32_t>& offsets) {
  std::string out = text;
  for (size_t i = 0, n = 0; i < out.size(); i += n) {
    n = utf8_length(out, i);
    if (n == 0 || out[i] == '\0') out[i] = '?', n = 1;
    offsets.push_back(static_cast<uint32_t>(i));
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
    const uint32_t begin = offsets[std::min(t->getStartIndex(), offsets.size() - 1)],
                   end = offsets[std::min(t->getStopIndex() + 1, offsets.size() - 1)];
    if (begin < end)
      out.push_back(
          {kind_of(*t, t->getText()), {begin, end}, std::string_view(source.text()).substr(begin, end - begin)});
  }
  return out;
}

}  // namespace netc
