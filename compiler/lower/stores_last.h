// Kernels with several results that overwrite operands: all results of a point are computed before any is stored. Each
// is a function of the old contents, and code for the second would else read what the first has written.
#pragma once
#include <Halide.h>

#include <string>

namespace netc::lower {

class StoresLast : public Halide::Internal::IRMutator {
 public:
  /// `out`: the name of the Func whose Tuple the kernel stores.
  explicit StoresLast(const std::string& out) : prefix_(out + ".") {}

 private:
  using Halide::Internal::IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::Block*) override;

  const std::string prefix_;
};

}  // namespace netc::lower
