#include "runtime/data/exif.h"

#include <cstring>
#include <string_view>
#include <utility>

namespace netc::rt {
namespace {

using Bytes = std::span<const uint8_t>;

/// Numbers out of bytes; what lies outside is 0.
struct Numbers {
  Bytes bytes;
  bool little;
  uint64_t get(uint64_t at, int size) const {
    if (at > bytes.size() || bytes.size() - at < static_cast<size_t>(size)) return 0;
    uint64_t v = 0;
    for (int i = 0; i < size; ++i) v = v << 8 | bytes[at + static_cast<size_t>(little ? size - 1 - i : i)];
    return v;
  }
};

bool has(Bytes bytes, uint64_t at, std::string_view text) {
  return at <= bytes.size() && bytes.size() - at >= text.size() &&
         std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

/// Of an EXIF block, which is laid out as a TIFF file; some writers put JPEG's name for it in front.
int orientation_of(Bytes exif) {
  constexpr std::string_view kName("Exif\0\0", 6);
  if (has(exif, 0, kName)) exif = exif.subspan(kName.size());
  if (!has(exif, 0, "II") && !has(exif, 0, "MM")) return 1;
  const Numbers n{exif, exif[0] == 'I'};
  const uint64_t table = n.get(4, 4), count = n.get(table, 2);
  for (uint64_t i = 0; i < count && table + 2 + 12 * i < exif.size(); ++i) {
    const uint64_t entry = table + 2 + 12 * i;
    if (n.get(entry, 2) != 0x112) continue;  // the orientation, a 16-bit number
    const auto value = static_cast<int>(n.get(entry + 8, 2));
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

}  // namespace

int jpeg_orientation(Bytes file) {
  const Numbers n{file, false};
  for (uint64_t at = 2; at + 4 <= file.size() && file[at] == 0xff;) {
    const uint8_t marker = file[at + 1];
    if (marker == 0xff) {
      ++at;
      continue;
    }
    if (marker == 0xda || marker == 0xd9) break;  // the pixels begin
    const uint64_t size = n.get(at + 2, 2);
    if (size < 2) break;
    if (marker == 0xe1 && has(file, at + 4, std::string_view("Exif\0\0", 6)) && at + 2 + size <= file.size())
      return orientation_of(file.subspan(at + 4, size - 2));
    at += 2 + size;
  }
  return 1;
}

int png_orientation(Bytes file) {
  const Numbers n{file, false};
  for (uint64_t at = 8; at + 12 <= file.size();) {
    const uint64_t size = n.get(at, 4);
    if (size > file.size() - at - 12) break;
    if (has(file, at + 4, "eXIf")) return orientation_of(file.subspan(at + 8, size));
    at += 12 + size;
  }
  return 1;
}

int webp_orientation(Bytes file) {
  const Numbers n{file, true};
  for (uint64_t at = 12; at + 8 <= file.size();) {
    const uint64_t size = n.get(at + 4, 4);
    if (size > file.size() - at - 8) break;
    if (has(file, at, "EXIF")) return orientation_of(file.subspan(at + 8, size));
    at += 8 + size + size % 2;
  }
  return 1;
}

void make_upright(int orientation, Field& image) {
  if (orientation <= 1 || orientation > 8 || !image.image()) return;
  const bool turned = orientation >= 5,
             rows_back = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7,
             columns_back = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const int height = turned ? image.width : image.height, width = turned ? image.height : image.width;
  const auto channels = static_cast<size_t>(image.channels);
  thread_local std::vector<uint8_t> upright;
  upright.resize(image.data.size());
  uint8_t* to = upright.data();
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x, to += channels) {
      int row = turned ? x : y, column = turned ? y : x;
      if (rows_back) row = image.height - 1 - row;
      if (columns_back) column = image.width - 1 - column;
      std::memcpy(
          to,
          image.data.data() +
              (static_cast<size_t>(row) * static_cast<size_t>(image.width) + static_cast<size_t>(column)) * channels,
          channels);
    }
  std::swap(image.data, upright);
  image.height = height, image.width = width;
}

}  // namespace netc::rt
