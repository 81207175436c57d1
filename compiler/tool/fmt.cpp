#include "compiler/tool/fmt.h"

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>

#include <fmt/format.h>

#include "compiler/emit/process.h"
#include "compiler/parse/format.h"

namespace netc::tool {
namespace {

namespace fs = std::filesystem;

/// The file itself, behind links, with the permissions it had.
bool replace(const std::string& path, const std::string& text) {
  std::error_code ec;
  const fs::path target = fs::canonical(path, ec);
  std::string error;
  if (ec) return print_error(fmt::format("cannot write {}: {}", path, ec.message())), false;
  const fs::perms permissions = fs::status(target, ec).permissions();
  if (!emit::replace_file(target.string(), text, error)) return print_error(error), false;
  fs::permissions(target, permissions, ec);
  return true;
}

}  // namespace

int format_files(const std::vector<std::string>& paths, bool check, const FileOptions& options) {
  int code = kDone;
  Report report(options);
  for (const std::string& path : paths) {
    const bool standard = path == "-";
    std::string text;
    if (standard) {
      text.assign(std::istreambuf_iterator<char>(std::cin), {});
    } else if (!read_source(path, text)) {
      code = kFailed;
      continue;
    }
    const SourceFile file(standard ? "stdin" : path, text);
    Diagnostics diagnostics(file);
    const std::optional<std::string> laid_out = format(file, diagnostics);
    report.add(diagnostics);
    if (!laid_out) {
      code = kFailed;
    } else if (check) {
      if (*laid_out == text) continue;
      fmt::print("{}\n", file.path());
      code = kFailed;
    } else if (standard) {
      fmt::print("{}", *laid_out);
    } else if (*laid_out != text && !replace(path, *laid_out)) {
      code = kFailed;
    }
  }
  return code;
}

}  // namespace netc::tool
