#include "runtime/utf8.h"
#include "runtime/data/csv_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "runtime/core/files.h"
#include "runtime/core/unicode.h"

namespace netc::rt {
namespace {

constexpr size_t kMostBytes = size_t{4} << 30;

/// The one of comma, semicolon and tab that the first line has most of; commas where it has none.
char separator_of(std::string_view text) {
  size_t counts[3] = {};
  constexpr char kAll[] = {',', ';', '\t'};
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if ((c == '\n' || c == '\r') && !quoted && counts[0] + counts[1] + counts[2] > 0) break;
    for (int i = 0; i < 3; ++i) counts[i] += c == kAll[i] && !quoted;
  }
  return kAll[std::max_element(counts, counts + 3) - counts];
}

/// UTF-16 has a mark in front; or else, of a table, a zero beside each character.
bool is_utf16(std::string_view s) {
  if (s.starts_with("\xff\xfe") || s.starts_with("\xfe\xff")) return true;
  const std::string_view start = s.substr(0, 64);
  return static_cast<size_t>(std::count(start.begin(), start.end(), '\0')) * 3 > start.size();
}

}  // namespace

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

bool missing_cell(std::string_view text) {
  text = trimmed(text);
  if (text.empty()) return true;
  for (const std::string_view word :
       {"NA", "N/A", "na", "n/a", "NaN", "nan", "NAN", "NULL", "Null", "null", "None", "?", "-"})
    if (text == word) return true;
  return false;
}

std::string table_path(const std::string& text) {
  std::error_code none;
  return std::filesystem::exists(text, none) ? text : text.substr(0, text.find('?'));
}

static std::vector<std::string_view> split(std::string_view list, char separator) {
  std::vector<std::string_view> parts;
  while (!list.empty()) {
    const size_t at = list.find(separator), end = at == std::string_view::npos ? list.size() : at;
    parts.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return parts;
}

tl::expected<TableOptions, std::string> table_options(const std::string& text) {
  const auto failed = [&](const std::string& why) { return tl::make_unexpected(fmt::format("csv:{}: {}", text, why)); };
  TableOptions o;
  o.path = table_path(text);
  std::string wrong, twice;
  const auto take = [&](std::string_view option) {
    const size_t equals = std::min(option.find('='), option.size());
    const std::string_view key = option.substr(0, equals), value = option.substr(std::min(equals + 1, option.size()));
    if (key == "ignore") {
      for (const std::string_view column : split(value, ',')) o.ignored.insert(nfc(column));
      return;
    }
    if (key == "missing" && o.missing != TableOptions::Missing::error) return void(twice = "missing");
    if (key == "header" && o.header != TableOptions::Header::told) return void(twice = "header");
    if (key == "missing" && value == "mean") return void(o.missing = TableOptions::Missing::mean);
    if (key == "missing" && value == "zero") return void(o.missing = TableOptions::Missing::zero);
    if (key == "missing" && value == "drop") return void(o.missing = TableOptions::Missing::drop);
    if (key == "header" && value == "yes") return void(o.header = TableOptions::Header::yes);
    if (key == "header" && value == "no") return void(o.header = TableOptions::Header::no);
    wrong = option;
  };
  for (const std::string_view option :
       split(std::string_view(text).substr(std::min(o.path.size() + 1, text.size())), '&'))
    take(option);
  if (!twice.empty()) return failed(twice + "= is given twice");
  if (!wrong.empty())
    return failed(
        fmt::format("'{}' is no option of a table; they are ignore=COLUMN,..., missing=mean, zero or drop, and "
                    "header=yes or no, parted by &",
                    wrong));
  return o;
}

tl::expected<CsvTable, std::string> CsvTable::read(const std::string& path, TableOptions::Header header) {
  auto text = read_file(path, kMostBytes);
  if (!text) return tl::make_unexpected(text.error());
  return parse(std::move(*text), path, header);
}

/// Every column that is numbers below has a number in the header, too.
bool CsvTable::begins_with_data() const {
  constexpr size_t kLooked = 100;
  bool any = false;
  for (size_t c = 0; c < names_.size(); ++c) {
    double v = 0;
    size_t numbers = 0, others = 0;
    for (size_t r = 0; r < std::min(rows(), kLooked); ++r) {
      if (cell_number(cell(r, c), v)) ++numbers;
      else if (!missing_cell(cell(r, c))) ++others;
    }
    if (numbers == 0 || others > 0) continue;
    if (!cell_number(names_[c], v)) return false;
    any = true;
  }
  return any;
}

tl::expected<CsvTable, std::string> CsvTable::parse(std::string text, const std::string& name,
                                                    TableOptions::Header header) {
  const auto failed = [&](size_t line, const std::string& why) {
    return tl::make_unexpected(fmt::format("{}:{}: {}", name, line, why));
  };
  CsvTable t;
  t.text_ = std::move(text);
  std::string& s = t.text_;
  if (is_utf16(s))
    return failed(1, "is text in UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8, or 'CSV UTF-8' in a spreadsheet)");
  if (const size_t at = first_not_utf8(s); at < s.size())
    return failed(1 + static_cast<size_t>(std::count(s.begin(), s.begin() + static_cast<std::ptrdiff_t>(at), '\n')),
                  "is not text in UTF-8; save it as UTF-8 (of Latin-1: iconv -f LATIN1 -t UTF-8, or 'CSV UTF-8' in a "
                  "spreadsheet)");
  const char sep = t.separator_ = separator_of(s);
  size_t at = s.compare(0, 3, "\xef\xbb\xbf") == 0 ? 3 : 0, line = 1;
  std::vector<Cell> record;
  std::optional<std::string> twice;
  size_t twice_line = 0;
  while (at < s.size()) {
    record.clear();
    const size_t first_line = line;
    for (bool ended = false; !ended;) {
      Cell cell{at, 0};
      if (at < s.size() && s[at] == '"') {
        size_t to = at;  // quotes are undone in place: a cell never grows
        bool closed = false;
        for (++at; at < s.size() && !closed; ++at) {
          if (s[at] == '\n') ++line;
          if (s[at] == '"' && at + 1 < s.size() && s[at + 1] == '"') s[to++] = s[at++];
          else if (s[at] == '"') closed = true;
          else s[to++] = s[at];
        }
        if (!closed) return failed(first_line, "a quote is not closed");
        if (at < s.size() && s[at] != sep && s[at] != '\n' && s[at] != '\r')
          return failed(line, "something stands after a closing quote");
        cell.size = to - cell.at;
      } else {
        while (at < s.size() && s[at] != sep && s[at] != '\n' && s[at] != '\r') ++at;
        cell.size = at - cell.at;
      }
      record.push_back(cell);
      if (at < s.size() && s[at] == sep) {
        ++at;
        continue;
      }
      if (at < s.size() && s[at] == '\r') ++at;
      if (at < s.size() && s[at] == '\n') ++at;
      ++line;
      ended = true;
    }
    if (record.size() == 1 && record[0].size == 0) continue;
    if (t.names_.empty()) {
      std::set<std::string> seen;
      for (const Cell& c : record) {
        const bool named = header != TableOptions::Header::no;
        t.names_.push_back(named ? nfc(trimmed(std::string_view(s).substr(c.at, c.size)))
                                 : fmt::format("{}", t.names_.size() + 1));
        if (!seen.insert(t.names_.back()).second) twice = t.names_.back(), twice_line = first_line;
      }
      if (header != TableOptions::Header::no) continue;
    }
    if (record.size() != t.names_.size())
      return failed(first_line,
                    fmt::format("has {} cells, the header {}; cells are parted by {}", record.size(), t.names_.size(),
                                sep == ','   ? "commas"
                                : sep == ';' ? "semicolons"
                                             : "tabs"));
    t.cells_.insert(t.cells_.end(), record.begin(), record.end());
    t.lines_.push_back(first_line);
  }
  if (t.names_.empty()) return failed(1, "is empty; its first line names the columns");
  if (t.lines_.empty() && twice) return failed(twice_line, fmt::format("two columns are called '{}'", *twice));
  if (t.lines_.empty()) return failed(1, "has a header and no rows");
  if (header == TableOptions::Header::told && t.begins_with_data()) {
    return failed(1, fmt::format("there is no header: the first line ('{}', ...) is numbers as the lines below are; "
                                 "put a line with the columns' names in front, or give "
                                 "the table as 'csv:{}?header=no' (or header=yes, where these are names)",
                                 t.names_[0].substr(0, 40), name));
  }
  if (twice) return failed(twice_line, fmt::format("two columns are called '{}'", *twice));
  return t;
}

}  // namespace netc::rt
