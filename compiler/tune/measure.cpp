#include "compiler/tune/measure.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include <HalideRuntime.h>
#include <fmt/format.h>

#include "compiler/emit/process.h"
#include "runtime/kernel_support.h"

namespace netc::tune {
namespace {

using Clock = std::chrono::steady_clock;
using Function = int (*)(void**);  // Halide's _argv form: a pointer to each argument
using schedule::Buffer;
using schedule::Storage;

constexpr double kTurnUs = 200;           // calls of one way before the next way's turn
constexpr int kLeastRounds = 3, kMostRounds = 60;
constexpr double kHopeless = 1.4;         // times the fastest, after two rounds: such a way has no further turns
constexpr double kAgain = 1.03;           // times its fastest turn: as good as that
constexpr double kPatience = 8;           // times the planned time, at most, until times repeat

double us_since(Clock::time_point t) { return std::chrono::duration<double, std::micro>(Clock::now() - t).count(); }

/// What the child tells: which way it begins, that one gave other results, a time, or why it stops.
struct Message {
  enum Kind : int32_t { begins, differs, time, stops } kind;
  int32_t way = 0, batch = 0;
  double us = 0;
  char text[160] = "";
};

/// The tensors of one kernel in this process. Those that share memory in the plan share it here.
class Bench {
 public:
  Bench(const schedule::Plan& p, const schedule::Kernel& k) : p_(p), k_(k) {}

  bool allocate() {
    for (const auto* list : {&k_.inputs, &k_.outputs})
      for (int b : *list) {
        const Buffer& buffer = p_.buffers[b];
        Memory& m = memory_[place_of(buffer)];
        m.bytes = std::max(m.bytes, bytes_of(buffer));
        (list == &k_.inputs ? m.read : m.written) = true;
        if (m.first < 0) m.first = b;
      }
    for (auto& [place, m] : memory_) {
      m.contents = rt::allocate_aligned(m.bytes + 64);
      m.start = m.read && m.written ? rt::allocate_aligned(m.bytes) : nullptr;
      if (!m.contents || (m.read && m.written && !m.start)) return false;
      fill(p_.buffers[m.first], m.contents.get(), m.bytes);
      if (m.start) std::memcpy(m.start.get(), m.contents.get(), m.bytes);
    }
    return true;
  }

  /// What the kernel overwrites is again as it was.
  void restore() {
    for (auto& [place, m] : memory_)
      if (m.start) std::memcpy(m.contents.get(), m.start.get(), m.bytes);
  }
  bool overwrites() const {
    return std::any_of(memory_.begin(), memory_.end(), [](const auto& m) { return m.second.start != nullptr; });
  }

  /// The arguments of a call, after the context. They live as long as the bench.
  std::vector<void*> arguments(int batch) {
    tensors_.clear();
    std::vector<void*> args;
    for (const auto* list : {&k_.inputs, &k_.outputs})
      for (int b : *list) {
        const Buffer& buffer = p_.buffers[b];
        auto t = std::make_unique<Tensor>();
        for (const schedule::StoredDim& d : stored_dims(buffer)) t->dims.emplace_back(0, static_cast<int32_t>(d.extent), static_cast<int32_t>(d.stride));
        if (buffer.type.batched) t->dims.back().extent = batch;
        t->buffer.host = static_cast<uint8_t*>(memory_.at(place_of(buffer)).contents.get());
        t->buffer.type = element(buffer.type.dtype);
        t->buffer.dimensions = static_cast<int>(t->dims.size());
        t->buffer.dim = t->dims.data();
        args.push_back(&t->buffer);
        tensors_.push_back(std::move(t));
      }
    return args;
  }

  /// Sets results to what no kernel leaves, where they are not its operands too.
  void spoil() {
    for (auto& [place, m] : memory_)
      if (m.written && !m.read) std::memset(m.contents.get(), 0xff, m.bytes);
  }
  std::vector<std::string> results(int batch) const {
    std::vector<std::string> all;
    for (int b : k_.outputs) {
      const Buffer& buffer = p_.buffers[b];
      const auto* data = static_cast<const char*>(memory_.at(place_of(buffer)).contents.get());
      all.emplace_back(data, static_cast<size_t>(buffer.type.bytes() * (buffer.type.batched ? batch : 1)));
    }
    return all;
  }
  bool same(const std::vector<std::string>& a, const std::vector<std::string>& b, double tolerance) const {
    for (size_t i = 0; i < a.size(); ++i)
      if (p_.buffers[k_.outputs[i]].type.dtype == ir::DType::f32 ? !close(a[i], b[i], tolerance) : !nearly_all(a[i], b[i])) return false;
    return true;
  }

 private:
  struct Memory {
    rt::AlignedMemory contents{nullptr, {}}, start{nullptr, {}};
    size_t bytes = 0;
    int first = -1;               // the buffer that it is filled for
    bool read = false, written = false;
  };
  struct Tensor {
    halide_buffer_t buffer{};
    std::vector<halide_dimension_t> dims;
  };
  using Place = std::pair<int, int64_t>;

  static Place place_of(const Buffer& b) {
    return b.storage == Storage::arena ? Place{0, b.offset} : Place{b.storage == Storage::input && b.variable == ir::kNone ? 2 : 1, b.variable};
  }
  size_t bytes_of(const Buffer& b) const { return static_cast<size_t>(b.type.bytes() * (b.type.batched ? p_.max_batch : 1)); }
  static halide_type_t element(ir::DType t) {
    switch (t) {
      case ir::DType::u8: return {halide_type_uint, 8};
      case ir::DType::i32: return {halide_type_int, 32};
      case ir::DType::u32: return {halide_type_uint, 32};
      default: return {halide_type_float, 32};
    }
  }

  // Numbers between 0 and 1, the same each time: no root of less than nothing, no difference of large sums. Indices are 0, which every table has.
  void fill(const Buffer& b, void* to, size_t bytes) const {
    const ir::Variable* v = b.variable == ir::kNone || b.storage == Storage::arena ? nullptr : &p_.graph->variables[static_cast<size_t>(b.variable)];
    if (v && v->role == ir::Role::constant) return void(std::memcpy(to, v->literal.data(), std::min(bytes, v->literal.size() * 4)));
    uint32_t state = 12345;
    const auto next = [&] { return (state = state * 1664525u + 1013904223u) >> 8; };  // 24 bits
    switch (b.type.dtype) {
      case ir::DType::f32:
        for (size_t i = 0; i < bytes / 4; ++i) static_cast<float*>(to)[i] = v && v->role == ir::Role::scalar ? 1e-3f : 0.05f + 0.9f * static_cast<float>(next()) / 16777216.0f;
        break;
      case ir::DType::u8:
        if (b.storage == Storage::input)
          for (size_t i = 0; i < bytes; ++i) static_cast<uint8_t*>(to)[i] = static_cast<uint8_t>(next() >> 16);
        break;
      case ir::DType::u32: std::fill_n(static_cast<uint32_t*>(to), bytes / 4, 3u); break;  // a seed, a step
      case ir::DType::i32: break;
    }
  }

  static bool close(const std::string& a, const std::string& b, double tolerance) {
    const size_t n = a.size() / 4;
    std::vector<float> x(n), y(n);
    std::memcpy(x.data(), a.data(), n * 4);
    std::memcpy(y.data(), b.data(), n * 4);
    double scale = 0, worst = 0;
    for (const float v : x)
      if (std::isfinite(v)) scale = std::max(scale, static_cast<double>(std::abs(v)));
    for (size_t i = 0; i < n; ++i) {
      if (std::isfinite(x[i]) != std::isfinite(y[i])) return false;
      if (std::isfinite(x[i])) worst = std::max(worst, std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i])));
    }
    return worst <= tolerance * scale;
  }
  // Indices and bytes: where two numbers are nearly the same, rounding may choose the other.
  static bool nearly_all(const std::string& a, const std::string& b) {
    size_t other = 0;
    for (size_t i = 0; i < a.size(); ++i) other += a[i] != b[i];
    return other <= a.size() / 100;
  }

  const schedule::Plan& p_;
  const schedule::Kernel& k_;
  std::map<Place, Memory> memory_;
  std::vector<std::unique_ptr<Tensor>> tensors_;
};

/// The child: never returns.
class Child {
 public:
  Child(const schedule::Plan& p, const schedule::Kernel& k, const How& how, int pipe) : bench_(p, k), p_(p), how_(how), pipe_(pipe) {}

  [[noreturn]] void run(const std::string& library, const std::vector<std::string>& symbols, const std::vector<int>& ways, size_t scratch) {
    void* loaded = dlopen(library.c_str(), RTLD_NOW);
    if (!loaded) stop(dlerror());
    std::string error;
    const auto context = rt::Context::create(0, scratch, error);
    if (!context) stop(error);
    if (!bench_.allocate()) stop("out of memory for the kernel's tensors");
    void* user = context.get();
    for (int batch : how_.batches) {
      std::vector<void*> args = bench_.arguments(batch);
      args.insert(args.begin(), &user);
      std::vector<Function> functions;
      std::vector<int> running;
      std::vector<std::string> want;
      std::vector<double> best;
      for (int way : ways) {
        say({Message::begins, way, batch});
        const auto f = reinterpret_cast<Function>(dlsym(loaded, symbols[static_cast<size_t>(way)].c_str()));
        if (!f) stop("a kernel's symbol is missing");
        bench_.spoil();
        bench_.restore();
        const bool failed = f(args.data()) != 0;
        std::vector<std::string> got = bench_.results(batch);
        if (way == ways.front()) {
          if (failed) stop(context->last_error());
          want = std::move(got);
        } else if (failed || !bench_.same(want, got, how_.tolerance)) {
          say({Message::differs, way, batch});
          continue;
        }
        functions.push_back(f);
        running.push_back(way);
        best.push_back(1e12);
      }
      time(functions, args, best);
      for (size_t i = 0; i < running.size(); ++i) say({Message::time, running[i], batch, best[i]});
    }
    _exit(0);
  }

 private:
  // Rounds go on until the fastest turn of each way was nearly reached by another one: what other processes take makes turns slower, never faster.
  void time(const std::vector<Function>& functions, std::vector<void*>& args, std::vector<double>& best) {
    const double limit = how_.seconds * 1e6 / static_cast<double>(how_.batches.size());
    const bool restores = bench_.overwrites();
    std::vector<double> second = best;
    const auto hopeless = [&](size_t i) { return i > 0 && best[i] > kHopeless * *std::min_element(best.begin(), best.end()); };
    const auto unsure = [&] {
      for (size_t i = 0; i < best.size(); ++i)
        if (!hopeless(i) && second[i] > kAgain * best[i]) return true;
      return false;
    };
    const auto start = Clock::now();
    for (int round = 0; round < kMostRounds && (round < kLeastRounds || us_since(start) < (unsure() ? kPatience : 1) * limit); ++round)
      for (size_t i = 0; i < functions.size(); ++i) {
        if (round > 1 && hopeless(i)) continue;
        if (restores) bench_.restore();
        double turn = 1e12;
        for (double spent = 0; spent < kTurnUs;) {
          const auto before = Clock::now();
          functions[i](args.data());
          const double us = us_since(before);
          turn = std::min(turn, us);
          spent += us;
        }
        second[i] = std::min(second[i], std::max(turn, best[i]));
        best[i] = std::min(best[i], turn);
      }
  }

  void say(const Message& m) {
    if (write(pipe_, &m, sizeof m) != static_cast<ssize_t>(sizeof m)) _exit(1);  // shorter than PIPE_BUF: whole or not at all
  }
  [[noreturn]] void stop(const std::string& why) {
    Message m{Message::stops};
    std::snprintf(m.text, sizeof m.text, "%s", why.c_str());
    say(m);
    _exit(1);
  }

  Bench bench_;
  const schedule::Plan& p_;
  const How& how_;
  const int pipe_;
};

bool link(const std::vector<lower::Object>& ways, const emit::TempFolder& temp, const emit::Toolchain& tools, const std::string& library, std::string& error) {
  std::vector<std::string> command = emit::split_words(tools.cxx);
  command.insert(command.end(), {"-shared", "-nostdlib", "-o", library});
  std::set<std::string> seen;
  for (const lower::Object& o : ways) {
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

bool measure(const schedule::Plan& p, const schedule::Kernel& k, const std::vector<lower::Object>& ways, const How& how, const emit::Toolchain& tools,
             std::vector<Measured>& measured, std::string& error) {
  measured.assign(ways.size(), {});
  std::vector<int> running;
  std::vector<std::string> symbols;
  size_t scratch = 0;
  for (size_t i = 0; i < ways.size(); ++i) {
    symbols.push_back(ways[i].symbol + "_argv");
    scratch = std::max(scratch, static_cast<size_t>(ways[i].scratch));
    if (!ways[i].object.empty()) running.push_back(static_cast<int>(i));
  }
  if (running.empty() || running.front() != 0) return error = fmt::format("kernel {} has no code to compare with", k.name), false;
  emit::TempFolder temp;
  const std::string library = temp.file("kernels.so");
  if (!temp.ok(error) || !link(ways, temp, tools, library, error)) return false;
  while (!running.empty()) {
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC) != 0) return error = fmt::format("cannot measure kernels: {}", std::strerror(errno)), false;
    const pid_t child = fork();
    if (child < 0) return close(pipes[0]), close(pipes[1]), error = fmt::format("cannot measure kernels: {}", std::strerror(errno)), false;
    if (child == 0) {
      close(pipes[0]);
      Child(p, k, how, pipes[1]).run(library, symbols, running, scratch);
    }
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
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
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
      error = fmt::format("kernel {} cannot be run on this machine: {}", k.name, why);
      return false;
    }
    running.erase(std::remove(running.begin(), running.end(), begun), running.end());
  }
  return true;
}

}  // namespace netc::tune
