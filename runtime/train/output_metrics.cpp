#include "runtime/train/output_metrics.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "runtime/data/ports.h"

namespace netc::rt {
namespace {

/// "box:loss", or "box:mse" where several terms are of one output.
std::string term_name(const ModelInfo& info, const LossInfo& term) {
  const auto of_output =
      std::count_if(info.losses.begin(), info.losses.end(), [&](const LossInfo& l) { return l.output == term.output; });
  return std::string(info.outputs[static_cast<size_t>(term.output)].name) + ":" + (of_output > 1 ? term.kind : "loss");
}

/// The metrics of one output, without its name: those of the first have none.
std::vector<const char*> names_of(const ModelInfo& info, size_t output) {
  std::vector<const char*> names;
  const std::string prefix = std::string(info.outputs[output].name) + ":";
  for (const char* name : info.metrics) {
    if (std::string_view(name).substr(0, prefix.size()) == prefix) names.push_back(name + prefix.size());
    else if (output == 0 && !std::strchr(name, ':')) names.push_back(name);
  }
  return names;
}

}  // namespace

std::optional<Classified> classified(const ModelInfo& info) {
  std::optional<Classified> first;
  for (const LossInfo& l : info.losses) {
    if (l.target < 0) continue;  // the loss does not depend on its label
    if (l.target_kind != TargetKind::label || !is_class(info.labels[static_cast<size_t>(l.target)])) continue;
    const Classified c{static_cast<size_t>(l.output), static_cast<size_t>(l.target)};
    if (!first || c.output < first->output) first = c;
  }
  return first;
}

OutputMetrics::OutputMetrics(const ModelInfo& info) {
  if (info.losses.size() > 1)
    for (const LossInfo& l : info.losses) term_names_.push_back(term_name(info, l));
  term_sums_.assign(term_names_.size(), 0);
  const auto c = classified(info);
  for (size_t o = 0; o < info.outputs.size(); ++o) {
    const auto term = std::find_if(info.losses.begin(), info.losses.end(), [&](const LossInfo& l) {
      return static_cast<size_t>(l.output) == o && l.target >= 0;
    });
    if (term == info.losses.end()) continue;
    const size_t target = c && c->output == o ? c->label : static_cast<size_t>(term->target);
    const TargetKind kind = c && c->output == o ? TargetKind::label : term->target_kind;
    const PortInfo& port = kind == TargetKind::label   ? info.labels[target]
                           : kind == TargetKind::input ? info.ingested[target]
                                                       : info.outputs[target];
    if (c && c->output == o) classes_ = static_cast<int>(parts_.size());
    parts_.push_back({o, kind, target, o == 0 ? "" : std::string(info.outputs[o].name) + ":",
                      Metrics(info.outputs[o], port, names_of(info, o))});
  }
}

void OutputMetrics::reset() {
  loss_sum_ = 0;
  count_ = 0;
  std::fill(term_sums_.begin(), term_sums_.end(), 0.0);
  for (Part& p : parts_) p.metrics.reset();
}

void OutputMetrics::add(const Model& model, const Batch& batch, double loss) {
  loss_sum_ += loss * batch.n;
  count_ += static_cast<uint64_t>(batch.n);
  for (size_t i = 0; i < term_sums_.size(); ++i) term_sums_[i] += static_cast<double>(model.loss_of(i)) * batch.n;
  for (Part& p : parts_) {
    const void* target = p.kind == TargetKind::label   ? batch.labels[p.target]
                         : p.kind == TargetKind::input ? batch.inputs[p.target]
                                                       : model.output(p.target);
    p.metrics.add(model.output(p.output), target, batch.n, loss);
  }
}

std::vector<NamedValue> OutputMetrics::values() const {
  std::vector<NamedValue> out{{"loss", loss()}};
  for (size_t i = 0; i < term_sums_.size(); ++i)
    out.push_back({term_names_[i], count_ == 0 ? 0 : term_sums_[i] / static_cast<double>(count_)});
  for (const Part& p : parts_)
    for (const NamedValue& v : p.metrics.values())
      if (v.name != "loss") out.push_back({p.prefix + v.name, v.value});
  return out;
}

const char* OutputMetrics::best_by() const {
  return classes_ >= 0 && parts_[static_cast<size_t>(classes_)].prefix.empty() ? "accuracy" : "loss";
}

OutputMetrics::Counts OutputMetrics::counts() const {
  Counts c{loss_sum_, count_, term_sums_, {}};
  for (const Part& p : parts_) c.outputs.push_back(p.metrics.counts());
  return c;
}

void OutputMetrics::restore(const Counts& c) {
  loss_sum_ = c.loss_sum;
  count_ = c.count;
  if (c.terms.size() == term_sums_.size()) term_sums_ = c.terms;
  for (size_t i = 0; i < std::min(parts_.size(), c.outputs.size()); ++i) parts_[i].metrics.restore(c.outputs[i]);
}

}  // namespace netc::rt
