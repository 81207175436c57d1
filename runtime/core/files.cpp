#include "runtime/core/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

namespace netc::rt {
namespace {

bool write_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(fd, data, std::min(size, size_t{1} << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

tl::expected<void, std::string> write_atomically(const std::string& path, std::span<const std::string_view> parts) {
  static std::atomic<unsigned> counter{0};
  const std::string temporary = fmt::format("{}.tmp.{}.{}", path, ::getpid(), counter++);
  const auto failed = [&](const char* what) {
    std::string message = fmt::format("{}: cannot {}: {}", path, what, std::strerror(errno));
    ::unlink(temporary.c_str());
    return tl::make_unexpected(std::move(message));
  };
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return tl::make_unexpected(fmt::format("{}: cannot create: {}", path, std::strerror(errno)));
  for (const std::string_view part : parts) {
    if (write_all(fd, part.data(), part.size())) continue;
    const int reason = errno;
    ::close(fd);
    errno = reason;
    return failed("write");
  }
  if (::fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP) {
    const int reason = errno;
    ::close(fd);
    errno = reason;
    return failed("write to the disk");
  }
  if (::close(fd) != 0) return failed("close");
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failed("replace");
  const int folder = ::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);  // not every file system can; the file itself is safe
    ::close(folder);
  }
  return {};
}

tl::expected<void, std::string> write_atomically(const std::string& path, std::string_view contents) {
  return write_atomically(path, std::span<const std::string_view>(&contents, 1));
}

tl::expected<std::string, std::string> read_file(const std::string& path, size_t limit) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const auto failed = [&](std::string why) {
    if (fd >= 0) ::close(fd);
    return tl::make_unexpected(fmt::format("{}: {}", path, why));
  };
  if (fd < 0) return failed(fmt::format("cannot open: {}", std::strerror(errno)));
  struct stat info;
  if (::fstat(fd, &info) != 0) return failed(fmt::format("cannot read: {}", std::strerror(errno)));
  if (S_ISDIR(info.st_mode)) return failed("is a folder");
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(fmt::format("cannot read: {}", std::strerror(errno)));
    if (n == 0) break;
    if (text.size() + static_cast<size_t>(n) > limit) return failed(fmt::format("is longer than {} bytes", limit));
    text.append(buffer, static_cast<size_t>(n));
  }
  ::close(fd);
  return text;
}

}  // namespace netc::rt
