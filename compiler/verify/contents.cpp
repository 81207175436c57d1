// Contents of variables. What numbers a label or a token may be is found by trying the operators that read it in the
// interpreter.
#include <algorithm>
#include <cmath>
#include <optional>

#include "compiler/ir/op_def.h"
#include "compiler/verify/contents.h"
#include "compiler/verify/rng.h"

namespace netc::verify {

using namespace ir;

namespace {

constexpr int64_t kHuge = 1 << 20;  // larger than any number of classes or tokens
constexpr int64_t kUnlimited = 10;  // numbers, where an operator tells all apart
constexpr int kTrialBatch = 2;

RefTensor shaped(const Type& t, int64_t batch, int64_t any_height, int64_t any_width) {
  RefTensor r;
  if (t.batched) r.dims.push_back(batch);
  bool first = true;
  for (const int64_t d : t.dims) {
    r.dims.push_back(d != kAnyExtent ? d : first ? any_height : any_width);
    if (d == kAnyExtent) first = false;
  }
  int64_t n = 1;
  for (const int64_t d : r.dims) n *= d;
  r.data.assign(static_cast<size_t>(n), 0.0);
  return r;
}

/// One operator by itself, its operands `v` filled by `fill`, the others with numbers between 0.1 and 0.4, which suit
/// every operator.
std::vector<double> trial(const Graph& g, const Node& n, ValueId v, const std::function<double(Rng&)>& fill) {
  Rng others(1), mine(2);
  std::vector<RefTensor> in;
  for (const ValueId i : n.inputs) {
    RefTensor t = shaped(g.type(i), kTrialBatch, 3, 3);
    for (double& x : t.data) x = i == v ? fill(mine) : is_real(g.type(i).dtype) ? others.uniform(0.1, 0.4) : 0;
    const Value& value = g.values[i];
    if (i != v && value.def == kNone && g.variables[value.variable].role == Role::constant)
      t.data.assign(g.variables[value.variable].literal.begin(), g.variables[value.variable].literal.end());
    in.push_back(std::move(t));
  }
  std::vector<double> out;
  for (const RefTensor& r : n.op->reference(n, g, in, kTrialBatch)) out.insert(out.end(), r.data.begin(), r.data.end());
  return out;
}

bool reads(const Node& n, ValueId v) { return std::find(n.inputs.begin(), n.inputs.end(), v) != n.inputs.end(); }

/// How many numbers from 0 on make a difference to the operator: it takes larger ones for the largest. 1: it does not
/// look.
int64_t told_apart(const Graph& g, const Node& n, ValueId v) {
  const auto with = [&](int64_t k) { return trial(g, n, v, [k](Rng&) { return static_cast<double>(k); }); };
  const std::vector<double> last = with(kHuge);
  if (with(kHuge / 2) != last) return kUnlimited;
  int64_t low = -1, high = kHuge / 2;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (with(middle) == last ? high : low) = middle;
  }
  return high + 1;
}

/// The same of all that reads the value, or what is made of it.
int64_t range_of(const Graph& g, ValueId v) {
  int64_t least = kHuge;
  for (const Node& n : g.nodes) {
    if (!reads(n, v)) continue;
    int64_t here = 1;
    if (g.type(n.results[0]).dtype == g.type(v).dtype)
      for (const ValueId r : n.results) here = std::max(here, range_of(g, r));
    else here = told_apart(g, n, v);
    if (here > 1) least = std::min(least, here);
  }
  return least == kHuge ? 2 : least;
}

/// True when a slot is read by an operator that cannot take negative numbers.
bool must_be_positive(const Graph& g, ValueId v) {
  return std::any_of(g.nodes.begin(), g.nodes.end(), [&](const Node& n) {
    if (!reads(n, v)) return false;
    const std::vector<double> out = trial(g, n, v, [](Rng&) { return -1.0; });
    return std::any_of(out.begin(), out.end(), [](double x) { return !std::isfinite(x); });
  });
}

/// Distributions over the last dim, or answers of 0 and 1.
void fill_shares(RefTensor& t, const Type& type, Rng& rng) {
  const bool answers = type.rank() == 0 || type.dims.back() == 1 || rng.chance(50);
  const size_t row = type.rank() == 0 ? 1 : static_cast<size_t>(type.dims.back());
  for (size_t i = 0; i < t.data.size(); i += row) {
    double sum = 0;
    for (size_t c = 0; c < row; ++c)
      sum += t.data[i + c] = answers ? static_cast<double>(rng.below(2)) : 0.05 + rng.uniform();
    for (size_t c = 0; c < row && !answers; ++c) t.data[i + c] /= sum;
  }
}

double weight(const Initializer& init, Rng& rng) {
  if (init.kind == "ones") return 1 + 0.2 * rng.normal();
  if (init.kind == "constant") return init.a + 0.1 * rng.normal();
  return rng.normal() * (init.fan_in > 0 ? std::sqrt(1.5 / static_cast<double>(init.fan_in)) : 0.3);
}

}  // namespace

bool is_quantity(const Graph& g, ValueId label) {
  for (const Node& n : g.nodes) {
    if (!n.op->gradient || !reads(n, label)) continue;
    const std::vector<double> out = trial(g, n, label, [](Rng& rng) { return 3 * rng.normal(); });
    if (std::any_of(out.begin(), out.end(), [](double x) { return !(x >= 0); })) return false;
  }
  return true;
}

std::map<std::string, RefTensor> contents(const Graph& g, int batch, uint64_t draw) {
  std::map<std::string, RefTensor> out;
  for (const Variable& v : g.variables) {
    if (v.role == Role::constant) continue;
    const Type& type = g.type(v.value);
    Rng rng(hash_of(v.name) ^ mix(draw));
    const int64_t height = rng.between(4, 11), width = rng.between(4, 11);
    RefTensor t = shaped(type, batch, height, width);
    const bool whole = !is_real(type.dtype), integers = whole && type.dtype != DType::u8 && v.role != Role::scalar;
    const int64_t range = integers ? range_of(g, v.value) : 0;
    const bool positive =
        v.role == Role::slot ? must_be_positive(g, v.value) : v.role == Role::state && v.init.kind == "ones";
    const bool shares = v.role == Role::label && !whole && !is_quantity(g, v.value);
    if (shares) fill_shares(t, type, rng);
    for (double& x : t.data) {
      // large: what a step changes is then large beside the rounding of a weight
      if (v.role == Role::scalar) x = whole ? static_cast<double>(1 + rng.below(100)) : 0.5;
      else if (type.dtype == DType::u8) x = static_cast<double>(rng.below(256));
      else if (integers) x = static_cast<double>(rng.below(range));
      else if (positive) x = 0.2 + std::abs(rng.normal());
      else if (v.role == Role::state || v.role == Role::slot) x = 0.3 * rng.normal();
      else if (v.role == Role::weight) x = weight(v.init, rng);
      else if (!shares) x = rng.normal();
      x = static_cast<double>(static_cast<float>(x));
    }
    out[v.name] = std::move(t);
  }
  return out;
}

}  // namespace netc::verify
