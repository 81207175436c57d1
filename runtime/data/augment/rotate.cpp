#include <cmath>
#include <numbers>

#include "runtime/data/augment/augmentation.h"

namespace netc::rt {
namespace {

/// By up to so many turns either way.
class Rotate final : public Augmentation {
 public:
  Rotate(double turns, Fill fill) : turns_(turns), fill_(fill) {}
  bool moves() const override { return true; }
  void move(Moves& m, int, int, CounterRandom& random) const override {
    const double angle = random.uniform(-turns_, turns_) * 2 * std::numbers::pi, c = std::cos(angle),
                 s = std::sin(angle);
    m.then({c, -s, 0, s, c, 0});
    m.warped = true, m.fill = fill_;
  }

 private:
  double turns_;
  Fill fill_;
};

}  // namespace

MadeAugmentation make_rotate(const AugmentInfo& info) {
  const auto fill = fill_of(info);
  if (!fill) return tl::make_unexpected(fill.error());
  return std::make_shared<Rotate>(info.args[0], *fill);
}

}  // namespace netc::rt
