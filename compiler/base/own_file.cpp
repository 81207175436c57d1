#include "compiler/base/own_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace netc {

bool read_own_file(const std::string& path, uint64_t limit, std::string& contents) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (fd < 0) return false;
  struct stat st{};
  bool good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_size >= 0 &&
              static_cast<uint64_t>(st.st_size) <= limit;
  contents.resize(good ? static_cast<size_t>(st.st_size) : 0);
  for (size_t at = 0; good && at < contents.size();) {
    const ssize_t n = read(fd, contents.data() + at, contents.size() - at);
    if (n > 0) at += static_cast<size_t>(n);
    else good = n < 0 && errno == EINTR;
  }
  close(fd);
  return good;
}

}  // namespace netc
