// How a camera was held: the orientation that a photo's metadata tells.
#pragma once
#include <cstdint>
#include <span>

#include "runtime/data/source.h"

namespace netc::rt {

/// The orientation, 1 to 8 as EXIF counts, of a JPEG, PNG or WebP; 1, upright, where it tells none.
int jpeg_orientation(std::span<const uint8_t> file);
int png_orientation(std::span<const uint8_t> file);
int webp_orientation(std::span<const uint8_t> file);

/// Turns and mirrors an image of that orientation so that it is upright.
void make_upright(int orientation, Field& image);

}  // namespace netc::rt
