#include "compiler/base/diagnostics.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace netc {
namespace {

struct Row { const char* name; Severity severity; const char* text; };
constexpr Row kRows[] = {
#define DIAG(id, severity, text) {#id, Severity::severity, text},
#include "compiler/base/diagnostics.def"
#undef DIAG
};

constexpr size_t kShown = 160;   // bytes of a source line

const Row& row(DiagId id) { return kRows[static_cast<size_t>(id)]; }

std::vector<const Diagnostic*> sorted(const std::vector<Diagnostic>& all) {
  std::vector<const Diagnostic*> order;
  for (const Diagnostic& d : all) order.push_back(&d);
  std::stable_sort(order.begin(), order.end(), [](const Diagnostic* a, const Diagnostic* b) { return a->span.begin < b->span.begin; });
  return order;
}

const char* word(Severity s) { return s == Severity::error ? "error" : "warning"; }

}  // namespace

const char* id_name(DiagId id) { return row(id).name; }
Severity severity_of(DiagId id) { return row(id).severity; }
const char* text_of(DiagId id) { return row(id).text; }

Diagnostic& Diagnostics::add(DiagId id, Span span, std::string message) {
  // A block applied twice reports its errors once.
  for (Diagnostic& d : all_)
    if (d.id == id && d.span.begin == span.begin && d.span.end == span.end && d.message == message) {
      d.help.clear();
      d.notes.clear();
      d.beside.clear();
      return d;
    }
  if (severity_of(id) == Severity::error) ++errors_;
  all_.push_back({id, severity_of(id), span, std::move(message), {}, {}, {}});
  return all_.back();
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
  errors_ = static_cast<int>(all_.size());
}

void Diagnostics::drop(DiagId id) {
  std::erase_if(all_, [&](const Diagnostic& d) { return d.id == id && d.severity == Severity::warning; });
}

std::string Diagnostics::render(bool color) const {
  std::string out;
  const auto paint = [&](const char* code, const std::string& text) { return color ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text; };
  for (const Diagnostic* d : sorted(all_)) {
    const SourceFile& file = file_of(d->span);
    const SourceFile::Place at = file.place(d->span.begin);
    const std::string severity = paint(d->severity == Severity::error ? "1;31" : "1;35", fmt::format("{}:", word(d->severity)));
    out += fmt::format("{}:{}:{}: {} {} [{}]\n", file.path(), at.line, at.column, severity, d->message, id_name(d->id));
    const std::string_view line = file.line(at.line);
    if (!line.empty()) {
      // Of a long line, what is around the place. Only what a terminal shows as one cell moves the carets; bytes of one UTF-8 character count once.
      std::string shown, under;
      size_t carets = 0;
      const size_t begin = at.column - 1, end = std::max<size_t>(begin + 1, begin + (d->span.end - std::min(d->span.begin, d->span.end)));
      size_t from = line.size() > kShown && begin > kShown / 2 ? begin - kShown / 2 : 0;
      const size_t to = std::min(std::max(line.size(), begin + 1), from + kShown);
      while (from > 0 && from < line.size() && (static_cast<unsigned char>(line[from]) & 0xC0) == 0x80) ++from;
      if (from > 0) shown = "...", under = "   ";
      for (size_t i = from; i < to; ++i) {
        const unsigned char c = i < line.size() ? line[i] : ' ';
        if (i < line.size()) shown += c < 0x20 ? ' ' : static_cast<char>(c);
        if ((c & 0xC0) == 0x80) continue;
        if (i < begin) under += ' ';
        else if (i < end) ++carets;
      }
      if (to < line.size()) shown += "...";
      out += fmt::format("{:>5} | {}\n      | {}{}", at.line, shown, under, paint("1;32", std::string(std::max<size_t>(carets, 1), '^')));
      out += d->beside.empty() ? "\n" : fmt::format(" {}\n", d->beside);
    }
    for (const auto& [span, text] : d->notes) {
      const SourceFile& other = file_of(span);
      const SourceFile::Place p = other.place(span.begin);
      out += fmt::format("{}:{}:{}: {} {}\n", other.path(), p.line, p.column, paint("1;36", "note:"), text);
    }
    for (const std::string& help : d->help) out += fmt::format("{} {}\n", paint("1;34", "help:"), help);
  }
  return out;
}

std::string Diagnostics::render_json() const {
  nlohmann::json list = nlohmann::json::array();
  for (const Diagnostic* d : sorted(all_)) {
    const SourceFile& file = file_of(d->span);
    const SourceFile::Place a = file.place(d->span.begin), b = file.place(d->span.end);
    nlohmann::json notes = nlohmann::json::array();
    for (const auto& [span, text] : d->notes) {
      const SourceFile& other = file_of(span);
      const SourceFile::Place p = other.place(span.begin);
      notes.push_back({{"file", other.path()}, {"line", p.line}, {"column", p.column}, {"message", text}});
    }
    list.push_back({{"id", id_name(d->id)}, {"severity", word(d->severity)}, {"file", file.path()}, {"line", a.line}, {"column", a.column},
                    {"end_line", b.line}, {"end_column", b.column}, {"message", d->message}, {"beside", d->beside}, {"help", d->help}, {"notes", notes}});
  }
  return list.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& known) {
  if (name.empty() || name.size() > 64) return "";
  std::string best;
  size_t best_distance = std::max<size_t>(1, name.size() / 3) + 1;
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  for (const std::string& other : known) {
    if (other == name || other.size() > 64) continue;
    std::vector<std::vector<size_t>> d(name.size() + 1, std::vector<size_t>(other.size() + 1));
    for (size_t i = 0; i <= name.size(); ++i) d[i][0] = i;
    for (size_t j = 0; j <= other.size(); ++j) d[0][j] = j;
    for (size_t i = 1; i <= name.size(); ++i)
      for (size_t j = 1; j <= other.size(); ++j) {
        const bool same = lower(name[i - 1]) == lower(other[j - 1]);
        d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (same ? 0 : 1)});
        if (i > 1 && j > 1 && lower(name[i - 1]) == lower(other[j - 2]) && lower(name[i - 2]) == lower(other[j - 1]))
          d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    if (d[name.size()][other.size()] < best_distance) best_distance = d[name.size()][other.size()], best = other;
  }
  // A word that begins like another: "kernel_size" for kernel, "Flat" for Flatten.
  for (const std::string& other : known)
    if (best.empty() && std::min(name.size(), other.size()) >= 3 && (name.rfind(other, 0) == 0 || other.rfind(name, 0) == 0) && other != name) best = other;
  return best;
}

}  // namespace netc
