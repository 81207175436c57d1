// ANTLR's tokens and parse tree end here: what leaves is ast::File.
#include "compiler/parse/parse.h"

#include <antlr4-runtime.h>

#include <cctype>
#include <cerrno>
#include <cstdlib>

#include "NetLexer.h"
#include "NetParser.h"
#include "compiler/base/utf8.h"
#include "compiler/parse/characters.h"
#include "compiler/parse/tokens.h"

namespace netc {
namespace {

constexpr int kMaxDepth = 256;
constexpr const char* kDeep = "give a part of it a name: let part = ...";
constexpr const char* kLongSum =
    "each operator counts: give parts of it names, let part = ...; sum([a, b]) adds many numbers, a -> Add([b, c]) "
    "many tensors";

/// Byte offsets of a token or a rule. ANTLR counts code points; `offsets` maps them to bytes.
class Builder {
 public:
  Builder(const SourceFile& source, Diagnostics& diagnostics, antlr4::CommonTokenStream& tokens,
          const std::vector<uint32_t>& offsets)
      : source_(source),
        diagnostics_(diagnostics),
        tokens_(tokens),
        offsets_(offsets) {}

  ast::File file(NetParser::FileContext* c) {
    ast::File out;
    for (auto* d : c->decl()) {
      if (d->STRING())
        out.imports.push_back({string_of(d->STRING()->getSymbol()), span(d->STRING()->getSymbol()), nullptr});
      if (d->netDecl()) out.nets.push_back(net(d->netDecl()));
      if (d->blockDecl()) out.declarations.push_back(block(d->blockDecl()));
      if (d->opDecl()) out.declarations.push_back(formula(ast::StmtKind::op, d->opDecl()));
      if (d->fnDecl()) out.declarations.push_back(formula(ast::StmtKind::function, d->fnDecl()));
      if (d->section()) out.sections.push_back(section(d->section()));
    }
    return out;
  }
  Span span(antlr4::Token* t) const { return {at(t->getStartIndex()), at(t->getStopIndex() + 1)}; }
  Span span(antlr4::ParserRuleContext* c) const { return {span(c->getStart()).begin, span(c->getStop()).end}; }

 private:
  using P = NetParser;
  const SourceFile& source_;
  Diagnostics& diagnostics_;
  antlr4::CommonTokenStream& tokens_;
  const std::vector<uint32_t>& offsets_;

  uint32_t at(size_t i) const { return source_.base() + offsets_[std::min(i, offsets_.size() - 1)]; }

  std::string string_of(antlr4::Token* t) {
    const std::string text = t->getText();
    std::string out;
    for (size_t i = 1; i + 1 < text.size(); ++i) {
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      const char c = text[++i];
      out += c == 'n' ? '\n' : c == 't' ? '\t' : c;
    }
    return out;
  }

  ast::Net net(P::NetDeclContext* c) {
    ast::Net n;
    n.name = c->ID()->getText();
    n.span = span(c), n.name_span = span(c->ID()->getSymbol());
    for (antlr4::Token* t : tokens_.getHiddenTokensToLeft(c->getStart()->getTokenIndex())) {
      if (t->getType() != NetLexer::DOC) continue;
      std::string text = t->getText().substr(3);
      if (!text.empty() && text.front() == ' ') text.erase(0, 1);
      n.doc += (n.doc.empty() ? "" : "\n") + text;
    }
    if (c->params()) n.params = params(c->params());
    n.body = body(c->body());
    return n;
  }
  std::vector<ast::Param> params(P::ParamsContext* c) {
    std::vector<ast::Param> out;
    for (auto* p : c->param()) {
      ast::Param q;
      q.name = p->ID()->getText(), q.span = span(p->ID()->getSymbol());
      if (p->paramType()) q.type = type(p->paramType());
      if (p->expr()) q.fallback = expr(p->expr());
      out.push_back(std::move(q));
    }
    return out;
  }
  ast::ParamType type(P::ParamTypeContext* c) {
    ast::ParamType t;
    t.name = c->getStart()->getText(), t.span = span(c);
    for (auto* i : c->paramType()) t.items.push_back(type(i));
    for (auto* a : c->typeArg()) {
      ast::TypeArg arg;
      if (a->expr()) arg.value = expr(a->expr());
      for (auto* s : a->sum()) (s == a->children[0] ? arg.low : arg.high) = sum(s);
      t.args.push_back(std::move(arg));
    }
    return t;
  }
  std::vector<ast::Stmt> body(P::BodyContext* c) {
    std::vector<ast::Stmt> out;
    for (auto* s : c->stmt()) out.push_back(stmt(s));
    return out;
  }
  ast::Pattern pattern(P::PatternContext* c) {
    ast::Pattern p;
    p.span = span(c);
    if (c->ID()) p.name = c->ID()->getText();
    for (auto* i : c->pattern()) p.items.push_back(pattern(i));
    return p;
  }
  ast::Stmt block(P::BlockDeclContext* c) {
    ast::Stmt s;
    s.kind = ast::StmtKind::block, s.span = span(c);
    named(s, c->ID());
    if (c->params()) s.params = params(c->params());
    s.body = body(c->body());
    return s;
  }
  /// op and fn: NAME(params) = expression
  template <class Context>
  ast::Stmt formula(ast::StmtKind kind, Context* c) {
    ast::Stmt s;
    s.kind = kind, s.span = span(c);
    named(s, c->ID());
    s.params = params(c->params());
    s.value = expr(c->expr());
    return s;
  }
  void named(ast::Stmt& s, antlr4::tree::TerminalNode* id) {
    s.name = id->getText(), s.name_span = span(id->getSymbol());
  }

  ast::Stmt stmt(P::StmtContext* c) {
    ast::Stmt s;
    s.span = s.name_span = span(c);
    if (auto* x = dynamic_cast<P::InputStmtContext*>(c)) {
      s.kind = ast::StmtKind::input;
      named(s, x->ID());
      if (auto* t = x->tensorType()) {
        s.type.present = true, s.type.dtype = t->ID()->getText(), s.type.span = span(t);
        for (auto* d : t->dim()) s.type.dims.push_back(d->sum() ? sum(d->sum()) : nullptr);
      }
    } else if (auto* x = dynamic_cast<P::OutputStmtContext*>(c)) {
      s.kind = ast::StmtKind::output;
      if (x->ID()) named(s, x->ID());
      s.value = expr(x->expr());
    } else if (auto* x = dynamic_cast<P::BlockStmtContext*>(c)) {
      s = block(x->blockDecl());
    } else if (auto* x = dynamic_cast<P::OpStmtContext*>(c)) {
      s = formula(ast::StmtKind::op, x->opDecl());
    } else if (auto* x = dynamic_cast<P::FnStmtContext*>(c)) {
      s = formula(ast::StmtKind::function, x->fnDecl());
    } else if (auto* x = dynamic_cast<P::LetStmtContext*>(c)) {
      s.kind = ast::StmtKind::let;
      s.pattern = pattern(x->pattern()), s.value = expr(x->expr());
    } else if (auto* x = dynamic_cast<P::VarStmtContext*>(c)) {
      s.kind = ast::StmtKind::var;
      s.pattern = pattern(x->pattern()), s.value = expr(x->expr());
    } else if (auto* x = dynamic_cast<P::AssignStmtContext*>(c)) {
      s.kind = ast::StmtKind::assign;
      named(s, x->ID()), s.value = expr(x->expr());
    } else if (auto* x = dynamic_cast<P::ForStmtContext*>(c)) {
      s.kind = ast::StmtKind::loop;
      s.pattern = pattern(x->pattern()), s.value = expr(x->expr()), s.body = body(x->body());
    } else if (auto* x = dynamic_cast<P::IfStmtContext*>(c)) {
      s = branch(x, 0);
    } else if (auto* x = dynamic_cast<P::AssertStmtContext*>(c)) {
      s.kind = ast::StmtKind::check;
      s.value = expr(x->expr()), s.message = string_of(x->STRING()->getSymbol());
    } else if (auto* x = dynamic_cast<P::DefaultStmtContext*>(c)) {
      s.kind = ast::StmtKind::defaults;
      named(s, x->ID()), s.args = args(x->arg());
    } else if (auto* x = dynamic_cast<P::ExprStmtContext*>(c)) {
      s.value = expr(x->expr());
    }
    return s;
  }
  /// if, else if, ..., else: the k-th condition on, with the rest in its else.
  ast::Stmt branch(P::IfStmtContext* c, size_t first) {
    std::vector<ast::Stmt> rest;
    if (c->body().size() > c->expr().size()) rest = body(c->body(c->expr().size()));
    for (size_t k = c->expr().size(); k-- > first;) {
      ast::Stmt s;
      s.kind = ast::StmtKind::choose, s.span = s.name_span = span(c->expr(k));
      s.value = expr(c->expr(k)), s.body = body(c->body(k)), s.otherwise = std::move(rest);
      rest.clear();
      rest.push_back(std::move(s));
    }
    return std::move(rest.front());
  }
  ast::Section section(P::SectionContext* c) {
    ast::Section s;
    s.name = c->getStart()->getText(), s.span = span(c->getStart());
    for (auto* e : c->entry()) s.entries.push_back({e->key()->getText(), span(e->key()), expr(e->expr())});
    return s;
  }
  std::vector<ast::Arg> args(const std::vector<P::ArgContext*>& list) {
    std::vector<ast::Arg> out;
    for (auto* a : list) out.push_back({a->key() ? a->key()->getText() : "", span(a), expr(a->expr())});
    return out;
  }

  ast::ExprPtr make(ast::ExprKind kind, Span s, std::string text, std::vector<ast::ExprPtr> items = {}) {
    auto e = std::make_unique<ast::Expr>();
    e->kind = kind, e->span = s, e->text = std::move(text), e->items = std::move(items);
    for (const auto& i : e->items) e->depth = std::max(e->depth, i->depth + 1);
    if (e->depth > kMaxDepth) {
      diagnostics_.report(DiagId::too_deep, {s.begin, s.begin + 1}, kMaxDepth).help = {
          kind == ast::ExprKind::binary ? kLongSum : kDeep};
      e->items.clear(), e->kind = ast::ExprKind::integer, e->depth = 1;
    }
    return e;
  }
  ast::ExprPtr pair_of(ast::ExprKind kind, std::string text, ast::ExprPtr a, ast::ExprPtr b) {
    const Span s{a->span.begin, b->span.end};
    std::vector<ast::ExprPtr> items;
    items.push_back(std::move(a)), items.push_back(std::move(b));
    return make(kind, s, std::move(text), std::move(items));
  }
  /// Children are operand, operator, operand, ...: a left-leaning tree.
  template <class Context, class Each>
  ast::ExprPtr fold(Context* c, const std::vector<Each*>& operands, ast::ExprPtr (Builder::*each)(Each*)) {
    ast::ExprPtr left = (this->*each)(operands[0]);
    for (size_t i = 1; i < operands.size(); ++i)
      left = pair_of(ast::ExprKind::binary, c->children[2 * i - 1]->getText(), std::move(left),
                     (this->*each)(operands[i]));
    return left;
  }
  ast::ExprPtr expr(P::ExprContext* c) {
    if (c->chain()) return chain(c->chain());
    std::vector<ast::ExprPtr> items;
    for (auto* e : c->expr()) items.push_back(expr(e));
    return make(ast::ExprKind::choose, span(c), "if", std::move(items));
  }
  ast::ExprPtr chain(P::ChainContext* c) {
    if (c->link().size() == 1) return link(c->link(0));
    std::vector<ast::ExprPtr> items;
    for (auto* l : c->link()) items.push_back(link(l));
    return make(ast::ExprKind::chain, span(c), "->", std::move(items));
  }
  ast::ExprPtr link(P::LinkContext* c) { return fold(c, c->conjunction(), &Builder::conjunction); }
  ast::ExprPtr conjunction(P::ConjunctionContext* c) { return fold(c, c->negation(), &Builder::negation); }
  ast::ExprPtr prefixed(const char* op, Span s, ast::ExprPtr operand) {
    std::vector<ast::ExprPtr> items;
    items.push_back(std::move(operand));
    return make(ast::ExprKind::unary, s, op, std::move(items));
  }
  ast::ExprPtr negation(P::NegationContext* c) {
    return c->comparison() ? comparison(c->comparison()) : prefixed("not", span(c), negation(c->negation()));
  }
  ast::ExprPtr comparison(P::ComparisonContext* c) { return fold(c, c->range(), &Builder::range); }
  ast::ExprPtr range(P::RangeContext* c) { return fold(c, c->sum(), &Builder::sum); }
  ast::ExprPtr sum(P::SumContext* c) { return fold(c, c->product(), &Builder::product); }
  ast::ExprPtr product(P::ProductContext* c) { return fold(c, c->unary(), &Builder::unary); }
  ast::ExprPtr unary(P::UnaryContext* c) {
    return c->power() ? power(c->power()) : prefixed("-", span(c), unary(c->unary()));
  }
  ast::ExprPtr power(P::PowerContext* c) {
    return c->unary() ? pair_of(ast::ExprKind::binary, "^", postfix(c->postfix()), unary(c->unary()))
                      : postfix(c->postfix());
  }
  ast::ExprPtr postfix(P::PostfixContext* c) {
    ast::ExprPtr e = atom(c->atom());
    for (auto* s : c->suffix()) {
      const Span whole{e->span.begin, span(s).end};
      std::vector<ast::ExprPtr> items;
      items.push_back(std::move(e));
      if (s->ID()) {
        e = make(ast::ExprKind::member, whole, s->ID()->getText(), std::move(items));
      } else if (s->expr()) {
        items.push_back(expr(s->expr()));
        e = make(ast::ExprKind::index, whole, "", std::move(items));
      } else {
        e = make(ast::ExprKind::call, whole, "", std::move(items));
        e->args = args(s->arg());
      }
    }
    for (auto* m : c->modifier()) {
      std::vector<ast::ExprPtr> items;
      const Span whole{e->span.begin, span(m).end};
      items.push_back(std::move(e));
      if (m->atom()) items.push_back(atom(m->atom()));
      e = make(m->atom() ? ast::ExprKind::weights : ast::ExprKind::frozen, whole, "", std::move(items));
    }
    return e;
  }
  ast::ExprPtr atom(P::AtomContext* c) {
    const Span s = span(c);
    antlr4::Token* t = c->getStart();
    const std::string text = t->getText();
    if (c->INT()) {
      auto e = make(ast::ExprKind::integer, s, text);
      errno = 0;
      e->integer = std::strtoll(text.c_str(), nullptr, 10);
      if (errno) diagnostics_.report(DiagId::bad_number, s, "the integer does not fit 64 bits");
      return e;
    }
    if (c->FLOAT()) {
      auto e = make(ast::ExprKind::number, s, text);
      e->number = std::strtod(text.c_str(), nullptr);
      if (!(e->number < 1e300)) diagnostics_.report(DiagId::bad_number, s, "the number is too large");
      return e;
    }
    if (c->STRING()) return make(ast::ExprKind::string, s, string_of(t));
    if (c->ID()) return make(ast::ExprKind::name, s, text);
    std::vector<ast::ExprPtr> items;
    if (text == "(" && c->expr().size() == 1) return expr(c->expr(0));
    if (text == "(" || text == "[") {
      for (auto* e : c->expr()) items.push_back(expr(e));
      auto* each = c->comprehension();
      if (!each) return make(ast::ExprKind::list, s, "", std::move(items));
      for (auto* e : each->expr()) items.push_back(expr(e));
      auto e = make(ast::ExprKind::each, s, "", std::move(items));
      e->pattern = pattern(each->pattern());
      return e;
    }
    if (text == "{") {
      for (auto* p : c->pair()) items.push_back(expr(p->expr(0))), items.push_back(expr(p->expr(1)));
      return make(ast::ExprKind::dict, s, "", std::move(items));
    }
    auto e = make(ast::ExprKind::boolean, s, text);
    e->integer = text == "true";
    return e;
  }
};

/// A bracket that nothing closes, if there is one.
struct Unclosed {
  std::string bracket;
  Span span;
};

class Listener : public antlr4::BaseErrorListener {
 public:
  Listener(const Builder& builder, Diagnostics& diagnostics, antlr4::CommonTokenStream& tokens,
           std::optional<Unclosed> unclosed)
      : builder_(builder),
        diagnostics_(diagnostics),
        tokens_(tokens),
        unclosed_(std::move(unclosed)) {}
  void syntaxError(antlr4::Recognizer*, antlr4::Token* token, size_t, size_t, const std::string& message,
                   std::exception_ptr) override {
    if (!token) return;
    const bool end = token->getType() == antlr4::Token::EOF;
    Span s = builder_.span(token);
    if (end) s = {s.begin, s.begin + 1};
    std::string text = end ? "the file ends too early" : "unexpected '" + token->getText() + "'";
    const size_t missing = message.rfind("missing ", 0) == 0 ? 8 : std::string::npos, e = message.find("expecting ");
    const antlr4::Token *before = previous(token), *after = next(token);
    if (missing != std::string::npos)
      text += ", expected " + kind(message.substr(missing, message.find(" at ") - missing));
    else if (const std::string few = e == std::string::npos ? "" : choices(message.substr(e + 10)); !few.empty())
      text += ", expected " + few;
    else if (before) text += " after '" + before->getText() + "'";
    Diagnostic& d = diagnostics_.report(DiagId::syntax_error, s, text);
    const auto is = [](const antlr4::Token* t, const char* sign) { return t && t->getText() == sign; };
    if (is(token, "/") && is(after, "*")) d.help.push_back("a comment begins with //, on each of its lines");
    else if (const std::string decimal = decimal_comma(before, token, after); !decimal.empty())
      d.help.push_back(decimal);
    else if (text.find("a name") != std::string::npos && token->getType() != NetLexer::ID && !end &&
             std::isalpha(static_cast<unsigned char>(token->getText()[0])))
      d.help.push_back(fmt::format("{} is a word of the language: choose another name", token->getText()));
    else if (before && before->getText() == "->") d.help.push_back("a layer stands after ->");
    else if (before && ends_value(*before) && token->getType() == NetLexer::ID)
      d.help.push_back("is -> missing before it, or a comma?");
    const bool declares = end || token->getText() == "net" || token->getText() == "train" ||
                          token->getText() == "data" || token->getText() == "import";
    if (!unclosed_ || unclosed_->span.begin >= s.begin || (unclosed_->bracket == "{" && !declares)) return;
    d.notes = {{unclosed_->span, fmt::format("this {} is not closed", unclosed_->bracket)}};
  }

 private:
  /// A token as the grammar calls it, for people.
  static std::string kind(const std::string& token) {
    return token == "ID"       ? "a name"
           : token == "STRING" ? "a string"
           : token == "INT"    ? "an integer"
           : token == "<EOF>"  ? "the end of the file"
                               : token;
  }
  /// "ID" or "{'(', ID}" for people; "" where there are more than two.
  static std::string choices(std::string tokens) {
    if (tokens.front() != '{') return kind(tokens);
    tokens = tokens.substr(1, tokens.size() - 2);
    const size_t comma = tokens.find(", ");
    if (comma == std::string::npos || tokens.find(", ", comma + 2) != std::string::npos ||
        tokens.find("','") != std::string::npos)
      return "";
    return kind(tokens.substr(0, comma)) + " or " + kind(tokens.substr(comma + 2));
  }
  /// The token before it, or null.
  const antlr4::Token* previous(const antlr4::Token* t) const {
    for (size_t i = t->getTokenIndex(); i-- > 0;)
      if (tokens_.get(i)->getChannel() == 0) return tokens_.get(i);
    return nullptr;
  }
  const antlr4::Token* next(const antlr4::Token* t) const {
    for (size_t i = t->getTokenIndex() + 1; i < tokens_.size(); ++i)
      if (tokens_.get(i)->getChannel() == 0) return tokens_.get(i);
    return nullptr;
  }
  static bool ends_value(const antlr4::Token& t) {
    const std::string text = t.getText();
    return text == ")" || text == "]" || t.getType() == NetLexer::ID || t.getType() == NetLexer::INT ||
           t.getType() == NetLexer::FLOAT;
  }
  /// 0,01 written as one number.
  static std::string decimal_comma(const antlr4::Token* before, const antlr4::Token* comma,
                                   const antlr4::Token* after) {
    const bool numbers = before && after && before->getType() == NetLexer::INT &&
                         (after->getType() == NetLexer::INT || after->getType() == NetLexer::FLOAT);
    if (!numbers || comma->getText() != "," || before->getStopIndex() + 1 != comma->getStartIndex() ||
        comma->getStopIndex() + 1 != after->getStartIndex())
      return "";
    return fmt::format("decimals take a point: {}.{}", before->getText(), after->getText());
  }
  const Builder& builder_;
  Diagnostics& diagnostics_;
  antlr4::CommonTokenStream& tokens_;
  const std::optional<Unclosed> unclosed_;
};

/// Of brackets that are left open, the one that is likely meant: what a bracket of another kind ends, or braces whose
/// end stands further left than they began.
std::optional<Unclosed> find_unclosed(antlr4::CommonTokenStream& tokens, const Builder& builder) {
  struct Open {
    std::string text;
    antlr4::Token* token;
    size_t indent;
  };
  std::vector<Open> open;
  std::optional<Unclosed> likely;
  const auto found = [&](const Open& o) { likely = likely ? likely : Unclosed{o.text, builder.span(o.token)}; };
  size_t line = 0, indent = 0;
  for (antlr4::Token* t : tokens.getTokens()) {
    if (t->getChannel() != 0 || t->getType() == antlr4::Token::EOF) continue;
    const bool first = t->getLine() != line;
    if (first) line = t->getLine(), indent = t->getCharPositionInLine();
    const std::string x = t->getType() == NetLexer::STRING ? "" : t->getText();
    if (x == "(" || x == "[" || x == "{") open.push_back({x, t, indent});
    if (x != ")" && x != "]" && x != "}") continue;
    const std::string begin = x == ")" ? "(" : x == "]" ? "[" : "{";
    while (x == "}" && !open.empty() && open.back().text != begin) found(open.back()), open.pop_back();
    if (open.empty() || open.back().text != begin) continue;
    if (x == "}" && first && indent < open.back().indent) found(open.back());
    open.pop_back();
  }
  // all braces are closed: the layout is the author's
  if (open.empty() && !(likely && likely->bracket != "{")) return std::nullopt;
  if (!likely) found(open.back());
  return likely;
}

/// What makes the parser recurse: brackets, and right-leaning operators. True when all stay within kMaxDepth.
bool shallow(antlr4::CommonTokenStream& tokens, const Builder& builder, Diagnostics& diagnostics) {
  std::vector<int> level{0};
  int total = 0;
  std::string previous = "(";
  for (antlr4::Token* t : tokens.getTokens()) {
    if (t->getChannel() != 0 || t->getType() == antlr4::Token::EOF) continue;
    const std::string x = t->getType() == NetLexer::STRING ? "\"" : t->getText();
    const bool operand = previous == ")" || previous == "]" || previous == "}" || previous == "\"" ||
                         std::isalnum(static_cast<unsigned char>(previous.back())) || previous.back() == '_';
    if (x == "(" || x == "[" || x == "{") level.push_back(0), ++total;
    else if ((x == ")" || x == "]" || x == "}") && level.size() > 1) total -= level.back() + 1, level.pop_back();
    else if (x == "not" || x == "^" || x == "if" || (x == "-" && !operand)) ++level.back(), ++total;
    else if (x == "," || x == "=" || x == "let" || x == "output") total -= level.back(), level.back() = 0;
    if (total > kMaxDepth) {
      diagnostics.report(DiagId::too_deep, builder.span(t), kMaxDepth).help = {kDeep};
      return false;
    }
    previous = x;
  }
  return true;
}

}  // namespace

std::optional<ast::File> parse(const SourceFile& source, Diagnostics& diagnostics) {
  const int before = diagnostics.errors();
  const Span start{source.base(), source.base() + 1};
  if (Encoding e; not_utf8(source.text(), e)) {
    const auto at = source.base() + static_cast<uint32_t>(e.at);
    diagnostics.report(DiagId::bad_encoding, {at, at + 1}, e.name).help = {e.help};
    return std::nullopt;
  }
  try {
    std::vector<uint32_t> offsets;
    antlr4::ANTLRInputStream input(clean_utf8(source.text(), offsets));
    NetLexer lexer(&input);
    lexer.removeErrorListeners();
    antlr4::CommonTokenStream tokens(&lexer);
    tokens.fill();
    Builder builder(source, diagnostics, tokens, offsets);
    for (antlr4::Token* t : tokens.getTokens())
      if (t->getType() == NetLexer::BAD) {
        const std::string c = t->getText(), like = looks_like(c);
        auto& d = diagnostics.report(DiagId::bad_character, builder.span(t), show_character(c));
        if (c == "\"") d.help.push_back("a string ends on the line it begins on, with \"");
        if (c == "#") d.help.push_back("a comment begins with //");
        if (!like.empty())
          d.help.push_back(like == " " ? "it looks like a blank: delete it, or write one"
                                       : fmt::format("it looks like {}, which is meant", like));
      }
    if (diagnostics.errors() > before || !shallow(tokens, builder, diagnostics)) return std::nullopt;
    NetParser parser(&tokens);
    Listener listener(builder, diagnostics, tokens, find_unclosed(tokens, builder));
    parser.removeErrorListeners();
    // Without the context of each rule first: what that accepts is right and takes a fraction of the time. What it does
    // not is read again, for the messages.
    parser.getInterpreter<antlr4::atn::ParserATNSimulator>()->setPredictionMode(antlr4::atn::PredictionMode::SLL);
    NetParser::FileContext* tree = parser.file();
    if (parser.getNumberOfSyntaxErrors() > 0) {
      parser.reset();
      parser.getInterpreter<antlr4::atn::ParserATNSimulator>()->setPredictionMode(antlr4::atn::PredictionMode::LL);
      parser.addErrorListener(&listener);
      tree = parser.file();
    }
    if (diagnostics.errors() > before || parser.getNumberOfSyntaxErrors() > 0) {
      if (diagnostics.errors() == before)
        diagnostics.report(DiagId::syntax_error, start, "the file is not well formed");
      return std::nullopt;
    }
    ast::File file = builder.file(tree);
    if (diagnostics.errors() > before) return std::nullopt;
    return file;
  } catch (const std::exception& e) {
    diagnostics.report(DiagId::syntax_error, start, std::string("the file cannot be read: ") + e.what());
    return std::nullopt;
  }
}

}  // namespace netc
