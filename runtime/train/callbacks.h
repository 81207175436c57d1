// What the .net file's callbacks decide after each epoch: which epoch is the best, a lower rate, stopping.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "runtime/kinds/kinds.h"
#include "runtime/model.h"
#include "runtime/train/run_folder.h"

namespace netc::rt {

/// What a callback remembers between epochs. `tie`: the loss of the best epoch.
struct CallbackState {
  bool seen = false;
  double best = 0;
  int64_t best_epoch = 0, waited = 0;
  double tie = 0;
};

class Callbacks {
 public:
  /// Without validation a monitored val_X means X, and notes() say so. Without a checkpoint callback the best epoch is
  /// that of the best (val_)`best_by`; of equals it is the one with the lower (val_)loss.
  Callbacks(std::span<const CallbackInfo> callbacks, bool has_validation, const std::string& best_by);

  struct Outcome {
    bool best = false;  // write best.safetensors
    bool stop = false;
    double lr = 0;                   // for the epochs to come
    std::vector<std::string> notes;  // for people, one line each
  };
  Outcome after_epoch(const EpochRow& row, double lr);
  /// What is watched instead of what was asked for, a line each.
  const std::vector<std::string>& notes() const { return notes_; }
  /// Those that count epochs without improvement begin anew.
  void wait_again();

  const std::string& best_monitor() const { return rules_.front().monitor; }
  const CallbackState& best() const { return states_.front(); }
  /// Names of the csv callbacks' files.
  const std::vector<std::string>& csv() const { return csv_; }

  const std::vector<CallbackState>& states() const { return states_; }
  /// False when they are another program's.
  bool restore(std::vector<CallbackState> states);

 private:
  struct Rule {
    kinds::Rule kind;
    std::string monitor;
    double factor;
    int64_t patience;
    double min_delta;
  };
  std::vector<Rule> rules_;  // the first: best
  std::vector<CallbackState> states_;
  std::vector<std::string> csv_, notes_;
};

}  // namespace netc::rt
