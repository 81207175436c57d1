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
  bool json = false;  // diagnostics as JSON, to stdout
  bool color = false;
};

/// Prints the diagnostics of a run: as text to stderr at once, or as one JSON document (docs/diagnostics.md) to stdout
/// at its end.
class Report {
 public:
  explicit Report(const FileOptions& options) : options_(options) {}
  ~Report();
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;
  void add(const Diagnostics&);

 private:
  const FileOptions& options_;
  std::vector<std::string> json_;
};

/// Reports the diagnostics; nullopt when there were errors or the file cannot be read.
std::optional<sema::Model> load_model(const std::string& path, const FileOptions&, Report&);
std::optional<sema::Model> load_model(const std::string& path, const FileOptions&);

/// netc check FILE.net...: diagnostics only. Returns the exit code.
int check(const std::vector<std::string>& paths, const FileOptions&);

/// The text of a .net file; false after a message to stderr.
bool read_source(const std::string& path, std::string& text);

/// One line, "netc: ...", to stderr.
void print_error(const std::string& message);

}  // namespace netc::tool
