#include "runtime/train/run_folder.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "runtime/core/files.h"

namespace netc::rt {
namespace fs = std::filesystem;

const double* EpochRow::find(std::string_view name) const {
  for (const NamedValue& v : values) {
    if (v.name == name) return &v.value;
  }
  return nullptr;
}

namespace {

constexpr const char* kOwn[] = {"args.json",        "results.csv", "report.html", "best.safetensors",
                                "last.safetensors", "state",       RunLock::kFile};

/// Nothing is in it but what a process leaves that is killed before args.json is there.
bool unused(const std::string& path, std::error_code& error) {
  for (auto it = fs::directory_iterator(path, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    if ((name != RunLock::kFile && meant_by(name) != kOwn[0]) || !it->is_regular_file(error)) return false;
  }
  return !error;
}

/// Such as table_text() writes.
bool is_table(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  return std::getline(in, line) && line.starts_with("epoch,loss,") && line.ends_with(",lr,seconds");
}

}  // namespace

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
    const auto taken = [&] {
      return tl::make_unexpected(
          fmt::format("{}: is not empty; continue that run with --resume, or name another folder with --out", out));
    };
    if (!unused(path.string(), error) && !error && !fs::exists(path / RunLock::kFile)) return taken();
    if (error) return failed(path);
    auto lock = RunLock::take(path.string());
    if (!lock) return tl::make_unexpected(lock.error());
    if (!unused(path.string(), error)) return error ? failed(path) : taken();
    sweep_leftovers(path.string());
    return RunFolder(path.string(), std::move(*lock));
  }
  fs::create_directories("runs", error);
  if (error) return failed("runs");
  for (int k = 1;; ++k) {
    const fs::path path = fs::path("runs") / fmt::format("{}-{}", name, k);
    if (fs::create_directory(path, error)) {  // only one of several processes makes it
      auto lock = RunLock::take(path.string());
      if (!lock) return tl::make_unexpected(lock.error());
      return RunFolder(path.string(), std::move(*lock));
    }
    if (error && !fs::exists(path)) return failed(path);
  }
}

tl::expected<RunFolder, std::string> RunFolder::open(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return tl::make_unexpected(fmt::format("{}: is not a run's folder", path));
  if (!fs::exists(path + "/" + kOwn[0], error)) {
    return tl::make_unexpected(fmt::format(
        "{}: holds no args.json, so it is not a run's folder; a run that was ended before it began is started anew",
        path));
  }
  auto lock = RunLock::take(path);
  if (!lock) return tl::make_unexpected(lock.error());
  sweep_leftovers(path);
  sweep_leftovers(path + "/state");
  return RunFolder(path, std::move(*lock));
}

tl::expected<std::string, std::string> RunFolder::table(const std::string& name) const {
  const auto refused = [&](std::string_view why) {
    return tl::make_unexpected(fmt::format("csv(\"{}\"): {}; name another file", name, why));
  };
  std::error_code error;
  const fs::path path = fs::path(path_) / name;  // an absolute name stays as it is
  const fs::path whole = fs::weakly_canonical(path, error), folder = fs::weakly_canonical(path_, error);
  const fs::path within = whole.lexically_relative(folder);
  for (const char* own : kOwn)
    if (*within.begin() == own) return refused("is a file of the run itself");
  if (!path.has_filename()) return refused("is a folder");
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    if (!fs::is_directory(whole.parent_path(), error)) return refused("there is no such folder");
  } else if (!fs::is_regular_file(status)) {
    return refused(fs::is_directory(status) ? "is a folder" : "is no regular file");
  } else if (!is_table(whole.string()) ||
             (whole.filename() == "results.csv" && fs::exists(whole.parent_path() / kOwn[0], error))) {
    return refused("is there, and was not written by such a callback");
  }
  sweep_leftovers(whole.parent_path().string(), whole.filename().string());
  return whole.string();
}

std::string table_head(const EpochRow& row) {
  std::string text = "epoch";
  for (const NamedValue& v : row.values) text += "," + v.name;
  return text + "\n";
}

std::string table_line(const std::vector<NamedValue>& columns, const EpochRow& row) {
  std::string text = fmt::format("{}", row.epoch);
  for (const NamedValue& column : columns) {
    const double* value = row.find(column.name);
    text += value == nullptr ? "," : fmt::format(",{:.6g}", *value);
  }
  return text + "\n";
}

std::string table_text(const std::vector<EpochRow>& rows) {
  if (rows.empty()) return "";
  std::string text = table_head(rows.front());
  for (const EpochRow& row : rows) text += table_line(rows.front().values, row);
  return text;
}

}  // namespace netc::rt
