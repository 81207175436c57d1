// What every command does first: a .net file to a checked model, its diagnostics printed.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compiler/base/diagnostics.h"
#include "compiler/sema/model.h"

namespace netc::tool {

/// Exit codes of the command line.
constexpr int kDone = 0, kFailed = 1, kUsage = 2, kInternal = 70;

/// What the commands that read a .net file share.
struct FileOptions {
  std::vector<std::string> definitions;   // "name=value"
  std::vector<std::string> import_paths;  // -I
  std::string net;                        // empty: the file's only net
  bool warnings_are_errors = false;
  bool json = false;                      // diagnostics as JSON, to stdout
  bool color = false;
};

/// Prints the diagnostics to stderr; nullopt when there were errors or the file cannot be read.
std::optional<sema::Model> load_model(const std::string& path, const FileOptions&);

/// One line, "netc: ...", to stderr.
void print_error(const std::string& message);

}  // namespace netc::tool
