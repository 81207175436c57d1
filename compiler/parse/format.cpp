// Layout from tokens and their nesting alone: what the grammar gains later needs no change here, as long as statements
// begin as they do today.
#include "compiler/parse/format.h"

#include <algorithm>
#include <map>
#include <set>

#include "compiler/parse/parse.h"
#include "compiler/parse/tokens.h"

namespace netc {
namespace {

constexpr int kWidth = 120;         // columns of a line
constexpr int kCommentColumn = 49;  // where comments after text begin, if the text leaves it free
constexpr int kIndent = 2;

int columns(std::string_view s) {
  return static_cast<int>(
      std::count_if(s.begin(), s.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// A token and where the author put it.
struct Tok {
  TokenKind kind;
  std::string_view text;
  int newlines = 0;  // line ends between the token before it and this one
  int line = 0, column = 0;
  int gap = 0;        // blanks before it on its line; 0 for a line's first
  size_t match = 0;   // of a bracket: the other one
  bool body = false;  // braces around statements
  bool is(std::string_view t) const { return text == t && kind != TokenKind::string && kind != TokenKind::comment; }
  bool comment() const { return kind == TokenKind::comment; }
  bool opens() const { return kind == TokenKind::mark && (text == "(" || text == "[" || text == "{"); }
  bool closes() const { return kind == TokenKind::mark && (text == ")" || text == "]" || text == "}"); }
};

struct Piece {
  const Tok* tok;
  int space;
};
struct Line {
  int indent = 0;
  bool blank = false;  // an empty line before it
  bool own_comment = false;
  bool entry = false;  // of a data or train section: its '=' is aligned with its neighbours'
  std::vector<Piece> pieces;
  std::string comment;  // after the pieces, or alone
};

class Formatter {
 public:
  explicit Formatter(const SourceFile& source) : source_(source) {
    read();
    nest();
  }
  std::string run() {
    body(0, toks_.size(), 0, false);
    align_entries();
    align_as_written();
    return text();
  }

 private:
  const SourceFile& source_;
  std::vector<Tok> toks_;
  std::vector<Line> lines_;

  static constexpr size_t kNo = static_cast<size_t>(-1);

  // tokens
  // ---------------------------------------------------------------------------------------------------------------------------------

  void read() {
    const std::string& text = source_.text();
    uint32_t end = 0;
    int line = 0;
    size_t line_start = 0;
    for (const Token& t : tokenise(source_)) {
      Tok tok{t.kind, t.text};
      for (uint32_t i = end; i < t.span.begin; ++i)
        if (text[i] == '\n') ++tok.newlines, line_start = i + 1;
      line += tok.newlines;
      tok.line = line;
      tok.column = columns(std::string_view(text).substr(line_start, t.span.begin - line_start));
      tok.gap = tok.newlines > 0 ? 0 : static_cast<int>(t.span.begin - end);
      end = t.span.end;
      toks_.push_back(tok);
    }
  }

  /// The token before i that is no comment.
  size_t before(size_t i) const {
    while (i-- > 0)
      if (!toks_[i].comment()) return i;
    return kNo;
  }

  bool ends_operand(size_t i) const {
    const Tok& t = toks_[i];
    if (t.kind == TokenKind::keyword)
      return t.is("true") || t.is("false") || t.is("frozen") || t.is("data") || t.is("train");
    return t.kind != TokenKind::mark || t.closes();
  }

  void nest() {
    std::vector<size_t> open;
    for (size_t i = 0; i < toks_.size(); ++i) {
      Tok& t = toks_[i];
      if (t.opens()) {
        const size_t p = before(i), q = p == kNo ? kNo : before(p);
        const bool inside = !open.empty() && !toks_[open.back()].body;
        const bool otherwise = p != kNo && toks_[p].is("else") && q != kNo && toks_[q].is("}") && toks_[q].body;
        t.body = t.is("{") && !inside && p != kNo && (ends_operand(p) || otherwise);
        open.push_back(i);
      } else if (t.closes() && !open.empty()) {
        t.match = open.back(), t.body = toks_[open.back()].body;
        toks_[open.back()].match = i;
        open.pop_back();
      }
    }
  }

  /// Whether token i begins a statement, where the token before it at the same level is p.
  bool begins(size_t p, size_t i) const {
    static const std::set<std::string_view> kStarts{"net",    "input",   "output", "block", "let", "var",  "for",  "if",
                                                    "assert", "default", "import", "op",    "fn",  "data", "train"};
    static const std::set<std::string_view> kGoesOn{"and", "or", "then", "else", "in", "from", "frozen"};
    const Tok &before = toks_[p], &t = toks_[i];
    if (before.is("}") && before.body) return !t.is("else");
    if (!ends_operand(p)) return false;
    if (t.kind == TokenKind::mark) return false;
    if (t.kind != TokenKind::keyword) return true;
    return kStarts.count(t.text) || (!kGoesOn.count(t.text) && t.newlines > 0);
  }

  // statements
  // -----------------------------------------------------------------------------------------------------------------------------

  /// One past the statement that begins at i, its trailing comment included.
  size_t statement_end(size_t i, size_t e) const {
    size_t last = i;
    for (size_t k = i; k < e;) {
      if (toks_[k].comment()) {
        ++k;
        continue;
      }
      if (k > i && begins(last, k)) break;
      last = toks_[k].opens() && toks_[k].match > k ? toks_[k].match : k;
      k = last + 1;
    }
    ++last;
    return last < e && toks_[last].comment() && toks_[last].newlines == 0 ? last + 1 : last;
  }

  bool is_section(size_t b) const { return (toks_[b].is("data") || toks_[b].is("train")) && toks_[b + 1].is("{"); }

  void body(size_t b, size_t e, int indent, bool section) {
    bool after_decl = false;  // at the file's level: a declaration with a body stands alone
    for (size_t i = b; i < e;) {
      const bool blank = i > b && toks_[i].newlines > 1;
      if (toks_[i].comment()) {
        comment_line(i, indent, blank || after_decl);
        after_decl = false;
        ++i;
        continue;
      }
      const size_t end = statement_end(i, e);
      const bool decl = indent == 0 && has_body(i, end), lone_before = !lines_.empty() && lines_.back().own_comment;
      const size_t first = lines_.size();
      statement(i, end, indent);
      lines_[first].blank = blank || (i > b && (after_decl || (decl && !lone_before)));
      lines_[first].entry = section;
      after_decl = decl;
      i = end;
    }
  }

  bool has_body(size_t b, size_t e) const {
    for (size_t i = b; i < e; ++i)
      if (toks_[i].opens() && toks_[i].body) return true;
    return false;
  }

  void comment_line(size_t i, int indent, bool blank) {
    Line l;
    l.indent = indent, l.blank = blank, l.own_comment = true;
    l.comment = comment_text(i);
    lines_.push_back(std::move(l));
  }
  std::string comment_text(size_t i) const {
    std::string s(toks_[i].text);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.pop_back();
    return s;
  }

  /// Bodies that the author wrote on one line stay there, if they hold one statement and all fits.
  bool stays_on_one_line(size_t b, size_t e, int indent) const {
    if (toks_[b].is("net")) return false;
    for (size_t i = b; i < e; ++i) {
      if (toks_[i].comment() && i + 1 < e) return false;
      if (!toks_[i].opens() || !toks_[i].body) continue;
      const size_t m = toks_[i].match;
      for (size_t k = i + 1; k <= m; ++k)
        if (toks_[k].newlines > 0) return false;
      if (i + 1 < m && statement_end(i + 1, m) != m) return false;
    }
    int width = indent;
    for (const Piece& p : pieces(b, toks_[e - 1].comment() ? e - 1 : e)) width += p.space + columns(p.tok->text);
    return width <= kWidth;
  }

  void statement(size_t b, size_t e, int indent) {
    if (!has_body(b, e)) return layout(b, e, indent);
    if (stays_on_one_line(b, e, indent)) {
      const bool trailing = toks_[e - 1].comment();
      Line l;
      l.indent = indent, l.pieces = pieces(b, trailing ? e - 1 : e);
      if (trailing) l.comment = comment_text(e - 1);
      lines_.push_back(std::move(l));
      return;
    }
    size_t at = b;
    for (size_t i = b; i < e; ++i) {
      if (!toks_[i].opens() || !toks_[i].body) continue;
      const size_t m = toks_[i].match;
      if (i + 1 == m) {  // {}
        i = m;
        continue;
      }
      layout(at, i + 1, indent);
      size_t first = i + 1;
      if (toks_[first].comment() && toks_[first].newlines == 0) lines_.back().comment = comment_text(first++);
      body(first, m, indent + kIndent, indent == 0 && is_section(b));
      at = i = m;
    }
    layout(at, e, indent);
  }

  // one run of tokens, without the statements inside bodies
  // --------------------------------------------------------------------------------

  int space(size_t i) const {
    const Tok& t = toks_[i];
    const size_t at = before(i);
    if (at == kNo) return 0;
    const Tok& p = toks_[at];
    if (t.is("{") && t.match == i + 1 && t.body) return 1;
    if (p.is("{")) return t.is("}") ? 0 : 1;
    if (t.is("}")) return 1;
    if (t.is(",") || t.is(")") || t.is("]") || t.is(".") || t.is("..") || t.is(":") || t.is("^")) return 0;
    if (p.is("(") || p.is("[") || p.is(".") || p.is("..") || p.is("^") || (p.is("-") && unary(at))) return 0;
    if (t.is("(") || t.is("[")) return ends_operand(at) && !(p.is("}") && p.body) ? 0 : 1;
    if (t.is("/")) return fraction(i) ? 0 : 1;
    if (p.is("/")) return fraction(at) ? 0 : 1;
    return 1;
  }
  bool unary(size_t i) const {
    const size_t p = before(i);
    return p == kNo || !ends_operand(p);
  }
  /// 1/255: a quotient of two numbers and nothing else.
  bool fraction(size_t i) const {
    const size_t a = before(i);
    if (a == kNo || i + 1 >= toks_.size() || toks_[a].kind != TokenKind::number ||
        toks_[i + 1].kind != TokenKind::number)
      return false;
    const auto part = [](const Tok& t) { return t.is("*") || t.is("/") || t.is("%") || t.is("^") || t.is(".."); };
    const size_t left = before(a);
    return !(left != kNo && part(toks_[left])) && !(i + 2 < toks_.size() && part(toks_[i + 2]));
  }

  std::vector<Piece> pieces(size_t b, size_t e) const {
    std::vector<Piece> out;
    for (size_t i = b; i < e; ++i)
      if (!toks_[i].comment()) out.push_back({&toks_[i], i == b ? 0 : space(i)});
    return out;
  }

  enum class Break : uint8_t { none, element, chain };

  /// The tokens [from, to) of a line, its indentation, and whether it is the first of its element.
  struct Part {
    size_t from, to;
    int indent;
    bool first;
  };
  struct Run {
    size_t b, e;
    std::vector<size_t> around;  // of each token: the bracket it stands in, or kNo
    std::vector<char> open;      // of each opening bracket: its content has lines of its own
    std::vector<Break> brk;      // what begins a line
  };

  static bool chained(const Tok& t) { return t.is("->") || t.is("else") || t.is("then") || t.is("and") || t.is("or"); }

  void layout(size_t b, size_t e, int indent) {
    if (b == e) return;
    Run r{b, e, std::vector<size_t>(e - b, kNo), std::vector<char>(e - b, 0), std::vector<Break>(e - b, Break::none)};
    std::vector<size_t> stack;
    for (size_t i = b; i < e; ++i) {
      if (toks_[i].closes() && !toks_[i].body && !stack.empty()) stack.pop_back();
      r.around[i - b] = stack.empty() ? kNo : stack.back();
      if (toks_[i].comment())
        for (const size_t o : stack) r.open[o - b] = 1;
      if (toks_[i].opens() && !toks_[i].body) {
        r.open[i - b] = i + 1 < e && toks_[i + 1].newlines > 0 && toks_[i].match > i + 1;
        stack.push_back(i);
      }
    }
    kept_breaks(r);
    // Each round breaks the lines that are too long, each at the best places it has.
    for (;;) {
      std::vector<Part> parts;
      const std::vector<Line> made = lines(r, indent, parts);
      bool changed = false;
      for (const Part& p : parts) changed = shorten(r, p) || changed;
      if (changed) continue;
      lines_.insert(lines_.end(), made.begin(), made.end());
      return;
    }
  }

  /// Where a bracket's content has lines of its own: one after it, one before its end, and those that the author had
  /// between elements.
  Break place(const Run& r, size_t i) const {
    const size_t p = before(i), in = r.around[i - r.b];
    if (p == kNo || i == r.b) return Break::none;
    const bool forced = p + 1 != i;  // a comment stands between
    if (toks_[p].body && toks_[p].is("}")) return forced ? Break::element : Break::none;
    if (toks_[p].opens() && !toks_[p].body && p >= r.b && r.open[p - r.b] && toks_[p].match != i) return Break::element;
    if (toks_[i].closes() && !toks_[i].body && toks_[i].match >= r.b && r.open[toks_[i].match - r.b])
      return toks_[i].match == p && !forced ? Break::none : Break::element;
    if (in != kNo && !r.open[in - r.b]) return Break::none;
    if (in != kNo && toks_[p].is(",") && (toks_[i].newlines > 0 || forced)) return Break::element;
    return forced || (chained(toks_[i]) && toks_[i].newlines > 0) ? Break::chain : Break::none;
  }
  void kept_breaks(Run& r) const {
    for (size_t i = r.b; i < r.e; ++i)
      if (!toks_[i].comment() && r.brk[i - r.b] == Break::none) r.brk[i - r.b] = place(r, i);
  }

  /// The run as lines, and the tokens of each.
  std::vector<Line> lines(const Run& r, int indent, std::vector<Part>& parts) const {
    std::vector<Line> out;
    std::vector<int> base{indent};  // of elements: outside, and inside each bracket that is open
    size_t from = r.b;
    bool first = true;
    const auto finish = [&](size_t to) {
      if (!out.empty() && !out.back().own_comment) parts.push_back({from, to, out.back().indent, first});
    };
    for (size_t i = r.b; i < r.e; ++i) {
      const Tok& t = toks_[i];
      if (t.comment()) {
        if (t.newlines == 0 && !out.empty() && !out.back().own_comment && out.back().comment.empty()) {
          out.back().comment = comment_text(i);
        } else {
          size_t next = i;
          while (next < r.e && toks_[next].comment()) ++next;
          finish(i);
          Line l;
          l.indent = base.back() + (next < r.e && r.brk[next - r.b] == Break::chain ? kIndent : 0),
          l.own_comment = true, l.comment = comment_text(i);
          out.push_back(std::move(l));
          from = i + 1;
        }
        continue;
      }
      const bool closes = t.closes() && !t.body && t.match >= r.b && r.open[t.match - r.b];
      if (closes) base.pop_back();
      const Break brk = r.brk[i - r.b];
      if (i == r.b || brk != Break::none || out.empty() || out.back().own_comment) {
        finish(i);
        Line l;
        l.indent = closes ? base_of(out, r, t.match) : base.back() + (brk == Break::chain ? kIndent : 0);
        out.push_back(std::move(l));
        from = i, first = brk != Break::chain;
      }
      out.back().pieces.push_back({&t, out.back().pieces.empty() ? 0 : space(i)});
      if (t.opens() && !t.body && r.open[i - r.b]) base.push_back(out.back().indent + kIndent);
    }
    finish(r.e);
    return out;
  }
  /// The indentation of the line that holds this bracket.
  int base_of(const std::vector<Line>& lines, const Run&, size_t bracket) const {
    for (auto l = lines.rbegin(); l != lines.rend(); ++l)
      for (const Piece& p : l->pieces)
        if (p.tok == &toks_[bracket]) return l->indent;
    return 0;
  }

  /// Adds a break to a line that is too long. True when it did.
  bool shorten(Run& r, const Part& part) const {
    const auto [from, to, indent, first] = part;
    std::vector<int> end(to - from, 0);
    int width = indent;
    for (size_t i = from; i < to; ++i) {
      if (!toks_[i].comment()) width += (i == from ? 0 : space(i)) + columns(toks_[i].text);
      end[i - from] = width;
    }
    if (width <= kWidth) return false;
    const size_t level = r.around[from - r.b];
    const auto candidates = [&](auto fits) {
      std::vector<size_t> out;
      for (size_t i = from + 1; i < to; ++i)
        if (r.around[i - r.b] == level && !toks_[i].comment() && !toks_[i].closes() && fits(i)) out.push_back(i);
      return out;
    };
    // The last place before which all fits, and so on for what is left; with `at_first`, the first place to begin with.
    const auto split = [&](const std::vector<size_t>& at, Break kind, bool at_first) {
      int shift = 0;  // how far what is left has moved to the left
      for (size_t k = 0; k < at.size() && (k == 0 || width - shift > kWidth); ++k) {
        if (!at_first || k > 0)
          while (k + 1 < at.size() && end[at[k + 1] - 1 - from] - shift <= kWidth) ++k;
        r.brk[at[k] - r.b] = kind;
        shift = end[at[k] - from] - columns(toks_[at[k]].text) - indent - (kind == Break::chain && first ? kIndent : 0);
      }
      return !at.empty();
    };
    if (split(candidates([&](size_t i) { return toks_[i - 1].is(","); }), level == kNo ? Break::chain : Break::element,
              false))
      return true;
    // A chain that the author has not broken: its head stands alone, as the models have it.
    bool broken = !first;
    for (size_t i = to; i < r.e && !broken; ++i)
      broken = r.around[i - r.b] == level && toks_[i].is("->") && r.brk[i - r.b] != Break::none;
    // After a list that ends here, the next link's brackets open instead.
    const bool after_list = toks_[from].closes() && explode(r, from, to, level, end);
    if (after_list || split(candidates([&](size_t i) { return toks_[i].is("->"); }), Break::chain, !broken))
      return true;
    if (split(candidates([&](size_t i) { return toks_[i].is("then") || toks_[i].is("else"); }), Break::chain, false))
      return true;
    if (split(candidates([&](size_t i) { return toks_[i].is("and") || toks_[i].is("or"); }), Break::chain, false))
      return true;
    return explode(r, from, to, level, end);
  }

  /// The widest bracket that is whole on this line gets lines of its own.
  bool explode(Run& r, size_t from, size_t to, size_t level, const std::vector<int>& end) const {
    size_t widest = kNo;
    for (size_t i = from; i < to; ++i) {
      const Tok& t = toks_[i];
      if (!t.opens() || t.body || r.open[i - r.b] || t.match <= i + 1 || t.match >= to || r.around[i - r.b] != level)
        continue;
      if (widest == kNo || end[t.match - from] - end[i - from] > end[toks_[widest].match - from] - end[widest - from])
        widest = i;
    }
    if (widest == kNo) return false;
    r.open[widest - r.b] = 1;
    r.brk[widest + 1 - r.b] = r.brk[toks_[widest].match - r.b] = Break::element;
    return true;
  }

  // columns
  // --------------------------------------------------------------------------------------------------------------------------------

  static int column_of(const Line& l, size_t piece) {
    int c = l.indent;
    for (size_t k = 0; k <= piece; ++k) c += l.pieces[k].space + (k < piece ? columns(l.pieces[k].tok->text) : 0);
    return c;
  }
  static int width_of(const Line& l) {
    return l.pieces.empty() ? l.indent : column_of(l, l.pieces.size() - 1) + columns(l.pieces.back().tok->text);
  }

  /// The '=' of the entries of a section, up to the next empty line.
  void align_entries() {
    std::vector<size_t> group;
    const auto finish = [&] {
      int widest = 0;
      for (const size_t l : group) widest = std::max(widest, column_of(lines_[l], 1));
      for (const size_t l : group) lines_[l].pieces[1].space += widest - column_of(lines_[l], 1);
      group.clear();
    };
    for (size_t l = 0; l < lines_.size(); ++l) {
      if (lines_[l].blank || lines_[l].indent < kIndent) finish();
      if (lines_[l].entry && lines_[l].pieces.size() > 2 && lines_[l].pieces[1].tok->is("=")) group.push_back(l);
    }
    finish();
  }

  /// Equal tokens that the author put below each other, with more than one blank before one of them, stay so.
  void align_as_written() {
    struct Place {
      size_t line, piece;
    };
    std::map<std::pair<size_t, size_t>, size_t> group_of;
    std::vector<std::vector<Place>> groups;
    for (size_t l = 0; l + 1 < lines_.size(); ++l) {
      const Line &a = lines_[l], &b = lines_[l + 1];
      for (size_t p = 1; p < a.pieces.size(); ++p)
        for (size_t q = 1; q < b.pieces.size(); ++q) {
          const Tok &x = *a.pieces[p].tok, &y = *b.pieces[q].tok;
          if (x.column != y.column || x.line + 1 != y.line || x.text != y.text || (x.gap < 2 && y.gap < 2)) continue;
          if (x.newlines > 0 || y.newlines > 0 || a.pieces[p].space == 0 || b.pieces[q].space == 0) continue;
          if ((a.entry && p == 1) || (b.entry && q == 1)) continue;
          auto it = group_of.find({l, p});
          if (it == group_of.end()) {
            it = group_of.emplace(std::pair{l, p}, groups.size()).first;
            groups.push_back({{l, p}});
          }
          group_of[{l + 1, q}] = it->second;
          groups[it->second].push_back({l + 1, q});
        }
    }
    std::stable_sort(groups.begin(), groups.end(), [&](const auto& a, const auto& b) {
      return lines_[a[0].line].pieces[a[0].piece].tok->column < lines_[b[0].line].pieces[b[0].piece].tok->column;
    });
    for (const auto& g : groups) {
      int widest = 0;
      for (const Place& p : g) widest = std::max(widest, column_of(lines_[p.line], p.piece));
      for (const Place& p : g) lines_[p.line].pieces[p.piece].space += widest - column_of(lines_[p.line], p.piece);
    }
  }

  std::string text() const {
    std::string out;
    for (size_t l = 0; l < lines_.size();) {
      // Comments after text on neighbouring lines begin in one column.
      size_t end = l;
      int column = kCommentColumn;
      const auto trailing = [&](size_t k) {
        return k < lines_.size() && !lines_[k].own_comment && !lines_[k].comment.empty();
      };
      while (trailing(end) && (end == l || !lines_[end].blank)) column = std::max(column, width_of(lines_[end++]) + 2);
      for (end = std::max(end, l + 1); l < end; ++l) {
        const Line& line = lines_[l];
        if (line.blank && l > 0) out += '\n';
        std::string s(static_cast<size_t>(line.indent), ' ');
        for (const Piece& p : line.pieces) s.append(static_cast<size_t>(p.space), ' ').append(p.tok->text);
        if (!line.pieces.empty() && !line.comment.empty())
          s.append(static_cast<size_t>(std::max(2, column - width_of(line))), ' ');
        out += s + line.comment + '\n';
      }
    }
    return out;
  }
};

/// The tokens and the comments, each in order, blanks at the ends of comments aside.
std::pair<std::vector<std::string>, std::vector<std::string>> contents(const std::string& text) {
  const SourceFile file("", text);
  std::pair<std::vector<std::string>, std::vector<std::string>> out;
  for (const Token& t : tokenise(file)) {
    std::string s(t.text);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.pop_back();
    (t.kind == TokenKind::comment ? out.second : out.first).push_back(std::move(s));
  }
  return out;
}

}  // namespace

std::optional<std::string> format(const SourceFile& source, Diagnostics& diagnostics) {
  if (!parse(source, diagnostics)) return std::nullopt;
  std::string text = Formatter(source).run();
  if (contents(text) == contents(source.text())) return text;
  // A layout that changed the program would be a bug here; the file is worth more than its layout.
  diagnostics.report(DiagId::syntax_error, Span{0, 1},
                     std::string("this file cannot be laid out without changing it; please report it"));
  return std::nullopt;
}

}  // namespace netc
