// The folder of one training run: runs/NAME-1, -2, ... with args.json, results.csv, weights, state/ and report.html.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "runtime/model.h"
#include "runtime/train/metrics.h"

namespace netc::rt {

/// What a run was started with, everything resolved: args.json.
struct RunArgs {
  std::string data, valid, weights;
  int64_t epochs = 1, batch = 32;
  double lr = 1e-3;
  uint64_t seed = 1;
  int threads = 0;
};

/// What one epoch gave: loss, accuracy, ..., val_loss, val_accuracy, ..., lr, seconds.
struct EpochRow {
  int64_t epoch = 0;                        // from 1
  std::vector<NamedValue> values;
  /// Null when there is no such value.
  const double* find(std::string_view name) const;
};

class RunFolder {
 public:
  /// Makes `out`, which must not exist or be empty; or, when `out` is empty, the first free runs/NAME-k.
  static tl::expected<RunFolder, std::string> create(const std::string& out, const std::string& name);
  /// An existing run, to resume.
  static tl::expected<RunFolder, std::string> open(const std::string& path);

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

  tl::expected<void, std::string> write_args(const RunArgs& args, const ModelInfo& info) const;
  tl::expected<RunArgs, std::string> read_args() const;
  /// One line for each row; the columns are those of the first row.
  tl::expected<void, std::string> write_results(const std::vector<EpochRow>& rows, const std::string& name = "results.csv") const;

 private:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace netc::rt
