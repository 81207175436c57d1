#include "compiler/tool/frontend.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "compiler/ops/ops.h"
#include "compiler/parse/parse.h"

namespace netc::tool {
namespace {

constexpr uintmax_t kLargestSource = 16 << 20;

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
  std::string text;
  if (!read_source(path, text)) return std::nullopt;
  const SourceFile file(path, std::move(text));
  Diagnostics diagnostics(file);
  std::optional<sema::Model> model;
  if (auto tree = parse(file, diagnostics)) model = sema::analyse(*tree, how, ops::registry(), diagnostics);
  if (options.warnings_are_errors) diagnostics.warnings_are_errors();
  if (options.json) fmt::print("{}\n", diagnostics.render_json());
  else if (!diagnostics.all().empty()) fmt::print(stderr, "{}", diagnostics.render(options.color));
  if (diagnostics.has_errors()) return std::nullopt;
  return model;
}

}  // namespace netc::tool
