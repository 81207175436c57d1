#include "runtime/data/csv_table.h"

#include <fmt/format.h>

#include <set>

#include "runtime/core/files.h"

namespace netc::rt {
namespace {

constexpr size_t kMostBytes = size_t{4} << 30;

}  // namespace

tl::expected<CsvTable, std::string> CsvTable::read(const std::string& path) {
  auto text = read_file(path, kMostBytes);
  if (!text) return tl::make_unexpected(text.error());
  return parse(std::move(*text), path);
}

tl::expected<CsvTable, std::string> CsvTable::parse(std::string text, const std::string& name) {
  const auto failed = [&](size_t line, const std::string& why) { return tl::make_unexpected(fmt::format("{}:{}: {}", name, line, why)); };
  CsvTable t;
  t.text_ = std::move(text);
  std::string& s = t.text_;
  size_t at = s.compare(0, 3, "\xef\xbb\xbf") == 0 ? 3 : 0, line = 1;
  std::vector<Cell> record;
  while (at < s.size()) {
    record.clear();
    const size_t first_line = line;
    for (bool ended = false; !ended;) {
      Cell cell{at, 0};
      if (at < s.size() && s[at] == '"') {
        size_t to = at;   // quotes are undone in place: a cell never grows
        bool closed = false;
        for (++at; at < s.size() && !closed; ++at) {
          if (s[at] == '\n') ++line;
          if (s[at] == '"' && at + 1 < s.size() && s[at + 1] == '"') s[to++] = s[at++];
          else if (s[at] == '"') closed = true;
          else s[to++] = s[at];
        }
        if (!closed) return failed(first_line, "a quote is not closed");
        if (at < s.size() && s[at] != ',' && s[at] != '\n' && s[at] != '\r') return failed(line, "something stands after a closing quote");
        cell.size = to - cell.at;
      } else {
        while (at < s.size() && s[at] != ',' && s[at] != '\n' && s[at] != '\r') ++at;
        cell.size = at - cell.at;
      }
      record.push_back(cell);
      if (at < s.size() && s[at] == ',') {
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
      for (const Cell& c : record)
        if (!seen.insert(t.names_.emplace_back(s.substr(c.at, c.size))).second)
          return failed(first_line, fmt::format("two columns are called '{}'", t.names_.back()));
      continue;
    }
    if (record.size() != t.names_.size())
      return failed(first_line, fmt::format("has {} cells, the header {}; cells are parted by commas", record.size(), t.names_.size()));
    t.cells_.insert(t.cells_.end(), record.begin(), record.end());
    t.lines_.push_back(first_line);
  }
  if (t.names_.empty()) return failed(1, "is empty; its first line names the columns");
  if (t.lines_.empty()) return failed(1, "has a header and no rows");
  return t;
}

}  // namespace netc::rt
