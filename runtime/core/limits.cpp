#include "runtime/core/limits.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace netc::rt {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

/// The least of some runs, as seconds.
template <class F>
double fastest(int runs, F f) {
  double best = 1e9;
  for (int r = 0; r < runs; ++r) {
    const auto start = Clock::now();
    f();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

#if defined(__x86_64__)
constexpr int kSteps = 100000, kSums = 10;  // more sums than the latency of a multiply-add asks for

// Each sum is x * a + b over and over. noipa: what gives the same each time would be called once.
[[gnu::noipa, gnu::target("avx2,fma")]] float multiply_add_8() {
  __m256 sum[kSums];
  for (int i = 0; i < kSums; ++i) sum[i] = _mm256_set1_ps(static_cast<float>(i));
  const __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(1.0f);
  for (int s = 0; s < kSteps; ++s)
#pragma GCC unroll 10
    for (int i = 0; i < kSums; ++i) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
  for (int i = 1; i < kSums; ++i) sum[0] = _mm256_add_ps(sum[0], sum[i]);
  return _mm256_cvtss_f32(sum[0]);
}

[[gnu::noipa, gnu::target("avx512f")]] float multiply_add_16() {
  __m512 sum[kSums];
  for (int i = 0; i < kSums; ++i) sum[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(1.0f);
  for (int s = 0; s < kSteps; ++s)
#pragma GCC unroll 10
    for (int i = 0; i < kSums; ++i) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
  for (int i = 1; i < kSums; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_cvtss_f32(sum[0]);
}

[[gnu::noipa, gnu::target("avx2")]] float read(const float* p, size_t floats) {
  __m256 sum[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
  for (size_t i = 0; i + 32 <= floats; i += 32)
#pragma GCC unroll 4
    for (size_t j = 0; j < 4; ++j) sum[j] = _mm256_add_ps(sum[j], _mm256_loadu_ps(p + i + 8 * j));
  return _mm256_cvtss_f32(_mm256_add_ps(_mm256_add_ps(sum[0], sum[1]), _mm256_add_ps(sum[2], sum[3])));
}
#endif

size_t cache_bytes(int name, size_t fallback) {
  const long bytes = sysconf(name);
  return bytes > 0 ? static_cast<size_t>(bytes) : fallback;
}

}  // namespace

std::optional<MachineLimits> measure_limits(int threads) {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return std::nullopt;
  volatile float sink = 0;
  const bool wide = __builtin_cpu_supports("avx512f");
  const auto on_all = [&](auto&& f) {
    std::vector<std::thread> others;
    for (int t = 1; t < threads; ++t) others.emplace_back([&f, t] { f(t); });
    f(0);
    for (std::thread& t : others) t.join();
  };
  MachineLimits limits;
  const double arithmetic = fastest(8, [&] { sink = wide ? multiply_add_16() : multiply_add_8(); });
  limits.gflops = 2.0 * kSteps * kSums * (wide ? 16 : 8) / arithmetic / 1e9;
  const size_t half_of_l2 = std::max<size_t>(cache_bytes(_SC_LEVEL2_CACHE_SIZE, 512 << 10) / 2, 64 << 10) / 4;
  // of a thread, from memory
  const size_t each = std::clamp<size_t>(2 * cache_bytes(_SC_LEVEL3_CACHE_SIZE, 16 << 20), 16 << 20, 64 << 20) / 4;
  std::vector<float> memory(each * static_cast<size_t>(threads), 1.0f);
  const double cached = fastest(20, [&] { sink = read(memory.data(), half_of_l2); });
  limits.cache_gbytes = 4.0 * static_cast<double>(half_of_l2) / cached / 1e9;
  const double streamed =
      fastest(3, [&] { on_all([&](int t) { read(memory.data() + each * static_cast<size_t>(t), each); }); });
  limits.memory_gbytes = 4.0 * static_cast<double>(memory.size()) / streamed / 1e9;
  return limits;
#else
  (void)threads;
  return std::nullopt;
#endif
}

}  // namespace netc::rt
