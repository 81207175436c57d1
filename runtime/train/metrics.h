// What is counted over a split: accuracy, top-k, confusion, loss.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/model.h"

namespace netc::rt {

/// Rows: the true class; columns: the class answered.
class Confusion {
 public:
  explicit Confusion(int classes = 0) : classes_(classes), cells_(static_cast<size_t>(classes) * static_cast<size_t>(classes), 0) {}
  void add(int truth, int answer) { ++cells_[static_cast<size_t>(truth) * static_cast<size_t>(classes_) + static_cast<size_t>(answer)]; }
  int classes() const { return classes_; }
  uint64_t at(int truth, int answer) const { return cells_[static_cast<size_t>(truth) * static_cast<size_t>(classes_) + static_cast<size_t>(answer)]; }
  uint64_t of_class(int truth) const;               // samples of that class
  uint64_t answered(int answer) const;              // samples answered so
  double precision(int c) const;                    // 0 when the class was never answered
  double recall(int c) const;                       // 0 when the class has no sample
  double f1(int c) const;
  int majority() const;                             // the class with the most samples
  double majority_share() const;                    // of all samples; the accuracy of always answering it
  const std::vector<uint64_t>& cells() const { return cells_; }
  void set_cells(std::vector<uint64_t> cells) { if (cells.size() == cells_.size()) cells_ = std::move(cells); }

 private:
  int classes_;
  std::vector<uint64_t> cells_;
};

/// The class a row of outputs answers: its largest (the first of equals); of a single output, whether it is above 1/2.
int answer_of(const float* row, int outputs);
/// How many classes a net with that many outputs tells apart: a single output tells two.
inline int classes_of(int outputs) { return outputs == 1 ? 2 : outputs; }
int outputs_of(const ModelInfo& info);
/// The class's name: the net's, else the data's, else its number.
std::string class_name(const ModelInfo& info, const std::vector<std::string>& of_data, int index);

/// The classes' names as weight files carry them ("classes" of their metadata), and back; anything damaged: none.
std::string classes_metadata(const std::vector<std::string>& classes);
std::vector<std::string> classes_from_metadata(const std::string& text);

struct NamedValue { std::string name; double value; };

/// Counts over samples; the order of the batches does not matter, but for the loss's last bits.
class Metrics {
 public:
  static constexpr int kMostClasses = 2048;         // beyond it the confusion matrix is left empty (0 classes)
  Metrics() : Metrics(2, {}) {}
  /// `names`: "accuracy", "topK", "confusion_matrix"; others are ignored. Accuracy and the confusion matrix are always counted.
  Metrics(int outputs, std::span<const char* const> names);

  void reset();
  /// n rows of outputs with their labels, and the batch's mean loss. Labels outside the classes count as wrong and stay out of the confusion matrix.
  void add(const float* outputs, const int32_t* labels, int n, double loss);

  uint64_t count() const { return count_; }
  double loss() const { return count_ == 0 ? 0 : loss_sum_ / static_cast<double>(count_); }
  double accuracy() const { return share(correct_); }
  double top_k(int k) const;                        // of a k among the names; else 0
  const std::vector<int>& ks() const { return ks_; }
  const Confusion& confusion() const { return confusion_; }
  /// loss, accuracy, then each topK: what is printed and logged.
  std::vector<NamedValue> values() const;

  /// All that add() changed, to go on later with the same bits.
  struct Counts { double loss_sum = 0; uint64_t count = 0, correct = 0; std::vector<uint64_t> top, cells; };
  Counts counts() const { return {loss_sum_, count_, correct_, top_, confusion_.cells()}; }
  void restore(const Counts& c);

 private:
  static Confusion empty_confusion(int outputs) { return Confusion(classes_of(outputs) <= kMostClasses ? classes_of(outputs) : 0); }
  double share(uint64_t n) const { return count_ == 0 ? 0 : static_cast<double>(n) / static_cast<double>(count_); }
  int outputs_;
  std::vector<int> ks_;
  double loss_sum_ = 0;
  uint64_t count_ = 0, correct_ = 0;
  std::vector<uint64_t> top_;                       // samples whose label is among the k largest, of each ks_
  Confusion confusion_;
};

}  // namespace netc::rt
