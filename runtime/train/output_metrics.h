// What is counted over a split for a net of any outputs: the loss, its terms, and the metrics of each output that has
// some.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "runtime/data/loader.h"
#include "runtime/train/metrics.h"

namespace netc::rt {

/// An output that tells classes apart, and the label it is compared with.
struct Classified {
  size_t output = 0, label = 0;
};
/// The first such output of the net; none: it classifies nothing.
std::optional<Classified> classified(const ModelInfo& info);

class OutputMetrics {
 public:
  explicit OutputMetrics(const ModelInfo& info);

  void reset();
  /// What an evaluation or a step of `batch` left in the model; `loss` is its result.
  void add(const Model& model, const Batch& batch, double loss);

  uint64_t count() const { return count_; }
  double loss() const { return count_ == 0 ? 0 : loss_sum_ / static_cast<double>(count_); }
  /// "loss"; where it has several terms each as "OUTPUT:loss"; then each output's metrics, named by the output too but
  /// for the first.
  std::vector<NamedValue> values() const;
  /// The value that the best epoch is told by: "accuracy", "loss" where nothing is classified.
  const char* best_by() const;
  /// Of the output that classifies; null: none does.
  const Metrics* classes() const { return classes_ < 0 ? nullptr : &parts_[static_cast<size_t>(classes_)].metrics; }

  /// All that add() changed, to go on later with the same bits.
  struct Counts {
    double loss_sum = 0;
    uint64_t count = 0;
    std::vector<double> terms;
    std::vector<Metrics::Counts> outputs;
  };
  Counts counts() const;
  void restore(const Counts& c);

 private:
  /// One output against what its first term compares it with.
  struct Part {
    size_t output;
    TargetKind kind;
    size_t target;
    std::string prefix;
    Metrics metrics;
  };
  std::vector<std::string> term_names_;
  std::vector<double> term_sums_;
  std::vector<Part> parts_;
  int classes_ = -1;  // the part that classifies
  double loss_sum_ = 0;
  uint64_t count_ = 0;
};

}  // namespace netc::rt
