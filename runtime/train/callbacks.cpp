#include "runtime/train/callbacks.h"

#include <fmt/format.h>

#include <cmath>
#include <string_view>

namespace netc::rt {
namespace {

constexpr std::string_view kValidation = "val_";

/// The loss by which epochs are told apart that are equal in `monitor`.
double loss_beside(const EpochRow& row, std::string_view monitor) {
  const double* loss = row.find(monitor.starts_with(kValidation) ? "val_loss" : "loss");
  return loss == nullptr ? 0 : *loss;
}

}  // namespace

Callbacks::Callbacks(std::span<const CallbackInfo> callbacks, bool has_validation, const std::string& best_by) {
  const auto monitor = [&](const char* name) {
    std::string m = name == nullptr || *name == 0 ? "val_loss" : name;
    return !has_validation && m.starts_with(kValidation) ? m.substr(kValidation.size()) : m;
  };
  rules_.push_back({kinds::Rule::best, monitor(("val_" + best_by).c_str()), 0, 0, 0});
  for (const CallbackInfo& c : callbacks) {
    const kinds::Callback* kind = kinds::find(kinds::kCallbacks, c.kind == nullptr ? "" : c.kind);
    if (!kind) continue;
    const int64_t patience = std::max<int64_t>(1, c.patience);
    switch (kind->rule) {
      case kinds::Rule::best: rules_.front().monitor = monitor(c.monitor); break;
      case kinds::Rule::stop: rules_.push_back({kinds::Rule::stop, monitor(c.monitor), 0, patience, 0}); break;
      case kinds::Rule::reduce:
        rules_.push_back({kinds::Rule::reduce, monitor(c.monitor), c.value, patience, 1e-4});
        break;
      case kinds::Rule::record:
        if (c.path != nullptr && *c.path != 0) csv_.push_back(c.path);
        continue;
    }
    const std::string watched = monitor(c.monitor);
    if (c.monitor == nullptr || !std::string_view(c.monitor).starts_with(kValidation) || watched == c.monitor) continue;
    notes_.push_back(fmt::format(
        "there is no validation data, so no {}: {} watches {}, of the training data (--valid SPEC names some)",
        c.monitor, kind->name, watched));
  }
  states_.resize(rules_.size());
}

Callbacks::Outcome Callbacks::after_epoch(const EpochRow& row, double lr) {
  Outcome out;
  out.lr = lr;
  for (size_t i = 0; i < rules_.size(); ++i) {
    const Rule& rule = rules_[i];
    CallbackState& state = states_[i];
    const double* value = row.find(rule.monitor);
    if (value == nullptr) continue;
    const bool number = !std::isnan(*value);
    const double gain = higher_is_better(rule.monitor) ? *value - state.best : state.best - *value;
    const double tie = loss_beside(row, rule.monitor);
    const bool lower = rule.kind == kinds::Rule::best && gain == 0 && tie < state.tie;
    if (number && (!state.seen || gain > rule.min_delta || lower)) {
      state = {true, *value, row.epoch, 0, tie};
      out.best |= rule.kind == kinds::Rule::best;
      continue;
    }
    if (rule.kind == kinds::Rule::best || ++state.waited < rule.patience) continue;
    if (rule.kind == kinds::Rule::stop) {
      out.stop = true;
      out.notes.push_back(fmt::format("stopping early: {} has not improved since epoch {} ({:.4f})", rule.monitor,
                                      state.best_epoch, state.best));
    } else {
      out.lr = out.lr * rule.factor;
      state.waited = 0;
      out.notes.push_back(fmt::format("{} has not improved since epoch {}: learning rate is now {:.4g}", rule.monitor,
                                      state.best_epoch, out.lr));
    }
  }
  return out;
}

void Callbacks::wait_again() {
  for (CallbackState& s : states_) s.waited = 0;
}

bool Callbacks::restore(std::vector<CallbackState> states) {
  if (states.size() != states_.size()) return false;
  states_ = std::move(states);
  return true;
}

}  // namespace netc::rt
