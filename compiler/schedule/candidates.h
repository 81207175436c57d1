// Which other loops a kernel may have: the numbers of its strategy that may vary, and to what lower/ can carry out.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "compiler/schedule/plan.h"

namespace netc::schedule {

/// One number of a strategy, and all that it may be while the others stay.
struct Choice {
  std::string number;
  std::vector<int64_t> values;  // ascending
};
/// Of strategy `s`, which differs from the kernel's own only in numbers that may vary.
std::vector<Choice> choices(const Plan&, const Kernel&, const Machine&, const Strategy& s);

/// Whether the kernel can have this strategy: its own with other numbers, each of them one of its choices.
bool can_take(const Plan&, const Kernel&, const Machine&, const Strategy&);

/// Strategies that differ from `s` in one number, at most `each` for a number: those nearest to what it is. What
/// matters most comes first.
std::vector<Strategy> neighbours(const Plan&, const Kernel&, const Machine&, const Strategy& s, int each);

/// Of Strategy::text(); nothing when it is none.
std::optional<Strategy> strategy_of(const std::string& text);

}  // namespace netc::schedule
