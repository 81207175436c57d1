#include "runtime/train/run_folder.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "runtime/core/files.h"

namespace netc::rt {
namespace fs = std::filesystem;
using nlohmann::json;

const double* EpochRow::find(std::string_view name) const {
  for (const NamedValue& v : values) {
    if (v.name == name) return &v.value;
  }
  return nullptr;
}

tl::expected<RunFolder, std::string> RunFolder::create(const std::string& out, const std::string& name) {
  std::error_code error;
  const auto failed = [&](const fs::path& path) {
    return tl::make_unexpected(fmt::format("{}: cannot make the run's folder: {}", path.string(), error.message()));
  };
  if (!out.empty()) {
    fs::path path = fs::path(out).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();
    fs::create_directories(path, error);
    if (error) return failed(path);
    const bool empty = fs::is_empty(path, error);
    if (error) return failed(path);
    if (!empty) return tl::make_unexpected(fmt::format("{}: is not empty; continue that run with --resume, or name another folder with --out", out));
    return RunFolder(path.string());
  }
  fs::create_directories("runs", error);
  if (error) return failed("runs");
  for (int k = 1;; ++k) {
    const fs::path path = fs::path("runs") / fmt::format("{}-{}", name, k);
    if (fs::create_directory(path, error)) return RunFolder(path.string());   // only one of several processes makes it
    if (error && !fs::exists(path)) return failed(path);
  }
}

tl::expected<RunFolder, std::string> RunFolder::open(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return tl::make_unexpected(fmt::format("{}: is not a run's folder", path));
  if (!fs::exists(path + "/args.json", error)) return tl::make_unexpected(fmt::format("{}: holds no args.json, so it is not a run's folder", path));
  return RunFolder(path);
}

tl::expected<void, std::string> RunFolder::write_args(const RunArgs& a, const ModelInfo& info) const {
  const auto text = [](const char* s) { return s == nullptr ? "" : s; };
  json j = {{"data", a.data}, {"valid", a.valid}, {"weights", a.weights}, {"epochs", a.epochs}, {"batch", a.batch},
            {"lr", a.lr}, {"seed", a.seed}, {"threads", a.threads}};
  json hyperparameters = json::object();
  for (const KeyValue& h : info.hyperparameters) hyperparameters[text(h.key)] = text(h.value);
  j["program"] = {{"name", text(info.name)}, {"net", text(info.net)}, {"source_hash", text(info.source_hash)}, {"target", text(info.target)},
                  {"compiler_version", text(info.compiler_version)}, {"loss", text(info.loss)}, {"optimizer", text(info.optimizer)},
                  {"hyperparameters", std::move(hyperparameters)}};
  return write_atomically(file("args.json"), j.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

tl::expected<RunArgs, std::string> RunFolder::read_args() const {
  const auto text = read_file(file("args.json"), size_t{1} << 20);
  if (!text) return tl::make_unexpected(text.error());
  const json j = json::parse(*text, nullptr, false);
  const auto has = [&](const char* key, auto is) { return j.contains(key) && (j[key].*is)(); };
  for (const char* key : {"data", "valid", "weights"}) {
    if (!j.is_object() || !has(key, &json::is_string)) return tl::make_unexpected(fmt::format("{}: '{}' is missing or no text", file("args.json"), key));
  }
  for (const char* key : {"epochs", "batch", "seed", "threads"}) {
    if (!has(key, &json::is_number_integer)) return tl::make_unexpected(fmt::format("{}: '{}' is missing or no whole number", file("args.json"), key));
  }
  if (!has("lr", &json::is_number)) return tl::make_unexpected(fmt::format("{}: 'lr' is missing or no number", file("args.json")));
  RunArgs a;
  a.data = j["data"].get<std::string>();
  a.valid = j["valid"].get<std::string>();
  a.weights = j["weights"].get<std::string>();
  a.epochs = j["epochs"].get<int64_t>();
  a.batch = j["batch"].get<int64_t>();
  a.lr = j["lr"].get<double>();
  a.seed = j["seed"].get<uint64_t>();
  a.threads = j["threads"].get<int>();
  return a;
}

tl::expected<void, std::string> RunFolder::write_results(const std::vector<EpochRow>& rows, const std::string& name) const {
  std::string text = "epoch";
  if (!rows.empty()) {
    for (const NamedValue& v : rows.front().values) text += "," + v.name;
  }
  text += "\n";
  for (const EpochRow& row : rows) {
    text += fmt::format("{}", row.epoch);
    for (const NamedValue& column : rows.front().values) {
      const double* value = row.find(column.name);
      text += value == nullptr ? "," : fmt::format(",{:.6g}", *value);
    }
    text += "\n";
  }
  return write_atomically(name.substr(0, 1) == "/" ? name : file(name), text);
}

}  // namespace netc::rt
