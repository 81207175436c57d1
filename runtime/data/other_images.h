// WebP, BMP, GIF and TIFF. All but BMP by libraries that are taken when such a file comes: programs run without them.
// Only image.cpp uses it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace netc::rt {

constexpr size_t kMaxPixels = size_t{64} << 20;  // of one image

/// What a decoder gives: height x width x 3.
struct RgbImage {
  int height = 0, width = 0;
  std::vector<uint8_t> pixels;
  int orientation = 1;  // as EXIF counts
  /// Makes room; "" or why there is none.
  std::string resize(uint64_t h, uint64_t w);
};

// "" or what is wrong with the file: "is a damaged WebP: ...".
std::string decode_webp(std::span<const uint8_t> bytes, RgbImage& out);
std::string decode_bmp(std::span<const uint8_t> bytes, RgbImage& out);
/// The first frame, on the file's background.
std::string decode_gif(std::span<const uint8_t> bytes, RgbImage& out);
/// The first page.
std::string decode_tiff(std::span<const uint8_t> bytes, RgbImage& out);

}  // namespace netc::rt
