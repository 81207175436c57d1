// One process at a time works on a run's folder.
#pragma once
#include <string>

#include <tl/expected.hpp>

namespace netc::rt {

/// Holds the file `lock` of a folder, which says who it is; the system lets go of it however the process ends.
class RunLock {
 public:
  static constexpr const char* kFile = "lock";
  /// The error says which process has it.
  static tl::expected<RunLock, std::string> take(const std::string& folder);
  RunLock(RunLock&& other) noexcept : path_(std::move(other.path_)), fd_(other.fd_) { other.fd_ = -1; }
  RunLock& operator=(RunLock&& other) noexcept;
  ~RunLock();

 private:
  RunLock(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_;
};

}  // namespace netc::rt
