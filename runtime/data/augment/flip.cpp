#include <fmt/format.h>

#include "runtime/data/augment/augmentation.h"

namespace netc::rt {
namespace {

/// Each direction with probability 1/2.
class Flip final : public Augmentation {
 public:
  Flip(bool horizontal, bool vertical) : horizontal_(horizontal), vertical_(vertical) {}
  bool moves() const override { return true; }
  void move(Moves& m, int, int, CounterRandom& random) const override {
    const bool x = horizontal_ && random.uniform() < 0.5, y = vertical_ && random.uniform() < 0.5;
    m.mirror_x ^= x, m.mirror_y ^= y;
    m.then({x ? -1.0 : 1.0, 0, 0, 0, y ? -1.0 : 1.0, 0});
  }

 private:
  bool horizontal_, vertical_;
};

}  // namespace

MadeAugmentation make_flip(const AugmentInfo& info) {
  const std::string_view mode = info.mode ? info.mode : "";
  const bool both = mode == "both", horizontal = both || mode.empty() || mode == "horizontal",
             vertical = both || mode == "vertical";
  if (!horizontal && !vertical)
    return tl::make_unexpected(fmt::format("there is no mode {}; there are horizontal, vertical and both", mode));
  return std::make_shared<Flip>(horizontal, vertical);
}

}  // namespace netc::rt
