#include "runtime/data/augment/augmentation.h"

namespace netc::rt {
namespace {

/// By up to amount * 255, more or less.
class Brightness final : public Augmentation {
 public:
  explicit Brightness(double amount) : amount_(amount) {}
  void colour(Field& s, CounterRandom& random) const override {
    std::array<Table, 4> tables;
    tables.fill(line(1, 255 * random.uniform(-amount_, amount_)));
    look_up(s, tables);
  }

 private:
  double amount_;
};

}  // namespace

MadeAugmentation make_brightness(const AugmentInfo& info) { return std::make_shared<Brightness>(info.args[0]); }

}  // namespace netc::rt
