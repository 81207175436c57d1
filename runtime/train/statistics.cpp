#include "runtime/train/statistics.h"

#include <cmath>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

namespace netc::rt {
namespace {

/// Of "f32[4, 4, 8]".
size_t elements_of(std::string_view shape) {
  size_t n = 1;
  const size_t open = shape.find('[');
  for (size_t at = open; at != std::string_view::npos && at + 1 < shape.size() && shape[at + 1] != ']';
       at = shape.find(',', at + 1)) {
    n *= std::strtoull(shape.data() + at + 1, nullptr, 10);
  }
  return n;
}

}  // namespace

std::string statistics_of_one(const ModelInfo& info) {
  for (const LayerInfo& layer : info.layers) {
    // Running averages are states; a layer whose weights are frozen does not renew them.
    bool averages = false, frozen = false;
    for (const VarInfo& v : info.variables) {
      const std::string_view name = v.name, of = name.substr(0, name.rfind('.'));
      if (of != layer.name) continue;
      averages = averages || (v.role == VarRole::state && v.elements() == elements_of(layer.output_shape));
      frozen = frozen || (v.role == VarRole::weight && !v.trainable);
    }
    if (averages && !frozen)
      return fmt::format(
          "{} ({}) has one value of each channel in a batch of 1, which less its own mean is 0 whatever the input; "
          "train with --batch 2 or more",
          layer.name, layer.text);
  }
  return "";
}

std::string statistics_too_slow(const ModelInfo& info, int64_t steps) {
  constexpr double kForgotten = 1e-3;
  const VarInfo* slowest = nullptr;
  for (const VarInfo& v : info.variables)
    if (v.momentum > 0 && (!slowest || v.momentum > slowest->momentum)) slowest = &v;
  if (!slowest || std::pow(slowest->momentum, static_cast<double>(steps)) <= kForgotten) return "";
  const std::string_view name = slowest->name, layer = name.substr(0, name.rfind('.'));
  return fmt::format(
      "the running averages of {} (momentum {:.3g}) take {:.0f} steps to forget what they start from, and the run has "
      "{}: validation, eval and predict read them, "
      "and may fall far behind training; write BatchNorm(momentum = 0.9), or train for more epochs",
      layer, slowest->momentum, std::ceil(std::log(kForgotten) / std::log(slowest->momentum)), steps);
}

}  // namespace netc::rt
