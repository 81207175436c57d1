#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <random>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/cli/commands.h"
#include "runtime/core/limits.h"
#include "runtime/core/weights.h"
#include "runtime/cores.h"
#include "runtime/counted.h"
#include "runtime/data/loader.h"
#include "runtime/kernel_support.h"
#include "runtime/train/metrics.h"

namespace netc::rt {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point t) { return std::chrono::duration<double, std::milli>(Clock::now() - t).count(); }

struct Spread {
  double median = 0, p95 = 0, least = 0;
  size_t n = 0;
};
Spread spread_of(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  if (v.empty()) return {};
  return {v[v.size() / 2], v[std::min(v.size() - 1, v.size() * 95 / 100)], v[0], v.size()};
}

/// Repeats `step` for about `seconds`, after a warm-up; milliseconds each.
template <class F>
Spread measure(double seconds, F&& step) {
  for (int i = 0; i < 3; ++i) step();
  std::vector<double> ms;
  const Clock::time_point begin = Clock::now();
  while (ms.size() < 5 || ms_since(begin) < seconds * 1e3) {
    const Clock::time_point t = Clock::now();
    step();
    ms.push_back(ms_since(t));
  }
  return spread_of(std::move(ms));
}

/// Medians of the kernels for which `counts` holds, in milliseconds: each runs in its place in a step, with the caches
/// as the kernels before left them.
template <class F>
std::vector<double> measure_kernels(Model& model, double seconds, int batch, F&& counts) {
  const auto& kernels = model.info().kernels;
  std::vector<std::vector<double>> ms(kernels.size());
  const Clock::time_point begin = Clock::now();
  for (int round = 0; round < 5 || ms_since(begin) < seconds * 1e3; ++round)
    for (size_t i = 0; i < kernels.size(); ++i) {
      if (!counts(kernels[i])) continue;
      const Clock::time_point t = Clock::now();
      model.run_kernel(i, batch, 1);
      ms[i].push_back(ms_since(t));
    }
  std::vector<double> medians(kernels.size());
  for (size_t i = 0; i < kernels.size(); ++i) medians[i] = spread_of(std::move(ms[i])).median;
  return medians;
}

/// The process's peak resident memory in bytes; 0 when the system does not tell.
size_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.compare(0, 6, "VmHWM:") == 0) return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;
  return 0;
}

/// How near a kernel comes to what the machine's arithmetic and memory allow, whichever takes longer for it. Above 1:
/// its data came from a cache.
struct Roof {
  double gflops = 0, gbytes = 0, share = 0;
  const char* bound = "";
};
Roof roof(const KernelInfo& k, int batch, double ms, const std::optional<MachineLimits>& limits, int threads) {
  const double flops = k.flops * batch + k.fixed_flops, bytes = k.bytes * batch + k.fixed_bytes;
  Roof r{flops / ms / 1e6, bytes / ms / 1e6};
  if (!limits) return r;
  const double arithmetic = r.gflops / (limits->gflops * threads), memory = r.gbytes / limits->memory_gbytes;
  r.share = std::max(arithmetic, memory);
  r.bound = arithmetic >= memory ? "compute" : "memory";
  return r;
}

/// Room for fresh weights in a mapped file without a name. Inference has its weights from a file, and forgets those
/// that it stores in another way.
class WeightsRoom final : public Backing {
 public:
  explicit WeightsRoom(const ModelInfo& info) : variables_(info.variables) {
    for (const VarInfo& v : variables_) bytes_ += v.role == VarRole::slot ? 0 : aligned(v);
    std::FILE* file = bytes_ > 0 ? std::tmpfile() : nullptr;
    if (!file) return;
    if (posix_fallocate(fileno(file), 0, static_cast<off_t>(bytes_)) == 0)
      map_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    std::fclose(file);
  }
  ~WeightsRoom() override {
    if (*this) munmap(map_, bytes_);
  }
  WeightsRoom(const WeightsRoom&) = delete;
  explicit operator bool() const { return map_ != MAP_FAILED; }  // false: there is no place for such a file
  void drop(const float* data, size_t bytes) override { drop_pages(data, bytes); }
  bool restore(const float*, size_t) override { return true; }
  void bind(Model& model) {
    size_t at = 0;
    for (size_t i = 0; i < variables_.size(); ++i) {
      if (variables_[i].role == VarRole::slot) continue;
      model.bind_variable(i, reinterpret_cast<const float*>(static_cast<const char*>(map_) + at), this);
      at += aligned(variables_[i]);
    }
  }

 private:
  static size_t aligned(const VarInfo& v) { return (v.elements() * sizeof(float) + 63) / 64 * 64; }
  std::span<const VarInfo> variables_;
  size_t bytes_ = 0;
  void* map_ = MAP_FAILED;
};

/// Random inputs and labels, the same each time.
void fill(Model& model, int batch) {
  const ModelInfo& info = model.info();
  std::mt19937 random(1);
  const auto put = [&](const PortInfo& p, void* to, unsigned classes) {
    const size_t n = p.elements() * static_cast<size_t>(batch);
    for (size_t i = 0; i < n && to; ++i) {
      if (p.dtype == DType::f32) static_cast<float*>(to)[i] = static_cast<float>(random() % 256) / 255;
      else if (p.dtype == DType::u8) static_cast<uint8_t*>(to)[i] = static_cast<uint8_t>(random());
      else static_cast<int32_t*>(to)[i] = static_cast<int32_t>(random() % classes);
    }
  };
  // class and token 0 or 1 are everywhere
  for (size_t i = 0; i < info.ingested.size(); ++i) put(info.ingested[i], model.input(i), 2);
  for (size_t i = 0; i < info.labels.size(); ++i)
    put(info.labels[i], model.labels(i), static_cast<unsigned>(std::max<int64_t>(classes_at(info, i), 2)));
}

}  // namespace

int run_bench(const ModelInfo& info, CreateFn create, const BenchOptions& o) {
  const bool train = o.what == "train";
  if (train && !info.has_training) return fail(info, "was compiled for inference only");
  const int threads = o.threads > 0 ? o.threads : available_cores();
  const int batch = o.batch > 0 ? o.batch : train ? static_cast<int>(info.batch) : 1;
  std::string error;
  const Clock::time_point begin = Clock::now();
  std::optional<WeightsRoom> room;
  if (!train) room.emplace(info);
  const bool own = !room || !*room;
  auto model = create({.threads = o.threads, .max_batch = batch, .training = train, .own_weights = own}, error);
  if (!model) return fail(info, error);
  if (!own) room->bind(*model);
  initialise(*model, 1);
  fill(*model, batch);
  uint32_t step = 0;
  bool ran = true;
  auto once = [&] {
    if (train) model->train_step(batch, static_cast<float>(info.lr), 1, ++step);
    else ran = model->infer(batch) != nullptr;
  };
  once();
  const double first_ms = ms_since(begin);
  if (!ran) return fail(info, "the network could not be run");
  const Spread s = measure(o.seconds, once);

  auto in_phase = [&](const KernelInfo& k) {
    const std::string_view phase = k.phase;
    const bool of_inference = phase == "infer";
    return phase != "ingest" && phase != "prepare" && phase != "loss" && of_inference != train;
  };
  double flops = 0, bytes = 0;
  for (const KernelInfo& k : info.kernels)
    if (in_phase(k)) flops += k.flops * batch + k.fixed_flops, bytes += k.bytes * batch + k.fixed_bytes;
  nlohmann::json j = {{"name", info.name},
                      {"mode", o.what},
                      {"batch", batch},
                      {"ms", s.median},
                      {"p95_ms", s.p95},
                      {"min_ms", s.least},
                      {"runs", s.n},
                      {"first_ms", first_ms},
                      {"samples_per_s", batch / s.median * 1e3},
                      {"gflops", flops / s.median / 1e6},
                      {"gbytes_per_s", bytes / s.median / 1e6},
                      {"peak_memory", peak_memory()}};
  if (!o.json) {
    fmt::print("{} {} batch {}: median {:.4g} ms, p95 {:.4g}, least {:.4g} ({})\n", info.name, o.what, batch, s.median,
               s.p95, s.least, counted(static_cast<int64_t>(s.n), "run"));
    fmt::print("{:.5g} samples/s, {:.4g} GFLOP/s, {:.4g} GB/s, first result after {:.3g} ms, peak memory {:.1f} MB\n",
               batch / s.median * 1e3, flops / s.median / 1e6, bytes / s.median / 1e6, first_ms,
               static_cast<double>(peak_memory()) / 1e6);
  }
  if (o.kernels) {
    const auto limits = measure_limits(threads);
    if (limits && o.json)
      j["limits"] = {{"gflops", limits->gflops * threads}, {"memory_gbytes_per_s", limits->memory_gbytes}};
    if (!o.json && limits)
      fmt::print("this machine, {}: {:.0f} GFLOP/s, {:.1f} GB/s from memory\n", counted(threads, "thread"),
                 limits->gflops * threads, limits->memory_gbytes);
    if (!o.json)
      fmt::print("\n{:>10}  {:>6}  {:>8}  {:>7}  {:>12}  {:<9} {}\n", "us", "share", "GFLOP/s", "GB/s", "of its limit",
                 "phase", "kernel, strategy");
    const std::vector<double> each = measure_kernels(*model, o.seconds, batch, in_phase);
    for (size_t i = 0; i < info.kernels.size(); ++i) {
      const KernelInfo& k = info.kernels[i];
      if (!in_phase(k)) continue;
      const Roof r = roof(k, batch, each[i], limits, threads);
      if (o.json) {
        j["kernels"].push_back({{"name", k.name},
                                {"phase", k.phase},
                                {"strategy", k.strategy},
                                {"us", each[i] * 1e3},
                                {"gflops", r.gflops},
                                {"gbytes_per_s", r.gbytes}});
        if (limits) j["kernels"].back()["of_limit"] = r.share, j["kernels"].back()["bound"] = r.bound;
      } else {
        fmt::print("{:>10.1f}  {:>5.1f}%  {:>8.1f}  {:>7.1f}  {:>12}  {:<9} {}  [{}]\n", each[i] * 1e3,
                   100 * each[i] / s.median, r.gflops, r.gbytes,
                   limits ? fmt::format("{:.0f}% {}", 100 * r.share, r.bound) : "", k.phase, k.name, k.strategy);
      }
    }
  }
  if (o.json) fmt::print("{}\n", j.dump(2));
  return 0;
}

}  // namespace netc::rt
