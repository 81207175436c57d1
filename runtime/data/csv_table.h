// CSV files as RFC 4180 has them, and as spreadsheets write them: cells are parted by commas, semicolons or tabs.
#pragma once
#include <charconv>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace netc::rt {

/// What may follow a table's path: FILE?ignore=id,name&missing=mean&header=no.
struct TableOptions {
  enum class Missing { error, mean, zero, drop };
  enum class Header { told, yes, no };  // told: there must be one, and a first line that looks like data is an error
  std::string path;
  std::set<std::string> ignored;  // columns that are as if they were not there
  Missing missing = Missing::error;
  Header header = Header::told;
};
tl::expected<TableOptions, std::string> table_options(const std::string& text);
/// `text` without its options.
std::string table_path(const std::string& text);

/// A table of text. Cells point into the file's bytes, quotes undone.
class CsvTable {
 public:
  /// The first record is the header; without one columns are called 1, 2, ... The header's commas, semicolons or tabs,
  /// whichever it has most of, part cells; records end with LF or CRLF, cells in quotes may hold all of these and
  /// doubled quotes; empty lines are skipped. Errors name the file and the line: rows of another length than the
  /// header, quotes that do not close, no rows, names that occur twice, a first line of data where a header should be,
  /// UTF-16.
  static tl::expected<CsvTable, std::string> read(const std::string& path,
                                                  TableOptions::Header header = TableOptions::Header::told);
  static tl::expected<CsvTable, std::string> parse(std::string text, const std::string& name,
                                                   TableOptions::Header header = TableOptions::Header::told);

  const std::vector<std::string>& names() const { return names_; }
  size_t rows() const { return lines_.size(); }
  std::string_view cell(size_t row, size_t column) const {
    return {text_.data() + cells_[row * names_.size() + column].at, cells_[row * names_.size() + column].size};
  }
  size_t line(size_t row) const { return lines_[row]; }
  const std::vector<size_t>& lines() const { return lines_; }
  char separator() const { return separator_; }

 private:
  struct Cell {
    size_t at, size;
  };
  bool begins_with_data() const;

  std::string text_;
  std::vector<std::string> names_;
  std::vector<Cell> cells_;
  std::vector<size_t> lines_;
  char separator_ = ',';
};

/// Without the spaces and tabs around it.
std::string_view trimmed(std::string_view s);

/// An empty cell, or what people and programs write for a number that nobody knows.
bool missing_cell(std::string_view text);

/// A whole cell as a number.
template <class T>
bool cell_number(std::string_view text, T& out) {
  text = trimmed(text);
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace netc::rt
