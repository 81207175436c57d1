// Elementary functions as Halide expressions of float32, within a few units in the last place of the exact result
// wherever that is a normal number (tests/ops/exact_test.cpp holds the bounds). Without branches, tables or calls, so
// that they become vectors. NaN gives NaN, and infinities give the limits.
//
// Halide lets LLVM reorder sums and take for granted that there is neither NaN nor infinity. What depends on the order
// of operations, or on what a comparison gives for NaN, is therefore written with the strict forms of single
// operations. The outer operation has to be strict too: of a fast a - (b - c) or (a - b) - c LLVM makes other
// differences even where the inner one is strict.
#pragma once
#include <Halide.h>

namespace netc::ops::exact {

using Halide::Expr;

// One operation as IEEE 754 has it, neither reordered nor fused.
Expr add(const Expr& a, const Expr& b);
Expr sub(const Expr& a, const Expr& b);
Expr mul(const Expr& a, const Expr& b);
Expr less(const Expr& a, const Expr& b);
/// x, but `low` where x < low; NaN stays.
Expr at_least(const Expr& x, const Expr& low);
/// x, but `high` where x > high; NaN stays.
Expr at_most(const Expr& x, const Expr& high);
/// x within [low, high]; NaN stays.
Expr within(const Expr& x, const Expr& low, const Expr& high);
/// The larger and the smaller; NaN where either is.
Expr largest(const Expr& a, const Expr& b);
Expr smallest(const Expr& a, const Expr& b);
/// Where a maximum of floats starts: not at minus infinity, of which LLVM takes for granted that there is none.
Expr lowest();
/// x + c, of a constant that no float need hold: what is left beside a root keeps its digits.
Expr plus(const Expr& x, double c);

Expr exp(const Expr& x);
/// exp(x) where x <= 0; 0 where that is no normal number.
Expr exp_of_negative(const Expr& x);
/// exp(x) - 1 where x <= 0.
Expr expm1_of_negative(const Expr& x);
Expr log(const Expr& x);
/// log(1 + x) where x > -1.
Expr log1p(const Expr& x);
/// 1 - b^x for a constant b in [0, 1] and x >= 0.
Expr one_minus_power(double b, const Expr& x);
/// a^b as the C library's pow; exact where the result is a float.
Expr pow(const Expr& a, const Expr& b);

/// Of |x| up to 2^30; beyond that, where floats lie 64 and more apart, some number in [-1, 1].
Expr sin(const Expr& x, const Expr& quarters = 0);  // of x + quarters pi / 2
Expr cos(const Expr& x);

Expr tanh(const Expr& x);
Expr sigmoid(const Expr& x);
Expr softplus(const Expr& x);
Expr erf(const Expr& x);
Expr gelu(const Expr& x);
Expr gelu_tanh(const Expr& x);
Expr silu(const Expr& x);
Expr mish(const Expr& x);

// Derivatives, at x.
Expr erf_slope(const Expr& x);
Expr gelu_slope(const Expr& x);
Expr gelu_tanh_slope(const Expr& x);
Expr silu_slope(const Expr& x);
Expr mish_slope(const Expr& x);

}  // namespace netc::ops::exact
