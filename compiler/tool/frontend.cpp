#include "compiler/tool/frontend.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "compiler/ops/ops.h"
#include "compiler/parse/parse.h"

namespace netc::tool {
namespace {

constexpr uintmax_t kLargestSource = 16 << 20;

}  // namespace

bool read_source(const std::string& path, std::string& text) {
  std::error_code ec;
  if (std::filesystem::is_directory(path, ec)) return print_error(fmt::format("{} is a folder, not a .net file", path)), false;
  const uintmax_t bytes = std::filesystem::file_size(path, ec);
  if (ec) return print_error(fmt::format("cannot read {}: {}", path, ec.message())), false;
  if (bytes > kLargestSource) return print_error(fmt::format("{} has {} bytes; a .net file has at most {}", path, bytes, kLargestSource)), false;
  std::ifstream in(path, std::ios::binary);
  text.assign(std::istreambuf_iterator<char>(in), {});
  if (!in && !in.eof()) return print_error(fmt::format("cannot read {}", path)), false;
  return true;
}

void print_error(const std::string& message) { fmt::print(stderr, "netc: {}\n", message); }

void Report::add(const Diagnostics& d) {
  if (options_.json) json_.push_back(d.render_json());
  else if (!d.all().empty()) fmt::print(stderr, "{}", d.render(options_.color));
}

Report::~Report() {
  if (!options_.json || json_.empty()) return;
  nlohmann::json all = nlohmann::json::array();
  for (const std::string& text : json_)
    for (auto& d : nlohmann::json::parse(text)) all.push_back(std::move(d));
  std::fputs((all.dump(2) + "\n").c_str(), stdout);  // never throws; the command's end sees a full disk
}

std::optional<sema::Model> load_model(const std::string& path, const FileOptions& options) {
  Report report(options);
  return load_model(path, options, report);
}

int check(const std::vector<std::string>& paths, const FileOptions& options) {
  Report report(options);
  int code = kDone;
  for (const std::string& path : paths)
    if (!load_model(path, options, report)) code = kFailed;
  return code;
}

std::optional<sema::Model> load_model(const std::string& path, const FileOptions& options, Report& report) {
  sema::Options how;
  how.net = options.net;
  for (const std::string& d : options.definitions) {
    const size_t equals = d.find('=');
    if (equals == std::string::npos || equals == 0) {
      print_error(fmt::format("-D {}: write -D name=value", d));
      return std::nullopt;
    }
    how.defines.emplace_back(d.substr(0, equals), d.substr(equals + 1));
  }
  std::string text;
  if (!read_source(path, text)) return std::nullopt;
  const SourceFile file(path, std::move(text));
  Diagnostics diagnostics(file);
  std::optional<sema::Model> model;
  if (auto tree = parse(file, diagnostics)) model = sema::analyse(*tree, how, ops::registry(), diagnostics);
  if (options.warnings_are_errors) diagnostics.warnings_are_errors();
  report.add(diagnostics);
  if (diagnostics.has_errors()) return std::nullopt;
  return model;
}

}  // namespace netc::tool
