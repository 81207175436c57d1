// The stable softmax of rows, as softmax and the losses over it need it: the row's maximum, then the sum of exp(x - maximum).
#pragma once
#include "compiler/ops/support.h"

namespace netc::ops {

struct SoftmaxRows {
  RDom r;             // over the row
  Func maximum, sum;  // both over all coordinates but the first
};
SoftmaxRows softmax_rows(const LowerContext& ctx, int operand);

/// Row-wise softmax of a reference tensor whose last dim is the row.
std::vector<double> ref_softmax(const RefTensor& x);
/// log(sum exp) of each row.
std::vector<double> ref_log_sum_exp(const RefTensor& x);

}  // namespace netc::ops
