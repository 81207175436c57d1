// The kernels of a plan, run in this process on the plan's memory: what a product does, without the generated driver.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compiler/emit/product.h"
#include "compiler/lower/lower.h"
#include "compiler/machine/machine.h"
#include "compiler/plan/plan.h"

namespace netc::verify {

using Contents = std::map<std::string, ir::RefTensor>;  // of variables, by name; batched ones have the batch first

/// The compiled kernels of a plan, loaded. The plan must outlive it.
class Kernels {
 public:
  virtual ~Kernels() = default;
  /// Null and `error` when a kernel cannot be compiled or the library cannot be loaded.
  static std::unique_ptr<Kernels> load(const plan::Plan&, const Machine&, const lower::Options&, const emit::Toolchain&,
                                       std::string& error);
};

/// How an instance's memory is laid out. product: as in products, blocks sharing bytes, samples in slices: for whole
/// steps. apart: each block has bytes of its own and all samples: for kernels one by one.
enum class Layout : uint8_t { product, apart };

/// One instance's memory and threads. What nobody has written holds NaN; behind every block and variable lie guards.
/// Not thread-safe.
class Run {
 public:
  virtual ~Run() = default;
  static std::unique_ptr<Run> create(const Kernels&, Layout, int batch, int threads, std::string& error);

  /// The contents of variables and of the batch's data; what is not named keeps NaN, or is a constant.
  virtual void set(const Contents&) = 0;
  /// Every kernel once, in a product's order. False and `error`: a kernel failed, or wrote where it may not.
  virtual bool step(std::string& error) = 0;
  /// Kernel `k` alone, on what its operands' buffers hold; of Layout::apart.
  virtual bool run_kernel(size_t k, std::string& error) = 0;
  virtual void put(int buffer, const ir::RefTensor&) = 0;
  virtual ir::RefTensor get(int buffer) const = 0;
};

}  // namespace netc::verify
