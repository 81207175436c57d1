// state/: all that --resume needs, so that it goes on to the same bits.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "runtime/model.h"
#include "runtime/train/callbacks.h"
#include "runtime/train/output_metrics.h"
#include "runtime/train/run_folder.h"

namespace netc::rt {

struct TrainState {
  uint32_t epoch = 0;  // epochs done
  uint64_t batch = 0;  // batches done of the epoch that follows
  uint32_t step = 0;   // steps done
  double lr = 0;
  bool stopped = false;           // by a callback
  double seconds = 0;             // of the unfinished epoch
  OutputMetrics::Counts running;  // of the unfinished epoch
  std::vector<EpochRow> history;
  size_t logged = 0;    // rows of it that state/ has
  uint32_t synced = 0;  // the step of the last durable save, which is kept beside the newest
  std::string damage;   // why it is not the newest that was read
  std::vector<CallbackState> callbacks;
};

/// Writes folder/state: the weights and states, the optimiser's slots, new rows of the history, and state.json, which
/// names them and is replaced last, so that all are of one moment, whenever the process stops. `metadata` is the
/// weights file's. Returns the weights' file.
tl::expected<std::string, std::string> save_state(Model& model, const RunFolder& folder, TrainState& state,
                                                  const std::map<std::string, std::string>& metadata, bool durable);

/// Drops the synced state beside the newest, once that is on the disk itself.
void settle_state(const RunFolder& folder, TrainState& state);

/// Whether anything was saved.
bool has_state(const RunFolder& folder);
/// Reads them back, and drops what was begun after state.json. Where the newest did not reach the disk before the
/// machine stopped, the one that was synced. Errors: damaged, changed by others, saved by another version of netc.
tl::expected<TrainState, std::string> load_state(Model& model, const RunFolder& folder);

}  // namespace netc::rt
