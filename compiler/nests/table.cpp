#include "compiler/nests/table.h"

#include <cmath>

namespace netc::nests {

const std::vector<const Nest*>& all() {
  static const std::vector<const Nest*> nests = {
#define NETC_NEST(name) &name(),
#include "compiler/nests/nests.def"
#undef NETC_NEST
  };
  return nests;
}

const Nest* find(const std::string& name) {
  for (const Nest* nest : all())
    if (name == nest->name()) return nest;
  return nullptr;
}

Strategy choose(const Site& at) {
  for (const Nest* nest : all()) {
    if (!nest->fits(at)) continue;
    Strategy s = nest->choose(at);
    s.cost_us = estimate_us(at, s);
    return s;
  }
  return {};  // never: `window` fits what has an anchor, and `map` what has none
}

std::vector<Choice> choices(const Site& at, const Strategy& s) {
  const Nest* nest = find(s.name);
  if (!nest || at.k.outputs.empty() || at.out().type.has_any_extent() || !nest->refuse(s).empty()) return {};
  return nest->choices(at, s);
}

ir::Demands demands(const plan::Plan& p, const plan::Kernel& k) {
  const Nest* nest = find(k.strategy.name);
  if (!nest || !nest->refuse(k.strategy).empty()) return {};
  static const Machine any;
  return nest->demands({p, k, any}, k.strategy);
}

bool can_take(const Site& at, const Strategy& s) {
  const Strategy& own = at.k.strategy;
  if (s.name != own.name || s.vector != own.vector || s.numbers.size() != own.numbers.size()) return false;
  const std::vector<Choice> may = choices(at, s);
  for (size_t i = 0; i < s.numbers.size(); ++i) {
    const auto& [number, value] = s.numbers[i];
    if (number != own.numbers[i].first || value < 0 || value > 1 << 24) return false;
    if (value == own.numbers[i].second) continue;
    const auto choice = std::find_if(may.begin(), may.end(), [&](const Choice& c) { return c.number == number; });
    if (choice == may.end() || std::find(choice->values.begin(), choice->values.end(), value) == choice->values.end())
      return false;
  }
  return true;
}

std::vector<Strategy> neighbours(const Site& at, const Strategy& s, int each) {
  std::vector<Strategy> found;
  for (const Choice& c : choices(at, s)) {
    const auto has = [&](const auto& number) { return number.first == c.number; };
    const int64_t present = std::find_if(s.numbers.begin(), s.numbers.end(), has)->second;
    std::vector<int64_t> values = c.values;
    const auto far = [&](int64_t v) {
      return std::abs(std::log(static_cast<double>(v + 1) / static_cast<double>(present + 1)));
    };
    std::stable_sort(values.begin(), values.end(), [&](int64_t a, int64_t b) { return far(a) < far(b); });
    int taken = 0;
    for (int64_t v : values) {
      if (v == present || taken == each) continue;
      Strategy other = s;
      std::find_if(other.numbers.begin(), other.numbers.end(), has)->second = v;
      if (!can_take(at, other)) continue;
      found.push_back(std::move(other));
      ++taken;
    }
  }
  return found;
}

}  // namespace netc::nests
