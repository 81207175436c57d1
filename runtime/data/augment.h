// Random changes to training samples: the .net file's data { augment = ... }.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "runtime/data/source.h"

namespace netc::rt {

/// Random numbers by counter: value `i` of the stream (seed, a, b), the same on every machine. Statistically good
/// enough to shuffle and to augment by.
class CounterRandom {
 public:
  CounterRandom(uint64_t seed, uint64_t a, uint64_t b = 0)
      : key_(mix(mix(mix(seed) ^ a) + 0x9e3779b97f4a7c15u * (b + 1))) {}
  uint64_t bits() { return mix(key_ + 0x9e3779b97f4a7c15u * ++counter_); }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }  // [0, 1)
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// [0, n), n >= 1. Unbiased enough: the error is below n / 2^64.
  uint64_t below(uint64_t n) { return static_cast<uint64_t>((static_cast<unsigned __int128>(bits()) * n) >> 64); }

 private:
  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint64_t key_, counter_ = 0;
};

class Augmentation;  // augment/augmentation.h
struct Moves;

/// The augmentations of one net, in their order, and the memory one thread needs for them. What each does is said in
/// runtime/data/augment/. All geometry comes first and at once, bilinear; the border is mirrored ("reflect", or
/// "constant", "nearest", "wrap" as the mode says).
class Augmenter {
 public:
  /// Errors: an unknown kind, mode or an argument that makes no sense.
  static tl::expected<Augmenter, std::string> create(std::span<const AugmentInfo> steps);
  bool empty() const { return steps_.empty(); }
  /// Pixels may move.
  bool moves() const;
  /// Changes an image's pixels; the shape stays. Deterministic in (image, random).
  void apply(Field& image, CounterRandom random);
  /// Moves the pixels of a mask as apply() moves those of its image, of the same size, with the same `random`: the
  /// nearest one.
  void follow(Field& mask, CounterRandom random);

 private:
  Moves draw(const Field& image, CounterRandom& random) const;
  void warp(Field& image, const Moves&);
  std::vector<std::shared_ptr<const Augmentation>> steps_;
  std::vector<uint8_t> other_;  // the warped pixels, swapped with the image's
};

}  // namespace netc::rt
