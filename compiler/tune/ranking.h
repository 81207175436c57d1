// How well an estimate ranks what was measured.
#pragma once
#include <utility>
#include <vector>

namespace netc::tune {

/// Kendall's tau-b of (estimated, measured) pairs: 1 when the estimate has the order of the measurements, -1 when it
/// has the opposite one; 0 for fewer than two.
double kendall(const std::vector<std::pair<double, double>>&);
/// Spearman's rank correlation, ties sharing their ranks' mean.
double spearman(const std::vector<std::pair<double, double>>&);

}  // namespace netc::tune
