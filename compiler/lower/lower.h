// Kernels to object code through Halide, in parallel, with a content-addressed cache.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "compiler/machine/machine.h"
#include "compiler/plan/plan.h"

namespace netc::lower {

struct Options {
  std::string cache_dir;  // empty: no cache
  int threads = 2;
  bool skip_failures = false;     // a kernel that cannot be compiled has an empty object, and is no error
  bool want_halide_text = false;  // fill halide_text
  bool want_cpp = false;          // fill cpp_source through Halide's C++ backend instead of objects
  std::function<void(int done, int of)> progress =
      {};  // kernels that were not in the cache; called by one thread at a time
};

/// One compiled kernel. Equal kernels (same content) share symbol and object.
struct Object {
  /// "netc_k_0123456789abcdef": int symbol(void* context, halide_buffer_t* in..., halide_buffer_t* out...)
  std::string symbol;
  std::string object;     // the ELF file's bytes
  int64_t scratch = 0;    // bound on the bytes that one call asks of halide_malloc per thread
  int scratch_batch = 0;  // the largest batch that `scratch` holds for; 0: any
  std::string halide_text;
  std::string cpp_source;  // a complete C++ function definition set, without the runtime preamble repeated
  bool from_cache = false;
};

/// objects[i] is kernels[i]'s. On failure `error` says which kernel and why; it begins with "internal error" where the
/// code generator could not make one.
bool lower_all(const plan::Plan&, const Machine&, const Options&, std::vector<Object>& objects, std::string& error);

/// The kernel that this thread compiles; "" when none. Safe in a signal handler.
const char* kernel_in_work();

}  // namespace netc::lower
