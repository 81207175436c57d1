#include "runtime/train/state.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "runtime/core/files.h"
#include "runtime/core/safetensors.h"

namespace netc::rt {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string tensor_name(const VarInfo& v) { return fmt::format("{}/{}", v.role == VarRole::slot ? "slot" : "variable", v.name); }
const char* hash_of(const Model& model) { return model.info().source_hash == nullptr ? "" : model.info().source_hash; }

/// Reads fields one by one; the first that is missing or of another kind makes `ok` false and every later read a default.
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

json to_json(const TrainState& s) {
  json history = json::array(), callbacks = json::array(), outputs = json::array();
  for (const Metrics::Counts& c : s.running.outputs) outputs.push_back({{"loss_sum", c.loss_sum}, {"count", c.count}, {"whole", c.whole}, {"sums", c.sums}});
  for (const EpochRow& row : s.history) {
    json values = json::array();
    for (const NamedValue& v : row.values) values.push_back({{"name", v.name}, {"value", v.value}});
    history.push_back({{"epoch", static_cast<uint64_t>(row.epoch)}, {"values", std::move(values)}});
  }
  for (const CallbackState& c : s.callbacks) {
    callbacks.push_back({{"seen", c.seen}, {"best", c.best}, {"best_epoch", static_cast<uint64_t>(c.best_epoch)}, {"waited", static_cast<uint64_t>(c.waited)}});
  }
  return {{"epoch", s.epoch}, {"batch", s.batch}, {"step", s.step}, {"lr", s.lr}, {"stopped", s.stopped}, {"seconds", s.seconds},
          {"running", {{"loss_sum", s.running.loss_sum}, {"count", s.running.count}, {"terms", s.running.terms}, {"outputs", std::move(outputs)}}},
          {"history", std::move(history)}, {"callbacks", std::move(callbacks)}};
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
  for (const json& row : r.list(j, "history")) {
    EpochRow& out = s.history.emplace_back();
    out.epoch = static_cast<int64_t>(r.whole(row, "epoch"));
    for (const json& v : r.list(row, "values")) out.values.push_back({r.text(v, "name"), r.number(v, "value")});
  }
  for (const json& c : r.list(j, "callbacks")) {
    s.callbacks.push_back({r.flag(c, "seen"), r.number(c, "best"), static_cast<int64_t>(r.whole(c, "best_epoch")), static_cast<int64_t>(r.whole(c, "waited"))});
  }
  return s;
}

}  // namespace

tl::expected<void, std::string> save_state(Model& model, const RunFolder& folder, const TrainState& state) {
  std::error_code error;
  const std::string path = folder.file("state");
  fs::create_directories(path, error);
  if (error) return tl::make_unexpected(fmt::format("{}: cannot make: {}", path, error.message()));
  std::vector<TensorView> tensors;
  const auto variables = model.info().variables;
  for (size_t i = 0; i < variables.size(); ++i) {
    const VarInfo& v = variables[i];
    if (const float* data = model.variable(i)) tensors.push_back({tensor_name(v), {v.dims, v.dims + v.rank}, data, v.elements()});
  }
  const std::string name = fmt::format("step-{}.safetensors", state.step);
  if (auto written = write_safetensors(path + "/" + name, std::move(tensors), {{"step", fmt::format("{}", state.step)}}); !written) return written;
  json j = to_json(state);
  j["tensors"] = name;
  j["source_hash"] = hash_of(model);
  if (auto written = write_atomically(path + "/state.json", j.dump(1, ' ', false, json::error_handler_t::replace) + "\n"); !written) return written;
  for (auto it = fs::directory_iterator(path, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    const std::string file = it->path().filename().string();
    std::error_code ignored;
    if (file.compare(0, 5, "step-") == 0 && file != name) fs::remove(it->path(), ignored);
  }
  return {};
}

tl::expected<TrainState, std::string> load_state(Model& model, const RunFolder& folder) {
  const std::string path = folder.file("state/state.json");
  std::error_code error;
  if (!fs::exists(path, error)) return tl::make_unexpected(fmt::format("{}: nothing was saved to resume from", folder.path()));
  const auto text = read_file(path);
  if (!text) return tl::make_unexpected(text.error());
  const json j = json::parse(*text, nullptr, false);
  Reader r;
  TrainState state = from_json(j, r);
  const std::string name = r.text(j, "tensors"), hash = r.text(j, "source_hash");
  if (!r.ok || name.find('/') != std::string::npos) return tl::make_unexpected(fmt::format("{}: is damaged", path));
  if (hash != hash_of(model)) {
    return tl::make_unexpected(
        fmt::format("{}: the run is of another version of the .net file; start again with --weights {}/last.safetensors", folder.path(), folder.path()));
  }
  const auto file = WeightsFile::open(folder.file("state/" + name));
  if (!file) return tl::make_unexpected(file.error());
  const auto variables = model.info().variables;
  for (const bool copy : {false, true}) {           // all are checked before any is changed
    for (size_t i = 0; i < variables.size(); ++i) {
      const VarInfo& v = variables[i];
      float* data = model.variable(i);
      if (data == nullptr) continue;
      const TensorView* t = (*file)->find(tensor_name(v));
      if (t == nullptr || t->shape != std::vector<int64_t>(v.dims, v.dims + v.rank)) {
        return tl::make_unexpected(fmt::format("{}: '{}' is missing or of another shape", (*file)->path(), v.name));
      }
      if (copy && t->elements > 0) std::memcpy(data, t->data, t->elements * sizeof(float));
    }
  }
  return state;
}

}  // namespace netc::rt
