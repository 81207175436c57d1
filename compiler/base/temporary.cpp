#include "compiler/base/temporary.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

// Tables of fixed size, which a signal handler can read whatever the other threads do: what finds no place in them is
// only not swept.
constexpr int kPaths = 256, kChildren = 256, kDeepest = 16;
constexpr int kPatience = 1000;  // milliseconds for what should be a matter of microseconds
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

template <class F>
void each_entry(int folder, const F& f) {
  alignas(Entry) char buffer[2048];
  for (long n; (n = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0;)
    for (long at = 0; at < n;) {
      const Entry* e = reinterpret_cast<const Entry*>(buffer + at);
      at += e->length;
      if (std::strcmp(e->name, ".") != 0 && std::strcmp(e->name, "..") != 0) f(e->name);
    }
}

void remove_at(int folder, const char* name, int depth) {
  if (unlinkat(folder, name, 0) == 0 || (errno != EISDIR && errno != EPERM) || depth > kDeepest) return;
  for (int attempt = 0; attempt < 100; ++attempt) {  // some file systems leave out entries of a folder that changes
    const int inside = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inside < 0) return;
    each_entry(inside, [&](const char* entry) { remove_at(inside, entry, depth + 1); });
    close(inside);
    if (unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno != ENOTEMPTY) return;
  }
}

/// Keeps this thread from being stopped while a file or a process exists that the tables don't hold yet.
class Uninterrupted {
 public:
  Uninterrupted() {
    sigset_t all;
    sigfillset(&all), pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~Uninterrupted() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

std::atomic<bool> sweeping{false};
std::atomic<int> stopped{0};

[[noreturn]] void stop_here() {
  stopped.fetch_add(1);
  for (;;) poll(nullptr, 0, -1);
}

void wait_a_millisecond() { poll(nullptr, 0, 1); }

/// What the other threads would write meanwhile would stay. They don't go on: the program ends.
void stop_other_threads() {
  const int stop = SIGRTMIN;
  struct sigaction action{};
  action.sa_handler = [](int) { stop_here(); };
  sigfillset(&action.sa_mask);
  sigaction(stop, &action, nullptr);
  const int tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (tasks < 0) return;
  int others = 0;
  each_entry(tasks, [&](const char* name) {
    pid_t thread = 0;
    for (const char* c = name; *c >= '0' && *c <= '9'; ++c) thread = 10 * thread + (*c - '0');
    if (thread != static_cast<pid_t>(syscall(SYS_gettid)) && syscall(SYS_tgkill, getpid(), thread, stop) == 0) ++others;
  });
  close(tasks);
  for (int waited = 0; stopped.load() < others && waited < kPatience; ++waited) wait_a_millisecond();
}

}  // namespace

Temporary::Temporary(std::string path) : path_(std::move(path)), slot_(-1) { enter(); }

Temporary::Temporary(Folder) : slot_(-1) {
  std::error_code ec;
  path_ = (std::filesystem::temp_directory_path(ec) / "netc-XXXXXX").string();
  const Uninterrupted now;
  if (ec || !mkdtemp(path_.data())) path_.clear();
  enter();
}

void Temporary::enter() {
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

Child::Child(const std::function<pid_t()>& start) : slot_(-1) {
  const Uninterrupted now;
  pid_ = start();
  for (int i = 0; pid_ > 0 && i < kChildren && slot_ < 0; ++i)
    if (pid_t none = 0; children[static_cast<size_t>(i)].compare_exchange_strong(none, pid_)) slot_ = i;
}

Child::~Child() {
  if (slot_ >= 0) children[static_cast<size_t>(slot_)].store(0);
}

void default_signals() {
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGINT, SIGTERM, SIGHUP})
    if (struct sigaction now{}; sigaction(number, nullptr, &now) == 0 && now.sa_handler != SIG_IGN)
      signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none), pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

void sweep_temporaries() {
  if (sweeping.exchange(true)) stop_here();
  stop_other_threads();
  for (const auto& child : children)
    if (const pid_t pid = child.load(); pid > 0) kill(-pid, SIGTERM);
  for (const auto& child : children)  // they remove files of their own, and write no more
    if (const pid_t pid = child.load(); pid > 0)
      for (int waited = 0; waitpid(pid, nullptr, WNOHANG) == 0 && waited < kPatience; ++waited) wait_a_millisecond();
  for (const Path& p : paths)
    if (p.used.load(std::memory_order_acquire)) remove_at(AT_FDCWD, p.text, 0);
}

}  // namespace netc
