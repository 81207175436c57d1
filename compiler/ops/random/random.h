// Random numbers that come from counters, so that the order of threads changes nothing and a gradient can compute them
// again: Philox2x32 with 7 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") of the element,
// the sample, the step and the layer.
#pragma once
#include <utility>

#include "compiler/ops/algorithm.h"

namespace netc::ops {

/// Two 32-bit random numbers of (element, sample) under the step's and the layer's key.
std::pair<Expr, Expr> philox(const Expr& element, const Expr& sample, const Expr& seed, const Expr& step,
                             uint32_t stream);
std::pair<uint32_t, uint32_t> philox(uint32_t element, uint32_t sample, uint32_t seed, uint32_t step, uint32_t stream);

/// The row-major index within its sample of the point at `coords`.
Expr element_index(const Type& t, const Exprs& coords);

/// Operands x, seed, step: one result of x's type, f32[N, ...].
ShapeRule random_shape(std::string op);

/// The operator on x, with the step's seed and number, and the attribute "stream": one per place in the net, so that no
/// two layers draw alike.
ValueId emit_random(LayerBuilder& b, ValueId x, const char* op, Attrs attrs);

}  // namespace netc::ops
