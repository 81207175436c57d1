// The C ABI of compiled kernels' tensor arguments: the layout of Halide's halide_buffer_t, halide_dimension_t and
// halide_type_t (HalideRuntime.h of Halide 21, MIT licence, Copyright (c) 2012-2020 MIT CSAIL, Google, Facebook, Adobe,
// NVIDIA CORPORATION, and the Halide contributors), and a descriptor that owns its shape.
#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>

struct halide_device_interface_t;

extern "C" {

struct halide_type_t {
  uint8_t code;  // 0 signed, 1 unsigned, 2 float
  uint8_t bits;
  uint16_t lanes;
};

struct halide_dimension_t {
  int32_t min, extent, stride;  // in elements
  uint32_t flags;
};

struct halide_buffer_t {
  uint64_t device;
  const halide_device_interface_t* device_interface;
  uint8_t* host;
  uint64_t flags;
  halide_type_t type;
  int32_t dimensions;
  halide_dimension_t* dim;  // innermost first
  void* padding;
};

}  // extern "C"

static_assert(sizeof(halide_type_t) == 4 && sizeof(halide_dimension_t) == 16 && sizeof(halide_buffer_t) == 56);
static_assert(offsetof(halide_buffer_t, host) == 16 && offsetof(halide_buffer_t, type) == 32 &&
              offsetof(halide_buffer_t, dim) == 40);

namespace netc::rt {

constexpr halide_type_t kInt32{0, 32, 1}, kUint8{1, 8, 1}, kUint32{1, 32, 1}, kFloat32{2, 32, 1}, kBfloat16{4, 16, 1};

struct Extent {
  int32_t extent, stride;
};

/// A tensor as kernels take it. Holds no memory: `host` says where it lives. Copies would share the shape, so there are
/// none. What runs once is never inlined: a driver with hundreds of tensors compiles in half the time.
struct Tensor : halide_buffer_t {
  static constexpr int kMaxRank = 9;
  halide_dimension_t shape[kMaxRank];

  [[gnu::noinline]] Tensor() : halide_buffer_t{}, shape{} { dim = shape; }
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;

  /// Extents and strides in elements, innermost first; a batched tensor's last one is the batch.
  [[gnu::noinline]] void set(halide_type_t element, std::initializer_list<Extent> extents) {
    type = element;
    dimensions = 0;
    for (const Extent& e : extents) shape[dimensions++] = {0, e.extent, e.stride, 0};
  }
  void place(const void* memory) { host = static_cast<uint8_t*>(const_cast<void*>(memory)); }
  void set_batch(int n) { shape[dimensions - 1].extent = n; }
};

}  // namespace netc::rt
