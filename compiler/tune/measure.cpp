#include "compiler/tune/measure.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <set>

#include <fmt/format.h>

#include "compiler/emit/process.h"
#include "compiler/tune/bench.h"

namespace netc::tune {
namespace {

using Clock = std::chrono::steady_clock;
using Function = int (*)(void**);  // Halide's _argv form: a pointer to each argument

constexpr double kTurnUs = 200;  // calls of one way before the next way's turn
constexpr int kLeastRounds = 3, kMostRounds = 60;
constexpr double kHopeless = 1.4;  // times the fastest, after two rounds: such a way has no further turns
constexpr double kAgain = 1.03;    // times its fastest turn: as good as that
constexpr double kPatience = 8;    // times the planned time, at most, until times repeat

double us_since(Clock::time_point t) { return std::chrono::duration<double, std::micro>(Clock::now() - t).count(); }

/// What the child tells: which way it begins, that one gave other results, a time, or why it stops.
struct Message {
  enum Kind : int32_t { begins, differs, time, stops } kind;
  int32_t way = 0, batch = 0;
  double us = 0;
  char text[160] = "";
};

/// The child: never returns.
class Measuring {
 public:
  Measuring(const std::vector<Way>& ways, const How& how, int pipe) : ways_(ways), how_(how), pipe_(pipe) {}

  [[noreturn]] void run(const std::string& library, const std::vector<int>& running, size_t scratch) {
    void* loaded = dlopen(library.c_str(), RTLD_NOW);
    if (!loaded) stop(dlerror());
    std::string error;
    const auto context = rt::Context::create(0, scratch, error);
    if (!context) stop(error);
    void* user = context.get();
    for (int way : running) {
      auto& bench = benches_[ways_[static_cast<size_t>(way)].subject];
      if (bench) continue;
      bench = std::make_unique<Bench>(*ways_[static_cast<size_t>(way)].subject);
      if (!bench->allocate()) stop("out of memory for the kernels' tensors");
    }
    for (int batch : how_.batches) {
      std::map<const Subject*, std::vector<std::vector<void*>>> arguments;
      for (auto& [subject, bench] : benches_) arguments[subject] = bench->arguments(&user, batch);
      std::vector<std::string> want;
      std::vector<Calls> timed;
      for (int way : running) {
        say({Message::begins, way, batch});
        Calls calls{way, benches_[ways_[static_cast<size_t>(way)].subject].get(), {}};
        const bool works = first_run(calls, loaded, arguments[ways_[static_cast<size_t>(way)].subject]);
        if (way == running.front()) {
          if (!works) stop(context->last_error());
          want = calls.bench->results(batch);
        } else if (!works || !calls.bench->same(want, calls.bench->results(batch), how_.tolerance)) {
          say({Message::differs, way, batch});
          continue;
        }
        timed.push_back(std::move(calls));
      }
      const std::vector<double> best = time(timed);
      for (size_t i = 0; i < timed.size(); ++i) say({Message::time, timed[i].way, batch, best[i]});
    }
    _exit(0);
  }

 private:
  struct Calls {
    int way = 0;
    Bench* bench = nullptr;
    std::vector<std::pair<Function, void**>> each;
    bool run() const {
      for (const auto& [f, args] : each)
        if (f(args) != 0) return false;
      return true;
    }
  };

  bool first_run(Calls& calls, void* loaded, std::vector<std::vector<void*>>& arguments) {
    const Way& way = ways_[static_cast<size_t>(calls.way)];
    calls.bench->spoil();
    calls.bench->restore();
    for (size_t i = 0; i < way.objects.size(); ++i) {
      const auto f = reinterpret_cast<Function>(dlsym(loaded, (way.objects[i].symbol + "_argv").c_str()));
      if (!f) stop("a kernel's symbol is missing");
      if (i >= way.subject->once.size()) calls.each.push_back({f, arguments[i].data()});
      else if (f(arguments[i].data()) != 0) return false;
    }
    return calls.run();
  }

  // Rounds go on until the fastest turn of each way was nearly reached by another one: what other processes take makes
  // turns slower, never faster.
  std::vector<double> time(const std::vector<Calls>& ways) {
    const double limit = how_.seconds * 1e6 / static_cast<double>(how_.batches.size());
    std::vector<double> best(ways.size(), 1e12), second = best;
    const auto hopeless = [&](size_t i) {
      return i > 0 && best[i] > kHopeless * *std::min_element(best.begin(), best.end());
    };
    const auto unsure = [&] {
      for (size_t i = 0; i < best.size(); ++i)
        if (!hopeless(i) && second[i] > kAgain * best[i]) return true;
      return false;
    };
    const auto start = Clock::now();
    for (int round = 0;
         round < kMostRounds && (round < kLeastRounds || us_since(start) < (unsure() ? kPatience : 1) * limit); ++round)
      for (size_t i = 0; i < ways.size(); ++i) {
        if (round > 1 && hopeless(i)) continue;
        if (ways[i].bench->overwrites()) ways[i].bench->restore();
        double turn = 1e12;
        for (double spent = 0; spent < kTurnUs;) {
          const auto before = Clock::now();
          ways[i].run();
          const double us = us_since(before);
          turn = std::min(turn, us);
          spent += us;
        }
        second[i] = std::min(second[i], std::max(turn, best[i]));
        best[i] = std::min(best[i], turn);
      }
    return best;
  }

  void say(const Message& m) {
    // shorter than PIPE_BUF: whole or not at all
    if (write(pipe_, &m, sizeof m) != static_cast<ssize_t>(sizeof m)) _exit(1);
  }
  [[noreturn]] void stop(const std::string& why) {
    Message m{Message::stops};
    std::snprintf(m.text, sizeof m.text, "%s", why.c_str());
    say(m);
    _exit(1);
  }

  const std::vector<Way>& ways_;
  const How& how_;
  const int pipe_;
  std::map<const Subject*, std::unique_ptr<Bench>> benches_;
};

bool has_code(const Way& w) {
  return std::all_of(w.objects.begin(), w.objects.end(), [](const lower::Object& o) { return !o.object.empty(); });
}

bool link(const std::vector<Way>& ways, const emit::TempFolder& temp, const emit::Toolchain& tools,
          const std::string& library, std::string& error) {
  std::vector<std::string> command = emit::split_words(tools.cxx);
  command.insert(command.end(), {"-shared", "-nostdlib", "-o", library});
  std::set<std::string> seen;
  for (const Way& w : ways)
    for (const lower::Object& o : w.objects) {
      if (o.object.empty() || !seen.insert(o.symbol).second) continue;
      command.push_back(temp.file(o.symbol + ".o"));
      if (!emit::write_file(command.back(), o.object, error)) return false;
    }
  if (!emit::run_process(command, error)) {
    error = "linking kernels to measure them: " + error;
    return false;
  }
  return true;
}

}  // namespace

bool measure(const std::vector<Way>& ways, const How& how, const emit::Toolchain& tools,
             std::vector<Measured>& measured, std::string& error) {
  measured.assign(ways.size(), {});
  std::vector<int> running;
  size_t scratch = 0;
  for (size_t i = 0; i < ways.size(); ++i) {
    for (const lower::Object& o : ways[i].objects) scratch = std::max(scratch, static_cast<size_t>(o.scratch));
    if (has_code(ways[i])) running.push_back(static_cast<int>(i));
  }
  const std::string name = ways.empty() ? "" : ways[0].subject->each.back()->name;
  if (running.empty() || running.front() != 0)
    return error = fmt::format("kernel {} has no code to compare with", name), false;
  emit::TempFolder temp;
  const std::string library = temp.file("kernels.so");
  if (!temp.ok(error) || !link(ways, temp, tools, library, error)) return false;
  while (!running.empty()) {
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) != 0)
      return error = fmt::format("cannot measure kernels: {}", std::strerror(errno)), false;
    const Child child([&] {
      const pid_t pid = fork();
      if (pid < 0) return pid;
      setpgid(pid, 0);  // by whoever comes first
      if (pid > 0) return pid;
      default_signals();
      close(pipes[0]);
      Measuring(ways, how, pipes[1]).run(library, running, scratch);
    });
    if (child.pid() < 0)
      return close(pipes[0]), close(pipes[1]), error = fmt::format("cannot measure kernels: {}", std::strerror(errno)),
                                               false;
    close(pipes[1]);
    std::map<std::pair<int, int>, double> times;  // by way and batch
    std::set<int> wrong;
    int begun = running.front();
    std::string why;
    Message m{};
    for (ssize_t n; (n = read(pipes[0], &m, sizeof m)) != 0;) {
      if (n < 0 && errno == EINTR) continue;
      if (n != static_cast<ssize_t>(sizeof m)) break;
      if (m.kind == Message::begins) begun = m.way;
      else if (m.kind == Message::differs) wrong.insert(m.way);
      else if (m.kind == Message::time) times[{m.way, m.batch}] = m.us;
      else why = m.text;
    }
    close(pipes[0]);
    int status = 0;
    while (waitpid(child.pid(), &status, 0) < 0 && errno == EINTR) {}
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
      for (int way : running) {
        Measured& r = measured[static_cast<size_t>(way)];
        r.works = wrong.count(way) == 0;
        for (int batch : how.batches) r.us.push_back(r.works ? times[{way, batch}] : 0);
      }
      return true;
    }
    if (begun == 0 || !why.empty()) {  // a crash while several are timed is laid to the last one that began
      if (why.empty()) why = WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "it stopped";
      error = fmt::format("kernel {} cannot be run on this machine: {}", name, why);
      return false;
    }
    running.erase(std::remove(running.begin(), running.end(), begun), running.end());
  }
  return true;
}

}  // namespace netc::tune
