#pragma once
#include <cmath>

#include "tests/ops/harness.h"

namespace netc::test {
/// At least one for every operator of the table; the table's test checks that.
const std::vector<Case>& cases();
void loss_cases(std::vector<Case>&);   // cases_loss.cpp
}  // namespace netc::test
