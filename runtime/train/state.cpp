#include "runtime/train/state.h"

#include <fmt/format.h>
#include <zlib.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "runtime/core/files.h"
#include "runtime/core/safetensors.h"
#include "runtime/core/weights.h"

namespace netc::rt {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kFormat = 2;  // of state.json
constexpr const char* kState = "state/state.json";
constexpr const char* kSynced = "state/synced.json";  // what state.json was when all it names was on the disk
constexpr const char* kHistory = "state/history.jsonl";

/// A checksum of all that an instance holds of the run: files that others wrote into do not pass for those that were
/// saved.
std::string checksum(Model& model) {
  unsigned long crc = crc32_z(0, nullptr, 0);
  for (size_t i = 0; i < model.info().variables.size(); ++i)
    if (const float* data = model.variable(i)) {
      crc = crc32_z(crc, reinterpret_cast<const unsigned char*>(data),
                    model.info().variables[i].elements() * sizeof(float));
    }
  return fmt::format("{:08x}", crc);
}

/// Reads fields one by one; the first that is missing or of another kind makes `ok` false and every later read a
/// default.
struct Reader {
  bool ok = true;
  const json* field(const json& j, const char* key, bool (json::*is)() const noexcept) {
    if (!ok || !j.is_object() || !j.contains(key) || !(j[key].*is)()) return ok = false, nullptr;
    return &j[key];
  }
  double number(const json& j, const char* key) {  // null: what is not finite
    if (ok && j.is_object() && j.contains(key) && j[key].is_null()) return std::numeric_limits<double>::quiet_NaN();
    const json* f = field(j, key, &json::is_number);
    return f == nullptr ? 0 : f->get<double>();
  }
  uint64_t whole(const json& j, const char* key) {
    const json* f = field(j, key, &json::is_number_unsigned);
    return f == nullptr ? 0 : f->get<uint64_t>();
  }
  bool flag(const json& j, const char* key) {
    const json* f = field(j, key, &json::is_boolean);
    return f != nullptr && f->get<bool>();
  }
  std::string text(const json& j, const char* key) {
    const json* f = field(j, key, &json::is_string);
    return f == nullptr ? "" : f->get<std::string>();
  }
  const json& list(const json& j, const char* key) {
    static const json none = json::array();
    const json* f = field(j, key, &json::is_array);
    return f == nullptr ? none : *f;
  }
};

json row_to_json(const EpochRow& row) {
  json values = json::array();
  for (const NamedValue& v : row.values) values.push_back({{"name", v.name}, {"value", v.value}});
  return {{"epoch", static_cast<uint64_t>(row.epoch)}, {"values", std::move(values)}};
}

EpochRow row_from_json(const json& j, Reader& r) {
  EpochRow row;
  row.epoch = static_cast<int64_t>(r.whole(j, "epoch"));
  for (const json& v : r.list(j, "values")) row.values.push_back({r.text(v, "name"), r.number(v, "value")});
  return row;
}

json to_json(const TrainState& s) {
  json callbacks = json::array(), outputs = json::array();
  for (const Metrics::Counts& c : s.running.outputs)
    outputs.push_back({{"loss_sum", c.loss_sum}, {"count", c.count}, {"whole", c.whole}, {"sums", c.sums}});
  for (const CallbackState& c : s.callbacks) {
    callbacks.push_back({{"seen", c.seen},
                         {"best", c.best},
                         {"best_epoch", static_cast<uint64_t>(c.best_epoch)},
                         {"waited", static_cast<uint64_t>(c.waited)},
                         {"tie", c.tie}});
  }
  return {{"epoch", s.epoch},
          {"batch", s.batch},
          {"step", s.step},
          {"lr", s.lr},
          {"stopped", s.stopped},
          {"seconds", s.seconds},
          {"rows", s.history.size()},
          {"running",
           {{"loss_sum", s.running.loss_sum},
            {"count", s.running.count},
            {"terms", s.running.terms},
            {"outputs", std::move(outputs)}}},
          {"callbacks", std::move(callbacks)}};
}

TrainState from_json(const json& j, Reader& r) {
  TrainState s;
  s.epoch = static_cast<uint32_t>(r.whole(j, "epoch"));
  s.batch = r.whole(j, "batch");
  s.step = static_cast<uint32_t>(r.whole(j, "step"));
  s.lr = r.number(j, "lr");
  s.stopped = r.flag(j, "stopped");
  s.seconds = r.number(j, "seconds");
  if (const json* running = r.field(j, "running", &json::is_object)) {
    s.running.loss_sum = r.number(*running, "loss_sum");
    s.running.count = r.whole(*running, "count");
    for (const json& term : r.list(*running, "terms"))
      s.running.terms.push_back(term.is_number() ? term.get<double>() : std::numeric_limits<double>::quiet_NaN());
    for (const json& output : r.list(*running, "outputs")) {
      Metrics::Counts& c = s.running.outputs.emplace_back();
      c.loss_sum = r.number(output, "loss_sum");
      c.count = r.whole(output, "count");
      for (const json& n : r.list(output, "whole")) {
        if (!n.is_number_unsigned()) r.ok = false;
        else c.whole.push_back(n.get<uint64_t>());
      }
      for (const json& n : r.list(output, "sums")) {
        if (!n.is_number() && !n.is_null()) r.ok = false;
        else c.sums.push_back(n.is_null() ? std::numeric_limits<double>::quiet_NaN() : n.get<double>());
      }
    }
  }
  for (const json& c : r.list(j, "callbacks")) {
    s.callbacks.push_back({r.flag(c, "seen"), r.number(c, "best"), static_cast<int64_t>(r.whole(c, "best_epoch")),
                           static_cast<int64_t>(r.whole(c, "waited")), r.number(c, "tie")});
  }
  return s;
}

/// The first `count` rows of the history, or an error.
tl::expected<std::vector<EpochRow>, std::string> read_history(const RunFolder& folder, size_t count) {
  std::vector<EpochRow> rows;
  if (count == 0) return rows;
  const std::string path = folder.file(kHistory);
  const auto text = read_file(path, size_t{1} << 30);
  if (!text) return tl::make_unexpected(text.error());
  for (size_t at = 0; rows.size() < count;) {
    const size_t end = text->find('\n', at);
    Reader r;
    if (end != std::string::npos)
      rows.push_back(row_from_json(json::parse(text->substr(at, end - at), nullptr, false), r));
    if (end == std::string::npos || !r.ok)
      return tl::make_unexpected(fmt::format("{}: is damaged: it has {} whole rows of {}", path, rows.size(), count));
    at = end + 1;
  }
  return rows;
}

std::string lines_of(const std::vector<EpochRow>& rows, size_t first) {
  std::string text;
  for (size_t i = first; i < rows.size(); ++i)
    text += row_to_json(rows[i]).dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  return text;
}

std::string weights_of(uint32_t step) { return fmt::format("weights-{}.safetensors", step); }
std::string slots_of(uint32_t step) { return fmt::format("slots-{}.safetensors", step); }

/// Removes the tensors' files of other moments than these two.
void sweep_tensors(const RunFolder& folder, uint32_t newest, uint32_t synced) {
  std::error_code error, ignored;
  for (auto it = fs::directory_iterator(folder.file("state"), error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    const std::string file = it->path().filename().string();
    const bool kept = file == weights_of(newest) || file == slots_of(newest) || file == weights_of(synced) ||
                      file == slots_of(synced);
    if (it->path().extension() == ".safetensors" && !kept) fs::remove(it->path(), ignored);
  }
}

}  // namespace

tl::expected<std::string, std::string> save_state(Model& model, const RunFolder& folder, TrainState& state,
                                                  const std::map<std::string, std::string>& metadata, bool durable) {
  std::error_code error;
  const std::string path = folder.file("state");
  fs::create_directories(path, error);
  if (error) return tl::make_unexpected(fmt::format("{}: cannot make: {}", path, error.message()));
  std::vector<TensorView> slots;
  const auto variables = model.info().variables;
  for (size_t i = 0; i < variables.size(); ++i) {
    const VarInfo& v = variables[i];
    const float* data = v.role == VarRole::slot ? model.variable(i) : nullptr;
    if (data != nullptr) slots.push_back({v.name, {v.dims, v.dims + v.rank}, data, v.elements()});
  }
  json j = to_json(state);
  const std::string weights_name = weights_of(state.step), slots_name = slots.empty() ? "" : slots_of(state.step);
  j["format"] = kFormat, j["weights"] = weights_name, j["slots"] = slots_name, j["checksum"] = checksum(model);
  const std::string weights = path + "/" + weights_name;
  if (auto written = save_weights(model, weights, metadata, durable); !written)
    return tl::make_unexpected(written.error());
  if (!slots.empty()) {
    if (auto written = write_safetensors(path + "/" + slots_name, std::move(slots), {}, durable); !written)
      return tl::make_unexpected(written.error());
  }
  const std::string history = folder.file(kHistory), rows = lines_of(state.history, state.logged);
  if (state.logged == 0 || durable || !rows.empty()) {
    const auto written =
        state.logged == 0 ? write_atomically(history, rows, durable) : append_to_file(history, rows, durable);
    if (!written) return tl::make_unexpected(written.error());
  }
  if (auto written =
          write_atomically(folder.file(kState), j.dump(1, ' ', false, json::error_handler_t::replace) + "\n", durable);
      !written) {
    return tl::make_unexpected(written.error());
  }
  if (durable && link_atomically(folder.file(kState), folder.file(kSynced))) state.synced = state.step;
  sweep_tensors(folder, state.step, state.synced);
  return weights;
}

void settle_state(const RunFolder& folder, TrainState& state) {
  std::error_code ignored;
  fs::remove(folder.file(kSynced), ignored);
  state.synced = state.step;
  sweep_tensors(folder, state.step, state.synced);
}

bool has_state(const RunFolder& folder) {
  std::error_code error;
  return fs::exists(folder.file(kState), error) || fs::exists(folder.file(kSynced), error);
}

namespace {

tl::expected<TrainState, std::string> load_from(const char* name, Model& model, const RunFolder& folder) {
  const std::string path = folder.file(name);
  const auto text = read_file(path);
  if (!text) return tl::make_unexpected(text.error());
  const json j = json::parse(*text, nullptr, false);
  if (j.is_object() && j.value("format", json()) != kFormat) {
    return tl::make_unexpected(
        fmt::format("{}: was saved by another version of netc; compile with that, or start anew with --weights {}",
                    path, folder.file("last.safetensors")));
  }
  Reader r;
  TrainState state = from_json(j, r);
  const std::string weights = r.text(j, "weights"), slots = r.text(j, "slots"), saved = r.text(j, "checksum");
  const size_t rows = r.whole(j, "rows");
  if (!r.ok || weights.find('/') != std::string::npos || slots.find('/') != std::string::npos)
    return tl::make_unexpected(fmt::format("{}: is damaged", path));
  auto history = read_history(folder, rows);
  if (!history) return tl::make_unexpected(history.error());
  state.history = std::move(*history);
  const auto file = WeightsFile::open(folder.file("state/" + weights));
  if (!file) return tl::make_unexpected(file.error());
  if (auto loaded = load_weights(model, **file, false); !loaded) return tl::make_unexpected(loaded.error());
  const auto variables = model.info().variables;
  std::shared_ptr<WeightsFile> of_slots;
  for (size_t i = 0; i < variables.size(); ++i) {
    const VarInfo& v = variables[i];
    float* data = v.role == VarRole::slot ? model.variable(i) : nullptr;
    if (data == nullptr) continue;
    if (!of_slots) {
      auto opened = WeightsFile::open(folder.file("state/" + slots));
      if (!opened) return tl::make_unexpected(opened.error());
      of_slots = std::move(*opened);
    }
    const TensorView* t = of_slots->find(v.name);
    if (t == nullptr || t->data == nullptr || t->shape != std::vector<int64_t>(v.dims, v.dims + v.rank)) {
      return tl::make_unexpected(fmt::format("{}: '{}' is missing or of another shape", of_slots->path(), v.name));
    }
    if (t->elements > 0) std::memcpy(data, t->data, t->elements * sizeof(float));
  }
  if (checksum(model) != saved) {
    return tl::make_unexpected(fmt::format(
        "{}: the weights are not those that were saved: something else has written into {} (or last.safetensors, the "
        "same file); start anew, or from another file: --weights FILE",
        folder.path(), (*file)->path()));
  }
  return state;
}

}  // namespace

tl::expected<TrainState, std::string> load_state(Model& model, const RunFolder& folder) {
  auto state = load_from(kState, model, folder);
  std::error_code none;
  if (!state && fs::exists(folder.file(kSynced), none)) {
    auto synced = load_from(kSynced, model, folder);
    if (synced) synced->damage = state.error(), state = std::move(synced);
  }
  if (!state) return state;
  if (auto written = write_atomically(folder.file(kHistory), lines_of(state->history, 0)); !written)
    return tl::make_unexpected(written.error());
  state->logged = state->history.size();
  state->synced = state->step;
  return state;
}

}  // namespace netc::rt
