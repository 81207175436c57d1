#include "tests/models/contents.h"

#include <cmath>
#include <random>

namespace netc::test {

using namespace netc::ir;

namespace {

constexpr int kClasses = 3;

// Biases, so that few arguments of a ReLU lie near 0, of most channels above and of some below.
constexpr double kFarFromZero = 3;

/// An image of any size is as large as what it becomes.
std::vector<int64_t> extents(const Graph& g, const Variable& v) {
  std::vector<int64_t> dims = g.type(v.value).dims;
  for (const Node& n : g.nodes)
    if (n.op->kind == Kind::ingest && n.inputs[0] == v.value)
      for (size_t d = 0; d < dims.size(); ++d)
        if (dims[d] == kAnyExtent) dims[d] = g.type(n.results[0]).dims[d];
  return dims;
}

}  // namespace

std::map<std::string, RefTensor> contents(const Graph& g, int batch) {
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  std::map<std::string, RefTensor> out;
  for (const Variable& v : g.variables) {
    if (v.role == Role::constant) continue;
    const Type& t = g.type(v.value);
    RefTensor r{extents(g, v), {}};
    if (t.batched) r.dims.insert(r.dims.begin(), batch);
    int64_t n = 1;
    for (const int64_t d : r.dims) n *= d;
    const int64_t fan = v.init.fan_in;
    for (int64_t i = 0; i < n; ++i) {
      double x = normal(random);
      if (v.role == Role::scalar) x = t.dtype == DType::f32 ? 0.01 : 3;
      else if (t.dtype == DType::u8) x = static_cast<double>(random() % 256);
      else if (t.dtype == DType::i32) x = static_cast<double>(random() % kClasses);
      else if (v.role == Role::input && t.rank() == 3) x = 120 + 60 * x;  // a photograph
      else if (v.role == Role::label) x = uniform(random);
      else if (v.role == Role::slot || v.role == Role::state) x = 0.5 + std::abs(x);
      else if (v.role == Role::weight && v.init.kind == "ones") x = 1 + 0.2 * x;
      else if (v.role == Role::weight)
        x = fan > 0 ? x * std::sqrt(2.0 / static_cast<double>(fan))
                    : 0.2 * x + (i % 4 == 0 ? -kFarFromZero : kFarFromZero);
      r.data.push_back(static_cast<float>(x));
    }
    out[v.name] = std::move(r);
  }
  return out;
}

}  // namespace netc::test
