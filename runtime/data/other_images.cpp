#include "runtime/counted.h"
#include "runtime/data/other_images.h"

#if __has_include(<webp/decode.h>)
#include <webp/decode.h>
#define NETC_WEBP 1
#endif
#if __has_include(<gif_lib.h>)
#include <gif_lib.h>
#define NETC_GIF 1
#endif
#if __has_include(<tiffio.h>)
#include <tiffio.h>
#define NETC_TIFF 1
#endif

#include <fmt/format.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "runtime/core/optional_library.h"
#include "runtime/data/exif.h"

namespace netc::rt {
namespace {

using Bytes = std::span<const uint8_t>;

std::string damaged(const char* format, std::string_view why) {
  return fmt::format("is a damaged {}: {}", format, why);
}

/// Why a format cannot be read here.
[[maybe_unused]] std::string without(const char* format, const char* package, const char* library) {
  return fmt::format(
      "is {}, which {} reads, and that is not on this machine: install it (Debian: apt-get install {}), or convert the "
      "image to JPEG or PNG",
      format, library, package);
}
[[maybe_unused]] std::string not_built(const char* format) {
  return fmt::format(
      "is {}, and this program was built without the library that reads it: convert the image to JPEG or PNG", format);
}

uint32_t little(Bytes b, size_t at, int size) {
  uint32_t v = 0;
  for (int i = size - 1; i >= 0; --i)
    v = v << 8 | (at + static_cast<size_t>(i) < b.size() ? b[at + static_cast<size_t>(i)] : 0u);
  return v;
}

/// A colour's bits within a BMP's pixel, as 8 bits.
struct Channel {
  uint32_t mask;
  uint8_t of(uint32_t pixel) const {
    if (mask == 0) return 0;
    const int shift = __builtin_ctz(mask);
    return static_cast<uint8_t>(uint64_t{(pixel & mask) >> shift} * 255 / (mask >> shift));
  }
};

}  // namespace

std::string RgbImage::resize(uint64_t h, uint64_t w) {
  if (h == 0 || w == 0) return "the image has no pixels";
  if (h > kMaxPixels || w > kMaxPixels || h * w > kMaxPixels)
    return fmt::format("{} x {} pixels are more than the {} million an image may have", w, h, kMaxPixels >> 20);
  height = static_cast<int>(h), width = static_cast<int>(w);
  pixels.resize(h * w * 3);
  return "";
}

std::string decode_bmp(Bytes b, RgbImage& out) {
  const uint32_t header = little(b, 14, 4), begin = little(b, 10, 4);
  const bool old = header == 12;  // of OS/2
  if (b.size() < 26 || (!old && header < 40)) return damaged("BMP", "its header is cut off");
  const auto width = static_cast<int32_t>(old ? little(b, 18, 2) : little(b, 18, 4)),
             signed_height = static_cast<int32_t>(old ? little(b, 20, 2) : little(b, 22, 4));
  const uint32_t bits = old ? little(b, 24, 2) : little(b, 28, 2), packing = old ? 0 : little(b, 30, 4);
  const bool masks = packing == 3 || packing == 6;
  if (packing != 0 && !(masks && (bits == 16 || bits == 32)))
    return "is a BMP with compressed pixels, which is not read: save it without";
  if (width <= 0 || signed_height == 0 || signed_height == INT32_MIN ||
      (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32))
    return damaged("BMP", fmt::format("{} x {} pixels of {} bits cannot be", width, signed_height, bits));
  const uint64_t height = static_cast<uint64_t>(std::abs(static_cast<int64_t>(signed_height))),
                 stride = (static_cast<uint64_t>(width) * bits + 31) / 32 * 4;
  if (std::string why = out.resize(height, static_cast<uint64_t>(width)); !why.empty()) return why;
  if (begin > b.size() || stride * height > b.size() - begin) return damaged("BMP", "its pixels are cut off");
  const uint32_t colours = bits > 8                       ? 0
                           : !old && little(b, 46, 4) > 0 ? std::min(little(b, 46, 4), 1u << bits)
                                                          : 1u << bits;
  const size_t palette = 14 + size_t{header} + (masks && header == 40 ? 12 : 0), each = old ? 3 : 4;
  if (palette + colours * each > b.size()) return damaged("BMP", "its colours are cut off");
  const Channel red{masks        ? little(b, 54, 4)
                    : bits == 16 ? 0x7c00u
                                 : 0xff0000u},
      green{masks        ? little(b, 58, 4)
            : bits == 16 ? 0x3e0u
                         : 0xff00u},
      blue{masks        ? little(b, 62, 4)
           : bits == 16 ? 0x1fu
                        : 0xffu};
  uint8_t* to = out.pixels.data();
  for (uint64_t y = 0; y < height; ++y) {
    // the last row is first, unless the height is negative
    const size_t row = begin + (signed_height > 0 ? height - 1 - y : y) * stride;
    for (uint32_t x = 0; x < static_cast<uint32_t>(width); ++x, to += 3) {
      if (bits <= 8) {
        const uint32_t at = x * bits, index = b[row + at / 8] >> (8 - bits - at % 8) & ((1u << bits) - 1);
        for (size_t c = 0; c < 3; ++c) to[c] = index < colours ? b[palette + index * each + 2 - c] : 0;
        continue;
      }
      const uint32_t pixel = little(b, row + x * (bits / 8), static_cast<int>(bits / 8));
      to[0] = red.of(pixel), to[1] = green.of(pixel), to[2] = blue.of(pixel);
    }
  }
  return "";
}

#ifdef NETC_WEBP
std::string decode_webp(Bytes bytes, RgbImage& out) {
  struct Library {
    decltype(&WebPGetInfo) info = nullptr;
    decltype(&WebPDecodeRGBInto) decode = nullptr;
    bool there;
    Library() {
      const OptionalLibrary library({"libwebp.so.7", "libwebp.so.6", "libwebp.so"});
      there = library.take("WebPGetInfo", info) && library.take("WebPDecodeRGBInto", decode);
    }
  };
  static const Library webp;
  if (!webp.there) return without("WebP", "libwebp7", "libwebp");
  int width = 0, height = 0;
  if (!webp.info(bytes.data(), bytes.size(), &width, &height)) return damaged("WebP", "its header cannot be read");
  if (bytes.size() > 20 && std::memcmp(bytes.data() + 12, "VP8X", 4) == 0 && bytes[20] & 2)
    return "is an animated WebP, which is not read: convert the frame that is wanted";
  if (std::string why = out.resize(static_cast<uint64_t>(height), static_cast<uint64_t>(width)); !why.empty())
    return why;
  if (!webp.decode(bytes.data(), bytes.size(), out.pixels.data(), out.pixels.size(), 3 * width))
    return damaged("WebP", "its pixels cannot be read");
  out.orientation = webp_orientation(bytes);
  return "";
}
#else
std::string decode_webp(Bytes, RgbImage&) { return not_built("WebP"); }
#endif

#ifdef NETC_GIF
namespace {

struct GifLibrary {
  decltype(&DGifOpen) open = nullptr;
  decltype(&DGifCloseFile) close = nullptr;
  decltype(&DGifGetRecordType) record = nullptr;
  decltype(&DGifGetImageDesc) image = nullptr;
  decltype(&DGifGetLine) line = nullptr;
  decltype(&DGifGetExtension) extension = nullptr;
  decltype(&DGifGetExtensionNext) extension_next = nullptr;
  bool there;
  GifLibrary() {
    const OptionalLibrary library({"libgif.so.7", "libgif.so"});
    there = library.take("DGifOpen", open) && library.take("DGifCloseFile", close) &&
            library.take("DGifGetRecordType", record) && library.take("DGifGetImageDesc", image) &&
            library.take("DGifGetLine", line) && library.take("DGifGetExtension", extension) &&
            library.take("DGifGetExtensionNext", extension_next);
  }
};

int read_gif(GifFileType* gif, GifByteType* to, int n) {
  auto& left = *static_cast<Bytes*>(gif->UserData);
  const size_t take = std::min(left.size(), static_cast<size_t>(std::max(n, 0)));
  if (take > 0) std::memcpy(to, left.data(), take);
  left = left.subspan(take);
  return static_cast<int>(take);
}

/// Goes to the first image.
bool find_image(const GifLibrary& library, GifFileType* gif) {
  for (GifRecordType type; library.record(gif, &type) == GIF_OK && type != TERMINATE_RECORD_TYPE;) {
    if (type == IMAGE_DESC_RECORD_TYPE) return library.image(gif) == GIF_OK;
    int code = 0;
    GifByteType* block = nullptr;
    if (type == EXTENSION_RECORD_TYPE && library.extension(gif, &code, &block) != GIF_OK) return false;
    while (type == EXTENSION_RECORD_TYPE && block)
      if (library.extension_next(gif, &block) != GIF_OK) return false;
  }
  return false;
}

}  // namespace

std::string decode_gif(Bytes bytes, RgbImage& out) {
  static const GifLibrary library;
  if (!library.there) return without("GIF", "libgif7", "giflib");
  int error = 0;
  struct Close {
    GifFileType* gif;
    ~Close() {
      if (gif) library.close(gif, nullptr);
    }
  } const file{library.open(&bytes, read_gif, &error)};
  GifFileType* gif = file.gif;
  if (!gif || !find_image(library, gif)) return damaged("GIF", "it has no image");
  if (std::string why =
          out.resize(static_cast<uint64_t>(std::max(gif->SHeight, 0)), static_cast<uint64_t>(std::max(gif->SWidth, 0)));
      !why.empty())
    return why;
  const ColorMapObject* map = gif->Image.ColorMap ? gif->Image.ColorMap : gif->SColorMap;
  if (!map) return damaged("GIF", "it has no colours");
  const auto put = [](const ColorMapObject* colours, int index, uint8_t* to) {
    const bool there = colours && index < colours->ColorCount;
    to[0] = there ? colours->Colors[index].Red : 0, to[1] = there ? colours->Colors[index].Green : 0,
    to[2] = there ? colours->Colors[index].Blue : 0;
  };
  for (size_t i = 0; i < out.pixels.size(); i += 3) put(gif->SColorMap, gif->SBackGroundColor, &out.pixels[i]);
  const int height = gif->Image.Height, width = gif->Image.Width;
  if (height < 1 || width < 1 || static_cast<uint64_t>(height) * static_cast<uint64_t>(width) > kMaxPixels)
    return damaged("GIF", "its image cannot be of that size");
  std::vector<GifPixelType> line(static_cast<size_t>(width));
  constexpr int kFirst[] = {0, 4, 2, 1}, kStep[] = {8, 8, 4, 2};  // of interlaced rows
  for (int pass = 0; pass < (gif->Image.Interlace ? 4 : 1); ++pass)
    for (int y = gif->Image.Interlace ? kFirst[pass] : 0; y < height; y += gif->Image.Interlace ? kStep[pass] : 1) {
      if (library.line(gif, line.data(), width) != GIF_OK) return damaged("GIF", "its pixels cannot be read");
      for (int x = 0; x < width; ++x) {
        const int row = gif->Image.Top + y, column = gif->Image.Left + x;
        if (row < 0 || column < 0 || row >= out.height || column >= out.width) continue;
        put(map, line[static_cast<size_t>(x)],
            &out.pixels[(static_cast<size_t>(row) * static_cast<size_t>(out.width) + static_cast<size_t>(column)) * 3]);
      }
    }
  return "";
}
#else
std::string decode_gif(Bytes, RgbImage&) { return not_built("GIF"); }
#endif

#ifdef NETC_TIFF
namespace {

struct TiffFile {
  Bytes bytes;
  size_t at = 0;
};

tmsize_t read_tiff(thandle_t h, void* to, tmsize_t n) {
  auto& f = *static_cast<TiffFile*>(h);
  const size_t take =
      std::min(f.bytes.size() - std::min(f.at, f.bytes.size()), static_cast<size_t>(std::max<tmsize_t>(n, 0)));
  if (take > 0) std::memcpy(to, f.bytes.data() + f.at, take);
  f.at += take;
  return static_cast<tmsize_t>(take);
}
tmsize_t write_tiff(thandle_t, void*, tmsize_t) { return 0; }
toff_t seek_tiff(thandle_t h, toff_t to, int whence) {
  auto& f = *static_cast<TiffFile*>(h);
  f.at = whence == SEEK_CUR ? f.at + to : whence == SEEK_END ? f.bytes.size() + to : to;
  return f.at;
}
int close_tiff(thandle_t) { return 0; }
toff_t size_of_tiff(thandle_t h) { return static_cast<TiffFile*>(h)->bytes.size(); }

thread_local char tiff_error[200];
void note_tiff_error(const char*, const char* format, va_list args) {
  std::vsnprintf(tiff_error, sizeof tiff_error, format, args);
}

struct TiffLibrary {
  decltype(&TIFFClientOpen) open = nullptr;
  decltype(&TIFFClose) close = nullptr;
  decltype(&TIFFGetField) get = nullptr;
  decltype(&TIFFSetField) set = nullptr;
  decltype(&TIFFReadRGBAImageOriented) read = nullptr;
  decltype(&TIFFSetErrorHandler) on_error = nullptr;
  decltype(&TIFFSetWarningHandler) on_warning = nullptr;
  bool there;
  TiffLibrary() {
    const OptionalLibrary library({"libtiff.so.6", "libtiff.so.5", "libtiff.so"});
    there = library.take("TIFFClientOpen", open) && library.take("TIFFClose", close) &&
            library.take("TIFFGetField", get) && library.take("TIFFSetField", set) &&
            library.take("TIFFReadRGBAImageOriented", read) && library.take("TIFFSetErrorHandler", on_error) &&
            library.take("TIFFSetWarningHandler", on_warning);
    if (there) on_error(note_tiff_error), on_warning(nullptr);
  }
};

}  // namespace

std::string decode_tiff(Bytes bytes, RgbImage& out) {
  static const TiffLibrary library;
  if (!library.there) return without("TIFF", "libtiff6", "libtiff");
  std::strcpy(tiff_error, "it cannot be read");
  TiffFile file{bytes};
  struct Close {
    TIFF* tiff;
    ~Close() {
      if (tiff) library.close(tiff);
    }
  } const tiff{
      library.open("", "rm", &file, read_tiff, write_tiff, seek_tiff, close_tiff, size_of_tiff, nullptr, nullptr)};
  uint32_t width = 0, height = 0;
  uint16_t orientation = 1;
  if (!tiff.tiff || !library.get(tiff.tiff, TIFFTAG_IMAGEWIDTH, &width) ||
      !library.get(tiff.tiff, TIFFTAG_IMAGELENGTH, &height))
    return damaged("TIFF", tiff_error);
  if (std::string why = out.resize(height, width); !why.empty()) return why;
  if (!library.get(tiff.tiff, TIFFTAG_ORIENTATION, &orientation)) orientation = 1;
  // as it is stored: it is turned later, as all formats are
  library.set(tiff.tiff, TIFFTAG_ORIENTATION, static_cast<int>(ORIENTATION_TOPLEFT));
  // Alpha counts for nothing, as in all formats: said to be in the colours already, it is not multiplied in.
  uint16_t samples = 0, *kinds = nullptr;
  if (library.get(tiff.tiff, TIFFTAG_EXTRASAMPLES, &samples, &kinds) && samples == 1 &&
      kinds[0] == EXTRASAMPLE_UNASSALPHA) {
    const uint16_t associated = EXTRASAMPLE_ASSOCALPHA;
    library.set(tiff.tiff, TIFFTAG_EXTRASAMPLES, 1, &associated);
  }
  std::vector<uint32_t> raster(static_cast<size_t>(width) * height);
  if (!library.read(tiff.tiff, width, height, raster.data(), ORIENTATION_TOPLEFT, 1)) {
    const bool whole = std::strstr(tiff_error, "can not handle") != nullptr;
    return whole ? fmt::format("is a TIFF of a kind that is not read: {}", tiff_error) : damaged("TIFF", tiff_error);
  }
  for (size_t i = 0; i < raster.size(); ++i)
    for (size_t c = 0; c < 3; ++c) out.pixels[3 * i + c] = static_cast<uint8_t>(raster[i] >> (8 * c));
  out.orientation = orientation;
  return "";
}
#else
std::string decode_tiff(Bytes, RgbImage&) { return not_built("TIFF"); }
#endif

}  // namespace netc::rt
