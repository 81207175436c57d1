// Temporary files and folders, and the processes that write to them: they go away even where the program ends before its time.
#pragma once
#include <sys/types.h>

#include <string>

namespace netc {

/// A file or a folder that is removed, with all it holds, at the end of this object or of an interrupted program.
class Temporary {
 public:
  explicit Temporary(std::string path);
  ~Temporary();
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int slot_;
};

/// A new folder under the system's place for temporary files, or "".
std::string make_temporary_folder();

/// A child process that leads a group, from its start to its end; an interrupted program ends the group.
class Child {
 public:
  explicit Child(pid_t pid);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

 private:
  int slot_;
};

/// Ends the children and removes the temporary files. Safe in a signal handler.
void sweep_temporaries();

}  // namespace netc
