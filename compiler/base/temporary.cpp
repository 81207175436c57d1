#include "compiler/base/temporary.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>

namespace netc {
namespace {

// Tables of fixed size, which a signal handler can read whatever the other threads do: what finds no place in them is only not swept.
constexpr int kPaths = 256, kChildren = 256, kDeepest = 16;
struct Path {
  std::atomic<bool> used{false};
  char text[PATH_MAX];
};
std::array<Path, kPaths> paths;
std::array<std::atomic<pid_t>, kChildren> children{};
std::mutex registering;

/// As the system gives them (getdents64): readdir would allocate.
struct Entry {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t kind;
  char name[1];
};

void remove_at(int folder, const char* name, int depth);

void empty(int folder, int depth) {
  alignas(Entry) char buffer[2048];
  for (long n; (n = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0;)
    for (long at = 0; at < n;) {
      const Entry* e = reinterpret_cast<const Entry*>(buffer + at);
      at += e->length;
      if (std::strcmp(e->name, ".") != 0 && std::strcmp(e->name, "..") != 0) remove_at(folder, e->name, depth);
    }
}

void remove_at(int folder, const char* name, int depth) {
  if (unlinkat(folder, name, 0) == 0 || (errno != EISDIR && errno != EPERM) || depth > kDeepest) return;
  for (int attempt = 0; attempt < 100; ++attempt) {  // other threads may still write into it
    const int inside = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inside < 0) return;
    empty(inside, depth + 1);
    close(inside);
    if (unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno != ENOTEMPTY) return;
  }
}

}  // namespace

Temporary::Temporary(std::string path) : path_(std::move(path)), slot_(-1) {
  if (path_.empty() || path_.size() >= PATH_MAX) return;
  const std::lock_guard lock(registering);
  for (int i = 0; i < kPaths && slot_ < 0; ++i) {
    Path& p = paths[static_cast<size_t>(i)];
    if (p.used.load(std::memory_order_relaxed)) continue;
    std::memcpy(p.text, path_.c_str(), path_.size() + 1);
    p.used.store(true, std::memory_order_release);
    slot_ = i;
  }
}

Temporary::~Temporary() {
  std::error_code ec;
  if (!path_.empty()) std::filesystem::remove_all(path_, ec);
  if (slot_ >= 0) paths[static_cast<size_t>(slot_)].used.store(false, std::memory_order_release);
}

std::string make_temporary_folder() {
  std::error_code ec;
  std::string path = (std::filesystem::temp_directory_path(ec) / "netc-XXXXXX").string();
  return !ec && mkdtemp(path.data()) ? path : "";
}

Child::Child(pid_t pid) : slot_(-1) {
  for (int i = 0; i < kChildren && slot_ < 0; ++i)
    if (pid_t none = 0; children[static_cast<size_t>(i)].compare_exchange_strong(none, pid)) slot_ = i;
}

Child::~Child() {
  if (slot_ >= 0) children[static_cast<size_t>(slot_)].store(0);
}

void sweep_temporaries() {
  for (const auto& child : children)
    if (const pid_t pid = child.load(); pid > 0) kill(-pid, SIGTERM);  // the host's compiler removes its own
  for (const Path& p : paths)
    if (p.used.load(std::memory_order_acquire)) remove_at(AT_FDCWD, p.text, 0);
}

}  // namespace netc
