// How weights may start: the values of arguments of type initializer. The runtime fills the weights
// (runtime/core/weights.cpp).
#include "compiler/ops/support.h"

namespace netc::ops {
namespace {

using Args = std::vector<ArgValue>;

ArgDef number(const char* name, std::optional<double> fallback, const char* doc, double min = -1e300) {
  return {name, ArgType::number, fallback ? std::optional(ArgValue{*fallback}) : std::nullopt, min, 1e300, {}, doc};
}

/// `a` and `b` of the initialiser: the arguments by index, -1 for 0.
SettingDef initializer(const char* name, const char* kind, const char* doc, std::vector<ArgDef> args = {}, int a = -1,
                       int b = -1) {
  SettingDef d;
  d.name = name;
  d.doc = doc;
  d.type = ArgType::initializer;
  d.args = std::move(args);
  d.make = [kind = std::string(kind), a, b](const Args& v) {
    const auto at = [&](int i) { return i < 0 ? 0.0 : std::get<double>(v[static_cast<size_t>(i)]); };
    return ArgValue{Initializer{kind, at(a), at(b), 0, 0}};
  };
  return d;
}

}  // namespace

void add_initializers(Registry& r) {
  static const SettingDef all[] = {
      initializer("glorot_uniform", "glorot_uniform",
                  "Uniform within sqrt(6 / (fan_in + fan_out)) on both sides of 0 (Glorot and Bengio 2010)"),
      initializer("glorot_normal", "glorot_normal",
                  "Normal of variance 2 / (fan_in + fan_out), cut off at two standard deviations"),
      initializer("he_uniform", "he_uniform", "Uniform within sqrt(6 / fan_in) on both sides of 0 (He et al. 2015)"),
      initializer("he_normal", "he_normal", "Normal of variance 2 / fan_in, cut off at two standard deviations"),
      initializer("lecun_normal", "lecun_normal",
                  "Normal of variance 1 / fan_in, cut off at two standard deviations (LeCun et al. 1998)"),
      initializer("gaussian", "normal", "Normal around 0", {number("stddev", 0.05, "standard deviation", 0)}, -1, 0),
      initializer("normal", "normal", "Normal",
                  {number("mean", 0.0, "mean"), number("stddev", 0.05, "standard deviation", 0)}, 0, 1),
      initializer("truncated", "truncated", "Normal around 0; values beyond two standard deviations are drawn again",
                  {number("stddev", 0.05, "standard deviation before the cut", 0)}, -1, 0),
      initializer("uniform", "uniform", "Uniform from a up to b",
                  {number("a", -0.05, "lower end"), number("b", 0.05, "upper end")}, 0, 1),
      initializer("orthogonal", "orthogonal",
                  "The weight as a matrix, its last dim the columns, with orthogonal columns (rows, where those are "
                  "fewer) of one length (Saxe et al. 2013)",
                  {number("gain", 1.0, "that length", 1e-6)}, 0),
      initializer("constant", "constant", "One value", {number("c", std::nullopt, "the value")}, 0),
      initializer("zeros", "zeros", "All 0"),
      initializer("ones", "ones", "All 1"),
  };
  for (const SettingDef& d : all) r.settings.push_back(&d);
}

}  // namespace netc::ops
