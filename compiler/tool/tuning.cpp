#include "compiler/tool/tuning.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

#include "compiler/emit/process.h"
#include "compiler/tool/compile.h"

namespace netc::tool {

namespace fs = std::filesystem;

std::string tuning_path(const std::string& model, const std::string& named) {
  return named.empty() ? fs::path(model).replace_extension(".tune").string() : named;
}

bool read_tuning(const std::string& path, bool must_exist, schedule::Tuning& tuning, bool& exists, std::string& error) {
  std::error_code ec;
  exists = fs::exists(path, ec);
  if (!exists && !must_exist) return true;
  std::string text;
  if (fs::is_directory(path, ec)) return error = fmt::format("{} is a folder; a tuning file is a file", path), false;
  if (!emit::read_whole(path, text, error)) return false;
  auto read = schedule::parse_tuning(text, error);
  if (!read) {
    error = fmt::format("{}, {}; correct it, or delete the file and tune again", path, error);
    return false;
  }
  tuning = std::move(*read);
  return true;
}

bool tune_into(const std::string& path, const std::vector<tune::Job>& jobs, const Machine& machine,
               tune::Options options, schedule::Tuning& tuning, tune::Outcome& outcome, std::string& error) {
  const bool terminal = isatty(STDERR_FILENO);
  if (terminal)
    options.progress = [](const std::string& now) {
      fmt::print(stderr, "\r\x1b[K{}", now.substr(0, 100)), std::fflush(stderr);
    };
  const bool done = tune::tune(jobs, machine, options, tuning, outcome, error);
  if (terminal) fmt::print(stderr, "\r\x1b[K");
  return done && emit::replace_file(path, print(tuning), error);
}

int tune_models(const std::vector<std::string>& paths, const CompileOptions& options) {
  std::vector<std::string> models;
  for (const std::string& path : paths) {
    std::error_code ec;
    if (!fs::is_directory(path, ec)) {
      models.push_back(path);
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& entry : fs::directory_iterator(path, ec))
      if (entry.path().extension() == ".net") inside.push_back(entry.path().string());
    if (ec || inside.empty()) return print_error(fmt::format("there is no .net file in {}", path)), kFailed;
    std::sort(inside.begin(), inside.end());
    models.insert(models.end(), inside.begin(), inside.end());
  }
  int code = kDone;
  for (const std::string& model : models) {
    CompileOptions o = options;
    o.path = model;
    o.emit = Emit::tuning;
    if (models.size() > 1) fmt::print("{}{}\n", model == models.front() ? "" : "\n", model);
    std::fflush(stdout);
    code = std::max(code, compile(o));
  }
  return code;
}

}  // namespace netc::tool
