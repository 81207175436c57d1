// Image files: JPEG, PNG, WebP, BMP, GIF and TIFF.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "runtime/data/other_images.h"
#include "runtime/data/source.h"

namespace netc::rt {

constexpr size_t kMaxImageFile = size_t{256} << 20;  // bytes

/// What the file is, by its first bytes: "JPEG", "PNG", ..., also formats that are not read; "": no image.
std::string_view image_format(std::span<const uint8_t> bytes);

/// Whether a file's name is that of an image that can be read; of any image.
bool is_image_name(const std::string& path);
bool is_known_image_name(const std::string& path);

/// Decodes an image held in memory into `out` as u8 with `channels` (1 or 3) channels, upright as its EXIF orientation
/// says, and sets its shape. Of a GIF or TIFF the first frame or page. Grey becomes three equal channels, colour
/// becomes luma (ITU-R 601, as Pillow's and Keras's), alpha is dropped, 16 bits are cut to the upper 8. Anything
/// damaged, truncated or larger than kMaxPixels is an error that starts with `name`. Thread-safe.
tl::expected<void, std::string> decode_image(std::span<const uint8_t> bytes, int channels, const std::string& name,
                                             Field& out);

/// The same from a file.
tl::expected<void, std::string> read_image(const std::string& path, int channels, Field& out);

/// ITU-R 601 luma of an RGB pixel, as Pillow computes it.
inline uint8_t luma(const uint8_t* p) {
  return static_cast<uint8_t>((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
}

/// A PNG whose pixels are numbers, not colours: a palette's indices, or grey of up to 8 bits as it stands. One channel.
tl::expected<void, std::string> read_indices(const std::string& path, Field& out);

}  // namespace netc::rt
