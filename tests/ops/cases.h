#pragma once
#include <cmath>

#include "tests/ops/harness.h"

namespace netc::test {
/// At least one for every operator of the table; the table's test checks that.
const std::vector<Case>& cases();
// Families in files of their own, for cases.cpp.
void add_elementwise_cases(std::vector<Case>&);
void move_cases(std::vector<Case>&);  // cases_moves.cpp
void add_conv_cases(std::vector<Case>&);
void add_norm_cases(std::vector<Case>&);
void sequence_cases(std::vector<Case>&);
void loss_cases(std::vector<Case>&);  // cases_loss.cpp
}  // namespace netc::test
