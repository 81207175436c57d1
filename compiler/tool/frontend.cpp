#include "compiler/tool/frontend.h"

#include <cstdio>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "compiler/ops/ops.h"
#include "compiler/parse/parse.h"
#include "compiler/sema/product.h"

namespace netc::tool {
namespace {

/// Where imports are looked for besides the importing file's folder: what the command line says, then the models that
/// came with netc.
std::vector<std::string> import_paths(const FileOptions& options) {
  std::vector<std::string> out = options.import_paths;
  std::error_code ec;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", ec), bin = self.parent_path();
  if (ec) return out;
  // installed; in the tree that netc is built in
  for (const auto& p : {bin.parent_path() / "share/netc/models", bin.parent_path().parent_path() / "models"})
    if (std::filesystem::is_directory(p, ec)) out.push_back(p.string());
  return out;
}

}  // namespace

bool read_source(const std::string& path, std::string& text) {
  std::string error;
  return read_text(path, kLargestSource, text, error) || (print_error(error), false);
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
    how.defines.emplace_back(d.substr(0, d.find_last_not_of(' ', equals - 1) + 1), d.substr(equals + 1));
  }
  std::string text;
  if (!read_source(path, text)) return std::nullopt;
  const SourceFile file(path, std::move(text));
  Diagnostics diagnostics(file);
  std::optional<sema::Model> model;
  const std::optional<ast::File> tree = load(file, import_paths(options), diagnostics);
  if (tree) model = sema::analyse(*tree, how, ops::registry(), diagnostics);
  if (model) sema::check_product(*tree, *model, diagnostics);
  if (options.warnings_are_errors) diagnostics.warnings_are_errors();
  report.add(diagnostics);
  if (diagnostics.has_errors()) return std::nullopt;
  return model;
}

}  // namespace netc::tool
