#include "runtime/data/augment/augmentation.h"

namespace netc::rt {
namespace {

/// Around each channel's mean, times 1 - amount to 1 + amount.
class Contrast final : public Augmentation {
 public:
  explicit Contrast(double amount) : amount_(amount) {}
  void colour(Field& s, CounterRandom& random) const override {
    const double factor = 1 + random.uniform(-amount_, amount_);
    const auto c = static_cast<size_t>(s.channels);
    std::array<uint64_t, 4> sums{};
    const uint8_t* p = s.data.data();
    for (const uint8_t* end = p + s.data.size(); p != end; p += c)
      for (size_t k = 0; k < c; ++k) sums[k] += p[k];
    std::array<Table, 4> tables;
    for (size_t k = 0; k < c; ++k)
      tables[k] = line(factor, static_cast<double>(sums[k]) / static_cast<double>(s.data.size() / c) * (1 - factor));
    look_up(s, tables);
  }

 private:
  double amount_;
};

}  // namespace

MadeAugmentation make_contrast(const AugmentInfo& info) { return std::make_shared<Contrast>(info.args[0]); }

}  // namespace netc::rt
