// Half the bits of a float32: what the operands of contractions are rounded to where products may be of bf16
// (passes/round_products.cpp). Both are put in after gradients are taken, which therefore go straight through.
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

constexpr const char* kAfterGradients = "it is put in after gradients are";

/// The nearest of the numbers with 8 bits, of two as near the even one.
double rounded(double v) {
  if (v == 0 || !std::isfinite(v)) return v;
  const double unit = std::ldexp(1.0, std::ilogb(v) - 7);
  return std::nearbyint(v / unit) * unit;
}

OpDef converts(const char* name, const char* doc, DType from, DType to) {
  OpDef d;
  d.name = name;
  d.doc = doc;
  d.no_gradient = kAfterGradients;
  d.cost = per_element(0);
  const std::string me = name;
  d.shape = [me, from, to](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0].dtype != from) error = fmt::format("{} needs {} values, not {}", me, to_string(from), list_types(in));
    out = {in[0]};
    out[0].dtype = to;
    return in[0].dtype == from;
  };
  return d;
}

OpDef round_bf16() {
  OpDef d = converts("round_bf16", "The nearest bf16 of each value: 8 bits of mantissa, float32's exponents.",
                     DType::f32, DType::bf16);
  lowering(d).scalar = [](const LowerContext&, const Exprs& in, const Exprs&) {
    return Exprs{cast(Halide::BFloat(16), in[0])};
  };
  d.reference = pointwise([](const Node&, const Graph&, const std::vector<double>& x, int64_t) {
    return std::vector<double>{rounded(x[0])};
  });
  return d;
}

OpDef widen_bf16() {
  OpDef d = converts("widen_bf16", "The same values as f32.", DType::bf16, DType::f32);
  lowering(d).scalar = [](const LowerContext&, const Exprs& in, const Exprs&) { return Exprs{cast<float>(in[0])}; };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) { return Tensors{in[0]}; };
  return d;
}

}  // namespace

void add_round(Registry& r) {
  static const OpDef ops[] = {round_bf16(), widen_bf16()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
}

}  // namespace netc::ops
