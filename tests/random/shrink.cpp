// Edits of the text at places that the syntax tree names, the largest first; one that still fails is kept, and the
// search goes on from there.
#include "tests/random/shrink.h"

#include <algorithm>
#include <set>

#include "compiler/parse/parse.h"
#include "tests/random/draft.h"

namespace netc::random {

namespace {

constexpr size_t kMostLonger = 40;  // characters that an edit may add, as where a name's value is written twice

/// Puts `by` in the place of a part of the text.
struct Change {
  Span at;
  std::string by;
};
struct Edit {
  std::vector<Change> changes;
  int64_t saved = 0;  // characters
};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

class Edits {
 public:
  Edits(const std::string& text, const ast::File& file) : text_(text) {
    for (const ast::Stmt& s : file.declarations) remove(s.span), statement(s);
    for (const ast::Net& n : file.nets) {
      if (file.nets.size() > 1) remove(n.span);
      params(n.params);
      body(n.body);
    }
    for (const ast::Section& s : file.sections) {
      remove({s.span.begin, closed(s.span.end)});
      for (const ast::Entry& e : s.entries) remove({e.span.begin, whole(*e.value).end}), expression(*e.value);
    }
    std::stable_sort(all_.begin(), all_.end(), [](const Edit& a, const Edit& b) { return a.saved > b.saved; });
  }
  const std::vector<Edit>& all() const { return all_; }

 private:
  std::string text_of(Span s) const { return text_.substr(s.begin, s.end - s.begin); }
  std::string text_of(const ast::Expr& e) const { return text_of(whole(e)); }
  void add(std::vector<Change> changes) {
    Edit e{std::move(changes)};
    for (const Change& c : e.changes)
      e.saved += static_cast<int64_t>(c.at.end - c.at.begin) - static_cast<int64_t>(c.by.size());
    all_.push_back(std::move(e));
  }
  void replace(Span at, const std::string& by) {
    if (text_of(at) != by) add({{at, by}});
  }
  void remove(Span at) { add({{at, ""}}); }

  /// Past the bracket that closes the first one from here on.
  uint32_t closed(uint32_t from) const {
    int depth = 0;
    for (uint32_t i = from; i < text_.size(); ++i) {
      depth += text_[i] == '{' ? 1 : text_[i] == '}' ? -1 : 0;
      if (depth == 0 && text_[i] == '}') return i + 1;
    }
    return from;
  }
  uint32_t before(uint32_t at) const {
    while (at > 0 && is_space(text_[at - 1])) --at;
    return at;
  }
  uint32_t after(uint32_t at) const {
    while (at < text_.size() && is_space(text_[at])) ++at;
    return at;
  }

  /// A statement from its first to its last character. The tree's place of a condition is the condition alone.
  Span whole(const ast::Stmt& s) const {
    if (s.kind != ast::StmtKind::choose) return s.span;
    const uint32_t begin = static_cast<uint32_t>(text_.rfind("if", s.span.begin));
    uint32_t end = closed(s.span.end);
    while (text_.compare(after(end), 4, "else") == 0) end = closed(after(end));
    return {begin, end};
  }
  /// An expression with the brackets around it, which the tree's places leave out; not those of a call.
  Span whole(const ast::Expr& e) const {
    Span s = e.span;
    for (const auto& i : e.items) {
      const Span inner = whole(*i);
      s = {std::min(s.begin, inner.begin), std::max(s.end, inner.end)};
    }
    while (true) {
      const uint32_t open = before(s.begin), close = after(s.end);
      if (open == 0 || text_[open - 1] != '(' || close >= text_.size() || text_[close] != ')') return s;
      const uint32_t name = before(open - 1);
      uint32_t first = name;
      while (first > 0 && is_word(text_[first - 1])) --first;
      static const std::set<std::string> words = {"in", "if", "then", "else", "not", "and", "or"};
      const bool called = name > 0 && (text_[name - 1] == ')' || text_[name - 1] == ']' ||
                                       (first < name && !words.count(text_.substr(first, name - first))));
      if (called) return s;
      s = {open - 1, close + 1};
    }
  }

  /// Every place where `name` stands as a word, outside of `but`.
  std::vector<Change> renamed(const std::string& name, const std::string& by, Span but, size_t from = 0) const {
    std::vector<Change> out;
    for (size_t at = text_.find(name, from); at != std::string::npos; at = text_.find(name, at + 1)) {
      if ((at > 0 && is_word(text_[at - 1])) || (at + name.size() < text_.size() && is_word(text_[at + name.size()])))
        continue;
      if (at < but.begin || at >= but.end)
        out.push_back({{static_cast<uint32_t>(at), static_cast<uint32_t>(at + name.size())}, by});
    }
    return out;
  }

  /// One of a list with commas, and the comma; of a list of one also the brackets.
  void remove_item(Span at) {
    const uint32_t end = after(at.end), begin = before(at.begin);
    if (end < text_.size() && text_[end] == ',') remove({at.begin, after(end + 1)});
    else if (begin > 0 && text_[begin - 1] == ',') remove({begin - 1, at.end});
    else if (begin > 0 && text_[begin - 1] == '(' && end < text_.size() && text_[end] == ')')
      remove({begin - 1, end + 1});
    else remove(at);
  }

  void body(const std::vector<ast::Stmt>& statements) {
    for (const size_t parts : {2, 4}) {
      const size_t n = statements.size();
      for (size_t k = 0; k < parts && n >= 2 * parts; ++k) {
        std::vector<Change> changes;
        for (size_t i = k * n / parts; i < (k + 1) * n / parts; ++i) changes.push_back({whole(statements[i]), ""});
        add(std::move(changes));
      }
    }
    for (const ast::Stmt& s : statements) {
      remove(whole(s));
      statement(s);
      const bool named = s.kind == ast::StmtKind::let || s.kind == ast::StmtKind::var;
      if (named && s.pattern.items.empty()) instead_of(s);
    }
  }

  /// What a name stands for is replaced by what it is made of: after let b = a -> ReLU, b is a. Or by all of it.
  void instead_of(const ast::Stmt& s) {
    std::vector<std::string> sources;
    collect(*s.value, sources);
    std::set<std::string> seen;
    for (const std::string& by : sources) {
      if (by == s.pattern.name || seen.size() >= 3 || !seen.insert(by).second) continue;
      std::vector<Change> changes = renamed(s.pattern.name, by, s.span, s.span.end);
      changes.push_back({s.span, ""});
      add(std::move(changes));
    }
    std::vector<Change> changes = renamed(s.pattern.name, "(" + text_of(*s.value) + ")", s.span, s.span.end);
    if (changes.size() != 1) return;
    changes.push_back({s.span, ""});
    add(std::move(changes));
  }
  static void collect(const ast::Expr& e, std::vector<std::string>& names) {
    if (e.kind == ast::ExprKind::name && std::islower(static_cast<unsigned char>(e.text[0]))) names.push_back(e.text);
    for (const auto& i : e.items) collect(*i, names);
    for (const ast::Arg& a : e.args) collect(*a.value, names);
  }

  void params(const std::vector<ast::Param>& params) {
    for (const ast::Param& p : params) {
      const Span at{p.span.begin, p.fallback ? whole(*p.fallback).end : p.span.end};
      remove_item(at);
      if (!p.fallback) continue;
      expression(*p.fallback);
      // Its value wherever it is read.
      const std::vector<Change> changes = renamed(p.name, text_of(*p.fallback), at);
      if (!changes.empty()) add(changes);
    }
  }

  void statement(const ast::Stmt& s) {
    params(s.params);
    if (s.value) expression(*s.value);
    for (const ast::Arg& a : s.args) remove_item(a.span), expression(*a.value);
    body(s.body);
    body(s.otherwise);
    // A loop or a choice: what it does, once.
    for (const auto* inner : {&s.body, &s.otherwise})
      if ((s.kind == ast::StmtKind::loop || s.kind == ast::StmtKind::choose) && !inner->empty()) {
        const Span inside{whole(inner->front()).begin, whole(inner->back()).end}, all = whole(s);
        std::vector<Change> changes;
        if (s.kind == ast::StmtKind::loop && s.pattern.items.empty() && s.value->kind == ast::ExprKind::list &&
            !s.value->items.empty())
          for (const Change& c : renamed(s.pattern.name, text_of(*s.value->items[0]), {0, 0}))
            if (c.at.begin >= inside.begin && c.at.end <= inside.end) changes.push_back(c);
        changes.push_back({{all.begin, inside.begin}, ""});
        changes.push_back({{inside.end, all.end}, ""});
        add(std::move(changes));
      }
    // A block of one line, where it is applied.
    if (s.kind == ast::StmtKind::block && s.body.size() == 1 && s.body[0].value) {
      std::vector<Change> changes = renamed(s.name, "(" + text_of(*s.body[0].value) + ")", s.span);
      changes.push_back({s.span, ""});
      add(std::move(changes));
    }
    for (const auto& d : s.type.dims)
      if (d) expression(*d);
    if (s.type.present && s.type.dims.size() > 1)
      for (const auto& d : s.type.dims)
        if (d) remove_item(d->span);
    if (s.type.present && s.type.dtype != "f32")
      replace({s.type.span.begin, s.type.span.begin + static_cast<uint32_t>(s.type.dtype.size())}, "f32");
  }

  void expression(const ast::Expr& e) {
    using K = ast::ExprKind;
    for (const auto& i : e.items) expression(*i);
    for (const ast::Arg& a : e.args)
      remove_item({a.span.begin, std::max(a.span.end, whole(*a.value).end)}), expression(*a.value);
    const Span at = whole(e);
    // Brackets of its own that nothing needs.
    if (text_[at.begin] == '(' && text_[at.end - 1] == ')' && at.begin < e.span.begin && at.end > e.span.end)
      replace(at, text_.substr(at.begin + 1, at.end - at.begin - 2));
    switch (e.kind) {
      case K::integer: {
        std::set<int64_t> smaller = {1, 2, e.integer / 2, e.integer - 1};
        for (const int64_t v : smaller)
          if (v >= 1 && v < e.integer) replace(e.span, std::to_string(v));
        break;
      }
      case K::number:
        if (e.number != 1 && e.number != 0.5) replace(e.span, "1"), replace(e.span, "0.5");
        break;
      case K::call:
        if (e.args.size() > 1) replace({whole(*e.items[0]).end, e.span.end}, "");
        for (const ast::Arg& a : e.args) replace(at, text_of(*a.value));
        break;
      case K::chain:
        for (size_t i = 0; i < e.items.size(); ++i) {  // without one of its links, or several
          const bool last = i + 1 == e.items.size();
          if (last) remove({whole(*e.items[i - 1]).end, whole(*e.items[i]).end});
          else remove({whole(*e.items[i]).begin, whole(*e.items[i + 1]).begin});
        }
        for (size_t k = 1; k + 2 < e.items.size(); ++k) {
          remove({whole(*e.items[k]).begin, whole(*e.items.back()).begin});
          remove({whole(*e.items[0]).end, whole(*e.items[k + 1]).end});
        }
        if (e.items.size() > 2) remove({whole(*e.items[0]).end, whole(*e.items.back()).end});
        break;
      case K::list:
        for (const auto& i : e.items) remove_item(whole(*i)), replace(at, text_of(*i));
        break;
      case K::unary:
      case K::binary:
      case K::index:
      case K::member:
      case K::frozen:
      case K::weights:
      case K::choose:
      case K::each:
        for (const auto& i : e.items) replace(at, text_of(*i));
        break;
      default: break;
    }
  }

  const std::string& text_;
  std::vector<Edit> all_;
};

std::string changed(std::string text, std::vector<Change> changes) {
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) { return a.at.begin > b.at.begin; });
  uint32_t end = static_cast<uint32_t>(text.size());
  for (const Change& c : changes) {
    if (c.at.end > end) continue;  // inside another
    text.replace(c.at.begin, c.at.end - c.at.begin, c.by);
    end = c.at.begin;
  }
  return text;
}

/// Without lines that have become empty.
std::string tidy(const std::string& text) {
  std::string out, line;
  for (const char c : text + "\n") {
    if (c != '\n') {
      line += c;
      continue;
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    if (line.find_first_not_of(' ') != std::string::npos) out += line + "\n";
    line.clear();
  }
  return out;
}

std::optional<ast::File> tree_of(const std::string& text) {
  const SourceFile file("shrink.net", text);
  Diagnostics diagnostics(file);
  return parse(file, diagnostics);
}

}  // namespace

std::string shrink(const std::string& text, const std::function<bool(const std::string&)>& fails, int tries) {
  const bool valid = analyse(text).has_value();
  std::string best = text;
  std::set<std::string> tried = {text};
  for (bool smaller = true; smaller && tries > 0;) {
    smaller = false;
    std::optional<ast::File> tree = tree_of(best);
    if (!tree) break;
    std::optional<Edits> edits(std::in_place, best, *tree);
    // After a success the search goes on at the same place: what did not help before it seldom does now.
    for (size_t i = 0; i < edits->all().size() && tries > 0; ++i) {
      const std::string next = tidy(changed(best, edits->all()[i].changes));
      if (next.size() > best.size() + kMostLonger || !tried.insert(next).second || (valid && !analyse(next))) continue;
      --tries;
      if (!fails(next)) continue;
      best = next, smaller = true;
      edits.reset();  // it reads `best`
      tree = tree_of(best);
      if (!tree) return best;
      edits.emplace(best, *tree);
      i = i == 0 ? static_cast<size_t>(-1) : i - 1;
    }
  }
  return best;
}

}  // namespace netc::random
