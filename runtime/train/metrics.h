// What is counted over a split: the loss and the metrics of one output against its label.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/model.h"

namespace netc::rt {

/// Rows: the true class; columns: the class answered.
class Confusion {
 public:
  explicit Confusion(int classes = 0)
      : classes_(classes),
        cells_(static_cast<size_t>(classes) * static_cast<size_t>(classes), 0) {}
  void add(int truth, int answer) {
    ++cells_[static_cast<size_t>(truth) * static_cast<size_t>(classes_) + static_cast<size_t>(answer)];
  }
  int classes() const { return classes_; }
  uint64_t at(int truth, int answer) const {
    return cells_[static_cast<size_t>(truth) * static_cast<size_t>(classes_) + static_cast<size_t>(answer)];
  }
  uint64_t of_class(int truth) const;   // samples of that class
  uint64_t answered(int answer) const;  // samples answered so
  double precision(int c) const;        // 0 when the class was never answered
  double recall(int c) const;           // 0 when the class has no sample
  double f1(int c) const;
  int majority() const;           // the class with the most samples
  double majority_share() const;  // of all samples; the accuracy of always answering it

 private:
  int classes_;
  std::vector<uint64_t> cells_;
};

/// The class a row of outputs answers: its largest (the first of equals); of a single output, whether it is above the
/// threshold.
int answer_of(const float* row, int outputs, float threshold = 0.5f);
/// How many classes a net with that many outputs tells apart: a single output tells two.
inline int classes_of(int outputs) { return outputs == 1 ? 2 : outputs; }
/// The same of an output and its label: of f32[..., C] with one class index for each row, i32[...]; 0 when the label is
/// no class index.
int classes_of(const PortInfo& output, const PortInfo& label);
/// The class's name: that of the data or of the weights, which have an order of their own, else the net's, else its
/// number.
std::string class_name(const ModelInfo& info, const std::vector<std::string>& of_data, int index);

struct NamedValue {
  std::string name;
  double value;
};

/// Sums over samples; the order of the batches matters to the last bits of those that are not counts.
class Metrics {
 public:
  static constexpr int kMostClasses = 2048;  // beyond it the confusion matrix is left empty (0 classes)
  Metrics() : Metrics({"", DType::f32, 1, {2}}, {"", DType::i32, 0, {}}, {}) {}
  /// `names` as the compiler writes them (compiler/ops/loss/metrics.cpp): "accuracy", "top2", "precision@0.4". Names
  /// that do not fit the label, and those of other outputs ("kind:accuracy"), are ignored. With class indices as labels
  /// the accuracy comes first, named or not, and the confusion matrix is kept.
  Metrics(const PortInfo& output, const PortInfo& label, std::span<const char* const> names);

  void reset();
  /// n samples of outputs and labels, and the batch's mean loss. Labels outside the classes count as wrong and stay out
  /// of the confusion matrix.
  void add(const float* outputs, const void* labels, int n, double loss);

  uint64_t count() const { return state_.count; }  // samples
  double loss() const { return state_.count == 0 ? 0 : state_.loss_sum / static_cast<double>(state_.count); }
  /// Labels are class indices: there are an accuracy and a confusion matrix.
  bool classifies() const { return classes_ > 0; }
  /// ... and a sample has one.
  bool classifies_samples() const { return classes_ > 0 && rows_ == 1; }
  double accuracy() const { return classifies() ? value(measures_.front()) : 0; }
  const Confusion& confusion() const { return confusion_; }
  /// The class that one row of outputs answers, and its probability.
  int answer(const float* row) const { return answer_of(row, outputs_, scores_ ? 0.0f : 0.5f); }
  float probability(const float* row, int of_class) const;
  /// loss, accuracy where there is one, then the other metrics as they were named: what is printed and logged.
  std::vector<NamedValue> values() const;

  /// All that add() changed but the confusion matrix, to go on later with the same bits.
  struct Counts {
    double loss_sum = 0;
    uint64_t count = 0;
    std::vector<uint64_t> whole;
    std::vector<double> sums;
  };
  const Counts& counts() const { return state_; }
  void restore(const Counts& c);

 private:
  enum class Kind : uint8_t {
    accuracy,
    top,
    binary_accuracy,
    precision,
    recall,
    f1,
    auc,
    auc_pr,
    perplexity,
    mae,
    mse,
    rmse,
    r2
  };
  /// number: k or the threshold; then where its counters begin
  struct Measure {
    Kind kind;
    std::string name;
    double number;
    size_t whole, sums;
  };
  struct Named {
    const char* name;
    Kind kind;
  };
  static const Named kKinds[];

  void add_measure(std::string_view name);
  bool fits(Kind kind, double number) const;
  size_t whole_of(Kind kind) const;  // counters it keeps
  void add_row(const float* row, int label);
  void add_value(double output, double target);
  void add_answer(const Measure& m, double probability, bool truth);
  double value(const Measure& m) const;
  double share(uint64_t n) const;  // of all rows or values
  double of_answers(const Measure& m) const;
  double area(const Measure& m) const;
  double r2(const Measure& m) const;

  int outputs_ = 0;   // of a row
  int classes_ = 0;   // 0: labels are no class indices
  int64_t rows_ = 0;  // of a sample: class indices, or values; 0: the label fits nothing
  bool scores_ = false;
  std::vector<Measure> measures_;
  Counts state_;
  Confusion confusion_;
};

/// True for accuracies and the like, false for losses and errors: whether a monitored value is to rise. "val_box:mae"
/// is mae.
bool higher_is_better(std::string_view monitor);

}  // namespace netc::rt
