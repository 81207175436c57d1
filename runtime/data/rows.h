// Samples of plain elements, in memory: what tables, arrays and generated numbers become.
#pragma once
#include <cstring>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "runtime/data/source.h"

namespace netc::rt {

/// One port's elements of all samples, one after another.
struct Column {
  std::vector<uint8_t> data;
  size_t bytes = 0;                         // of one sample
  int height = 0, width = 0, channels = 0;  // of an image; 0: the port's elements
  bool floats = false;                      // an image's elements: f32, or u8
};

class Rows final : public Source {
 public:
  std::vector<Column> inputs, labels;  // one for each port
  std::vector<size_t> rows;            // the samples, as indices into the columns
  std::vector<std::string> class_names;
  std::vector<int> class_indices;  // of each row; empty: none
  std::string spec, about;         // "csv:iris.csv"; "120 rows of 5 columns"
  TableColumns table;              // none: arrays
  std::vector<size_t> lines;       // of each row in its file; empty: rows are counted from 0

  size_t size() const override { return rows.size(); }
  const std::vector<std::string>& classes() const override { return class_names; }
  const TableColumns* columns() const override { return table.inputs.empty() ? nullptr : &table; }
  int class_of(size_t i) const override { return class_indices.empty() ? -1 : class_indices[rows[i]]; }
  std::string name(size_t i) const override {
    return lines.empty() ? fmt::format("{} sample {}", spec, rows[i]) : fmt::format("{} line {}", spec, lines[rows[i]]);
  }
  std::string describe() const override { return fmt::format("{}: {}", spec, about); }
  bool in_memory() const override { return true; }
  tl::expected<void, std::string> read(size_t i, Sample& out) const override {
    take(inputs, rows[i], out.inputs);
    take(labels, rows[i], out.labels);
    out.path.clear();
    return {};
  }

 private:
  static void take(const std::vector<Column>& columns, size_t row, std::vector<Field>& fields) {
    fields.resize(columns.size());
    for (size_t k = 0; k < columns.size(); ++k) {
      const Column& c = columns[k];
      fields[k].data.resize(c.bytes);
      if (c.bytes > 0) std::memcpy(fields[k].data.data(), c.data.data() + row * c.bytes, c.bytes);
      fields[k].height = c.height, fields[k].width = c.width, fields[k].channels = c.channels,
      fields[k].floats = c.floats;
    }
  }
};

}  // namespace netc::rt
