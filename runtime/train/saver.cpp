#include "runtime/train/saver.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "runtime/core/files.h"
#include "runtime/core/weights.h"

namespace netc::rt {
namespace {

constexpr const char *kBest = "best.safetensors", *kLast = "last.safetensors", *kResults = "results.csv";
constexpr double kMostShare = 0.05;  // of the time, for saving

/// A row such as an epoch gives, of no epoch.
EpochRow columns_of(const ModelInfo& info, bool validation) {
  EpochRow row;
  row.values = OutputMetrics(info).values();
  const size_t trained = row.values.size();
  for (size_t i = 0; validation && i < trained; ++i) row.values.push_back({"val_" + row.values[i].name, 0});
  row.values.insert(row.values.end(), {{"lr", 0}, {"seconds", 0}});
  return row;
}

}  // namespace

tl::expected<void, std::string> Saver::begin(TrainState& state, const CallbackState& best, bool validation) {
  const std::string rows = table_text(state.history);
  for (const std::string& path : tables_)
    if (auto written =
            write_atomically(path, rows.empty() ? table_head(columns_of(model_.info(), validation)) : rows, false);
        !written)
      return written;
  std::error_code none;
  if (!rows.empty() || std::filesystem::exists(folder_.file(kResults), none)) {
    if (auto written = write_atomically(folder_.file(kResults), rows, false); !written) return written;
  }
  if (auto written = write_state(state, true); !written) return written;
  if (state.epoch == 0 || state.batch > 0) return {};
  return publish(best.seen && best.best_epoch == static_cast<int64_t>(state.epoch));
}

bool Saver::due() const { return since_synced() >= every_.value_or(std::max(kSeconds, cost_ / kMostShare)); }

tl::expected<void, std::string> Saver::save(TrainState& state) { return write_state(state, true); }

tl::expected<void, std::string> Saver::close_epoch(TrainState& state, bool best) {
  if (auto written = write_state(state, due()); !written) return written;
  if (auto published = publish(best); !published) return published;
  const EpochRow& row = state.history.back();
  const std::vector<NamedValue>& columns = state.history.front().values;
  const auto add = [&](const std::string& path) {
    std::error_code error;
    const bool there = std::filesystem::file_size(path, error) > 0 && !error;
    return there ? append_to_file(path, table_line(columns, row), false)
                 : write_atomically(path, table_text(state.history), false);
  };
  if (auto added = add(folder_.file(kResults)); !added) return added;
  for (const std::string& path : tables_)
    if (auto added = add(path); !added) return added;
  return {};
}

tl::expected<void, std::string> Saver::settle(TrainState& state) {
  for (const char* folder : {"state", "."}) {
    std::error_code error;
    const std::string path = folder_.file(folder);
    for (auto it = std::filesystem::directory_iterator(path, error);
         !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
      if (!it->is_regular_file(error)) continue;
      if (auto synced = sync_file(it->path().string()); !synced) return synced;
    }
    if (auto synced = sync_file(path); !synced) return synced;
  }
  best_unsynced_ = false;
  settle_state(folder_, state);
  return {};
}

tl::expected<void, std::string> Saver::write_state(TrainState& state, bool durable) {
  const Clock::time_point begin = Clock::now();
  if (durable && std::exchange(best_unsynced_, false)) {
    if (auto synced = sync_file(folder_.file(kBest)); !synced) return synced;
  }
  auto weights = save_state(model_, folder_, state, metadata_, durable);
  if (!weights) return tl::make_unexpected(weights.error());
  weights_ = std::move(*weights);
  state.logged = state.history.size();
  if (durable) synced_ = Clock::now(), cost_ = std::chrono::duration<double>(synced_ - begin).count();
  return {};
}

tl::expected<void, std::string> Saver::publish(bool best) {
  if (auto linked = link(kLast); !linked || !best) return linked;
  best_unsynced_ = true;
  return link(kBest);
}

tl::expected<void, std::string> Saver::link(const char* name) {
  if (link_atomically(weights_, folder_.file(name))) return {};
  return save_weights(model_, folder_.file(name), metadata_, false);
}

}  // namespace netc::rt
