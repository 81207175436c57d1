// What a well-formed plan is: each kernel computes what its nodes say, from what is there, and leaves alone what others
// still need.
#pragma once
#include <string>
#include <vector>

#include "compiler/plan/plan.h"

namespace netc::schedule {

using namespace plan;

/// Empty when the plan is well formed; else one message per violation.
std::vector<std::string> check_plan(const Plan&);

}  // namespace netc::schedule
