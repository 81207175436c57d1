// Child processes (the host's compiler and binutils), temporary folders, and files written atomically.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "compiler/base/temporary.h"

namespace netc::emit {

/// Runs `args` (args[0] is looked up on PATH, no shell) and waits. False when it cannot start or fails; `error` then
/// holds the command's name and what it printed. Thread-safe.
bool run_process(const std::vector<std::string>& args, std::string& error);

/// The full path of an executable on PATH (or `name` itself when it holds a slash), or "".
std::string find_executable(const std::string& name);

/// "ccache g++" -> {"ccache", "g++"}
std::vector<std::string> split_words(const std::string& s);

/// A new folder under the system's place for temporary files, removed with all it holds at the end.
class TempFolder {
 public:
  TempFolder();
  bool ok(std::string& error) const;
  std::string file(const std::string& name) const { return folder_.path() + "/" + name; }

 private:
  Temporary folder_;
};

/// Writes a file in place; for temporary ones.
bool write_file(const std::string& path, std::string_view contents, std::string& error);
/// Writes beside `path` and renames: readers see the old contents or the new. Makes the folders above it.
bool replace_file(const std::string& path, std::string_view contents, std::string& error);
bool read_whole(const std::string& path, std::string& contents, std::string& error);

}  // namespace netc::emit
