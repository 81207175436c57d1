// Image files: JPEG and PNG.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <tl/expected.hpp>

#include "runtime/data/source.h"

namespace netc::rt {

constexpr size_t kMaxPixels = size_t{64} << 20;      // of one image
constexpr size_t kMaxImageFile = size_t{256} << 20;  // bytes

/// Decodes a JPEG or PNG held in memory into out.pixels as u8 with `channels` (1 or 3) channels; sets out's shape and path (= name), not its label.
/// Grey becomes three equal channels, colour becomes luma (ITU-R 601, as Pillow's and Keras's), alpha is dropped, 16 bits are cut to the upper 8.
/// Anything damaged, truncated or larger than kMaxPixels is an error that starts with `name`. Thread-safe.
tl::expected<void, std::string> decode_image(std::span<const uint8_t> bytes, int channels, const std::string& name, Sample& out);

/// The same from a file.
tl::expected<void, std::string> read_image(const std::string& path, int channels, Sample& out);

/// The channels that the net's input wants images in: 1 or 3; 0 when it takes no images (neither 1 nor 3 channels).
int image_channels(const ModelInfo& info);

}  // namespace netc::rt
