#include "compiler/verify/rounding.h"

#include <algorithm>
#include <cmath>

#include "compiler/verify/elements.h"

namespace netc::verify {
namespace {

using ir::DType;
using ir::Kind;
using ir::RefTensor;

constexpr double kUnit = 0x1p-23;  // of a float32's last place, relative
// an eighth of the last place, relative: times kRounding as much as falls on the other side where float32 is nearly
// between two
constexpr double kUnitOfBf16 = 0x1p-10;
// of the largest result: more than an operand's last bit does, unless it decides a comparison
constexpr double kJump = 1e-3;

/// Of size 1/2 to 1 and either sign, by counter (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
double noise(uint64_t key, uint64_t i) {
  uint64_t z = key + (i + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  z ^= z >> 31;
  const double size = 0.5 + static_cast<double>(z >> 12) * 0x1p-53;
  return z & 1 ? size : -size;
}

bool exact(DType type, const RefTensor& t) {
  return std::all_of(t.data.begin(), t.data.end(),
                     [&](double v) { return !std::isfinite(v) || rounded_to(type, v) == v; });
}

double largest(const RefTensor& t) {
  double most = 0;
  for (double v : t.data) most = std::isfinite(v) ? std::max(most, std::abs(v)) : most;
  return most;
}

/// The operations of one result.
double operations(const ir::Node& n, const ir::Graph& g, int64_t batch, size_t results) {
  if (!n.op->cost || results == 0) return 0;
  const bool batched = std::any_of(n.inputs.begin(), n.inputs.end(), [&](ir::ValueId v) { return g.type(v).batched; });
  return n.op->cost(n, g).flops * static_cast<double>(batched ? batch : 1) / static_cast<double>(results);
}
/// How many last places a result is off by that so many operations make, and each operand: of what folds operands as
/// many partial sums are rounded, whose errors grow like the root of their number where they are independent (Higham,
/// Accuracy and Stability of Numerical Algorithms, 2002, section 4.2). Equal terms' are not, by a factor that kRounding
/// covers. A partial sum of k terms of either sign is as large as sqrt(k) of them: where all of them cancel, each term
/// is off by as many last places.
double folding(const ir::Node& n, double operations) {
  return n.op->kind == Kind::elementwise ? 1 : std::max(1.0, std::sqrt(operations) / 8);
}

double distance(const RefTensor& a, const RefTensor& b) {
  double most = 0;
  for (size_t k = 0; k < a.data.size(); ++k)
    if (const double d = std::abs(a.data[k] - b.data[k]); std::isfinite(d)) most = std::max(most, d);
  return most;
}

}  // namespace

std::vector<RefTensor> off_by_rounding(const ir::Node& n, const ir::Graph& g, const std::vector<RefTensor>& operands,
                                       int64_t batch, uint64_t key, double units) {
  const double unit = kUnit * units, jump = kJump * units;
  std::vector<RefTensor> out = n.op->reference(n, g, operands, batch);
  // One operation whose result float32 holds gives it. Of several, what lies between need not be one.
  bool same = true;
  for (size_t i = 0; i < out.size(); ++i)
    same = same && (!ir::is_real(g.type(n.results[i]).dtype) ||
                    (operations(n, g, batch, out[i].data.size()) <= 1 && exact(g.type(n.results[i]).dtype, out[i])));
  const double terms = n.op->terms ? n.op->terms(n, operands) : 0;
  const bool rounds =
      std::any_of(n.results.begin(), n.results.end(), [&](ir::ValueId v) { return g.type(v).dtype == DType::bf16; });
  if (same && terms == 0 && !rounds) return out;
  key ^= static_cast<uint64_t>(n.results.front()) << 32;
  const double folded = folding(n, operations(n, g, batch, out[0].data.size()));
  std::vector<RefTensor> near = operands;
  for (size_t i = 0; i < near.size(); ++i)
    if (g.type(n.inputs[i]).dtype == DType::f32)
      for (size_t k = 0; k < near[i].data.size(); ++k) near[i].data[k] *= 1 + unit * folded * noise(key + i, k);
  const std::vector<RefTensor> moved = n.op->reference(n, g, near, batch);
  std::vector<RefTensor> little;  // moved a sixteenth as far, where that is asked for
  const auto is_smooth = [&](size_t i, double apart) {
    if (little.empty()) {
      for (size_t o = 0; o < near.size(); ++o)
        for (size_t k = 0; k < near[o].data.size(); ++k)
          near[o].data[k] = operands[o].data[k] + (near[o].data[k] - operands[o].data[k]) / 16;
      little = n.op->reference(n, g, near, batch);
    }
    return distance(little[i], out[i]) < apart / 4;
  };
  const double method = n.op->error ? n.op->error(n.attrs) / 10 : 0;
  for (size_t i = 0; i < out.size(); ++i) {
    const DType type = g.type(n.results[i]).dtype;
    if (!ir::is_real(type)) continue;
    const double scale = largest(out[i]), apart = distance(moved[i], out[i]);
    // More than the last bit of operands does: what is left of their difference, or a comparison that they decide; the
    // first grows with the bit.
    if (type == DType::f32 && (apart <= jump * scale || is_smooth(i, apart))) out[i] = moved[i];
    for (size_t k = 0; k < out[i].data.size(); ++k) {
      double& v = out[i].data[k];
      if (type == DType::bf16) v += v * kUnitOfBf16 * units * noise(key + 77, k);
      else
        v = rounded_to(
            type, v + v * unit * folded * noise(key + 77, k) + (method * scale + unit * terms) * noise(key + 99, k));
    }
  }
  return out;
}

namespace {

/// Values that a caller sees: outputs, and what variables become.
std::vector<ir::ValueId> seen(const ir::Graph& g) {
  std::vector<ir::ValueId> all;
  for (const ir::Output& o : g.outputs) all.push_back(o.value);
  for (const ir::Update& u : g.updates) all.push_back(u.value);
  return all;
}

}  // namespace

bool is_near_tie(const ir::Graph& g, const std::map<std::string, RefTensor>& contents, int64_t batch) {
  constexpr double kMany = 32, kSteep = 30;  // last places; and times as much as proportion would give
  const auto exact = interpret(g, contents, batch);
  const auto with = [&](double units) {
    return interpret(g, contents, batch, [&](const ir::Node& n, const std::vector<RefTensor>& in) {
      return off_by_rounding(n, g, in, batch, 5, units);
    });
  };
  const auto few = with(1), many = with(kMany);
  for (const ir::ValueId v : seen(g)) {
    const auto i = static_cast<size_t>(v);
    const double scale = largest(exact[i]);
    const double near = distance(few[i], exact[i]), far = distance(many[i], exact[i]);
    if (far > kJump * scale && far > kSteep * kMany * near) return true;
  }
  return false;
}

bool overflows(const std::vector<RefTensor>& values) {
  constexpr double kMost = 1e9;
  return std::any_of(values.begin(), values.end(), [](const RefTensor& t) {
    return std::any_of(t.data.begin(), t.data.end(), [](double v) { return !(std::abs(v) < kMost); });
  });
}
bool overflows(const ir::Graph& g, const std::map<std::string, RefTensor>& contents, int64_t batch) {
  return overflows(interpret(g, contents, batch));
}

}  // namespace netc::verify
