#include "runtime/train/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "runtime/core/files.h"
#include "runtime/train/run_record.h"

namespace netc::rt {

tl::expected<RunLock, std::string> RunLock::take(const std::string& folder) {
  const std::string path = folder + "/" + kFile;
  for (;;) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (fd < 0) return tl::make_unexpected(fmt::format("{}: cannot write here: {}", folder, std::strerror(errno)));
    RunLock lock(path, fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      const std::string who = read_file(path, 1000).value_or("");
      lock.path_.clear();
      return tl::make_unexpected(fmt::format("{}: {} is training here; wait until it has ended, or end it", folder,
                                             who.empty() ? "another process" : who.substr(0, who.find('\n'))));
    }
    // Where the file system has no locks nobody is kept away. What was removed by the one before is made anew.
    struct stat held, there;
    if (::fstat(fd, &held) != 0 || ::stat(path.c_str(), &there) != 0 || held.st_ino != there.st_ino ||
        held.st_dev != there.st_dev) {
      lock.path_.clear();
      continue;
    }
    char host[256] = "";
    ::gethostname(host, sizeof host - 1);
    const std::string who = fmt::format("process {} on {} (since {})\n", ::getpid(), host, utc_now());
    // A full disk keeps nobody from training: the lock is held, only who has it is not told.
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, who.data(), who.size(), 0) < 0) errno = 0;
    return lock;
  }
}

RunLock& RunLock::operator=(RunLock&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  return *this;
}

RunLock::~RunLock() {
  if (fd_ < 0) return;
  if (!path_.empty()) ::unlink(path_.c_str());  // still held, so it is this one's
  ::close(fd_);
}

}  // namespace netc::rt
