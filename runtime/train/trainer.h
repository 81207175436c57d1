// The training loop and evaluation: what `program train` and `program eval` run.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/data/loader.h"
#include "runtime/model.h"
#include "runtime/train/output_metrics.h"

namespace netc::rt {

/// What the command line gives; an empty or absent value means the .net file's own (or, with `resume`, the resumed
/// run's).
struct TrainOptions {
  /// data SPECs; valid empty: the .net file's, else the test split of mnist:, cifar:, synthetic:, else what csv:, npy:,
  /// text: and masks: hold out
  std::string data, valid;
  std::string weights;  // start from this safetensors file instead of fresh weights
  std::string out;      // the run's folder; empty: runs/NAME-1, -2, ...
  std::string resume;   // continue the run in this folder
  std::string program;  // argv[0], for the hints printed at the end
  std::optional<int64_t> epochs, batch;
  std::optional<double> lr;
  std::optional<uint64_t> seed;
  int threads = 0;                   // 0: as many as the machine has cores
  bool json = false;                 // one JSON object a line instead of progress
  bool quiet = false;                // only errors and the closing lines
  std::optional<double> save_every;  // seconds between two saves within an epoch; 0: after each step; absent: see Saver
  bool accept_data_change = false;   // resume although the data is not what it was
  std::optional<bool> color;         // absent: when stdout is a terminal and NO_COLOR is not set
};

/// Trains; prints progress to stdout and errors to stderr. Returns the exit code: 0 done, 1 failed, 130 interrupted (by
/// SIGINT, SIGTERM or SIGHUP) and saved.
int train(const ModelInfo& info, CreateFn create, const TrainOptions& options);

struct EvalResult {
  explicit EvalResult(const ModelInfo& info) : metrics(info) {}
  double loss = 0;  // mean over the samples, penalties included
  OutputMetrics metrics;
  size_t n = 0;           // samples seen
  size_t not_finite = 0;  // of them, whose answers are no numbers
  /// Of the output that classifies; without any: no classes.
  const Confusion& confusion() const {
    static const Confusion none;
    return metrics.classes() ? metrics.classes()->confusion() : none;
  }
};

/// Whether all outputs of a sample of the last batch are finite; others are no answer.
bool finite_answer(const Model& model, size_t sample);

/// Runs every batch of `loader` (epoch 0, in its order) through the model's inference form. Nothing is counted after
/// `stop` becomes true.
EvalResult evaluate(Model& model, Loader& loader, const std::function<bool()>& stop = {});

/// The spec a run validates on, and "" when there is none; see TrainOptions::valid. `data_given`: the training data was
/// named on the command line.
std::string validation_spec(const ModelInfo& info, const std::string& data, bool data_given, const std::string& valid);

/// A net with the classes and columns that it was trained on: data opened with it gets the same labels, and tables are
/// read by the same names. `columns`: null, or outlives it.
class NamedInfo {
 public:
  NamedInfo(const ModelInfo& info, const std::vector<std::string>& classes, const TableColumns* columns);
  NamedInfo(const NamedInfo&) = delete;
  NamedInfo& operator=(const NamedInfo&) = delete;
  const ModelInfo& info() const { return info_; }

 private:
  std::vector<std::string> names_;
  std::vector<const char*> pointers_;
  ModelInfo info_;
};

}  // namespace netc::rt
