#include "compiler/base/diagnostics.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "compiler/base/utf8.h"
#include "runtime/nearest.h"

namespace netc {
namespace {

struct Row {
  const char* name;
  Severity severity;
  const char* text;
};
constexpr Row kRows[] = {
#define DIAG(id, severity, text) {#id, Severity::severity, text},
#include "compiler/base/diagnostics.def"
#undef DIAG
};

constexpr size_t kShown = 160;  // bytes of a source line

const Row& row(DiagId id) { return kRows[static_cast<size_t>(id)]; }

/// Two of one key are one: a block applied twice reports its errors once.
std::string key_of(DiagId id, Span span, const std::string& message) {
  return fmt::format("{} {} {} {}", static_cast<int>(id), span.begin, span.end, message);
}

const char* word(Severity s) { return s == Severity::error ? "error" : "warning"; }

}  // namespace

const char* id_name(DiagId id) { return row(id).name; }
Severity severity_of(DiagId id) { return row(id).severity; }
const char* text_of(DiagId id) { return row(id).text; }

Diagnostic& Diagnostics::add(DiagId id, Span span, std::string message) {
  const auto [known, added] = known_.emplace(key_of(id, span, message), all_.size());
  const Severity severity = severity_of(id);
  if (!added) {
    Diagnostic& d = known->second < all_.size() ? all_[known->second] : beyond_;
    d.help.clear(), d.notes.clear(), d.beside.clear();
    return d;
  }
  int& count = severity == Severity::error ? errors_ : warnings_;
  if (++count <= kMostShown) {
    all_.push_back({id, severity, span, std::move(message), {}, {}, {}});
    return all_.back();
  }
  known->second = SIZE_MAX;
  beyond_ = {id, severity, span, std::move(message), {}, {}, {}};
  return beyond_;
}

std::vector<Diagnostic> Diagnostics::shown() const {
  std::vector<Diagnostic> out = all_;
  std::stable_sort(out.begin(), out.end(),
                   [](const Diagnostic& a, const Diagnostic& b) { return a.span.begin < b.span.begin; });
  const size_t more = static_cast<size_t>(errors_ + warnings_) - all_.size();
  if (more == 0) return out;
  const std::string what = fmt::format("{} more {}", more, more == 1 ? "is" : "are");
  out.push_back({DiagId::more_messages,
                 has_errors() ? Severity::error : Severity::warning,
                 out.back().span,
                 fmt::vformat(text_of(DiagId::more_messages), fmt::make_format_args(what)),
                 {},
                 {},
                 {}});
  return out;
}

const SourceFile& Diagnostics::add_file(std::string path, std::string text) {
  const uint32_t base = further_.empty() ? file_->end() : further_.back()->end();
  further_.push_back(std::make_unique<SourceFile>(std::move(path), std::move(text), base));
  return *further_.back();
}

const SourceFile& Diagnostics::file_of(Span s) const {
  for (const auto& f : further_)
    if (s.begin >= f->base() && s.begin < f->end()) return *f;
  return *file_;
}

std::string Diagnostics::place_text(Span s, Span from) const {
  const SourceFile &file = file_of(s), &here = file_of(from);
  const int line = file.place(s.begin).line;
  return &file == &here ? fmt::format("line {}", line) : fmt::format("{}:{}", file.path(), line);
}

void Diagnostics::warnings_are_errors() {
  for (Diagnostic& d : all_) d.severity = Severity::error;
  errors_ += warnings_, warnings_ = 0;
}

void Diagnostics::drop(DiagId id) {
  std::erase_if(all_, [&](const Diagnostic& d) { return d.id == id && d.severity == Severity::warning; });
  warnings_ = static_cast<int>(
      std::count_if(all_.begin(), all_.end(), [](const Diagnostic& d) { return d.severity == Severity::warning; }));
  known_.clear();
  for (size_t i = 0; i < all_.size(); ++i) known_[key_of(all_[i].id, all_[i].span, all_[i].message)] = i;
}

std::string Diagnostics::render(bool color) const {
  std::string out;
  const auto paint = [&](const char* code, const std::string& text) {
    return color ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
  };
  for (const Diagnostic& d : shown()) {
    const SourceFile& file = file_of(d.span);
    const SourceFile::Place at = file.place(d.span.begin);
    const std::string severity =
        paint(d.severity == Severity::error ? "1;31" : "1;35", fmt::format("{}:", word(d.severity)));
    out += fmt::format("{}:{}:{}: {} {} [{}]\n", file.path(), at.line, at.column, severity, d.message, id_name(d.id));
    const std::string_view line = file.line(at.line);
    const bool readable = d.id != DiagId::bad_encoding || d.span.begin > file.base();  // bytes of UTF-16 say nothing
    if (!line.empty() && readable) {
      // Of a long line, what is around the place. Only what a terminal shows as one cell moves the carets; bytes of one
      // UTF-8 character count once.
      std::string shown, under;
      size_t carets = 0;
      const size_t begin = at.column - 1,
                   end = std::max<size_t>(begin + 1, begin + (d.span.end - std::min(d.span.begin, d.span.end)));
      size_t from = line.size() > kShown && begin > kShown / 2 ? begin - kShown / 2 : 0;
      const size_t to = std::min(std::max(line.size(), begin + 1), from + kShown);
      while (from > 0 && from < line.size() && (static_cast<unsigned char>(line[from]) & 0xC0) == 0x80) ++from;
      if (from > 0) shown = "...", under = "   ";
      for (size_t i = from, n = 1; i < to; i += n) {
        n = i < line.size() ? std::max<size_t>(utf8_length(line, i), 1) : 1;
        if (i < line.size()) shown += printable(line.substr(i, n));
        if (i < begin) under += ' ';
        else if (i < end) ++carets;
      }
      if (to < line.size()) shown += "...";
      out += fmt::format("{:>5} | {}\n      | {}{}", at.line, shown, under,
                         paint("1;32", std::string(std::max<size_t>(carets, 1), '^')));
      out += d.beside.empty() ? "\n" : fmt::format(" {}\n", d.beside);
    }
    for (const auto& [span, text] : d.notes) {
      const SourceFile& other = file_of(span);
      const SourceFile::Place p = other.place(span.begin);
      out += fmt::format("{}:{}:{}: {} {}\n", other.path(), p.line, p.column, paint("1;36", "note:"), text);
    }
    for (const std::string& help : d.help) out += fmt::format("{} {}\n", paint("1;34", "help:"), help);
  }
  return out;
}

std::string Diagnostics::render_json() const {
  nlohmann::json list = nlohmann::json::array();
  for (const Diagnostic& d : shown()) {
    const SourceFile& file = file_of(d.span);
    const SourceFile::Place a = file.place(d.span.begin), b = file.place(d.span.end);
    nlohmann::json notes = nlohmann::json::array();
    for (const auto& [span, text] : d.notes) {
      const SourceFile& other = file_of(span);
      const SourceFile::Place p = other.place(span.begin);
      notes.push_back({{"file", other.path()}, {"line", p.line}, {"column", p.column}, {"message", text}});
    }
    list.push_back({{"id", id_name(d.id)},
                    {"severity", word(d.severity)},
                    {"file", file.path()},
                    {"line", a.line},
                    {"column", a.column},
                    {"end_line", b.line},
                    {"end_column", b.column},
                    {"message", d.message},
                    {"beside", d.beside},
                    {"help", d.help},
                    {"notes", notes}});
  }
  return list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& known) {
  return rt::nearest(name, known);
}

}  // namespace netc
