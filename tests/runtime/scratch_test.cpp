// The scratch memory of a kernel's threads.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "runtime/kernel_support.h"

using namespace netc;

extern "C" void* halide_malloc(void* context, size_t bytes);  // as kernels see them
extern "C" void halide_free(void* context, void* ptr);

TEST_CASE("a scratch block that is freed before later ones leaves them alone") {
  std::string error;
  auto context = rt::Context::create(1, 4096, error);
  REQUIRE(context);
  void* c = context.get();
  auto* first = static_cast<unsigned char*>(halide_malloc(c, 512));
  auto* second = static_cast<unsigned char*>(halide_malloc(c, 512));
  std::memset(second, 2, 512);
  halide_free(c, first);
  auto* third = static_cast<unsigned char*>(halide_malloc(c, 1024));
  std::memset(third, 3, 1024);
  for (int i = 0; i < 512; ++i) CHECK(second[i] == 2);
  halide_free(c, third);
  halide_free(c, second);
  CHECK(halide_malloc(c, 4096) == first);  // all of it is free again
}

TEST_CASE("what does not fit the scratch memory comes from the heap, and is counted") {
  std::string error;
  auto context = rt::Context::create(1, 4096, error);
  REQUIRE(context);
  void* small = halide_malloc(context.get(), 4096);
  CHECK(context->heap_blocks() == 0);
  void* large = halide_malloc(context.get(), 1 << 20);
  REQUIRE(large);
  CHECK(context->heap_blocks() == 1);
  std::memset(large, 1, 1 << 20);
  halide_free(context.get(), large);
  halide_free(context.get(), small);
}
