// CSV files as RFC 4180 has them.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace netc::rt {

/// A table of text. Cells point into the file's bytes, quotes undone.
class CsvTable {
 public:
  /// The first record is the header. Commas part cells, records end with LF or CRLF, cells in quotes may hold both and doubled quotes; empty lines are skipped.
  /// Errors name the file and the line: rows of another length than the header, quotes that do not close, no rows, names that occur twice.
  static tl::expected<CsvTable, std::string> read(const std::string& path);
  static tl::expected<CsvTable, std::string> parse(std::string text, const std::string& name);

  const std::vector<std::string>& names() const { return names_; }
  size_t rows() const { return lines_.size(); }
  std::string_view cell(size_t row, size_t column) const {
    return {text_.data() + cells_[row * names_.size() + column].at, cells_[row * names_.size() + column].size};
  }
  size_t line(size_t row) const { return lines_[row]; }
  const std::vector<size_t>& lines() const { return lines_; }

 private:
  struct Cell { size_t at, size; };
  std::string text_;
  std::vector<std::string> names_;
  std::vector<Cell> cells_;
  std::vector<size_t> lines_;
};

}  // namespace netc::rt
