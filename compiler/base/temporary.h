// Temporary files and folders, and the processes that write to them: they go away even where the program ends before
// its time.
#pragma once
#include <sys/types.h>

#include <functional>
#include <string>

namespace netc {

/// A file or a folder that is removed, with all it holds, at the end of this object or of an interrupted program.
class Temporary {
 public:
  /// What will be made there.
  explicit Temporary(std::string path);
  /// A new folder under the system's place for temporary files; its path is "" when there can be none.
  struct Folder {};
  explicit Temporary(Folder);
  ~Temporary();
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const std::string& path() const { return path_; }

 private:
  void enter();

  std::string path_;
  int slot_;
};

/// A child process that leads a group, from its start to its end; an interrupted program ends the group.
class Child {
 public:
  /// Runs `start`, which starts one and gives its id, or 0. All signals are blocked meanwhile; a child must not inherit
  /// that.
  explicit Child(const std::function<pid_t()>& start);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
  int slot_;
};

/// In a child process that goes on in this program's code: its signals are nobody's to handle, and none is blocked.
void default_signals();

/// Stops all other threads for good, ends the children and removes the temporary files; the caller ends the program.
/// For signal handlers that block all signals.
void sweep_temporaries();

}  // namespace netc
