// What float32 alone does to a result: the interpreter's values with each operator's operands and results off by about
// their last bit.
#pragma once
#include <map>
#include <string>

#include "compiler/ir/interpret.h"

namespace netc::verify {

/// The results of one node on operands that are off by a unit in the last place, rounded. Results that are exact in
/// float32 whatever the rounding (a maximum, a copy) stay exact. `key` chooses the errors, `units` how many last places
/// they are.
std::vector<ir::RefTensor> off_by_rounding(const ir::Node&, const ir::Graph&,
                                           const std::vector<ir::RefTensor>& operands, int64_t batch, uint64_t key,
                                           double units = 1);

/// Whether a comparison in the graph is so near that rounding decides it (a ReLU of almost 0, two largest elements):
/// results then jump, and no bound is tight.
bool is_near_tie(const ir::Graph&, const std::map<std::string, ir::RefTensor>& contents, int64_t batch);
/// Whether a result is not a number, or larger than float32 holds with room to spare.
bool overflows(const std::vector<ir::RefTensor>& values);
bool overflows(const ir::Graph&, const std::map<std::string, ir::RefTensor>& contents, int64_t batch);

}  // namespace netc::verify
