// The layers that normalise by statistics of one sample: LayerNorm, RMSNorm, GroupNorm and InstanceNorm. The same in
// training and inference.
#include "compiler/ops/norm/norm.h"

namespace netc::ops {

ValueId trained_or_fixed(LayerBuilder& b, bool trained, const char* name, const char* fixed, float value,
                         int64_t channels) {
  const Type t = f32({channels}, false);
  const Initializer init{value == 0 ? "zeros" : "ones", 0, 0, 0, 0};
  if (trained) return b.variable(name, t, init);
  const ValueId id = b.variable(fixed, t, init, Role::constant);
  Graph& g = b.graph();
  g.variables[g.values[id].variable].literal.assign(static_cast<size_t>(channels), value);
  return id;
}

namespace {

ArgDef epsilon(double value, const char* doc) {
  return {"epsilon", ArgType::number, ArgValue{value}, 1e-12, 1, {}, doc};
}
ArgDef flag(const char* name, const char* doc) { return {name, ArgType::boolean, ArgValue{true}, 0, 1, {}, doc}; }

LayerDef layer(const char* name, const char* doc, std::vector<ArgDef> args) {
  LayerDef l;
  l.name = name;
  l.doc = doc;
  l.section = "Normalisation";
  l.weight_prefix = "norm";
  l.args = std::move(args);
  return l;
}

std::vector<ArgDef> centred_args() {
  return {epsilon(1e-3, "added to the variance; 1e-3 is Keras's, PyTorch's is 1e-5"),
          flag("center", "adds a trained beta"), flag("scale", "multiplies by a trained gamma")};
}

/// A norm with gamma and beta over the input's channels.
ValueId centred(LayerBuilder& b, const char* op, Attrs a) {
  const int64_t channels = b.in_type().dims.back();
  a.set("eps", b.f("epsilon"));
  const ValueId gamma = trained_or_fixed(b, b.b("scale"), "gamma", "one", 1, channels);
  const ValueId beta = trained_or_fixed(b, b.b("center"), "beta", "zero", 0, channels);
  return b.emit(op, {b.in()[0], gamma, beta}, a);
}

/// Reports what has no channels.
bool has_channels(LayerBuilder& b, const char* name) {
  if (!check_operand(b, name)) return false;
  if (b.in_type().rank() != 0) return true;
  b.error(fmt::format("{} needs an input with channels, but its input is a single number", name));
  return false;
}

LayerDef layer_norm() {
  LayerDef l = layer("LayerNorm",
                     "Normalisation of each position by its channels. "
                     "y[.., c] = (x[.., c] - mean) / sqrt(variance + epsilon) * gamma[c] + beta[c]; "
                     "mean and variance are those of x[.., all c]",
                     centred_args());
  l.build = [](LayerBuilder& b) -> ValueId {
    return has_channels(b, "LayerNorm") ? centred(b, "layer_norm", {}) : kNone;
  };
  return l;
}

LayerDef rms_norm() {
  LayerDef l = layer("RMSNorm",
                     "Division of each position by the root mean square of its channels. "
                     "y[.., c] = x[.., c] / sqrt(mean_i x[.., i]^2 + epsilon) * gamma[c]",
                     {epsilon(1e-6, "added to the mean square"), flag("scale", "multiplies by a trained gamma")});
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!has_channels(b, "RMSNorm")) return kNone;
    return b.emit("rms_norm",
                  {b.in()[0], trained_or_fixed(b, b.b("scale"), "gamma", "one", 1, b.in_type().dims.back())},
                  {{"eps", b.f("epsilon")}});
  };
  return l;
}

LayerDef group_norm() {
  LayerDef l = layer("GroupNorm",
                     "Normalisation of each sample by groups of channels. "
                     "y[.., c] = (x[.., c] - mean[g]) / sqrt(variance[g] + epsilon) * gamma[c] + beta[c]; "
                     "mean and variance are those of all positions and channels of the group g that holds c",
                     centred_args());
  l.args.insert(l.args.begin(), {"groups",
                                 ArgType::integer,
                                 ArgValue{int64_t{32}},
                                 1,
                                 1e6,
                                 {},
                                 "number of groups; divides the channels. 1: the whole sample together"});
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!has_channels(b, "GroupNorm")) return kNone;
    const int64_t groups = b.i("groups"), channels = b.in_type().dims.back();
    if (channels % groups != 0) {
      return b.error(fmt::format("GroupNorm({}) cannot divide the {} channels of its input {}", groups, channels,
                                 shape_for_user(b.in_type())),
                     "give it a number of groups that divides the channels");
    }
    return centred(b, "group_norm", {{"groups", groups}});
  };
  return l;
}

LayerDef instance_norm() {
  LayerDef l = layer("InstanceNorm",
                     "Normalisation of each channel of each sample by its image. "
                     "y[.., c] = (x[.., c] - mean[c]) / sqrt(variance[c] + epsilon) * gamma[c] + beta[c]; "
                     "mean and variance are those of the channel's positions in the sample",
                     centred_args());
  l.build = [](LayerBuilder& b) -> ValueId {
    if (!has_channels(b, "InstanceNorm")) return kNone;
    if (b.in_type().rank() == 1) {
      return b.error(fmt::format("InstanceNorm needs an input with positions beside its channels, but its input is {}",
                                 shape_for_user(b.in_type())),
                     "LayerNorm normalises a flat input");
    }
    return centred(b, "group_norm", {{"groups", b.in_type().dims.back()}});
  };
  return l;
}

}  // namespace

void add_norm_layers(Registry& r) {
  static const LayerDef layers[] = {layer_norm(), rms_norm(), group_norm(), instance_norm()};
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
