// The stable softmax of rows, as softmax and the losses over it need it: the row's maximum, then the sum of exp(x -
// maximum).
#pragma once
#include <functional>
#include <vector>

#include "compiler/ops/algorithm.h"

namespace netc::ops {

struct SoftmaxRows {
  RDom r;             // over the row
  Func maximum, sum;  // both over all coordinates but the first
};
/// `term`: what the element at index c of its row adds to the sum in place of e = exp(x - maximum), of any type; null:
/// that.
using SoftmaxTerm = std::function<Expr(const Expr& c, const Expr& e)>;
SoftmaxRows softmax_rows(const LowerContext& ctx, int operand, const SoftmaxTerm& term = {});

/// Row-wise softmax of a reference tensor whose last dim is the row.
std::vector<double> ref_softmax(const RefTensor& x);
/// Its logarithm.
std::vector<double> ref_log_softmax(const RefTensor& x);

}  // namespace netc::ops
