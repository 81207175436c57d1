// One augmentation of a net's images, as runtime/kinds/augmentations.def lists them. Geometry is composed and done at
// once, colours one after another.
#pragma once
#include <array>
#include <memory>

#include "runtime/data/augment.h"
#include "runtime/model.h"

namespace netc::rt {

/// What an image shows where it is read outside.
enum class Fill : uint8_t { reflect, constant, nearest, wrap };

/// The composed geometry of one image: its pixel (x, y), centred, shows what was at the mapped place.
struct Moves {
  std::array<double, 6> map = {1, 0, 0, 0, 1, 0};  // rows of x' = m0 x + m1 y + m2, y' = m3 x + m4 y + m5
  bool warped = false, mirror_x = false, mirror_y = false;
  Fill fill = Fill::reflect;
  /// Composes: the augmentations so far are applied to what this one reads.
  void then(const std::array<double, 6>& next);
};

/// Stateless, for any number of threads. Draws the same number of random numbers for every image of one size.
class Augmentation {
 public:
  virtual ~Augmentation() = default;
  /// Whether pixels may move.
  virtual bool moves() const { return false; }
  virtual void move(Moves&, int height, int width, CounterRandom&) const {}
  /// Changes values in place; at most 4 channels.
  virtual void colour(Field&, CounterRandom&) const {}
};

/// Of an augmentation that warps: "reflect" (or ""), "constant", "nearest", "wrap".
tl::expected<Fill, std::string> fill_of(const AugmentInfo&);

/// What each value of a channel becomes.
using Table = std::array<uint8_t, 256>;
Table line(double scale, double offset);
/// Replaces each value of channel `k` by tables[k][value].
void look_up(Field&, const std::array<Table, 4>& tables);

using MadeAugmentation = tl::expected<std::shared_ptr<const Augmentation>, std::string>;
#define NETC_AUGMENTATION(name, ...) MadeAugmentation make_##name(const AugmentInfo&);
#include "runtime/kinds/augmentations.def"
#undef NETC_AUGMENTATION

}  // namespace netc::rt
