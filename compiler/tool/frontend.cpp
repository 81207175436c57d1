#include "compiler/tool/frontend.h"

#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

#include "compiler/ops/ops.h"
#include "compiler/parse/parse.h"

namespace netc::tool {
namespace {

/// Where imports are looked for besides the importing file's folder: what the command line says, then the models that came with netc.
std::vector<std::string> import_paths(const FileOptions& options) {
  std::vector<std::string> out = options.import_paths;
  std::error_code ec;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", ec), bin = self.parent_path();
  for (const auto& p : {bin.parent_path() / "share/netc/models", bin.parent_path().parent_path() / "models"})  // installed; in the tree that netc is built in
    if (!ec && std::filesystem::is_directory(p, ec)) out.push_back(p.string());
  return out;
}

}  // namespace

void print_error(const std::string& message) { fmt::print(stderr, "netc: {}\n", message); }

std::optional<sema::Model> load_model(const std::string& path, const FileOptions& options) {
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
  std::string text, error;
  if (!read_text(path, kLargestSource, text, error)) return print_error(error), std::nullopt;
  const SourceFile file(path, std::move(text));
  Diagnostics diagnostics(file);
  std::optional<sema::Model> model;
  if (auto tree = load(file, import_paths(options), diagnostics)) model = sema::analyse(*tree, how, ops::registry(), diagnostics);
  if (options.warnings_are_errors) diagnostics.warnings_are_errors();
  if (options.json) fmt::print("{}\n", diagnostics.render_json());
  else if (!diagnostics.all().empty()) fmt::print(stderr, "{}", diagnostics.render(options.color));
  if (diagnostics.has_errors()) return std::nullopt;
  return model;
}

}  // namespace netc::tool
