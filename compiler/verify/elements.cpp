#include "compiler/verify/elements.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace netc::verify {
namespace {

/// The nearest bf16's bits, of two as near the even one.
uint16_t bf16_of(float v) {
  const uint32_t bits = std::bit_cast<uint32_t>(v);
  if (std::isnan(v)) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
float of_bf16(uint16_t v) { return std::bit_cast<float>(static_cast<uint32_t>(v) << 16); }

void write_one(ir::DType type, double v, void* to, int64_t i) {
  switch (type) {
    case ir::DType::f32: static_cast<float*>(to)[i] = static_cast<float>(v); break;
    case ir::DType::u8: static_cast<uint8_t*>(to)[i] = static_cast<uint8_t>(v); break;
    case ir::DType::i32: static_cast<int32_t*>(to)[i] = static_cast<int32_t>(v); break;
    case ir::DType::u32: static_cast<uint32_t*>(to)[i] = static_cast<uint32_t>(v); break;
    case ir::DType::bf16: static_cast<uint16_t*>(to)[i] = bf16_of(static_cast<float>(v)); break;
  }
}

double read_one(ir::DType type, const void* from, int64_t i) {
  switch (type) {
    case ir::DType::f32: return static_cast<const float*>(from)[i];
    case ir::DType::u8: return static_cast<const uint8_t*>(from)[i];
    case ir::DType::i32: return static_cast<const int32_t*>(from)[i];
    case ir::DType::u32: return static_cast<const uint32_t*>(from)[i];
    case ir::DType::bf16: return of_bf16(static_cast<const uint16_t*>(from)[i]);
  }
  return 0;
}

bool is_row_major(const plan::Buffer& b) { return !b.planar && b.block == 0 && b.sample_stride == 0; }

/// Where the elements of a tensor lie, in row-major order, the batch outermost.
std::vector<int64_t> places(const plan::Buffer& b, int batch) {
  const auto stored = stored_dims(b);
  const int64_t of_sample = b.type.elements(), all = of_sample * (b.type.batched ? batch : 1);
  std::vector<int64_t> out(static_cast<size_t>(all));
  for (int64_t i = 0; i < all; ++i) {
    std::vector<int64_t> at;  // innermost first
    int64_t rest = i % of_sample;
    for (auto extent = b.type.dims.rbegin(); extent != b.type.dims.rend(); rest /= *extent++)
      at.push_back(rest % *extent);
    if (b.block > 0) {
      const int64_t lane = at[static_cast<size_t>(b.block_dim)];
      std::vector<int64_t> in_blocks;
      if (b.pair_dim >= 0) {
        int64_t& paired = at[static_cast<size_t>(b.pair_dim)];
        in_blocks.push_back(paired % 2);
        paired /= 2;
      }
      in_blocks.push_back(lane % b.block);
      for (int d = 0; d < b.type.rank(); ++d)
        if (d != b.block_dim) in_blocks.push_back(at[static_cast<size_t>(d)]);
      in_blocks.push_back(lane / b.block);
      at = std::move(in_blocks);
    }
    if (b.type.batched) at.push_back(i / of_sample);
    int64_t& place = out[static_cast<size_t>(i)];
    for (size_t d = 0; d < at.size(); ++d) place += at[d] * stored[d].stride;
  }
  return out;
}

}  // namespace

void write_elements(ir::DType type, const ir::RefTensor& t, void* to) {
  for (size_t i = 0; i < t.data.size(); ++i) write_one(type, t.data[i], to, static_cast<int64_t>(i));
}

void write_tensor(const plan::Buffer& b, const ir::RefTensor& t, int batch, void* to) {
  if (is_row_major(b)) return write_elements(b.type.dtype, t, to);
  const std::vector<int64_t> at = places(b, batch);
  for (size_t i = 0; i < at.size() && i < t.data.size(); ++i) write_one(b.type.dtype, t.data[i], to, at[i]);
}

ir::RefTensor read_tensor(const plan::Buffer& b, int batch, const void* from) {
  ir::RefTensor t;
  if (b.type.batched) t.dims.push_back(batch);
  t.dims.insert(t.dims.end(), b.type.dims.begin(), b.type.dims.end());
  if (is_row_major(b)) {
    const int64_t n = b.type.elements() * (b.type.batched ? batch : 1);
    t.data.resize(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) t.data[static_cast<size_t>(i)] = read_one(b.type.dtype, from, i);
    return t;
  }
  for (const int64_t at : places(b, batch)) t.data.push_back(read_one(b.type.dtype, from, at));
  return t;
}

double rounded_to(ir::DType type, double v) {
  if (type == ir::DType::f32) return static_cast<float>(v);
  if (type == ir::DType::bf16) return of_bf16(bf16_of(static_cast<float>(v)));
  return v;
}

}  // namespace netc::verify
