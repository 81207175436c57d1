// The scratch memory that kernels take and give back.
#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>

#include "runtime/kernel_support.h"

extern "C" {
void* halide_malloc(void* context, size_t bytes);
void halide_free(void* context, void* ptr);
}

TEST_CASE("a block of scratch memory stays while it is in use, in whatever order others are freed") {
  std::string error;
  const auto context = netc::rt::Context::create(1, 4096, error);
  REQUIRE(context);
  void* c = context.get();
  auto take = [&](size_t bytes) { return static_cast<uint8_t*>(halide_malloc(c, bytes)); };
  uint8_t* const first = take(100);
  uint8_t* const second = take(100);
  uint8_t* const third = take(100);
  std::memset(third, 3, 100);
  halide_free(c, second);
  uint8_t* const fourth = take(1000);   // takes nothing of what is used
  std::memset(fourth, 4, 1000);
  for (int i = 0; i < 100; ++i) REQUIRE(third[i] == 3);
  halide_free(c, first);
  halide_free(c, fourth);
  halide_free(c, third);
  CHECK(take(100) == first);            // all is free again
}
