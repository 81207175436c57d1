// The methods are the classical ones: Cody and Waite's reduction of arguments (Software Manual for the Elementary
// Functions, 1980), what is lost of a sum kept beside it (Dekker 1971; Kahan), and polynomials of least largest error
// by Remez's exchange algorithm, each fitted for the weight named beside it.
#include "compiler/ops/elementwise/exact.h"

#include <cmath>
#include <functional>
#include <initializer_list>
#include <limits>

namespace netc::ops::exact {

using Halide::cast;
using Halide::reinterpret;
using Halide::select;
using Halide::Internal::Call;

namespace {

constexpr int32_t kOne = 0x3f800000, kInf = 0x7f800000, kNan = 0x7fc00000;  // as integers
constexpr int32_t kMinusInf = static_cast<int32_t>(0xff800000), kSign = static_cast<int32_t>(0x80000000);
constexpr double kLog2e = 1.44269504088896340736, kLn2 = 0.69314718055994530942;
constexpr float kLn2High = 0x1.62e4p-1f;  // 16 bits: exact in products with 8
constexpr float kLn2Low = static_cast<float>(kLn2 - static_cast<double>(kLn2High));
constexpr float kMagic = 0x1.8p23f;  // plus a number of less than 2^22: its integer in the last bits
constexpr int kShift = 64;           // see scaled_exp

Expr f32(double v) { return Expr(static_cast<float>(v)); }
Expr f64(double v) { return Expr(v); }
Expr bits(const Expr& x) { return reinterpret<int32_t>(x); }
Expr value(const Expr& b) { return reinterpret<float>(b); }
/// Bits as a number that may overflow: Halide lets LLVM take for granted that a signed one does not.
Expr wrapping(const Expr& b) { return reinterpret<uint32_t>(b); }
Expr strict(Call::IntrinsicOp op, const Expr& a, const Expr& b) {
  return Call::make(a.type(), op, {a, b}, Call::PureIntrinsic);
}
/// The magnitude as an integer, which orders as the float does: kInf is infinity, more is NaN. Of integers LLVM takes
/// nothing for granted.
Expr size_bits(const Expr& x) { return bits(x) & ~kSign; }
/// y where x is a number; infinity and NaN are their own.
Expr where_finite(const Expr& x, const Expr& y) { return value(select(size_bits(x) < kInf, bits(y), bits(x))); }
/// Names what is used twice, so that expressions of expressions stay small.
Expr named(const Expr& e) { return Halide::Internal::common_subexpression_elimination(e); }

Expr polynomial(const Expr& x, std::initializer_list<double> from_constant,
                const std::function<Expr(double)>& number = f32) {
  Expr y;
  for (auto c = std::rbegin(from_constant); c != std::rend(from_constant); ++c)
    y = y.defined() ? y * x + number(*c) : number(*c);
  return y;
}
/// A long one as two of x^2, which wait for less.
Expr long_polynomial(const Expr& x, std::initializer_list<double> from_constant,
                     const std::function<Expr(double)>& number = f32) {
  const Expr s = x * x;
  Expr y[2];
  for (size_t i = from_constant.size(); i-- > 0;) {
    const Expr c = number(from_constant.begin()[i]);
    y[i % 2] = y[i % 2].defined() ? y[i % 2] * s + c : c;
  }
  return y[0] + x * y[1];
}

/// x = r + n ln 2 with |r| <= ln(2) / 2, and 2^(n + shift), for n + shift in [-127, 127]: of -127 that is 0. `low` is a
/// part of x beside it.
struct Reduced {
  Expr r, power;
};
Reduced reduce(const Expr& x, const Expr& shift, const Expr& low = Expr()) {
  const Expr magic = shift + (kMagic + 127.0f);
  const Expr t = add((low.defined() ? x + low : x) * f32(kLog2e), magic), n = sub(t, magic);
  return {sub(sub(x, mul(n, kLn2High)), low.defined() ? n * kLn2Low - low : mul(n, kLn2Low)), value(wrapping(t) << 23)};
}
/// exp(r) - 1, |r| <= 0.347: largest error 2^-26 of the result.
Expr expm1_reduced(const Expr& r) {
  return r +
         r * r * polynomial(r, {5.000000000e-01, 1.666654348e-01, 4.166628420e-02, 8.366537280e-03, 1.394634950e-03});
}
/// exp(x) 2^64 for x in [-131, 0], so that a factor may bring it back into the range of normal numbers.
Expr scaled_exp(const Expr& x, const Expr& low = Expr()) {
  const Reduced a = reduce(x, float{kShift}, low);
  return mul(1.0f + expm1_reduced(a.r), a.power);
}
Expr unscaled(const Expr& x) { return mul(x, 0x1p-64f); }
/// For results that end in a product with a constant: LLVM joins it to constant factors around, strict or not, and two
/// of 2^-64 with a third are a denormal number with few digits (7e-5 off in silu'(u) mish'(v) 0.025). A minimum that
/// changes nothing keeps them apart.
Expr kept_apart(const Expr& x) { return at_most(x, 0x1p126f); }
Expr minus_abs(const Expr& x, double least) { return at_least(-abs(x), f32(least)); }

/// log(1 + f), |f| <= 1/3: largest error 2^-27.6 of the result.
Expr log1p_reduced(const Expr& f) {
  const Expr p = polynomial(f, {3.333322108e-01, -2.499980330e-01, 2.001010776e-01, -1.668028086e-01, 1.401008219e-01,
                                -1.218693852e-01, 1.396592408e-01, -1.288064122e-01});
  return f + f * f * (f * p - 0.5f);
}
/// x = 2^k m with m in [2/3, 4/3): m - 1, and k times 2^23, of a normal number.
struct Split {
  Expr f, k;
};
Split split(const Expr& x) {
  const Expr k = (wrapping(x) - 0x3f2aaaab) & Expr(0xff800000u);
  return {sub(value(wrapping(x) - k), 1.0f), cast<float>(reinterpret<int32_t>(k))};
}
/// log(1 + e), e in [0, 1].
Expr log1p_of_share(const Expr& e) {
  const Expr high = e > f32(1.0 / 3);
  return log1p_reduced(select(high, 0.5f * e - 0.5f, e)) + select(high, f32(kLn2), 0.0f);
}

/// x^2 = high + low, high exact in 24 bits.
struct Square {
  Expr high, low;
};
Square square(const Expr& x) {
  const Expr head = value(bits(x) & ~0xfff);
  return {mul(head, head), (x + head) * sub(x, head)};
}

/// The normal distribution's tail: its share beyond z and its density at z are `exp` times `share` and 1 / sqrt(2 pi),
/// times 2^-64; z = |x|, 14.5 at most. share(z) = erfc(z / sqrt 2) exp(z^2 / 2) / 2 by a quotient of polynomials,
/// largest error 2^-27.3; all its terms are positive.
struct Tail {
  Expr z, exp, share;
};
Tail tail(const Expr& x) {
  const Expr z = at_most(abs(x), 14.5f);
  const Square s = square(z);
  return {
      z, scaled_exp(-0.5f * s.high, -0.5f * s.low),
      polynomial(z, {0.5, 4.384989868e-01, 1.833865624e-01, 4.068434896e-02, 4.123919168e-03}) /
          polynomial(z, {1.0, 1.674882960e+00, 1.203131533e+00, 4.698704463e-01, 1.019869175e-01, 1.033701434e-02})};
}

constexpr double kRootTwoOverPi = 0.79788456080286535588, kInvRootTwoPi = 0.39894228040143267794,
                 kTwoOverRootPi = 1.12837916709551257390;
constexpr double kGelu = 0.044715;  // Hendrycks and Gimpel 2016

/// exp(-|u|) 2^64, u = 2 sqrt(2 / pi) (x + 0.044715 x^3) of z = |x|, 11 at most. u is taken in double: the error of a
/// sum of 80 would be that of all digits.
Expr gelu_tanh_exp(const Expr& z) {
  const Expr d = cast<double>(z), u = d * (f64(2 * kRootTwoOverPi) + f64(2 * kRootTwoOverPi * kGelu) * (d * d));
  const Expr magic = kMagic + 127.0f + kShift, t = sub(magic, cast<float>(u) * f32(kLog2e)), n = sub(t, magic);
  return mul(1.0f + expm1_reduced(cast<float>(-cast<double>(n) * f64(kLn2) - u)), value(wrapping(t) << 23));
}
/// A derivative s + v s (1 - s), where s = sigmoid(u), `e` is exp(-|u|) 2^64, and u has x's sign; v s may leave no
/// number for x near -90, but the result does.
Expr gate_slope(const Expr& x, const Expr& v, const Expr& e) {
  const Expr positive = x > 0.0f, share = unscaled(e), d = 1.0f + share;
  return kept_apart(unscaled(mul(select(positive, 0x1p64f, e), (d + v * select(positive, share, 1.0f)) / (d * d))));
}
Expr gate(const Expr& x, const Expr& nearer, const Expr& e) {
  const Expr positive = x > 0.0f;
  return select(positive, x, unscaled(mul(nearer, e))) / (1.0f + unscaled(e));
}

/// The sine of |r| <= pi / 4, and the cosine: largest errors 2^-28 and 2^-33.
Expr sin_reduced(const Expr& r, const Expr& s) {
  return r + r * s * polynomial(s, {-1.666665524e-01, 8.332179859e-03, -1.951751037e-04});
}
Expr cos_reduced(const Expr& s) {
  return 1.0f - (0.5f * s - s * s * polynomial(s, {4.166664556e-02, -1.388737699e-03, 2.443939047e-05}));
}
/// x = r + n pi / 2, in double, where n times the first 22 bits of pi / 2 is exact.
Expr turned(const Expr& x, const Expr& quarters) {
  const Expr magic = f64(0x1.8p52), d = cast<double>(x), t = add(d * f64(0.63661977236758134308), magic),
             n = sub(t, magic);
  const Expr r = within(cast<float>(sub(sub(d, mul(n, f64(0x1.921fb4p0))), mul(n, f64(7.5497899548918821692e-8)))),
                        -0.7854f, 0.7854f),
             s = r * r;
  const Expr quarter = cast<uint32_t>(reinterpret<uint64_t>(t)) + quarters;
  const Expr y = select((quarter & 1) != 0, cos_reduced(s), sin_reduced(r, s));
  return value(wrapping(y) ^ ((quarter & 2) << 30));
}

}  // namespace

Expr add(const Expr& a, const Expr& b) { return strict(Call::strict_add, a, b); }
Expr sub(const Expr& a, const Expr& b) { return strict(Call::strict_sub, a, b); }
Expr mul(const Expr& a, const Expr& b) { return strict(Call::strict_mul, a, b); }
Expr less(const Expr& a, const Expr& b) {
  return Call::make(Halide::Bool(), Call::strict_lt, {a, b}, Call::PureIntrinsic);
}
// max(a, b) is a > b ? a : b, and so b where one is NaN; min likewise.
Expr at_least(const Expr& x, const Expr& low) { return strict(Call::strict_max, low, x); }
Expr at_most(const Expr& x, const Expr& high) { return strict(Call::strict_min, high, x); }
Expr within(const Expr& x, const Expr& low, const Expr& high) { return at_most(at_least(x, low), high); }
Expr largest(const Expr& a, const Expr& b) { return value(select(size_bits(a) > kInf, bits(a), bits(at_least(b, a)))); }
Expr smallest(const Expr& a, const Expr& b) { return value(select(size_bits(a) > kInf, bits(a), bits(at_most(b, a)))); }
Expr lowest() { return std::numeric_limits<float>::lowest(); }
Expr plus(const Expr& x, double c) {
  const float high = static_cast<float>(c);
  const double low = c - static_cast<double>(high);
  return low == 0 ? x + high : add(add(x, high), f32(low));
}

Expr exp(const Expr& x) {  // the power of two in two factors, either of which is a normal number
  const Expr c = within(x, -104.0f, 89.0f), negative = c < 0.0f;
  const Reduced a = reduce(c, select(negative, float{kShift}, -float{kShift}));
  return named(mul(mul(1.0f + expm1_reduced(a.r), a.power), select(negative, 0x1p-64f, 0x1p64f)));
}
Expr exp_of_negative(const Expr& x) {
  const Reduced a = reduce(at_least(x, -88.0f), 0.0f);
  return named(a.power + a.power * expm1_reduced(a.r));
}
Expr expm1_of_negative(const Expr& x) {
  const Reduced a = reduce(at_least(x, -88.0f), 0.0f);
  return named(a.power * expm1_reduced(a.r) + sub(a.power, 1.0f));
}

Expr log(const Expr& x) {
  const Expr small = x < 0x1p-126f;
  const Split s = split(select(small, mul(x, 0x1p23f), x));
  const Expr y = log1p_reduced(s.f) + (s.k * f32(kLn2 * 0x1p-23) - select(small, f32(23 * kLn2), 0.0f));
  const Expr special = select(size_bits(x) == 0, kMinusInf, bits(x) < 0, kNan, bits(x));
  return named(value(select(bits(x) > 0 && bits(x) < kInf, bits(y), special)));
}
Expr log1p(const Expr& x) {
  const Expr near = abs(x) <= f32(1.0 / 3);
  const Split s = split(1.0f + x);
  const Expr y = log1p_reduced(select(near, x, s.f)) + select(near, 0.0f, s.k * f32(kLn2 * 0x1p-23));
  return named(where_finite(x, y));
}
Expr one_minus_power(double b, const Expr& x) {
  return b == 0 ? select(x > 0.0f, 1.0f, 0.0f) : -expm1_of_negative(x * f32(std::log(b)));
}

// 2^(b log2 |a|), in double: the error of the exponent would be that of all digits
Expr pow(const Expr& a, const Expr& b) {
  const Expr size = abs(a), small = size < 0x1p-126f;
  const Split s = split(select(small, mul(size, 0x1p23f), size));
  const Expr k = s.k * 0x1p-23f - select(small, 23.0f, 0.0f),
             known = value(select(size_bits(a) == 0, kMinusInf, bits(where_finite(size, k))));
  const Expr f = cast<double>(s.f);
  // log2(1 + f), |f| <= 1/3, largest error 2^-35.9 of it; 2^f, |f| <= 1/2: 2^-29.
  const Expr log2 = cast<double>(known) +
                    f * long_polynomial(f,
                                        {1.44269504089233158e+00, -7.21347519569102813e-01, 4.80898343960987407e-01,
                                         -3.60673978658526295e-01, 2.88539441812780684e-01, -2.40433657919544880e-01,
                                         2.06075969835967987e-01, -1.80806121566545880e-01, 1.60891301338621062e-01,
                                         -1.37460524357293751e-01, 1.23562143046881442e-01, -1.66107365554783670e-01,
                                         1.57544015021800904e-01},
                                        f64);
  const Expr e = within(log2 * cast<double>(b), f64(-180), f64(180)), magic = f64(0x1.8p52),
             n = sub(add(e, magic), magic);
  const Expr fraction = long_polynomial(
      e - n,
      {1.00000000056305249e+00, 6.93147206037276198e-01, 2.40226468448881930e-01, 5.55032812371401077e-02,
       9.61849183784296152e-03, 1.34001955082254059e-03, 1.53455814367740655e-04},
      f64);
  const Expr negative = e < f64(0), shift = select(negative, kMagic + 127.0f + kShift, kMagic + 127.0f - kShift);
  const Expr power = value(wrapping(add(cast<float>(n), shift)) << 23);
  const Expr y = mul(mul(cast<float>(fraction), power), select(negative, 0x1p-64f, 0x1p64f));
  const Expr whole = floor(b) == b, odd = whole && floor(0.5f * b) * 2.0f != b;
  const Expr one = size_bits(b) == 0 || bits(a) == kOne || (size_bits(a) == kOne && size_bits(b) == kInf);
  const Expr root = bits(a) < 0 && size_bits(a) > 0 && size_bits(a) < kInf && !whole;
  const Expr positive = select(one, kOne, root, kNan, bits(y));
  return named(value(positive ^ select(odd, bits(a) & kSign, 0)));
}

Expr sin(const Expr& x, const Expr& quarters) { return named(turned(x, cast<uint32_t>(quarters))); }
Expr cos(const Expr& x) { return named(turned(x, Expr(1u))); }

Expr tanh(const Expr& x) {
  const Expr m = expm1_of_negative(-2.0f * abs(x));
  return named(select(x < 0.0f, m, -m) / (2.0f + m));
}
Expr sigmoid(const Expr& x) {
  const Expr e = exp_of_negative(-abs(x));
  return named(select(x > 0.0f, 1.0f, e) / (1.0f + e));
}
Expr softplus(const Expr& x) { return named(at_least(x, 0.0f) + log1p_of_share(exp_of_negative(-abs(x)))); }

/// Near 0 an odd polynomial, largest error 2^-27.3; else 1 - exp(-p(|x|)), p = -log(erfc), 2^-28.8.
Expr erf(const Expr& x) {
  const Expr a = at_most(abs(x), 3.93f), s = x * x;
  const Expr near = x * polynomial(s, {1.128379107e+00, -3.761257231e-01, 1.128271744e-01, -2.680254728e-02,
                                       5.051095039e-03, -6.315129576e-04});
  const Expr far = expm1_of_negative(-polynomial(a, {1.045252284e-04, 1.128061056e+00, 6.365189552e-01, 1.045259237e-01,
                                                     -2.251905203e-02, 3.117853543e-03, -2.036766673e-04}));
  return named(select(a < 0.85f, near, x < 0.0f, far, -far));
}
Expr erf_slope(const Expr& x) {
  const Square s = square(at_most(abs(x), 11.0f));
  return named(kept_apart(mul(scaled_exp(-s.high, -s.low), f32(kTwoOverRootPi * 0x1p-64))));
}

Expr gelu(const Expr& x) {
  const Tail t = tail(x);
  const Expr beyond = t.exp * t.share, positive = x > 0.0f;
  return named(select(positive, x * (1.0f - unscaled(beyond)), unscaled(mul(-t.z, beyond))));
}
Expr gelu_slope(const Expr& x) {
  const Tail t = tail(x);
  const Expr q = mul(t.exp, unscaled(t.share - f32(kInvRootTwoPi) * t.z));
  return named(select(x > 0.0f, 1.0f - q, q));
}
Expr gelu_tanh(const Expr& x) {
  const Expr z = at_most(abs(x), 11.0f);
  return named(gate(x, -z, gelu_tanh_exp(z)));
}
Expr gelu_tanh_slope(const Expr& x) {
  const Expr c = within(x, -11.0f, 11.0f);
  return named(
      gate_slope(x, c * (f32(2 * kRootTwoOverPi) + f32(6 * kRootTwoOverPi * kGelu) * (c * c)), gelu_tanh_exp(abs(c))));
}
Expr silu(const Expr& x) {
  const Expr c = minus_abs(x, -130);
  return named(gate(x, c, scaled_exp(c)));
}
Expr silu_slope(const Expr& x) {
  const Expr c = within(x, -130.0f, 130.0f);
  return named(gate_slope(x, c, scaled_exp(-abs(c))));
}

// With e = exp(-|x|), and w = e^2, n = 1 + 2e where x > 0, else w = 1, n = e (e + 2): tanh(log(1 + exp(x))) = n / (n +
// 2w). All terms are positive.
namespace {
// c = x within [-130, 130]; e times 2^64, and itself; n, without the factor e where x <= 0; n + 2w
struct Mish {
  Expr c, e, share, n_over_e, w, d;
};
Mish mish_parts(const Expr& x) {
  const Expr c = within(x, -130.0f, 130.0f), e = scaled_exp(-abs(c)), share = unscaled(e), positive = x > 0.0f;
  const Expr n = select(positive, 1.0f + 2.0f * share, share + 2.0f), w = select(positive, share * share, 1.0f);
  return {c, e, share, n, w, select(positive, 1.0f, share) * n + 2.0f * w};
}
}  // namespace
Expr mish(const Expr& x) {
  const Mish m = mish_parts(x);
  return named(select(x > 0.0f, x, unscaled(mul(m.c, m.e))) * (m.n_over_e / m.d));
}
/// t + x sigmoid(x) (1 - t^2), t = n / d: 1 - t^2 = 4 w (n + w) / d^2 loses no digits.
Expr mish_slope(const Expr& x) {
  const Mish m = mish_parts(x);
  const Expr positive = x > 0.0f, n = select(positive, 1.0f, m.share) * m.n_over_e, one_and = 1.0f + m.share;
  const Expr y = (m.n_over_e * m.d * one_and + 4.0f * m.c * m.w * (n + m.w)) / (m.d * m.d * one_and);
  return named(kept_apart(unscaled(mul(y, select(positive, 0x1p64f, m.e)))));
}

}  // namespace netc::ops::exact
