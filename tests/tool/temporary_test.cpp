// What an interrupted netc leaves behind: nothing, whatever its other threads and its children were at.
#include <doctest/doctest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "compiler/base/temporary.h"

using namespace netc;
namespace fs = std::filesystem;

namespace {

/// A process whose threads make temporary folders, and files and folders in one that they share; then it sweeps.
[[noreturn]] void write_and_sweep(const std::string& place, int child_says) {
  setenv("TMPDIR", place.c_str(), 1);
  const Temporary shared{Temporary::Folder()};
  const Child child([] {
    char sleep[] = "sleep", long_[] = "1000";
    char* words[] = {sleep, long_, nullptr};
    posix_spawnattr_t how;
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    sigset_t none;
    sigemptyset(&none), posix_spawnattr_setsigmask(&how, &none);
    pid_t pid = 0;
    return posix_spawnp(&pid, "sleep", nullptr, &how, words, environ) == 0 ? pid : 0;
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0;; ++i) {
        std::error_code ec;
        const std::string folder = shared.path() + "/deep/" + std::to_string(t) + "/" + std::to_string(i % 50);
        fs::create_directories(folder, ec);  // comes back when it was removed
        std::ofstream(folder + "/file") << i;
        const Temporary own{Temporary::Folder()};
        std::ofstream(own.path() + "/file") << i;
      }
    });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const pid_t pid = child.pid();
  (void)!write(child_says, &pid, sizeof pid);
  sweep_temporaries();
  _exit(0);
}

}  // namespace

TEST_CASE("a sweep leaves nothing, whatever other threads are at") {
  // no Temporary, which the sweep would take
  std::string place = (fs::temp_directory_path() / "netc-test-XXXXXX").string();
  REQUIRE(mkdtemp(place.data()));
  for (int round = 0; round < 20; ++round) {
    int pipes[2];
    REQUIRE(pipe(pipes) == 0);
    const pid_t pid = fork();
    if (pid == 0) write_and_sweep(place, pipes[1]);
    pid_t grandchild = 0;
    CHECK(read(pipes[0], &grandchild, sizeof grandchild) == sizeof grandchild);
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    CHECK(fs::is_empty(place));
    CHECK(kill(grandchild, 0) != 0);  // ended with it, and waited for
    close(pipes[0]), close(pipes[1]);
  }
  fs::remove_all(place);
}
