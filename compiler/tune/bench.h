// The tensors of a subject in this process, for kernels to be run on.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <HalideRuntime.h>

#include "compiler/tune/measure.h"
#include "runtime/kernel_support.h"

namespace netc::tune {

/// Tensors that share a block of the arena in the plan share memory here. What kernels read and none of them wrote is
/// filled with numbers between 0 and 1.
class Bench {
 public:
  explicit Bench(const Subject& s) : s_(s), p_(*s.plan) {}
  /// False when there is no memory.
  bool allocate();

  /// The arguments of each kernel's call, `once` then `each`, at a batch. They stay until the next call of this.
  std::vector<std::vector<void*>> arguments(void** context, int batch);

  /// What was filled and is overwritten is again as it was.
  void restore();
  bool overwrites() const;
  /// Sets the results to what no kernel leaves, where they are not operands too.
  void spoil();
  /// The bytes of the last kernel's results.
  std::vector<std::string> results(int batch);
  /// Whether two results are equal, but for rounding: `tolerance` is of the largest element.
  bool same(const std::vector<std::string>& a, const std::vector<std::string>& b, double tolerance) const;

 private:
  struct Memory {
    rt::AlignedMemory own{nullptr, {}}, start{nullptr, {}};
    uint8_t* at = nullptr;
    size_t bytes = 0;
    int first = -1;  // the buffer that it is filled for: it is read before anything is written there
    bool written = false;
  };
  struct Tensor {
    halide_buffer_t buffer{};
    std::vector<halide_dimension_t> dims;
  };
  using Place = std::pair<int, int>;  // in the arena: its block; else the variable's number

  Memory& memory(const plan::Buffer&);
  void* tensor(const plan::Buffer&, int batch);
  void fill(const plan::Buffer&, void* to, size_t bytes) const;

  const Subject& s_;
  const plan::Plan& p_;
  std::map<Place, Memory> memory_;
  std::vector<std::unique_ptr<Tensor>> tensors_;
};

}  // namespace netc::tune
