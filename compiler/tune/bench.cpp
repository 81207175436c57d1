#include "compiler/tune/bench.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace netc::tune {
namespace {

using plan::Buffer;
using plan::Kernel;
using plan::Storage;

constexpr int kArena = 0, kVariable = 1;

halide_type_t element(ir::DType t) {
  switch (t) {
    case ir::DType::u8: return {halide_type_uint, 8};
    case ir::DType::i32: return {halide_type_int, 32};
    case ir::DType::u32: return {halide_type_uint, 32};
    case ir::DType::bf16: return {halide_type_bfloat, 16};
    default: return {halide_type_float, 32};
  }
}

bool close(const std::string& a, const std::string& b, double tolerance) {
  const size_t n = a.size() / 4;
  std::vector<float> x(n), y(n);
  std::memcpy(x.data(), a.data(), n * 4);
  std::memcpy(y.data(), b.data(), n * 4);
  double scale = 0, worst = 0;
  for (const float v : x)
    if (std::isfinite(v)) scale = std::max(scale, static_cast<double>(std::abs(v)));
  for (size_t i = 0; i < n; ++i) {
    if (std::isfinite(x[i]) != std::isfinite(y[i])) return false;
    if (std::isfinite(x[i])) worst = std::max(worst, std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i])));
  }
  return worst <= tolerance * scale;
}

// Indices and bytes: where two numbers are nearly the same, rounding may choose the other.
bool nearly_all(const std::string& a, const std::string& b) {
  size_t other = 0;
  for (size_t i = 0; i < a.size(); ++i) other += a[i] != b[i];
  return other <= a.size() / 100;
}

}  // namespace

bool Bench::allocate() {
  for (const auto* kernels : {&s_.once, &s_.each})
    for (const Kernel* k : *kernels) {
      for (int b : k->inputs) {
        Memory& m = memory(p_.buffers[b]);
        if (m.first < 0 && !m.written) m.first = b;
      }
      for (int b : k->outputs) memory(p_.buffers[b]).written = true;
    }
  for (auto& [place, m] : memory_) {
    m.own = rt::allocate_aligned(m.bytes + 64);
    m.at = static_cast<uint8_t*>(m.own.get());
    if (!m.at) return false;
    if (m.first < 0) continue;
    fill(p_.buffers[m.first], m.at, m.bytes);
    if (!m.written) continue;
    m.start = rt::allocate_aligned(m.bytes);
    if (!m.start) return false;
    std::memcpy(m.start.get(), m.at, m.bytes);
  }
  return true;
}

std::vector<std::vector<void*>> Bench::arguments(void** context, int batch) {
  tensors_.clear();
  std::vector<std::vector<void*>> all;
  for (const auto* kernels : {&s_.once, &s_.each})
    for (const Kernel* k : *kernels) {
      all.push_back({context});
      for (const auto* list : {&k->inputs, &k->outputs})
        for (int b : *list) all.back().push_back(tensor(p_.buffers[b], batch));
    }
  return all;
}

void Bench::restore() {
  for (auto& [place, m] : memory_)
    if (m.start) std::memcpy(m.at, m.start.get(), m.bytes);
}

bool Bench::overwrites() const {
  return std::any_of(memory_.begin(), memory_.end(), [](const auto& m) { return m.second.start != nullptr; });
}

void Bench::spoil() {
  for (int b : s_.each.back()->outputs)
    if (Memory& m = memory(p_.buffers[b]); m.first < 0) std::memset(m.at, 0xff, m.bytes);
}

std::vector<std::string> Bench::results(int batch) {
  std::vector<std::string> all;
  for (int b : s_.each.back()->outputs) {
    const Buffer& buffer = p_.buffers[b];
    all.emplace_back(reinterpret_cast<const char*>(memory(buffer).at),
                     static_cast<size_t>(buffer.type.bytes() * (buffer.type.batched ? batch : 1)));
  }
  return all;
}

bool Bench::same(const std::vector<std::string>& a, const std::vector<std::string>& b, double tolerance) const {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size()) return false;
    if (p_.buffers[s_.each.back()->outputs[i]].type.dtype == ir::DType::f32 ? !close(a[i], b[i], tolerance)
                                                                            : !nearly_all(a[i], b[i]))
      return false;
  }
  return true;
}

Bench::Memory& Bench::memory(const Buffer& b) {
  Memory& m = memory_[b.storage == Storage::arena ? Place{kArena, b.arena_block} : Place{kVariable, b.variable}];
  m.bytes = std::max(m.bytes, static_cast<size_t>(b.type.bytes() * (b.type.batched ? p_.max_batch : 1)));
  return m;
}

void* Bench::tensor(const Buffer& b, int batch) {
  auto t = std::make_unique<Tensor>();
  for (const plan::StoredDim& d : stored_dims(b))
    t->dims.emplace_back(0, static_cast<int32_t>(d.extent), static_cast<int32_t>(d.stride));
  if (b.type.batched) t->dims.back().extent = batch;
  t->buffer.host = memory(b).at;
  t->buffer.type = element(b.type.dtype);
  t->buffer.dimensions = static_cast<int>(t->dims.size());
  t->buffer.dim = t->dims.data();
  tensors_.push_back(std::move(t));
  return &tensors_.back()->buffer;
}

// Numbers between 0 and 1, the same each time: no root of less than nothing, no difference of large sums. Indices are
// 0, which every table has.
void Bench::fill(const Buffer& b, void* to, size_t bytes) const {
  const ir::Variable* v = b.variable == ir::kNone || b.storage == Storage::arena
                              ? nullptr
                              : &p_.graph->variables[static_cast<size_t>(b.variable)];
  if (v && v->role == ir::Role::constant)
    return void(std::memcpy(to, v->literal.data(), std::min(bytes, v->literal.size() * 4)));
  uint32_t state = 12345;
  const auto next = [&] { return (state = state * 1664525u + 1013904223u) >> 8; };  // 24 bits
  switch (b.type.dtype) {
    case ir::DType::f32:
      for (size_t i = 0; i < bytes / 4; ++i)
        static_cast<float*>(to)[i] =
            v && v->role == ir::Role::scalar ? 1e-3f : 0.05f + 0.9f * static_cast<float>(next()) / 16777216.0f;
      break;
    case ir::DType::u8:
      if (b.storage == Storage::input)
        for (size_t i = 0; i < bytes; ++i) static_cast<uint8_t*>(to)[i] = static_cast<uint8_t>(next() >> 16);
      break;
    case ir::DType::u32: std::fill_n(static_cast<uint32_t*>(to), bytes / 4, 3u); break;  // a seed, a step
    case ir::DType::i32: break;
    case ir::DType::bf16:  // between 1/8 and 1
      std::generate_n(static_cast<uint16_t*>(to), bytes / 2,
                      [&] { return static_cast<uint16_t>(0x3e00 + next() % 0x180); });
      break;
  }
}

}  // namespace netc::tune
