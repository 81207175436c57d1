#include "compiler/nests/product.h"

namespace netc::nests {

bool is_product(const Site& at) {
  return at.is(ir::Kind::contraction) && at.result().batched && at.result().rank() == 1 && !at.operand(1).batched;
}

int64_t vectors_of_one(int64_t extent, int64_t lanes, int64_t most) {
  constexpr double kLoads = 4;  // vectors loaded at once that keep the second cache busy
  int64_t best = 1;
  double best_score = 0;
  for (int64_t v = 1; v <= most; ++v) {
    const double useful =
        static_cast<double>(extent) / static_cast<double>((extent + v * lanes - 1) / (v * lanes) * v * lanes);
    const double score = useful * std::min(1.0, static_cast<double>(v) / kLoads);
    if (score >= best_score) best_score = score, best = v;
  }
  return best;
}

}  // namespace netc::nests
