#include "compiler/tune/ranking.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace netc::tune {
namespace {

std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> rank(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (size_t j = i; j < end; ++j) rank[order[j]] = static_cast<double>(i + end - 1) / 2;
    i = end;
  }
  return rank;
}

}  // namespace

double kendall(const std::vector<std::pair<double, double>>& pairs) {
  double agree = 0, left = 0, right = 0;
  for (size_t i = 0; i < pairs.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      const double a = pairs[i].first - pairs[j].first, b = pairs[i].second - pairs[j].second;
      if (a != 0) ++left;
      if (b != 0) ++right;
      if (a != 0 && b != 0) agree += (a > 0) == (b > 0) ? 1 : -1;
    }
  return left > 0 && right > 0 ? agree / std::sqrt(left * right) : 0;
}

double spearman(const std::vector<std::pair<double, double>>& pairs) {
  std::vector<double> x, y;
  for (const auto& [a, b] : pairs) x.push_back(a), y.push_back(b);
  x = ranks(x), y = ranks(y);
  const double mean = (static_cast<double>(pairs.size()) - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i)
    xy += (x[i] - mean) * (y[i] - mean), xx += (x[i] - mean) * (x[i] - mean), yy += (y[i] - mean) * (y[i] - mean);
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

}  // namespace netc::tune
