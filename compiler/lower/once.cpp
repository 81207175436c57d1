#include "compiler/lower/once.h"

#include <map>

#include <fmt/format.h>

namespace netc::lower {
namespace {

using Halide::TailStrategy;
using Halide::Internal::Split;

/// Extents of loops by name; 0: not known.
using Extents = std::map<std::string, int64_t>;

bool is_guarded(TailStrategy t) {
  return t == TailStrategy::GuardWithIf || t == TailStrategy::Predicate || t == TailStrategy::PredicateStores;
}

/// A split that is not guarded goes over the end, or back from it, unless it divides the extent.
std::string check(const std::vector<Split>& splits, Extents known) {
  for (const Split& s : splits) {
    if (s.split_type == Split::FuseVars) {
      known[s.old_var] = known[s.outer] * known[s.inner];
    } else if (s.split_type == Split::RenameVar) {
      known[s.outer] = known[s.old_var];
    } else {
      const auto factor = Halide::Internal::as_const_int(s.factor);
      const int64_t extent = known[s.old_var], by = factor ? *factor : 0;
      const bool divides = by == 1 || (by > 0 && extent > 0 && extent % by == 0);
      if (!divides && !is_guarded(s.tail))
        return fmt::format("{} of {} is split by {} without a guard", s.old_var, extent, by);
      known[s.inner] = by;
      known[s.outer] = by > 0 ? (extent + by - 1) / by : 0;
    }
  }
  return "";
}

std::string check(const Halide::Internal::Definition& d, const Extents& known) {
  if (std::string why = check(d.schedule().splits(), known); !why.empty()) return why;
  for (const Halide::Internal::Specialization& s : d.specializations())
    if (std::string why = check(s.definition, known); !why.empty()) return why;
  return "";
}

}  // namespace

std::string visits_twice(const plan::Plan& p, const plan::Kernel& k, const halide::Built& b) {
  if (!plan::overwrites_operand(p, k)) return "";
  const plan::Buffer& out = p.buffers[static_cast<size_t>(k.outputs[0])];
  const auto stored = stored_dims(out);
  Extents known;
  const std::vector<std::string> names = b.out.function().args();
  for (size_t d = 0; d < names.size(); ++d) {
    const bool batch = out.type.batched && d + 1 == names.size();
    known[names[d]] = batch || d >= stored.size() ? 0 : stored[d].extent;
  }
  return check(b.out.function().definition(), known);
}

}  // namespace netc::lower
