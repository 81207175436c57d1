// The reference interpreter: every operator's `reference`, in double.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "compiler/ir/op_def.h"

namespace netc::ir {

/// All values of one step by ValueId, batched ones with `batch` samples. `variables` gives contents by name, dims as
/// the type says (batch first). Constants come from their literals; other variables that are not given are zero ('*'
/// extents count 1). Updates are values here, not carried out.
std::vector<RefTensor> interpret(const Graph&, const std::map<std::string, RefTensor>& variables, int64_t batch);

/// The same with `evaluate` in place of each node's reference.
using Evaluate = std::function<std::vector<RefTensor>(const Node&, const std::vector<RefTensor>& operands)>;
std::vector<RefTensor> interpret(const Graph&, const std::map<std::string, RefTensor>& variables, int64_t batch,
                                 const Evaluate& evaluate);

}  // namespace netc::ir
