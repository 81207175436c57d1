#include "tests/random/arguments.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/ops/ops.h"

namespace netc::random {

using namespace ir;

int64_t extent(Rng& rng) {
  static const std::vector<int64_t> all = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  return rng.pick(all);
}

int64_t channels(Rng& rng) {
  static const std::vector<int64_t> common = {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33},
                                    rare = {13, 48, 64};
  return rng.chance(6) ? rng.pick(rare) : rng.pick(common);
}

std::string number(double x) {
  return x < 0 && std::signbit(x) ? fmt::format("-{}", number(-x)) : fmt::format("{}", x);
}

namespace {

std::vector<int64_t> divisors(int64_t n) {
  std::vector<int64_t> out = {1};
  for (int64_t d = 2; d <= n; ++d)
    if (n % d == 0) out.push_back(d);
  return out;
}

int64_t clamped(int64_t v, const ArgDef& def) {
  return std::clamp(v, static_cast<int64_t>(std::max(def.min, -1e9)), static_cast<int64_t>(std::min(def.max, 1e9)));
}

/// A whole number that may suit: small, a share of the operand's extents, or a size.
int64_t integer(const ArgDef& def, Site& site) {
  Rng& rng = site.rng;
  int64_t v = 0;
  switch (rng.below(def.fallback ? 4 : 8)) {
    case 0:
    case 1: v = rng.between(1, 3); break;
    case 2: v = site.dims.empty() ? rng.between(1, 4) : rng.pick(divisors(rng.pick(site.dims))); break;
    case 3: v = def.min < 0 ? -rng.between(1, 4) : rng.between(0, 5); break;
    case 4: v = site.dims.empty() ? channels(rng) : rng.pick(site.dims); break;
    case 5: v = extent(rng); break;
    default: v = channels(rng); break;
  }
  return clamped(v, def);
}

/// The number, or a parameter of that value.
std::string written(int64_t v, Site& site) {
  if (!site.parameters || v < 1 || !site.rng.chance(12)) return std::to_string(v);
  for (const Parameter& p : *site.parameters)
    if (p.value == v) return p.name;
  site.parameters->push_back({site.draft->fresh("n"), v});
  return site.parameters->back().name;
}

std::string number_of(const ArgDef& def, Site& site) {
  Rng& rng = site.rng;
  static const std::vector<double> any = {-1.5, -0.5, 0.1, 0.25, 0.5, 0.75, 1, 2, 3};
  double v = rng.pick(any);
  const double* fallback = def.fallback ? std::get_if<double>(&*def.fallback) : nullptr;
  if (fallback && *fallback != 0 && rng.chance(60)) {
    static const std::vector<double> factors = {0.1, 0.5, 0.9, 1, 2};
    v = *fallback * rng.pick(factors);
  } else if (fallback && *fallback == 0 && def.max >= 1000 && rng.chance(70)) {
    static const std::vector<double> small = {0.001, 0.01, 0.05};  // a penalty, an offset
    v = rng.pick(small);
  } else if (rng.chance(12)) {
    const double end = rng.chance(50) ? def.min : def.max;
    if (std::abs(end) <= 100) v = end;
  }
  return number(std::stod(fmt::format("{:.6g}", std::clamp(v, def.min, def.max))));
}

std::string list_of(const std::vector<int64_t>& items) { return fmt::format("[{}]", fmt::join(items, ", ")); }

/// Extents of a reshape, an order, parts of an extent, sides: one of these may be meant.
std::vector<int64_t> integers(const ArgDef& def, Site& site) {
  Rng& rng = site.rng;
  std::vector<int64_t> out;
  int64_t elements = 1;
  for (const int64_t d : site.dims) elements *= std::max<int64_t>(d, 1);
  switch (rng.below(5)) {
    case 0: {  // a permutation
      for (size_t i = 0; i < site.dims.size(); ++i) out.push_back(static_cast<int64_t>(i));
      for (size_t i = out.size(); i > 1; --i)
        std::swap(out[i - 1], out[static_cast<size_t>(rng.below(static_cast<int64_t>(i)))]);
      break;
    }
    case 1: {  // factors of the number of elements
      for (int64_t left = elements, k = rng.between(0, 3); k >= 0; --k) {
        out.push_back(k == 0 ? left : rng.pick(divisors(left)));
        left /= out.back();
      }
      if (def.min < 0 && rng.chance(40)) out[static_cast<size_t>(rng.below(static_cast<int64_t>(out.size())))] = -1;
      break;
    }
    case 2: {  // an extent's parts
      int64_t left = site.dims.empty() ? 3 : rng.pick(site.dims);
      for (int64_t k = rng.between(1, 2); k > 0 && left > 1; --k)
        out.push_back(rng.between(1, left - 1)), left -= out.back();
      out.push_back(left);
      break;
    }
    case 3: {
      static const std::vector<int> counts = {1, 2, 4};
      for (int k = rng.pick(counts); k > 0; --k) out.push_back(rng.between(0, 2));
      break;
    }
    default: out = {site.dims.empty() ? 1 : rng.pick(divisors(rng.pick(site.dims)))}; break;
  }
  if (out.empty()) out = {1};
  for (int64_t& v : out) v = clamped(v, def);
  return out;
}

std::string setting(ArgType type, Site& site) {
  std::vector<const SettingDef*> all;
  for (const SettingDef* s : ops::registry().settings)
    if (s->type == type) all.push_back(s);
  const SettingDef& s = site.setting && site.setting->type == type ? *site.setting : *site.rng.pick(all);
  Site inner{site.rng, {}};
  return s.name + arguments(s.args, inner);
}

std::string value(const ArgDef& def, Site& site) {
  Rng& rng = site.rng;
  const auto small = [&] { return clamped(rng.between(static_cast<int64_t>(std::max(def.min, 0.0)), 3), def); };
  switch (def.type) {
    case ArgType::boolean: return rng.chance(50) ? "true" : "false";
    case ArgType::integer: return written(integer(def, site), site);
    case ArgType::number: return number_of(def, site);
    case ArgType::choice: return rng.pick(def.choices);
    case ArgType::integer_or_pair:
      if (rng.chance(60)) return written(rng.chance(85) ? small() : integer(def, site), site);
      return list_of({small(), small()});
    case ArgType::padding: {
      static const std::vector<std::string> words = {"valid", "same"};
      if (rng.chance(60)) return rng.pick(words);
      if (rng.chance(40)) return written(rng.between(0, 2), site);
      if (rng.chance(40)) return list_of({rng.between(0, 2), rng.between(0, 2)});
      return list_of({rng.between(0, 2), rng.between(0, 2), rng.between(0, 2), rng.between(0, 2)});
    }
    case ArgType::numbers: {
      if (rng.chance(30) || site.dims.empty()) return number_of(def, site);
      std::vector<std::string> items;
      for (int64_t i = 0; i < std::min<int64_t>(site.dims.back(), 64); ++i) items.push_back(number_of(def, site));
      return fmt::format("[{}]", fmt::join(items, ", "));
    }
    case ArgType::words: {
      if (rng.chance(50)) return rng.pick(def.choices);
      return fmt::format("[{}, {}]", rng.pick(def.choices), rng.pick(def.choices));
    }
    case ArgType::axis: {
      const int64_t rank = static_cast<int64_t>(site.dims.size());
      if (rng.chance(60)) return kAxisWords[rng.below(3)];
      return std::to_string(
          clamped(rng.between(def.min < 0 && def.min > -1e9 ? -rank : 0, std::max<int64_t>(rank - 1, 0)), def));
    }
    case ArgType::integers: {
      const std::vector<int64_t> items = integers(def, site);
      return items.size() == 1 && rng.chance(70) ? std::to_string(items[0]) : list_of(items);
    }
    case ArgType::initializer:
    case ArgType::constraint: return setting(def.type, site);
  }
  return "0";
}

}  // namespace

std::string arguments(const std::vector<ArgDef>& defs, Site& site, bool named, const std::string& before) {
  std::vector<std::string> out;
  if (!before.empty()) out.push_back(before);
  // How many of the optional arguments are said: few, most, or none of them.
  static const std::vector<int> shares = {0, 15, 30, 30, 70};
  const int share = site.rng.pick(shares);
  bool by_place = !named;
  for (const ArgDef& d : defs) {
    const bool must = site.setting && site.setting->type == d.type;
    if (d.fallback && !must && !site.rng.chance(share)) {
      by_place = false;
      continue;
    }
    std::string v = value(d, site);
    by_place = by_place && (!d.fallback || site.rng.chance(40));
    const bool list = d.type == ArgType::integers && v.front() == '[';
    // Reshape(7, 7, 64)
    if (by_place && &d == &defs.back() && list && site.rng.chance(60)) v = v.substr(1, v.size() - 2);
    out.push_back(by_place ? v : d.name + " = " + v);
  }
  return out.empty() ? "" : fmt::format("({})", fmt::join(out, ", "));
}

}  // namespace netc::random
