#include "runtime/core/files.h"
#include "runtime/counted.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

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

constexpr std::string_view kTemporary = ".tmp.";  // NAME.tmp.PROCESS.NUMBER

/// Makes a temporary name for `path` with `make`, which fails with EEXIST where another process of the same id has left
/// one: then it is the next number's turn.
template <class Make>
std::string temporary_for(const std::string& path, Make&& make) {
  static std::atomic<unsigned> counter{0};
  for (;;) {
    std::string name = fmt::format("{}{}{}.{}", path, kTemporary, ::getpid(), counter++);
    errno = 0;
    if (make(name) || errno != EEXIST) return name;
  }
}

bool synced(int fd) { return ::fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP; }  // not every file system can

}  // namespace

tl::expected<void, std::string> write_atomically(const std::string& path, std::span<const std::string_view> parts,
                                                 bool durable) {
  int fd = -1;
  const std::string temporary = temporary_for(path, [&](const std::string& name) {
    fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return fd >= 0;
  });
  const auto failed = [&](const char* what) {
    std::string message = fmt::format("{}: cannot {}: {}", path, what, std::strerror(errno));
    ::unlink(temporary.c_str());
    return tl::make_unexpected(std::move(message));
  };
  if (fd < 0) return tl::make_unexpected(fmt::format("{}: cannot create: {}", path, std::strerror(errno)));
  for (const std::string_view part : parts) {
    if (write_all(fd, part.data(), part.size())) continue;
    const int reason = errno;
    ::close(fd);
    errno = reason;
    return failed("write");
  }
  if (durable && !synced(fd)) {
    const int reason = errno;
    ::close(fd);
    errno = reason;
    return failed("write to the disk");
  }
  if (::close(fd) != 0) return failed("close");
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failed("replace");
  if (!durable) return {};
  const int folder = ::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);  // not every file system can; the file itself is safe
    ::close(folder);
  }
  return {};
}

tl::expected<void, std::string> write_atomically(const std::string& path, std::string_view contents, bool durable) {
  return write_atomically(path, std::span<const std::string_view>(&contents, 1), durable);
}

bool link_atomically(const std::string& target, const std::string& path) {
  std::error_code ignored;
  // to rename one name of a file to another does nothing
  if (std::filesystem::equivalent(target, path, ignored)) return true;
  bool made = false;
  const std::string temporary =
      temporary_for(path, [&](const std::string& name) { return made = ::link(target.c_str(), name.c_str()) == 0; });
  if (!made) return false;
  if (::rename(temporary.c_str(), path.c_str()) == 0) return true;
  ::unlink(temporary.c_str());
  return false;
}

tl::expected<void, std::string> append_to_file(const std::string& path, std::string_view text, bool durable) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return tl::make_unexpected(fmt::format("{}: cannot open: {}", path, std::strerror(errno)));
  const bool written = write_all(fd, text.data(), text.size()) && (!durable || synced(fd));
  const int reason = errno;
  if (::close(fd) == 0 && written) return {};
  return tl::make_unexpected(fmt::format("{}: cannot write: {}", path, std::strerror(written ? errno : reason)));
}

tl::expected<void, std::string> sync_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const bool done = fd >= 0 && synced(fd);
  const int reason = errno;
  if (fd >= 0) ::close(fd);
  if (done) return {};
  return tl::make_unexpected(fmt::format("{}: cannot write to the disk: {}", path, std::strerror(reason)));
}

std::string_view meant_by(std::string_view name) {
  const size_t at = name.rfind(kTemporary);
  if (at == std::string_view::npos || at == 0) return {};
  const std::string_view numbers = name.substr(at + kTemporary.size());
  const size_t dot = numbers.find('.');
  const auto digits = [](std::string_view s) {
    return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  return dot != std::string_view::npos && digits(numbers.substr(0, dot)) && digits(numbers.substr(dot + 1))
             ? name.substr(0, at)
             : std::string_view{};
}

void sweep_leftovers(const std::string& folder, const std::string& name) {
  std::error_code error, ignored;
  for (auto it = std::filesystem::directory_iterator(folder, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::string file = it->path().filename().string();
    const std::string_view meant = meant_by(file);
    if (!meant.empty() && (name.empty() || meant == name)) std::filesystem::remove(it->path(), ignored);
  }
}

tl::expected<std::string, std::string> read_file(const std::string& path, size_t limit) {
  // a pipe that nobody writes to must not hold it up
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const auto failed = [&](std::string why) {
    if (fd >= 0) ::close(fd);
    return tl::make_unexpected(fmt::format("{}: {}", path, why));
  };
  if (fd < 0) return failed(fmt::format("cannot open: {}", std::strerror(errno)));
  struct stat info;
  if (::fstat(fd, &info) != 0) return failed(fmt::format("cannot read: {}", std::strerror(errno)));
  if (S_ISDIR(info.st_mode)) return failed("is a folder");
  if (!S_ISREG(info.st_mode)) return failed("is a device, a pipe or a socket, not a file");
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(fmt::format("cannot read: {}", std::strerror(errno)));
    if (n == 0) break;
    if (text.size() + static_cast<size_t>(n) > limit)
      return failed(fmt::format("is longer than {}", counted(limit, "byte")));
    text.append(buffer, static_cast<size_t>(n));
  }
  ::close(fd);
  return text;
}

}  // namespace netc::rt
