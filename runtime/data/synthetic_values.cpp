// Generated numbers, the same for ever: synthetic:xor and synthetic:series.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "runtime/counted.h"
#include "runtime/data/augment.h"
#include "runtime/data/ports.h"
#include "runtime/data/rows.h"

namespace netc::rt {
namespace {

/// Two points of the plane's quadrants: the class is whether the signs differ.
void xor_point(CounterRandom random, float* x, size_t, int32_t* label, float*, size_t) {
  const double a = random.uniform(-1, 1), b = random.uniform(-1, 1);
  x[0] = static_cast<float>(a), x[1] = static_cast<float>(b);
  if (label) *label = a * b < 0;
}

/// A wave of some length, height and phase with a little noise; the label is how it goes on, or whether it is square
/// instead of round.
void series(CounterRandom random, float* x, size_t n, int32_t* label, float* next, size_t ahead) {
  const double length = random.uniform(6, 24), height = random.uniform(.5, 1), phase = random.uniform(0, 1);
  const bool square = label && random.uniform() < .5;
  const auto at = [&](size_t t) {
    const double s = std::sin(2 * std::numbers::pi * (static_cast<double>(t) / length + phase));
    return height * (square ? (s < 0 ? -1 : 1) : s);
  };
  for (size_t t = 0; t < n; ++t) x[t] = static_cast<float>(at(t) + random.uniform(-.05, .05));
  for (size_t t = 0; t < ahead; ++t) next[t] = static_cast<float>(at(n + t));
  if (label) *label = square;
}

struct Kind {
  const char* name;
  void (*make)(CounterRandom, float*, size_t, int32_t*, float*, size_t);
  const char* classes[2];
  size_t values; /* of a sample; 0: any */
};
constexpr Kind kKinds[] = {{"xor", xor_point, {"same", "different"}, 2}, {"series", series, {"round", "square"}, 0}};

}  // namespace

Opened open_synthetic_values(const std::string& kind, size_t count, Split split, const ModelInfo& info) {
  const Kind& k =
      *std::find_if(std::begin(kKinds), std::end(kKinds) - 1, [&](const Kind& x) { return kind == x.name; });
  const std::string spec = "synthetic:" + kind;
  const auto failed = [&](const std::string& why) { return tl::make_unexpected(fmt::format("{}: {}", spec, why)); };
  const PortInfo& in = info.inputs[0];
  if (info.inputs.size() != 1 || in.dtype != DType::f32 || !in.sized() || in.elements() == 0 ||
      (k.values > 0 && in.elements() != k.values)) {
    return failed(fmt::format("gives {}, but the net takes {} {}{}",
                              k.values ? fmt::format("f32[{}]", k.values) : "f32[N]", in.name, type_text(in),
                              info.inputs.size() > 1 ? " and more" : ""));
  }
  auto rows = std::make_unique<Rows>();
  const size_t n = trains(split) ? count : std::max<size_t>(count / 5, 1);
  rows->spec = spec;
  rows->inputs.resize(1);
  rows->labels.resize(info.labels.size());
  Column *classes = nullptr, *next = nullptr;
  size_t ahead = 0;
  for (size_t i = 0; i < info.labels.size(); ++i) {
    const PortInfo& label = info.labels[i];
    const bool is_next = label.dtype == DType::f32 && label.sized() && k.values == 0;
    Column*& place = is_next ? next : classes;
    if ((!is_next && !is_class(label)) || place)
      return failed(fmt::format("has nothing for the net's label {}, which is {}", label.name, type_text(label)));
    place = &rows->labels[i];
    place->bytes = label.bytes();
    if (is_next) ahead = label.elements();
  }
  rows->inputs[0].bytes = in.bytes();
  rows->inputs[0].data.resize(n * in.bytes());
  for (Column& c : rows->labels) c.data.resize(n * c.bytes);
  const auto map = match_classes({k.classes[0], k.classes[1]}, true, spec, info);
  if (classes && !map) return tl::make_unexpected(map.error());
  if (classes) rows->class_names = map->names, rows->class_indices.resize(n);
  for (size_t i = 0; i < n; ++i) {
    int32_t label = 0;
    k.make(CounterRandom(20260119, trains(split) ? 1 : 2, i),
           reinterpret_cast<float*>(rows->inputs[0].data.data() + i * in.bytes()), in.elements(),
           classes ? &label : nullptr, next ? reinterpret_cast<float*>(next->data.data() + i * next->bytes) : nullptr,
           ahead);
    if (!classes) continue;
    rows->class_indices[i] = label = map->labels[static_cast<size_t>(label)];
    std::memcpy(classes->data.data() + i * classes->bytes, &label, sizeof label);
  }
  rows->rows = part_of(n, Split::train);
  rows->about =
      fmt::format("{} of {}{}", counted(n, "sample"), counted(in.elements(), "number"), classes ? ", 2 classes" : "");
  return rows;
}

}  // namespace netc::rt
