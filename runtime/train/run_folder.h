// The folder of one training run: runs/NAME-1, -2, ... with args.json, results.csv, weights, state/ and report.html;
// one process at a time has it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "runtime/train/metrics.h"
#include "runtime/train/run_lock.h"

namespace netc::rt {

/// What one epoch gave: loss, accuracy, ..., val_loss, val_accuracy, ..., lr, seconds.
struct EpochRow {
  int64_t epoch = 0;  // from 1
  std::vector<NamedValue> values;
  /// Null when there is no such value.
  const double* find(std::string_view name) const;
};

class RunFolder {
 public:
  /// Makes `out`, which must not exist or be empty (but for what a process left that was killed before it had begun);
  /// or, when `out` is empty, the first free runs/NAME-k.
  static tl::expected<RunFolder, std::string> create(const std::string& out, const std::string& name);
  /// An existing run, to resume; what killed processes left in it is swept.
  static tl::expected<RunFolder, std::string> open(const std::string& path);

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

  /// Where a table that the program wants to write lies: `name`, or `name` in the folder. The error: it is one of the
  /// run's own files, or there is something that is no such table.
  tl::expected<std::string, std::string> table(const std::string& name) const;

 private:
  RunFolder(std::string path, RunLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  RunLock lock_;
};

/// The first line of a table of epochs, and that of an epoch; both end with a line break.
std::string table_head(const EpochRow& row);
std::string table_line(const std::vector<NamedValue>& columns, const EpochRow& row);
/// All of them; no rows: no text.
std::string table_text(const std::vector<EpochRow>& rows);

}  // namespace netc::rt
