#include "compiler/tune/limits.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include <fmt/format.h>

#include "compiler/base/own_file.h"
#include "compiler/emit/process.h"
#include "compiler/schedule/tuning.h"
#include "runtime/core/limits.h"

namespace netc::tune {
namespace {

std::string path_of(const std::string& cache_dir, const Machine& m) {
  return cache_dir + "/limits/" + schedule::machine_key(m);
}

}  // namespace

Limits measure_limits(const Machine& m) {
  const auto limits = rt::measure_limits(m.cores);
  return limits ? Limits{limits->gflops, limits->cache_gbytes, limits->memory_gbytes} : m.limits;
}

bool load_limits(const std::string& cache_dir, Machine& m) {
  if (cache_dir.empty()) return false;
  std::string text;
  if (!read_own_file(path_of(cache_dir, m), 1 << 12, text)) return false;
  std::istringstream f(text);
  Limits l;
  if (!(f >> l.gflops >> l.cache_gbytes >> l.memory_gbytes)) return false;
  for (const double v : {l.gflops, l.cache_gbytes, l.memory_gbytes})
    if (!std::isfinite(v) || v < 0.01 || v > 1e7) return false;
  m.limits = l;
  return true;
}

void update_limits(const std::string& cache_dir, Machine& m) {
  Limits l = measure_limits(m);
  if (load_limits(cache_dir, m)) {
    const Limits& before = m.limits;
    l = {std::max(l.gflops, before.gflops), std::max(l.cache_gbytes, before.cache_gbytes),
         std::max(l.memory_gbytes, before.memory_gbytes)};
  }
  m.limits = l;
  std::string error;
  if (!cache_dir.empty())
    emit::replace_file(path_of(cache_dir, m),
                       fmt::format("{:.1f} {:.1f} {:.1f}\n", l.gflops, l.cache_gbytes, l.memory_gbytes), error);
}

}  // namespace netc::tune
