#include "runtime/train/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

namespace netc::rt {

uint64_t Confusion::of_class(int truth) const {
  uint64_t n = 0;
  for (int c = 0; c < classes_; ++c) n += at(truth, c);
  return n;
}

uint64_t Confusion::answered(int answer) const {
  uint64_t n = 0;
  for (int c = 0; c < classes_; ++c) n += at(c, answer);
  return n;
}

double Confusion::precision(int c) const {
  const uint64_t n = answered(c);
  return n == 0 ? 0 : static_cast<double>(at(c, c)) / static_cast<double>(n);
}

double Confusion::recall(int c) const {
  const uint64_t n = of_class(c);
  return n == 0 ? 0 : static_cast<double>(at(c, c)) / static_cast<double>(n);
}

double Confusion::f1(int c) const {
  const double p = precision(c), r = recall(c);
  return p + r == 0 ? 0 : 2 * p * r / (p + r);
}

int Confusion::majority() const {
  int best = 0;
  for (int c = 1; c < classes_; ++c) {
    if (of_class(c) > of_class(best)) best = c;
  }
  return best;
}

double Confusion::majority_share() const {
  uint64_t all = 0;
  for (const uint64_t n : cells_) all += n;
  return all == 0 ? 0 : static_cast<double>(of_class(majority())) / static_cast<double>(all);
}

int answer_of(const float* row, int outputs, float threshold) {
  if (outputs == 1) return row[0] > threshold ? 1 : 0;
  int best = 0;
  for (int i = 1; i < outputs; ++i) {
    if (row[i] > row[best]) best = i;
  }
  return best;
}

int classes_of(const PortInfo& output, const PortInfo& label) {
  if (label.dtype != DType::i32 || output.rank != label.rank + 1) return 0;
  return classes_of(static_cast<int>(output.dims[output.rank - 1]));
}

std::string class_name(const ModelInfo& info, const std::vector<std::string>& of_data, int index) {
  const size_t i = static_cast<size_t>(index);
  if (i < of_data.size()) return of_data[i];
  if (i < info.classes.size()) return info.classes[i];
  return fmt::format("{}", index);
}

namespace {

constexpr size_t kThresholds = 200;  // of the curves, as many as Keras takes

/// Of the 200 thresholds, the first below 0, 1/199, 2/199, ..., the last above 1: how many a probability exceeds. A NaN
/// exceeds none.
size_t exceeded(double p) {
  if (!(p >= 0)) return 0;
  if (p > 1) return kThresholds;
  size_t n = static_cast<size_t>(p * (kThresholds - 1));
  while (n > 0 && p <= static_cast<double>(n) / (kThresholds - 1)) --n;
  return n + 1;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double ratio(double a, double b) { return b == 0 ? 0 : a / b; }
double harmonic(double p, double r) { return ratio(2 * p * r, p + r); }

bool below_is_better(std::string_view name) {
  for (const std::string_view error : {"mae", "mse", "rmse", "perplexity"})
    if (name == error) return true;
  return name.find("loss") != std::string_view::npos;
}

}  // namespace

bool higher_is_better(std::string_view monitor) {
  if (monitor.substr(0, 4) == "val_") monitor.remove_prefix(4);
  return !below_is_better(monitor.substr(monitor.find(':') + 1));
}

const Metrics::Named Metrics::kKinds[] = {{"accuracy", Kind::accuracy},
                                          {"top", Kind::top},
                                          {"binary_accuracy", Kind::binary_accuracy},
                                          {"precision", Kind::precision},
                                          {"recall", Kind::recall},
                                          {"f1", Kind::f1},
                                          {"auc", Kind::auc},
                                          {"auc_pr", Kind::auc_pr},
                                          {"perplexity", Kind::perplexity},
                                          {"mae", Kind::mae},
                                          {"mse", Kind::mse},
                                          {"rmse", Kind::rmse},
                                          {"r2", Kind::r2}};

Metrics::Metrics(const PortInfo& output, const PortInfo& label, std::span<const char* const> names)
    : classes_(classes_of(output, label)),
      scores_(output.means == Means::scores) {
  const bool values = label.dtype == DType::f32 && label.rank == output.rank &&
                      std::equal(label.dims, label.dims + label.rank, output.dims);
  outputs_ = classifies() ? static_cast<int>(output.dims[output.rank - 1]) : 1;
  rows_ = classifies() ? static_cast<int64_t>(label.elements()) : values ? static_cast<int64_t>(output.elements()) : 0;
  if (classifies()) add_measure("accuracy");
  for (const std::string_view name : names)
    if (name != "accuracy") add_measure(name);
  reset();
}

void Metrics::add_measure(std::string_view name) {
  std::string_view base = name;
  double number = 0.5;
  const size_t at = name.find('@');
  const bool top = at == std::string_view::npos && name.size() > 3 && name.substr(0, 3) == "top";
  if (at != std::string_view::npos || top) {
    base = top ? name.substr(0, 3) : name.substr(0, at);
    const std::string digits(name.substr(top ? 3 : at + 1));
    char* end = nullptr;
    number = std::strtod(digits.c_str(), &end);
    if (digits.empty() || *end != 0) return;
  }
  for (const Measure& m : measures_)
    if (m.name == name) return;
  for (const Named& k : kKinds) {
    if (base != k.name || !fits(k.kind, number)) continue;
    measures_.push_back({k.kind, std::string(name), number, state_.whole.size(), state_.sums.size()});
    state_.whole.resize(state_.whole.size() + whole_of(k.kind));
    state_.sums.resize(state_.sums.size() + (k.kind == Kind::r2 ? 3 : k.kind >= Kind::perplexity ? 1 : 0));
  }
}

bool Metrics::fits(Kind kind, double number) const {
  if (rows_ == 0) return false;
  switch (kind) {
    case Kind::accuracy: return classifies();
    case Kind::top: return classifies() && number >= 1;
    case Kind::binary_accuracy: return !classifies() || outputs_ == 1;
    case Kind::precision:
    case Kind::recall:
    case Kind::f1: return true;
    case Kind::auc:
    case Kind::auc_pr: return !classifies() || classes_ == 2;
    case Kind::perplexity: return outputs_ > 1;
    case Kind::mae:
    case Kind::mse:
    case Kind::rmse:
    case Kind::r2: return !classifies();
  }
  return false;
}

size_t Metrics::whole_of(Kind kind) const {
  switch (kind) {
    case Kind::accuracy:
    case Kind::top:
    case Kind::binary_accuracy: return 1;
    // right, answered, true: of yes, or of each class
    case Kind::precision:
    case Kind::recall:
    case Kind::f1: return 3 * static_cast<size_t>(outputs_);
    // of truths no and yes, by how many thresholds they exceed
    case Kind::auc:
    case Kind::auc_pr: return 2 * (kThresholds + 1);
    default: return 0;
  }
}

void Metrics::reset() {
  state_.loss_sum = 0;
  state_.count = 0;
  std::fill(state_.whole.begin(), state_.whole.end(), 0);
  std::fill(state_.sums.begin(), state_.sums.end(), 0);
  confusion_ = Confusion(classes_ <= kMostClasses ? classes_ : 0);
}

float Metrics::probability(const float* row, int of_class) const {
  if (outputs_ == 1) {
    const float yes = scores_ ? static_cast<float>(sigmoid(row[0])) : row[0];
    return of_class == 1 ? yes : 1 - yes;
  }
  if (!scores_) return row[of_class];
  double sum = 0;
  for (int c = 0; c < outputs_; ++c) sum += std::exp(static_cast<double>(row[c]) - row[of_class]);
  return static_cast<float>(1 / sum);
}

void Metrics::add(const float* outputs, const void* labels, int n, double loss) {
  state_.loss_sum += loss * n;
  state_.count += static_cast<uint64_t>(n);
  const int64_t rows = n * rows_;
  for (int64_t i = 0; i < rows; ++i) {
    if (classifies()) add_row(outputs + i * outputs_, static_cast<const int32_t*>(labels)[i]);
    else add_value(outputs[i], static_cast<const float*>(labels)[i]);
  }
}

void Metrics::add_row(const float* row, int label) {
  const bool known = label >= 0 && label < classes_;
  const int answer = this->answer(row);
  if (known && confusion_.classes() > 0) confusion_.add(label, answer);
  for (const Measure& m : measures_) {
    uint64_t* whole = state_.whole.data() + m.whole;
    switch (m.kind) {
      case Kind::accuracy: *whole += answer == label; break;
      case Kind::top: {
        int before = answer == label ? 0 : 1;  // classes that come before the label's
        if (outputs_ > 1 && known) {
          before = 0;
          for (int c = 0; c < outputs_; ++c) before += row[c] > row[label] || (row[c] == row[label] && c < label);
          if (row[label] != row[label]) before = outputs_;  // not a number: last
        }
        *whole += known && before < m.number;
        break;
      }
      case Kind::precision:
      case Kind::recall:
      case Kind::f1:
        if (outputs_ == 1) {
          if (known) add_answer(m, probability(row, 1), label == 1);
          break;
        }
        ++whole[3 * answer + 1];
        if (known) whole[3 * answer] += answer == label, ++whole[3 * label + 2];
        break;
      case Kind::perplexity:
        state_.sums[m.sums] -= std::log(std::max(known ? static_cast<double>(probability(row, label)) : 0.0, 1e-7));
        break;
      default:
        if (known) add_answer(m, probability(row, 1), label == 1);
    }
  }
}

void Metrics::add_value(double output, double target) {
  for (const Measure& m : measures_) {
    double* sums = state_.sums.data() + m.sums;
    switch (m.kind) {
      case Kind::mae: *sums += std::abs(output - target); break;
      case Kind::mse:
      case Kind::rmse: *sums += (output - target) * (output - target); break;
      case Kind::r2:
        sums[0] += (output - target) * (output - target), sums[1] += target, sums[2] += target * target;
        break;
      default: add_answer(m, scores_ ? sigmoid(output) : output, target > 0.5);
    }
  }
}

/// An answer of yes and no, `probability` that of yes.
void Metrics::add_answer(const Measure& m, double probability, bool truth) {
  uint64_t* whole = state_.whole.data() + m.whole;
  const bool yes = probability > m.number;
  if (m.kind == Kind::binary_accuracy) *whole += yes == truth;
  else if (m.kind == Kind::auc || m.kind == Kind::auc_pr)
    ++whole[(truth ? kThresholds + 1 : 0) + exceeded(probability)];
  else whole[0] += yes && truth, whole[1] += yes, whole[2] += truth;
}

double Metrics::share(uint64_t n) const {
  return ratio(static_cast<double>(n), static_cast<double>(state_.count) * static_cast<double>(rows_));
}

double Metrics::value(const Measure& m) const {
  const double n = static_cast<double>(state_.count) * static_cast<double>(rows_);
  switch (m.kind) {
    case Kind::accuracy:
    case Kind::top:
    case Kind::binary_accuracy: return share(state_.whole[m.whole]);
    case Kind::precision:
    case Kind::recall:
    case Kind::f1: return of_answers(m);
    case Kind::auc:
    case Kind::auc_pr: return area(m);
    case Kind::perplexity: return n == 0 ? 0 : std::exp(state_.sums[m.sums] / n);
    case Kind::mae:
    case Kind::mse: return ratio(state_.sums[m.sums], n);
    case Kind::rmse: return std::sqrt(ratio(state_.sums[m.sums], n));
    case Kind::r2: return r2(m);
  }
  return 0;
}

/// Of yes; of several classes the mean over those that occur as truth or answer.
double Metrics::of_answers(const Measure& m) const {
  double sum = 0;
  int occur = 0;
  for (int c = 0; c < outputs_; ++c) {
    const uint64_t* whole = state_.whole.data() + m.whole + 3 * c;
    const double right = static_cast<double>(whole[0]), answered = static_cast<double>(whole[1]),
                 truths = static_cast<double>(whole[2]);
    occur += whole[1] + whole[2] > 0;
    const double precision = ratio(right, answered), recall = ratio(right, truths);
    sum += m.kind == Kind::precision ? precision : m.kind == Kind::recall ? recall : harmonic(precision, recall);
  }
  return ratio(sum, occur);
}

/// From the highest threshold to the lowest, and at last without one: what is answered yes only grows.
double Metrics::area(const Measure& m) const {
  const uint64_t *no = state_.whole.data() + m.whole, *yes = no + kThresholds + 1;
  double negatives = 0, positives = 0, sum = 0, fp = 0, tp = 0;
  for (size_t i = 0; i <= kThresholds; ++i)
    negatives += static_cast<double>(no[i]), positives += static_cast<double>(yes[i]);
  for (size_t i = kThresholds + 1; i-- > 0;) {
    const double fp_next = fp + static_cast<double>(no[i]), tp_next = tp + static_cast<double>(yes[i]);
    if (m.kind == Kind::auc) {
      sum += ratio((fp_next - fp) * (tp + tp_next) / 2, negatives * positives);
    } else {  // between two thresholds the right answers grow evenly with all answers: tp = slope * answers + start
      const double answers = tp + fp, answers_next = tp_next + fp_next,
                   slope = ratio(tp_next - tp, answers_next - answers), start = tp - slope * answers;
      const double growth = answers > 0 ? std::log(answers_next / answers) : 0;
      sum += ratio(slope * (tp_next - tp + start * growth), positives);
    }
    fp = fp_next, tp = tp_next;
  }
  return sum;
}

double Metrics::r2(const Measure& m) const {
  const double* sums = state_.sums.data() + m.sums;
  const double n = static_cast<double>(state_.count) * static_cast<double>(rows_),
               spread = sums[2] - ratio(sums[1] * sums[1], n);
  return spread <= 0 ? 0 : 1 - sums[0] / spread;
}

std::vector<NamedValue> Metrics::values() const {
  std::vector<NamedValue> out{{"loss", loss()}};
  for (const Measure& m : measures_) out.push_back({m.name, value(m)});
  return out;
}

void Metrics::restore(const Counts& c) {
  if (c.whole.size() != state_.whole.size() || c.sums.size() != state_.sums.size()) return;
  state_ = c;
}

}  // namespace netc::rt
