// Normalisation without trained weights: by constants of each channel, and to length one.
#include "compiler/ir/remedies.h"
#include "compiler/ops/support.h"

namespace netc::ops {
namespace {

ValueId constant(LayerBuilder& b, const char* name, const std::vector<double>& values) {
  const ValueId v = b.variable(name, f32({static_cast<int64_t>(values.size())}, false), Initializer{}, Role::constant);
  Graph& g = b.graph();
  g.variables[g.values[v].variable].literal.assign(values.begin(), values.end());
  return v;
}

/// One number, or one for each channel.
bool fits(LayerBuilder& b, const char* what, size_t numbers, int64_t channels) {
  if (numbers == 1 || static_cast<int64_t>(numbers) == channels) return true;
  b.error(
      fmt::format("Normalise has {} numbers as {}, but its input is {}", numbers, what, shape_for_user(b.in_type())),
      fmt::format("write one number, or {}: one for each channel", channels));
  return false;
}

LayerDef normalise() {
  LayerDef l;
  l.name = "Normalise";
  l.doc =
      "Map of each channel to a mean of 0 and a standard deviation of 1, by numbers known beforehand. y[..., c] = "
      "(x[..., c] - mean[c]) / stddev[c]";
  l.section = "Preprocessing";
  l.weight_prefix = "normalise";
  l.args = {
      {"mean", ArgType::numbers, std::nullopt, -1e6, 1e6, {}, "of the data, one for all channels or one for each"},
      {"stddev", ArgType::numbers, std::nullopt, 1e-6, 1e6, {}, "standard deviation of the data, likewise"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    const Type x = b.in_type();
    if (x.dtype != DType::u8 && x.dtype != DType::f32)
      return b.error(fmt::format("Normalise needs u8 or f32 values, but its input is {}", shape_for_user(x)),
                     type_remedy(x));
    const int64_t channels = x.rank() == 0 ? 1 : x.dims.back();
    std::vector<double> mean = b.numbers("mean"), stddev = b.numbers("stddev");
    if (!fits(b, "mean", mean.size(), channels) || !fits(b, "stddev", stddev.size(), channels)) return kNone;
    if (mean.size() == 1 && stddev.size() == 1)
      return b.emit("rescale", {b.in()[0]}, {{"scale", 1 / stddev[0]}, {"offset", -mean[0] / stddev[0]}});
    mean.resize(static_cast<size_t>(channels), mean[0]);
    stddev.resize(static_cast<size_t>(channels), stddev[0]);
    std::vector<double> inverse;
    for (double s : stddev) inverse.push_back(1 / s);
    const ValueId in =
        x.dtype == DType::f32 ? b.in()[0] : b.emit("rescale", {b.in()[0]}, {{"scale", 1.0}, {"offset", 0.0}});
    return b.emit("mul", {b.emit("sub", {in, constant(b, "mean", mean)}), constant(b, "inverse", inverse)});
  };
  return l;
}

LayerDef l2_normalise() {
  LayerDef l;
  l.name = "L2Normalise";
  l.doc = "Vectors over the last dimension scaled to length one. y[c] = x[c] / sqrt(sum_i x[i]^2 + epsilon)";
  l.section = "Normalisation";
  l.weight_prefix = "l2_normalise";
  l.args = {{"epsilon", ArgType::number, ArgValue{1e-12}, 1e-12, 1, {}, "added to the sum of squares"}};
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!check_operand(b, "L2Normalise")) return kNone;
    const int64_t rank = b.in_type().rank();
    if (rank == 0) return b.error("L2Normalise needs a vector, but its input is a single number");
    const ValueId squares =
        b.emit("reduce_sum", {b.emit("squared", {b.in()[0]})}, {{"axes", std::vector<int64_t>{rank - 1}}});
    const ValueId length = b.emit("rescale", {squares}, {{"scale", 1.0}, {"offset", b.f("epsilon")}});
    return b.emit("mul", {b.in()[0], b.emit("rsqrt", {length})});
  };
  return l;
}

}  // namespace

void add_normalise(Registry& r) {
  static const LayerDef layers[] = {normalise(), l2_normalise()};
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
