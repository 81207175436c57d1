#pragma once
#include <cmath>

#include "tests/ops/harness.h"

namespace netc::test {
/// At least one for every operator of the table; the table's test checks that.
const std::vector<Case>& cases();
// Families with a file of their own.
void sequence_cases(std::vector<Case>&);
}  // namespace netc::test
