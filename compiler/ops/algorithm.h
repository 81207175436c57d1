// What the operators' algorithms share: names of Halide, literals, coordinates.
#pragma once
#include <vector>

#include "compiler/halide/lowering.h"
#include "compiler/ops/support.h"

namespace netc::ops {

using Halide::cast;
using Halide::Expr;
using Halide::Func;
using halide::LowerContext;
using halide::Lowered;
using halide::lowering;
using Halide::RDom;
using Halide::select;
using Halide::Var;

using Exprs = std::vector<Expr>;

inline Expr lit(double v) { return Expr(static_cast<float>(v)); }
/// A product in float32, of float32 or of bf16 widened to it.
inline Expr product(const Expr& a, const Expr& b) { return cast<float>(a) * cast<float>(b); }

/// c, x, y, ..., n: one Var per dim of the type, innermost first, the batch last.
std::vector<Var> vars_of(const Type& t);
/// The same as expressions, the leading ones replaced.
Exprs exprs(const std::vector<Var>& vars);
/// (extent) pairs, innermost first from dim `first`, and the batch.
std::vector<Halide::Range> ranges_of(const Type& t, const Expr& batch, int first = 0);

}  // namespace netc::ops
