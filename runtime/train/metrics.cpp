#include "runtime/train/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
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

int answer_of(const float* row, int outputs) {
  if (outputs == 1) return row[0] > 0.5f ? 1 : 0;
  int best = 0;
  for (int i = 1; i < outputs; ++i) {
    if (row[i] > row[best]) best = i;
  }
  return best;
}

int outputs_of(const ModelInfo& info) {
  return static_cast<int>(info.output().elements());
}

std::string classes_metadata(const std::vector<std::string>& classes) {
  return nlohmann::json(classes).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<std::string> classes_from_metadata(const std::string& text) {
  std::vector<std::string> classes;
  const nlohmann::json j = nlohmann::json::parse(text, nullptr, false);
  if (!j.is_array()) return {};
  for (const nlohmann::json& name : j) {
    if (!name.is_string()) return {};
    classes.push_back(name.get<std::string>());
  }
  return classes;
}

std::string class_name(const ModelInfo& info, const std::vector<std::string>& of_data, int index) {
  const size_t i = static_cast<size_t>(index);
  if (i < info.classes.size()) return info.classes[i];
  if (i < of_data.size()) return of_data[i];
  return fmt::format("{}", index);
}

Metrics::Metrics(int outputs, std::span<const char* const> names) : outputs_(outputs), confusion_(empty_confusion(outputs)) {
  for (const std::string_view name : names) {
    int k = 0;
    if (name.substr(0, 3) != "top") continue;
    const auto [end, error] = std::from_chars(name.data() + 3, name.data() + name.size(), k);
    if (error == std::errc() && end == name.data() + name.size() && k > 0 && std::find(ks_.begin(), ks_.end(), k) == ks_.end()) ks_.push_back(k);
  }
  top_.assign(ks_.size(), 0);
}

void Metrics::reset() {
  loss_sum_ = 0;
  count_ = correct_ = 0;
  std::fill(top_.begin(), top_.end(), 0);
  confusion_ = empty_confusion(outputs_);
}

void Metrics::add(const float* outputs, const int32_t* labels, int n, double loss) {
  loss_sum_ += loss * n;
  count_ += static_cast<uint64_t>(n);
  const int classes = classes_of(outputs_);
  for (int i = 0; i < n; ++i) {
    const float* row = outputs + static_cast<size_t>(i) * static_cast<size_t>(outputs_);
    const int label = labels[i];
    if (label < 0 || label >= classes) continue;
    const int answer = answer_of(row, outputs_);
    if (confusion_.classes() > 0) confusion_.add(label, answer);
    if (answer == label) ++correct_;
    if (ks_.empty()) continue;
    int rank = answer == label ? 0 : 1;              // classes that come before the label's
    if (outputs_ > 1) {
      rank = 0;
      for (int c = 0; c < outputs_; ++c) rank += row[c] > row[label] || (row[c] == row[label] && c < label);
      if (row[label] != row[label]) rank = outputs_;  // not a number: last
    }
    for (size_t k = 0; k < ks_.size(); ++k) top_[k] += rank < ks_[k];
  }
}

double Metrics::top_k(int k) const {
  for (size_t i = 0; i < ks_.size(); ++i) {
    if (ks_[i] == k) return share(top_[i]);
  }
  return 0;
}

std::vector<NamedValue> Metrics::values() const {
  std::vector<NamedValue> out{{"loss", loss()}, {"accuracy", accuracy()}};
  for (const int k : ks_) out.push_back({fmt::format("top{}", k), top_k(k)});
  return out;
}

void Metrics::restore(const Counts& c) {
  loss_sum_ = c.loss_sum;
  count_ = c.count;
  correct_ = c.correct;
  if (c.top.size() == top_.size()) top_ = c.top;
  confusion_.set_cells(c.cells);
}

}  // namespace netc::rt
