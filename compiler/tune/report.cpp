// What tuning found, as a table.
#include <cmath>

#include <fmt/format.h>

#include "compiler/base/counted.h"
#include "compiler/tune/ranking.h"
#include "compiler/tune/tuner.h"

namespace netc::tune {

std::string text(const Outcome& o) {
  std::string s, job;
  std::vector<std::pair<double, double>> pairs;
  int searched = 0, best = 0, small = 0;
  double before = 0, after = 0, off = 0, small_us = 0;
  for (const Row& r : o.rows)
    if (!r.form) before += r.default_us * r.count, after += r.us * r.count;
  for (const Row& r : o.rows) {
    if (!r.form) {
      pairs.push_back({r.estimated_us, r.default_us});
      if (r.tried > 0) ++searched, best += r.choice == r.default_choice, off += std::log(r.default_us / r.us);
      if (r.tried == 0 && r.choice == r.default_choice && r.default_us * r.count < kLeastShare * before) {
        ++small, small_us += r.default_us * r.count;
        continue;
      }
    }
    const std::string head = fmt::format("{}, {}", r.job, r.form ? "forms" : "kernels");
    if (head != job) {
      const char* estimate = r.form ? "" : "estimate";
      s += fmt::format("{}{}\n{:>9}  {:>9}  {:>9}  {:>7}  {:>5}  {:>5}\n", job.empty() ? "" : "\n", head, estimate,
                       "own", "best", "faster", "tried", "equal");
      job = head;
    }
    s += fmt::format("{:>9}  {:>9.1f}  {:>9.1f}  {:>6.2f}x  {:>5}  {:>5}  {}: {}{}\n",
                     r.form ? "" : fmt::format("{:.1f}", r.estimated_us), r.default_us, r.us, r.default_us / r.us,
                     r.tried, r.count, r.name, r.choice,
                     r.choice == r.default_choice ? "" : fmt::format(" (own: {})", r.default_choice));
  }
  if (small > 0)
    s += fmt::format("\nbeside them: {}, {:.0f} us together, less than {} % of all time each.\n",
                     counted(small, "kernel"), small_us, 100 * kLeastShare);
  s += fmt::format(
      "\nMicroseconds of a call at the largest batch: as estimated, of the compiler's own choice, of the fastest.\n"
      "Estimates rank {} by measured time with Kendall's tau {:.2f}, Spearman's rho {:.2f}.\n",
      counted(static_cast<int64_t>(pairs.size()), "kernel"), kendall(pairs), spearman(pairs));
  if (searched > 0)
    s += fmt::format(
        "Of {} tried in other ways the compiler's own was the fastest for {}; the fastest are {:.1f} % faster in the"
        " geometric mean.\n",
        counted(searched, "kernel"), best, 100 * (std::exp(off / searched) - 1));
  s += fmt::format(
      "All kernels together: {:.0f} us by the compiler's own choice, {:.0f} us tuned. {:.1f} s{}\n", before, after,
      o.seconds, o.left > 0 ? fmt::format("; {} are left, which more time or another run would reach.", o.left) : ".");
  if (o.failed > 0) s += fmt::format("{} could not be measured; the first: {}\n", o.failed, o.why);
  return s;
}

}  // namespace netc::tune
