// state/: all that --resume needs, so that it goes on to the same bits.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "runtime/model.h"
#include "runtime/train/callbacks.h"
#include "runtime/train/output_metrics.h"
#include "runtime/train/run_folder.h"

namespace netc::rt {

struct TrainState {
  uint32_t epoch = 0;                        // epochs done
  uint64_t batch = 0;                        // batches done of the epoch that follows
  uint32_t step = 0;                         // steps done
  double lr = 0;
  bool stopped = false;                      // by a callback
  double seconds = 0;                        // of the unfinished epoch
  OutputMetrics::Counts running;             // of the unfinished epoch
  std::vector<EpochRow> history;
  std::vector<CallbackState> callbacks;
};

/// Writes the variables, slots too, and `state` to folder/state. The json names the tensors' file and is replaced last, so that both are always of
/// one moment, whenever the machine stops.
tl::expected<void, std::string> save_state(Model& model, const RunFolder& folder, const TrainState& state);

/// Reads them back. Errors: none saved, another program's, damaged.
tl::expected<TrainState, std::string> load_state(Model& model, const RunFolder& folder);

}  // namespace netc::rt
