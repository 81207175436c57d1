// What compiled kernels need at run time: threads and scratch memory of one instance. Kernels get a Context* as their
// user context.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

namespace netc::rt {

/// A kernel with its arguments, as in_step takes it.
struct Call {
  int (*run)(void*);
  void* of;
};

/// The threads and scratch memory of one model instance. Nothing is allocated after construction. One kernel at a time
/// runs in a context.
class Context {
 public:
  /// threads >= 1 (0: the machine's cores); scratch_per_thread in bytes. Null and `error` when memory or threads cannot
  /// be had.
  static std::unique_ptr<Context> create(int threads, size_t scratch_per_thread, std::string& error);
  virtual ~Context() = default;
  virtual int threads() const = 0;
  /// Runs kernels that each begin with a parallel loop of as many tasks as the others': task i of all, one after
  /// another, is one task. So what task i of one kernel reads of a tensor is in the cache when the same task of the
  /// next comes to it. Loops of other lengths run one after another. Returns 0, or a kernel's error.
  virtual int in_step(const Call* kernels, size_t count) = 0;
  /// Message of the last error a kernel reported, or "".
  virtual const char* last_error() const = 0;
  /// How many blocks the heap gave because the scratch memory was too small for a kernel. 0, or the compiler's bound is
  /// wrong.
  virtual size_t heap_blocks() const = 0;
};

template <class... Kernels>
int in_step(void* context, Kernels&&... kernels) {
  const Call calls[] = {{[](void* k) { return (*static_cast<std::remove_reference_t<Kernels>*>(k))(); }, &kernels}...};
  return static_cast<Context*>(context)->in_step(calls, sizeof...(kernels));
}

/// Zeroed memory aligned to 64 bytes (2 MiB pages asked for when large); null when there is none.
struct AlignedFree {
  size_t bytes = 0;
  void operator()(void* p) const;
};
using AlignedMemory = std::unique_ptr<void, AlignedFree>;
AlignedMemory allocate_aligned(size_t bytes);

/// The whole pages of it take no more memory: they are zeros, or a mapped file's contents, when they are read again.
void drop_pages(const void* p, size_t bytes);

}  // namespace netc::rt
