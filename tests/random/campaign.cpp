// Runs random networks, each in a process of its own: a crash or a hang is a finding like any other.
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tests/random/check.h"
#include "tests/random/generate.h"
#include "tests/random/shrink.h"
#include "tests/random/write.h"

namespace fs = std::filesystem;

namespace netc::random {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWays = 6;

struct Options {
  std::string seeds, keep, cache, write;
  std::vector<std::string> files;  // networks that are tried in kWays ways besides those of the seeds
  int jobs = 2;
  double limit = 60, minutes = 0;  // seconds for one network; minutes for all, 0: no limit
  bool shrinks = false, verbose = false;
};

/// What a child process tells.
struct Told {
  bool tested = false;
  std::string text, net;
};

/// A check in a process of its own. `net`: empty, to generate it.
class Child {
 public:
  Child(uint64_t seed, const std::string& net, const std::string& cache, double limit)
      : seed(seed),
        net_(net),
        ends_(Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(limit * 1000))) {
    int pipes[2];
    if (pipe(pipes) != 0) return;
    std::fflush(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      close(pipes[0]);
      run(pipes[1], cache);
      _exit(0);
    }
    close(pipes[1]);
    from_ = pipes[0];
  }
  /// False while it goes on.
  bool done(int wait_ms) {
    pollfd p{from_, POLLIN, 0};
    if (poll(&p, 1, wait_ms) > 0) {
      char buffer[65536];
      const ssize_t n = read(from_, buffer, sizeof buffer);
      if (n > 0) return bytes_.append(buffer, static_cast<size_t>(n)), false;
      int status = 0;
      waitpid(pid_, &status, 0);
      close(from_);
      if (WIFSIGNALED(status)) crash_ = fmt::format("it crashes: {}\n", strsignal(WTERMSIG(status)));
      else if (WEXITSTATUS(status) != 0) crash_ = fmt::format("it stops with code {}\n", WEXITSTATUS(status));
      return true;
    }
    if (Clock::now() < ends_) return false;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(from_);
    crash_ = "it does not end in time\n";
    return true;
  }
  Told told() const {
    Told t;
    const size_t end = bytes_.find('\0');  // the network, then what was found
    const std::string rest = end == std::string::npos ? "" : bytes_.substr(end + 1);
    t.net = bytes_.substr(0, end);
    t.tested = !crash_.empty() || (!rest.empty() && rest[0] == 'T');
    t.text = (rest.empty() ? "" : rest.substr(1)) + crash_;
    return t;
  }
  const uint64_t seed;

 private:
  void run(int to, const std::string& cache) const {
    const auto say = [to](const std::string& s) {
      for (size_t at = 0; at < s.size();) {
        const ssize_t n = write(to, s.data() + at, s.size() - at);
        if (n <= 0) _exit(3);
        at += static_cast<size_t>(n);
      }
    };
    const std::string text = net_.empty() ? generate(seed).text : net_;
    say(text + std::string(1, '\0'));
    const Outcome o = check(text, seed, cache);
    say((o.tested ? "T" : "S") + o.text);
  }

  const std::string net_;
  const Clock::time_point ends_;
  pid_t pid_ = -1;
  int from_ = -1;
  std::string bytes_, crash_;
};

void write_file(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

/// The smallest network that is still wrong, with this seed's plans or those of a few others.
std::string smaller(const std::string& net, uint64_t seed, const Options& o) {
  const auto fails = [&](const std::string& text) {
    for (const uint64_t s : {seed, seed + 1000003, seed + 2000003}) {
      Child child(s, text, o.cache, o.limit / 2);
      while (!child.done(50)) {}
      const Told t = child.told();
      if (t.tested && !t.text.empty()) return true;
    }
    return false;
  };
  return shrink(net, fails, 300);
}

int run(const Options& o) {
  uint64_t first = 0, last = 0;
  if (std::sscanf(o.seeds.c_str(), "%lu:%lu", &first, &last) != 2 || last < first)
    return fmt::print(stderr, "--seeds takes A:B, as 0:200\n"), 2;
  if (!o.keep.empty()) fs::create_directories(o.keep);
  if (!o.write.empty()) {
    int written = 0;
    for (uint64_t seed = first; seed < last; ++seed) written += write_network(seed, o.write);
    return fmt::print("{} networks written to {}\n", written, o.write), 0;
  }
  const auto start = Clock::now();
  const auto minutes = [&] { return std::chrono::duration<double>(Clock::now() - start).count() / 60; };
  fmt::print("random networks of seeds {}:{}\n", first, last);
  std::vector<std::unique_ptr<Child>> running;
  std::vector<std::pair<uint64_t, std::string>> all;  // a seed, and a network, or none for the seed's own
  for (const std::string& file : o.files) {
    std::ifstream in(file);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    for (int way = 0; way < kWays; ++way) all.push_back({first + static_cast<uint64_t>(way), text});
  }
  for (uint64_t seed = first; seed < last; ++seed) all.push_back({seed, ""});
  int tested = 0, skipped = 0, wrong = 0;
  for (size_t next = 0; next < all.size() || !running.empty();) {
    const bool late = o.minutes > 0 && minutes() > o.minutes;
    if (late && running.empty()) break;
    for (; !late && next < all.size() && running.size() < static_cast<size_t>(o.jobs); ++next)
      running.push_back(std::make_unique<Child>(all[next].first, all[next].second, o.cache, o.limit));
    for (auto& child : running) {
      if (!child->done(20)) continue;
      const Told t = child->told();
      (t.tested ? tested : skipped)++;
      if (t.tested && !t.text.empty()) {
        ++wrong;
        fmt::print("seed {}: wrong\n{}", child->seed, t.text);
        if (!o.keep.empty()) {
          write_file(fs::path(o.keep) / fmt::format("{}.net", child->seed), t.net);
          write_file(fs::path(o.keep) / fmt::format("{}.txt", child->seed), t.text);
        }
        if (o.shrinks) {
          const std::string small = smaller(t.net, child->seed, o);
          fmt::print("  the smallest that is wrong, too:\n{}\n", small);
          if (!o.keep.empty()) write_file(fs::path(o.keep) / fmt::format("{}.small.net", child->seed), small);
        } else {
          fmt::print("{}\n", t.net);
        }
      } else if (!t.tested) {
        fmt::print("seed {}: skipped: {}\n", child->seed, t.text);
      } else if (o.verbose) {
        fmt::print("seed {}: right\n", child->seed);
      }
      std::fflush(stdout);
      child.reset();
    }
    std::erase(running, nullptr);
  }
  fmt::print("{} passed, {} failed, {} skipped; {:.1f} minutes\n", tested - wrong, wrong, skipped, minutes());
  return wrong || tested == 0 ? 1 : 0;
}

}  // namespace
}  // namespace netc::random

int main(int argc, char** argv) {
  CLI::App app("Random networks, compiled in random ways, against the interpreter.");
  netc::random::Options o;
  app.add_option("--seeds", o.seeds, "A:B, from A to before B")->required();
  app.add_option("--jobs", o.jobs, "networks at once");
  app.add_option("--keep", o.keep, "a folder for networks that are wrong");
  app.add_option("--cache", o.cache, "a folder for compiled kernels");
  app.add_option("--limit", o.limit, "seconds for one network");
  app.add_option("--minutes", o.minutes, "for all; what is left then is left out");
  app.add_option("--write", o.write, "writes networks and data for them into this folder, and tests nothing");
  app.add_flag("--shrink", o.shrinks, "shrinks what is wrong to the smallest network that still is");
  app.add_flag("--verbose", o.verbose, "a line for each network");
  app.add_option("FILES", o.files, "networks that are tried, each in several ways, before those of the seeds");
  CLI11_PARSE(app, argc, argv);
  return netc::random::run(o);
}
