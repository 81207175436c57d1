// The comparison of a computed tensor with what it should be: one for all tests, and for netc verify.
#pragma once
#include <string>
#include <vector>

#include "compiler/ir/op_def.h"

namespace netc::verify {

/// How far a result may be from the reference: `relative` times the reference's largest element, or kRounding times
/// what rounding alone makes of it, whichever is more. Everything is counted in that largest element, not in 1: small
/// tensors are held as tight as large ones.
constexpr double kRelative = 1e-5, kRounding = 20;
constexpr double kKernelRelative = 2e-6;  // of one kernel on given operands: a few units in the last place

struct Comparison {
  double error = 0, bound = 0;                // relative to the largest element of the reference
  int64_t at = -1;                            // the worst element, row-major; -1: none, or the shapes differ
  double want = 0, got = 0;                   // there
  bool ok() const { return error <= bound; }  // false for NaN
};

/// `rounded`: the reference off by rounding, once or several times. An element that is not finite in the reference must
/// be the same in `got`.
Comparison compare(const ir::RefTensor& want, const ir::RefTensor& got,
                   const std::vector<const ir::RefTensor*>& rounded, double relative = kRelative);
/// "element [1, 3, 0]: 0.25, not 0.5" for a person.
std::string describe(const Comparison&, const ir::RefTensor& want);

}  // namespace netc::verify
