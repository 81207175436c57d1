// A loop nest: one way of looping over a kernel. What it fits, the numbers that it chooses, which others a tuner may
// try, what it costs, what it asks of the algorithm, and the loops themselves stand in one file a nest; table.cpp lists
// them. nest_of.h is what a nest is written with.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "compiler/ir/demands.h"
#include "compiler/nests/site.h"
#include "compiler/plan/plan.h"

namespace netc::nests {

using plan::Strategy;

/// What a nest reaches of the machine's limits (Limits): of multiply-adds, and of bytes moved from memory, above 1
/// where much of them is in the last cache. Measured (docs/performance.md).
struct Share {
  double arithmetic = 0.2, bytes = 1;
};

/// One number of a strategy, and all that it may be while the others stay.
struct Choice {
  std::string number;
  std::vector<int64_t> values;  // ascending
};

/// Several kernels that go over the rows of one weight in step (schedule/in_step.h): a nest's tasks take multiples of
/// `unit` rows. 0: it has no such tasks.
struct StepRows {
  int64_t unit = 0;
};

struct Loops;  // loops.h
const Strategy& strategy_of(const Loops&);

/// Stateless; safe to use from any thread.
class Nest {
 public:
  virtual ~Nest() = default;
  virtual const char* name() const = 0;  // as strategies are written
  virtual const char* doc() const = 0;   // what it computes and where its lanes go, one line
  virtual Share share() const = 0;
  /// Whether these loops compute the kernel. A kernel takes the first nest of the table that fits.
  virtual bool fits(const Site&) const = 0;
  /// Lanes and numbers for the machine.
  virtual Strategy choose(const Site&) const = 0;
  /// "", or why the numbers are not those of this nest.
  virtual std::string refuse(const Strategy&) const = 0;
  /// Of a strategy that differs from the kernel's own only in numbers that may vary. What matters most comes first.
  virtual std::vector<Choice> choices(const Site&, const Strategy&) const = 0;
  /// Sums that a tile holds in registers: fewer than the latency of one leave the units idle.
  virtual double held(const Strategy&) const = 0;
  /// Products that a lane adds to its sum at once: 2 of weights in pairs.
  virtual double products(const Strategy&) const = 0;
  virtual ir::Demands demands(const Site&, const Strategy&) const = 0;
  virtual StepRows in_step(const Strategy&) const = 0;
  /// Tasks of `rows` out of `all` rows each.
  virtual void set_step(Strategy&, int64_t all, int64_t rows) const = 0;
  virtual void apply(Loops&) const = 0;
};

/// Every nest. The order is that in which they are asked whether they fit.
const std::vector<const Nest*>& all();
/// By name; null when there is none.
const Nest* find(const std::string& name);

/// The nest that fits the kernel, its numbers for the machine, and what it is estimated to take.
Strategy choose(const Site&);
std::vector<Choice> choices(const Site&, const Strategy&);
/// Whether the kernel can have this strategy: its own with other numbers, each of them one of its choices.
bool can_take(const Site&, const Strategy&);
/// Strategies that differ from `s` in one number, at most `each` for a number: those nearest to what it is. What
/// matters most comes first.
std::vector<Strategy> neighbours(const Site&, const Strategy& s, int each);
ir::Demands demands(const plan::Plan&, const plan::Kernel&);

/// Microseconds of a full batch on all cores: for reports, for the order in which kernels are tuned, and to be compared
/// with what is measured (netc tune).
double estimate_us(const Site&, const Strategy&);

}  // namespace netc::nests
