// What a run prints: a line an epoch, redrawn in place on a terminal; plain lines, or one JSON object a line,
// elsewhere.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "runtime/counted.h"
#include "runtime/train/output_metrics.h"
#include "runtime/train/run_folder.h"

namespace netc::rt {

class Progress {
 public:
  struct Options {
    bool json = false, quiet = false, color = false;
  };
  explicit Progress(const Options& options);

  /// A line for people; not with json or quiet.
  void note(const std::string& line);
  /// A line that is printed even when quiet; with json as {"event":"message"}.
  void closing(const std::string& line);
  /// One JSON object; only with json.
  void event(const nlohmann::json& event);
  void start_epoch(int64_t epoch, int64_t epochs, size_t batches, size_t done);
  /// After each step; draws at most ten times a second.
  void step(size_t done, const OutputMetrics& metrics);
  void end_epoch(const EpochRow& row, bool best);

 private:
  using Clock = std::chrono::steady_clock;
  void clear_line();
  /// "  loss 0.0712  accuracy 0.9781"; values beyond `room` columns are left out.
  std::string values_text(const std::vector<NamedValue>& values, size_t room) const;

  Options options_;
  bool terminal_;
  int64_t epoch_ = 0, epochs_ = 0;
  size_t batches_ = 0, first_ = 0;
  Clock::time_point epoch_start_, drawn_;
  bool line_open_ = false;
};

/// "1.2 s", "3:07", "2:15:00".
std::string duration_text(double seconds);

}  // namespace netc::rt
