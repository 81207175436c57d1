#include "compiler/verify/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace netc::verify {

Comparison compare(const ir::RefTensor& want, const ir::RefTensor& got,
                   const std::vector<const ir::RefTensor*>& rounded, double relative) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Comparison c;
  if (want.data.size() != got.data.size()) return c.error = kInfinity, c;
  // kernels may take for 0 what float32 has no normal number for
  constexpr double kSmallest = std::numeric_limits<float>::min();
  double scale = kSmallest;
  for (double v : want.data) scale = std::isfinite(v) ? std::max(scale, std::abs(v)) : scale;
  double noise = 0;
  for (const ir::RefTensor* r : rounded)
    for (size_t i = 0; i < want.data.size(); ++i)
      if (const double d = std::abs(r->data[i] - want.data[i]); std::isfinite(d)) noise = std::max(noise, d);
  c.bound = std::max(relative, kRounding * noise / scale);
  for (size_t i = 0; i < want.data.size(); ++i) {
    const double w = want.data[i], g = got.data[i];
    const bool finite = std::isfinite(w) && std::isfinite(g), same = w == g || (std::isnan(w) && std::isnan(g));
    const double off = std::abs(w - g), error = finite ? (off < kSmallest ? 0 : off / scale) : same ? 0 : kInfinity;
    if (c.at >= 0 && error <= c.error) continue;
    c.error = error, c.at = static_cast<int64_t>(i), c.want = w, c.got = g;
  }
  return c;
}

std::string describe(const Comparison& c, const ir::RefTensor& want) {
  if (c.at < 0) return "it has another shape";
  std::vector<int64_t> at;
  int64_t rest = c.at;
  for (auto extent = want.dims.rbegin(); extent != want.dims.rend(); rest /= std::max<int64_t>(1, *extent++))
    at.insert(at.begin(), rest % std::max<int64_t>(1, *extent));
  return fmt::format("element [{}] is {:.9g}, not {:.9g}", fmt::join(at, ", "), c.got, c.want);
}

}  // namespace netc::verify
