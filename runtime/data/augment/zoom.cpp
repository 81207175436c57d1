#include "runtime/data/augment/augmentation.h"

namespace netc::rt {
namespace {

/// By up to these shares in or out; one factor for both sides where `horizontal` is 0.
class Zoom final : public Augmentation {
 public:
  Zoom(double vertical, double horizontal, Fill fill) : vertical_(vertical), horizontal_(horizontal), fill_(fill) {}
  bool moves() const override { return true; }
  void move(Moves& m, int, int, CounterRandom& random) const override {
    const double y = 1 + random.uniform(-vertical_, vertical_),
                 x = horizontal_ == 0 ? y : 1 + random.uniform(-horizontal_, horizontal_);
    m.then({x, 0, 0, 0, y, 0});
    m.warped = true, m.fill = fill_;
  }

 private:
  double vertical_, horizontal_;
  Fill fill_;
};

}  // namespace

MadeAugmentation make_zoom(const AugmentInfo& info) {
  const auto fill = fill_of(info);
  if (!fill) return tl::make_unexpected(fill.error());
  return std::make_shared<Zoom>(info.args[0], info.args[1], *fill);
}

}  // namespace netc::rt
