// bf16 by its bits, as the tests' own reference of how it rounds.
#pragma once
#include <bit>
#include <cstdint>

namespace support {

/// The nearest, of two as near the even one. Of finite numbers.
inline uint16_t rounded(float v) {
  const uint32_t bits = std::bit_cast<uint32_t>(v);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
inline float widened(uint16_t v) { return std::bit_cast<float>(static_cast<uint32_t>(v) << 16); }

}  // namespace support
