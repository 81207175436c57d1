// Keeps the files of a run in step with its state: a process that is killed at any moment leaves a run that goes on to
// the same bits.
#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "runtime/model.h"
#include "runtime/train/run_folder.h"
#include "runtime/train/state.h"

namespace netc::rt {

/// What is saved outlives the process at once, and the machine (synced to the disk) every few seconds: epochs of
/// milliseconds do not wait for the disk.
class Saver {
 public:
  static constexpr double kSeconds = 10;  // between two saves within an epoch
  /// `metadata` is for weights' files, `tables` are the callbacks'; `every`: seconds between two saves within an epoch,
  /// 0 for after each step. Without it some seconds, and more where saving takes long, so that it costs no more than a
  /// twentieth of the time.
  Saver(Model& model, const RunFolder& folder, std::map<std::string, std::string> metadata,
        std::vector<std::string> tables, std::optional<double> every)
      : model_(model),
        folder_(folder),
        metadata_(std::move(metadata)),
        tables_(std::move(tables)),
        every_(every) {}

  /// Before the first step. Of a resumed run: makes whole what was begun when it ended.
  tl::expected<void, std::string> begin(TrainState& state, const CallbackState& best, bool validation);
  /// It is time to save within the epoch.
  bool due() const;
  /// On the disk when it returns.
  tl::expected<void, std::string> save(TrainState& state);
  /// After an epoch; `best`: it is the best one.
  tl::expected<void, std::string> close_epoch(TrainState& state, bool best);
  /// After the last one: all of the folder is on the disk.
  tl::expected<void, std::string> settle(TrainState& state);

 private:
  using Clock = std::chrono::steady_clock;
  double since_synced() const { return std::chrono::duration<double>(Clock::now() - synced_).count(); }
  tl::expected<void, std::string> write_state(TrainState& state, bool durable);
  /// last.safetensors, and with `best` that one too, become other names of the weights in state/; where links cannot be
  /// had, copies.
  tl::expected<void, std::string> publish(bool best);
  tl::expected<void, std::string> link(const char* name);

  Model& model_;
  const RunFolder& folder_;
  std::map<std::string, std::string> metadata_;
  std::vector<std::string> tables_;
  std::optional<double> every_;
  std::string weights_;  // the file in state/
  bool best_unsynced_ = false;
  double cost_ = 0;  // of the last synced save, in seconds
  Clock::time_point synced_;
};

}  // namespace netc::rt
