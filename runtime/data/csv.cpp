// Tables: csv:FILE. Columns go to ports by the names that training's table had. In training, to ports by name; what is
// left, the last ones to the label and the others, in order, to the input.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <tuple>

#include "runtime/counted.h"
#include "runtime/data/csv_table.h"
#include "runtime/data/ports.h"
#include "runtime/data/rows.h"
#include "runtime/core/unicode.h"

namespace netc::rt {
namespace {

using Result = tl::expected<void, std::string>;
constexpr int64_t kMostClasses = 1000000;

class Reader {
 public:
  Reader(const CsvTable& table, const TableOptions& options, const ModelInfo& info)
      : t_(table),
        o_(options),
        path_(options.path),
        info_(info),
        used_(table.names().size(), false),
        kept_(table.rows(), true) {}

  tl::expected<std::unique_ptr<Source>, std::string> run(Split split) {
    if (Result r = ignore(); !r) return tl::make_unexpected(r.error());
    if (Result r = info_.columns ? bind_by_name(*info_.columns) : bind(); !r) return tl::make_unexpected(r.error());
    auto rows = std::make_unique<Rows>();
    rows->rows = part_of(t_.rows(), split);
    if (Result r = fill(*rows); !r) return tl::make_unexpected(r.error());
    rows->spec = "csv:" + path_;
    rows->lines = t_.lines();
    for (size_t i = 0; i < info_.inputs.size(); ++i)
      if (Result r = convert(info_.inputs[i], inputs_[i], rows->inputs.emplace_back(), true); !r)
        return tl::make_unexpected(r.error());
    for (size_t i = 0; i < info_.labels.size(); ++i) {
      Column& to = rows->labels.emplace_back();
      const bool classes = is_class(info_.labels[i]) && rows->class_indices.empty();
      if (Result r = classes ? classify(labels_[i][0], to, *rows) : convert(info_.labels[i], labels_[i], to, false); !r)
        return tl::make_unexpected(r.error());
      if (Result r = classes || !is_class(info_.labels[i]) ? Result{} : check_classes(i, to); !r)
        return tl::make_unexpected(r.error());
    }
    describe_columns(rows->table);
    rows->about = fmt::format("{} of {}", counted(rows->rows.size(), "row"), counted(t_.names().size(), "column"));
    if (!rows->class_names.empty()) rows->about += fmt::format(", {}", counted(rows->class_names.size(), "class"));
    const auto left = std::count(used_.begin(), used_.end(), false);
    if (left > 0) rows->about += fmt::format(", {} column{} not used", left, left == 1 ? "" : "s");
    if (dropped_ > 0) rows->about += fmt::format(", {} more with missing values left out", dropped_);
    if (filled_ > 0) rows->about += fmt::format(", {} missing value{} filled in", filled_, filled_ == 1 ? "" : "s");
    return rows;
  }

 private:
  using Columns = std::vector<size_t>;
  tl::unexpected<std::string> failed(const std::string& why) const {
    return tl::make_unexpected(fmt::format("csv:{}: {}", path_, why));
  }

  Columns unused() const {
    Columns c;
    for (size_t i = 0; i < used_.size(); ++i)
      if (!used_[i]) c.push_back(i);
    return c;
  }
  void take(const Columns& columns, Columns& out) {
    for (size_t c : columns) used_[c] = true;
    out = columns;
  }
  std::string names(const Columns& columns) const {
    std::vector<std::string> list;
    for (size_t i = 0; i < columns.size() && i < 8; ++i) list.push_back(t_.names()[columns[i]]);
    if (columns.size() > 8) list.push_back("...");
    return fmt::format("{}", fmt::join(list, ", "));
  }

  /// The column of the port's name, or those that begin with it: box_x, box.y.
  Columns named(const PortInfo& port) const {
    Columns c;
    const std::string name = port.name;
    for (size_t i = 0; i < used_.size(); ++i) {
      const std::string& column = t_.names()[i];
      if (used_[i]) continue;
      if (column == name && port.elements() == 1) return {i};
      if (column.size() > name.size() + 1 && column.compare(0, name.size(), name) == 0 &&
          (column[name.size()] == '_' || column[name.size()] == '.'))
        c.push_back(i);
    }
    return c.size() == port.elements() ? c : Columns{};
  }

  std::optional<size_t> column(const std::string& name) const {
    const auto at = std::find(t_.names().begin(), t_.names().end(), name);
    return at == t_.names().end() ? std::nullopt : std::optional<size_t>(at - t_.names().begin());
  }

  Result ignore() {
    for (const std::string& name : o_.ignored) {
      const auto at = column(name);
      if (!at) return failed(fmt::format("has no column '{}' to ignore; its columns are {}", name, names(unused())));
      used_[*at] = true;
    }
    return {};
  }

  /// As the table of training had them; the order is of no account.
  Result bind_by_name(const TableColumns& c) {
    inputs_.resize(info_.inputs.size());
    labels_.resize(info_.labels.size());
    std::vector<std::string> missing;
    const auto give = [&](std::span<const PortInfo> ports, const std::vector<std::string>& list,
                          std::vector<Columns>& to) {
      size_t next = 0;
      for (size_t i = 0; i < ports.size(); ++i)
        for (size_t k = 0; k < ports[i].elements() && next < list.size(); ++k, ++next) {
          if (const auto at = column(list[next]); at && !o_.ignored.contains(list[next]))
            to[i].push_back(*at), used_[*at] = true;
          else missing.push_back(list[next]);
        }
      return next == list.size() && (ports.empty() || to.back().size() == ports.back().elements());
    };
    const bool whole =
        give(info_.inputs, c.inputs, inputs_) && (info_.labels.empty() || give(info_.labels, c.labels, labels_));
    if (!missing.empty()) {
      return failed(fmt::format("lacks the column{} {} that the net was trained on; its columns are {}",
                                missing.size() == 1 ? "" : "s", fmt::join(missing, ", "), fmt::join(t_.names(), ", ")));
    }
    if (!whole) return failed("the weights are of a table with other columns than this program takes");
    for (const auto* known : {&c.labels, &c.others})
      for (const std::string& name : *known)
        if (const auto at = column(name)) used_[*at] = true;
    if (const Columns foreign = unused(); !foreign.empty()) {
      std::vector<std::string> list;
      for (const size_t at : foreign) list.push_back(t_.names()[at]);
      return failed(fmt::format("has {} that the net was not trained on: {}; leave {} out: 'csv:{}?ignore={}'",
                                list.size() == 1 ? "a column" : "columns", names(foreign),
                                list.size() == 1 ? "it" : "them", path_, fmt::join(list, ",")));
    }
    return {};
  }

  /// What the weights are to remember.
  void describe_columns(TableColumns& out) const {
    const auto list = [&](const std::vector<Columns>& ports, std::vector<std::string>& names) {
      for (const Columns& c : ports)
        for (const size_t i : c) names.push_back(t_.names()[i]);
    };
    list(inputs_, out.inputs);
    list(labels_, out.labels);
    if (info_.columns) out = *info_.columns;
    else out.fills = fills_;
    std::set<std::string> taken(out.inputs.begin(), out.inputs.end());
    taken.insert(out.labels.begin(), out.labels.end());
    for (const std::string& name : t_.names())
      if (!info_.columns && !taken.contains(name)) out.others.push_back(name);
  }

  /// Leaves out the rows with missing values, or finds what to put in their place.
  Result fill(Rows& rows) {
    using Missing = TableOptions::Missing;
    if (o_.missing == Missing::drop) {
      for (const auto* ports : {&inputs_, &labels_})
        for (const Columns& columns : *ports)
          for (const size_t c : columns)
            for (size_t r = 0; r < t_.rows(); ++r) kept_[r] = kept_[r] && !missing_cell(t_.cell(r, c));
      dropped_ = std::erase_if(rows.rows, [&](size_t r) { return !kept_[r]; });
      if (rows.rows.empty()) return failed("has a missing value in every row");
      return {};
    }
    if (info_.columns) fills_ = info_.columns->fills;
    if (o_.missing == Missing::zero && std::any_of(fills_.begin(), fills_.end(), [](double v) { return v != 0; }))
      return failed(
          "missing=zero is not what the net was trained with, missing=mean; leave it out, and the means of the "
          "training data are taken");
    if (o_.missing == Missing::error || !fills_.empty()) return {};
    if (o_.missing == Missing::mean && info_.columns)
      return failed("missing=mean takes the means of the training data, but the net was trained without missing=mean");
    for (const Columns& columns : inputs_)
      for (const size_t c : columns) {
        double sum = 0, v = 0;
        size_t n = 0;
        for (const size_t r : rows.rows)
          if (o_.missing == Missing::mean && cell_number(t_.cell(r, c), v) && std::isfinite(v)) sum += v, ++n;
        fills_.push_back(n == 0 ? 0 : sum / static_cast<double>(n));
      }
    return {};
  }

  Result bind() {
    inputs_.resize(info_.inputs.size());
    labels_.resize(info_.labels.size());
    std::vector<size_t> open_inputs, open_labels;
    for (size_t i = 0; i < labels_.size(); ++i) {
      take(named(info_.labels[i]), labels_[i]);
      if (labels_[i].empty()) open_labels.push_back(i);
    }
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (!info_.inputs[i].sized())
        return failed(fmt::format("is a table, but the net's input {} is {}; give images", info_.inputs[i].name,
                                  type_text(info_.inputs[i])));
      take(named(info_.inputs[i]), inputs_[i]);
      if (inputs_[i].empty()) open_inputs.push_back(i);
    }
    for (const auto& [open, ports, what] :
         {std::tuple{&open_labels, info_.labels, "label"}, std::tuple{&open_inputs, info_.inputs, "input"}}) {
      if (open->size() <= 1) continue;
      std::vector<const char*> missing;
      for (size_t i : *open) missing.push_back(ports[i].name);
      return failed(
          fmt::format("has no columns of the names of the net's {}s {}; call a column like its port, or several "
                      "PORT_1, PORT_2, ...; there are {}",
                      what, fmt::join(missing, ", "), names(unused())));
    }
    if (!open_labels.empty()) {
      const PortInfo& port = info_.labels[open_labels[0]];
      Columns rest = unused();
      if (rest.size() < port.elements())
        return failed(
            fmt::format("has no columns left for the net's label {}, which is {}", port.name, type_text(port)));
      rest.erase(rest.begin(), rest.end() - static_cast<std::ptrdiff_t>(port.elements()));
      take(rest, labels_[open_labels[0]]);
    }
    if (!open_inputs.empty()) {
      const PortInfo& port = info_.inputs[open_inputs[0]];
      Columns rest = unused();
      // a label that this net has no use for
      if (labels_.empty() && rest.size() == port.elements() + 1) rest.pop_back();
      if (rest.size() != port.elements()) {
        return failed(fmt::format("has {} for the net's input {} ({}), which is {}", counted(rest.size(), "column"),
                                  port.name, names(rest), type_text(port)));
      }
      take(rest, inputs_[open_inputs[0]]);
    }
    return {};
  }

  Result convert(const PortInfo& port, const Columns& columns, Column& out, bool input) {
    const size_t first = filled_columns_;
    if (input) filled_columns_ += columns.size();
    out.bytes = port.bytes();
    out.data.resize(t_.rows() * out.bytes);
    size_t at = 0;
    for (size_t r = 0; r < t_.rows(); ++r) {
      for (size_t k = 0; k < columns.size(); ++k) {
        const size_t c = columns[k];
        const std::string_view text = t_.cell(r, c);
        const bool missing = missing_cell(text);
        float f = 0;
        int64_t i = 0;
        bool good = false;
        if (missing && !kept_[r]) {
          at += size_of(port.dtype);
          continue;
        }
        std::string filled;
        if (missing && input && !fills_.empty()) {
          filled = port.dtype == DType::f32 ? fmt::format("{}", fills_[first + k])
                                            : fmt::format("{}", std::llround(fills_[first + k]));
          ++filled_;
        }
        const std::string_view value = filled.empty() ? text : std::string_view(filled);
        if (port.dtype == DType::f32) {
          good = cell_number(value, f) && std::isfinite(f);
          std::memcpy(out.data.data() + at, &f, 4);
        } else {
          const int64_t least = port.dtype == DType::i32 ? INT32_MIN : 0, most = port.dtype == DType::u8 ? 255
                                                                                 : port.dtype == DType::i32
                                                                                     ? INT32_MAX
                                                                                     : UINT32_MAX;
          good = cell_number(value, i) && i >= least && i <= most;
          std::memcpy(out.data.data() + at, &i, size_of(port.dtype));  // little-endian
        }
        if (!good && missing) {
          return tl::make_unexpected(fmt::format(
              "{}:{}: the value in column {} is missing; leave out such rows with 'csv:{}?missing=drop'{}", path_,
              t_.line(r), t_.names()[c], path_, input ? ", or train with missing=mean or missing=zero" : ""));
        }
        if (!good) {
          const bool comma = t_.separator() != ',' && text.find(',') != std::string_view::npos;
          double wide = 0;
          const char* wanted = port.dtype != DType::f32                          ? "integer in range"
                               : cell_number(value, wide) && std::isfinite(wide) ? "number that float32 holds"
                                                                                 : "number";
          return tl::make_unexpected(
              fmt::format("{}:{}: '{}' in column {} is no {}, which the net's {} takes{}", path_, t_.line(r),
                          text.substr(0, 40), t_.names()[c], wanted, port.name,
                          comma ? "; its fractions are parted by commas: write them with a point, as 0.5" : ""));
        }
        at += size_of(port.dtype);
      }
    }
    return {};
  }

  /// Indices of another label's classes, whose names nobody knows.
  Result check_classes(size_t label, const Column& column) const {
    const int64_t classes = classes_at(info_, label);
    for (size_t r = 0; r < t_.rows() && classes > 0; ++r) {
      int32_t v = 0;
      std::memcpy(&v, column.data.data() + r * sizeof v, sizeof v);
      if (kept_[r] && (v < 0 || v >= classes)) {
        return tl::make_unexpected(fmt::format("{}:{}: {} in column {} is none of the {} that the net tells apart",
                                               path_, t_.line(r), v, t_.names()[labels_[label][0]],
                                               counted(classes, "class")));
      }
    }
    return {};
  }

  /// A column of class indices, or of names: classes in the alphabet's order, or in that of the net's.
  Result classify(size_t column, Column& out, Rows& rows) const {
    std::vector<int64_t> numbers(t_.rows());
    bool indices = true;
    int64_t most = 0;
    std::set<std::string, std::less<>> seen;
    for (size_t r = 0; r < t_.rows(); ++r) {
      const std::string text = nfc(trimmed(t_.cell(r, column)));
      if (!kept_[r]) continue;
      if (missing_cell(text) && std::find(info_.classes.begin(), info_.classes.end(), text) == info_.classes.end())
        return tl::make_unexpected(
            fmt::format("{}:{}: the class in column {} is missing; leave out such rows with 'csv:{}?missing=drop'",
                        path_, t_.line(r), t_.names()[column], path_));
      indices = indices && cell_number(text, numbers[r]) && numbers[r] >= 0 && numbers[r] < kMostClasses;
      if (indices) most = std::max(most, numbers[r]);
      if (seen.find(text) == seen.end()) seen.emplace(text);
    }
    std::vector<std::string> own(seen.begin(), seen.end());
    if (indices) {
      own.clear();
      const auto named = static_cast<int64_t>(info_.classes.size());  // that many, where they are enough
      for (int64_t i = 0; i < std::max(most + 1, named); ++i) own.push_back(fmt::format("{}", i));
    }
    const auto map = match_classes(own, indices, "csv:" + path_, info_);
    if (!map) return tl::make_unexpected(map.error());
    rows.class_names = map->names;
    rows.class_indices.resize(t_.rows());
    for (size_t r = 0; r < t_.rows(); ++r) {
      if (!kept_[r]) continue;
      const auto place =
          indices ? static_cast<size_t>(numbers[r])
                  : static_cast<size_t>(std::lower_bound(own.begin(), own.end(), nfc(trimmed(t_.cell(r, column)))) -
                                        own.begin());
      rows.class_indices[r] = map->labels[place];
    }
    out.bytes = sizeof(int32_t);
    out.data.resize(t_.rows() * out.bytes);
    std::memcpy(out.data.data(), rows.class_indices.data(), out.data.size());
    return {};
  }

  const CsvTable& t_;
  const TableOptions& o_;
  const std::string& path_;
  const ModelInfo& info_;
  std::vector<bool> used_, kept_;  // columns; rows
  std::vector<Columns> inputs_, labels_;
  std::vector<double> fills_;  // of the inputs' columns, one after another
  size_t filled_columns_ = 0, filled_ = 0, dropped_ = 0;
};

}  // namespace

Opened open_csv(const std::string& path, Split split, const ModelInfo& info) {
  const auto options = table_options(path);
  if (!options) return tl::make_unexpected(options.error());
  const auto table = CsvTable::read(options->path, options->header);
  if (!table) return tl::make_unexpected(table.error());
  return Reader(*table, *options, info).run(split);
}

}  // namespace netc::rt
