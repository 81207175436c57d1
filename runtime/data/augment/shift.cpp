#include "runtime/data/augment/augmentation.h"

namespace netc::rt {
namespace {

/// By up to these shares of the height and the width.
class Shift final : public Augmentation {
 public:
  Shift(double vertical, double horizontal, Fill fill) : vertical_(vertical), horizontal_(horizontal), fill_(fill) {}
  bool moves() const override { return true; }
  void move(Moves& m, int height, int width, CounterRandom& random) const override {
    const double y = random.uniform(-vertical_, vertical_) * height,
                 x = random.uniform(-horizontal_, horizontal_) * width;
    m.then({1, 0, x, 0, 1, y});
    m.warped = true, m.fill = fill_;
  }

 private:
  double vertical_, horizontal_;
  Fill fill_;
};

}  // namespace

MadeAugmentation make_shift(const AugmentInfo& info) {
  const auto fill = fill_of(info);
  if (!fill) return tl::make_unexpected(fill.error());
  return std::make_shared<Shift>(info.args[0], info.args[1] == 0 ? info.args[0] : info.args[1], *fill);
}

}  // namespace netc::rt
