#include "compiler/emit/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <fmt/format.h>

#include "compiler/base/temporary.h"

extern char** environ;

namespace netc::emit {

namespace fs = std::filesystem;

bool run_process(const std::vector<std::string>& args, std::string& error) {
  const std::string name = fs::path(args[0]).filename();
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) {
    error = fmt::format("cannot run {}: {}", name, std::strerror(errno));
    return false;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, out[1], 2);
  std::vector<char*> argv;
  for (const std::string& a : args) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  posix_spawnattr_t how;  // a group of its own: the compilers that a compiler starts end with it
  posix_spawnattr_init(&how);
  posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  sigset_t none;
  sigemptyset(&none), posix_spawnattr_setsigmask(&how, &none);
  int failed = 0;
  const Child child([&] {
    pid_t pid = 0;
    failed = posix_spawnp(&pid, argv[0], &actions, &how, argv.data(), environ);
    return failed ? 0 : pid;
  });
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&how);
  close(out[1]);
  if (failed) {
    close(out[0]);
    error = fmt::format("cannot run {}: {}", args[0], std::strerror(failed));
    return false;
  }
  std::string said;
  char buffer[4096];
  for (ssize_t n; (n = read(out[0], buffer, sizeof buffer)) != 0;) {
    if (n < 0 && errno != EINTR) break;
    if (n > 0 && said.size() < (size_t{1} << 20)) said.append(buffer, static_cast<size_t>(n));
  }
  close(out[0]);
  int status = 0;
  while (waitpid(child.pid(), &status, 0) < 0 && errno == EINTR) {}
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  if (WIFSIGNALED(status))
    error = fmt::format("{} was killed by signal {} ({})", name, WTERMSIG(status), strsignal(WTERMSIG(status)));
  else error = fmt::format("{} failed (exit code {})", name, WEXITSTATUS(status));
  if (!said.empty()) error += ":\n" + said;
  return false;
}

std::string find_executable(const std::string& name) {
  if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0 ? name : "";
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "/usr/local/bin:/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string full = (folder.empty() ? std::string(".") : folder) + "/" + name;
    std::error_code ec;
    if (access(full.c_str(), X_OK) == 0 && !fs::is_directory(full, ec)) return full;
  }
  return "";
}

std::vector<std::string> split_words(const std::string& s) {
  std::istringstream in(s);
  return {std::istream_iterator<std::string>(in), {}};
}

TempFolder::TempFolder() : folder_(Temporary::Folder()) {}

bool TempFolder::ok(std::string& error) const {
  if (folder_.path().empty()) error = "cannot make a folder for temporary files; set TMPDIR to a writable one";
  return !folder_.path().empty();
}

bool write_file(const std::string& path, std::string_view contents, std::string& error) {
  std::ofstream f(path, std::ios::binary | std::ios::trunc);
  f.write(contents.data(), static_cast<std::streamsize>(contents.size()));
  f.flush();
  if (f) return true;
  error = fmt::format("cannot write {}: {}", path, std::strerror(errno));
  return false;
}

bool replace_file(const std::string& path, std::string_view contents, std::string& error) {
  static std::atomic<int> serial{0};
  std::error_code ec;
  const fs::path folder = fs::path(path).parent_path();
  if (!folder.empty()) fs::create_directories(folder, ec);
  if (ec) {
    error = fmt::format("cannot make the folder {}: {}", folder.string(), ec.message());
    return false;
  }
  const Temporary temporary(fmt::format("{}.{}.{}.tmp", path, getpid(), serial++));
  if (!write_file(temporary.path(), contents, error)) return false;
  fs::rename(temporary.path(), path, ec);
  if (ec) error = fmt::format("cannot write {}: {}", path, ec.message());
  return !ec;
}

bool read_whole(const std::string& path, std::string& contents, std::string& error) {
  std::ifstream f(path, std::ios::binary);
  if (f) contents.assign(std::istreambuf_iterator<char>(f), {});
  if (f && !f.bad()) return true;
  error = fmt::format("cannot read {}: {}", path, std::strerror(errno));
  return false;
}

}  // namespace netc::emit
