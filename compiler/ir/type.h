// Static types of tensors. A batched type describes one sample; the batch extent is a run-time number up to a maximum.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace netc::ir {

enum class DType : uint8_t {
  f32,
  u8,
  i32,
  u32,
  // the upper half of a float32: what products are made of under --precision bf16. Never a variable's or an output's
  bf16,
};

constexpr int64_t kAnyExtent = -1;  // '*': known only per sample

struct Type {
  DType dtype = DType::f32;
  bool batched = false;       // a leading batch dimension is implied
  std::vector<int64_t> dims;  // row-major: the last is innermost (H, W, C)

  bool operator==(const Type&) const = default;
  int rank() const { return static_cast<int>(dims.size()); }
  bool has_any_extent() const;
  int64_t elements() const;  // of one sample; 1 for a scalar. Requires !has_any_extent()
  int64_t bytes() const;     // of one sample
};

int64_t size_of(DType);  // bytes
inline bool is_real(DType t) { return t == DType::f32 || t == DType::bf16; }
std::string to_string(DType);             // "f32"
std::string to_string(const Type&);       // "f32[N, 28, 28, 1]" when batched, "f32[5, 5, 1, 6]" when not
std::string shape_for_user(const Type&);  // "f32[28, 28, 1]": as the language writes it, without the batch

}  // namespace netc::ir
