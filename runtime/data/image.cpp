#include "runtime/counted.h"
#include "runtime/data/image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <turbojpeg.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "runtime/data/exif.h"
#include "runtime/data/png_image.h"

namespace netc::rt {
namespace {

using Bytes = std::span<const uint8_t>;
using Result = tl::expected<void, std::string>;

tl::unexpected<std::string> failed(const std::string& name, const std::string& why) {
  return tl::make_unexpected(fmt::format("{}: {}", name, why));
}

/// One decompressor a thread. A damaged file may leave it in a state in which it refuses good ones, so it is made anew
/// after each.
class Jpeg {
 public:
  Jpeg() = default;
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;
  ~Jpeg() { reset(); }
  tjhandle get() { return handle_ ? handle_ : handle_ = tjInitDecompress(); }
  void reset() {
    if (handle_) tjDestroy(handle_);
    handle_ = nullptr;
  }

 private:
  tjhandle handle_ = nullptr;
};

/// Sets the shape and makes room; the size is checked before.
Result make_room(const std::string& name, uint64_t height, uint64_t width, int channels, Field& out) {
  if (height == 0 || width == 0) return failed(name, "the image has no pixels");
  if (height * width > kMaxPixels)
    return failed(name, fmt::format("{} x {} pixels are more than the {} million an image may have", width, height,
                                    kMaxPixels >> 20));
  out.height = static_cast<int>(height);
  out.width = static_cast<int>(width);
  out.channels = channels;
  out.data.resize(height * width * static_cast<size_t>(channels));
  return {};
}

/// Inverted CMYK (as Adobe writes it) to RGB or grey.
void from_cmyk(const std::vector<uint8_t>& cmyk, int channels, uint8_t* out) {
  for (size_t i = 0; i + 3 < cmyk.size(); i += 4) {
    uint8_t rgb[3];
    for (int c = 0; c < 3; ++c)
      rgb[c] = static_cast<uint8_t>((cmyk[i + static_cast<size_t>(c)] * cmyk[i + 3] + 127) / 255);
    if (channels == 1) *out++ = luma(rgb);
    else
      for (int c = 0; c < 3; ++c) *out++ = rgb[c];
  }
}

Result decode_with(tjhandle handle, Bytes bytes, int channels, const std::string& name, Field& out) {
  int width = 0, height = 0, subsampling = 0, space = 0;
  const auto size = static_cast<unsigned long>(bytes.size());
  if (tjDecompressHeader3(handle, bytes.data(), size, &width, &height, &subsampling, &space) != 0 || width < 0 ||
      height < 0) {
    return failed(name, fmt::format("is a damaged JPEG: {}", tjGetErrorStr2(handle)));
  }
  if (Result room = make_room(name, static_cast<uint64_t>(height), static_cast<uint64_t>(width), channels, out); !room)
    return room;
  const bool cmyk = space == TJCS_CMYK || space == TJCS_YCCK;
  std::vector<uint8_t> four;
  if (cmyk) four.resize(static_cast<size_t>(width) * static_cast<size_t>(height) * 4);
  uint8_t* target = cmyk ? four.data() : out.data.data();
  const int format = cmyk ? TJPF_CMYK : channels == 1 ? TJPF_GRAY : TJPF_RGB;
  if (tjDecompress2(handle, bytes.data(), size, target, width, 0, height, format, TJFLAG_LIMITSCANS) != 0) {
    const char* why = tjGetErrorStr2(handle);
    // Stray bytes between two parts are common and harmless; every other warning means that pixels are missing or made
    // up.
    const bool harmless = tjGetErrorCode(handle) == TJERR_WARNING && std::strstr(why, "extraneous bytes");
    if (!harmless) return failed(name, fmt::format("is a damaged JPEG: {}", why));
  }
  if (cmyk) from_cmyk(four, channels, out.data.data());
  return {};
}

Result decode_jpeg(Bytes bytes, int channels, const std::string& name, Field& out) {
  thread_local Jpeg jpeg;
  if (!jpeg.get()) return failed(name, "no memory for the JPEG decoder");
  Result r = decode_with(jpeg.get(), bytes, channels, name, out);
  if (!r) jpeg.reset();
  return r;
}

Result decode_png(Bytes bytes, int channels, const std::string& name, Field& out) {
  PngReader png(bytes);
  if (!png.start()) return failed(name, fmt::format("is a damaged PNG: {}", png.error()));
  if (Result room = make_room(name, png.height(), png.width(), channels, out); !room) return room;
  const auto pixels = static_cast<size_t>(png.height()) * png.width();
  if (png.channels() == channels) {
    if (!png.rows(out.data.data())) return failed(name, fmt::format("is a damaged PNG: {}", png.error()));
    return {};
  }
  thread_local std::vector<uint8_t> other;
  other.resize(pixels * static_cast<size_t>(png.channels()));
  if (!png.rows(other.data())) return failed(name, fmt::format("is a damaged PNG: {}", png.error()));
  uint8_t* p = out.data.data();
  if (channels == 1) {
    for (size_t i = 0; i < pixels; ++i) p[i] = luma(other.data() + 3 * i);
  } else {
    for (size_t i = 0; i < pixels; ++i) p[3 * i] = p[3 * i + 1] = p[3 * i + 2] = other[i];
  }
  return {};
}

bool starts(Bytes bytes, std::string_view magic, size_t at = 0) {
  return bytes.size() >= at + magic.size() && std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

struct Format {
  const char* name;
  std::string (*decode)(Bytes, RgbImage&);
};
constexpr Format kOthers[] = {{"WebP", decode_webp}, {"BMP", decode_bmp}, {"GIF", decode_gif}, {"TIFF", decode_tiff}};

Result decode_other(const Format& format, Bytes bytes, int channels, const std::string& name, Field& out) {
  thread_local RgbImage rgb;
  rgb.orientation = 1;
  if (const std::string why = format.decode(bytes, rgb); !why.empty()) return failed(name, why);
  const auto height = static_cast<uint64_t>(rgb.height), width = static_cast<uint64_t>(rgb.width);
  if (Result room = make_room(name, height, width, channels, out); !room) return room;
  if (channels == 3) std::copy(rgb.pixels.begin(), rgb.pixels.end(), out.data.begin());
  else
    for (size_t i = 0; i < height * width; ++i) out.data[i] = luma(rgb.pixels.data() + 3 * i);
  make_upright(rgb.orientation, out);
  return {};
}

std::string ending_of(const std::string& path) {
  std::string e = std::filesystem::path(path).extension().string();
  std::transform(e.begin(), e.end(), e.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return e;
}

template <size_t N>
bool is_any(const std::string& s, const char* const (&list)[N]) {
  return std::any_of(std::begin(list), std::end(list), [&](const char* e) { return s == e; });
}

/// The whole file into `bytes`, reusing its memory.
Result read_bytes(const std::string& path, std::vector<uint8_t>& bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return failed(path, fmt::format("cannot open: {}", std::strerror(errno)));
  struct Close {
    int fd;
    ~Close() { ::close(fd); }
  } close{fd};
  struct stat info;
  if (::fstat(fd, &info) != 0) return failed(path, fmt::format("cannot read: {}", std::strerror(errno)));
  if (!S_ISREG(info.st_mode))
    return failed(path, S_ISDIR(info.st_mode) ? "is a folder, not an image" : "is not a file");
  if (static_cast<uint64_t>(info.st_size) > kMaxImageFile)
    return failed(path, fmt::format("is longer than {} MiB", kMaxImageFile >> 20));
  bytes.resize(static_cast<size_t>(info.st_size));
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t n = ::read(fd, bytes.data() + have, bytes.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(path, fmt::format("cannot read: {}", std::strerror(errno)));
    if (n == 0) break;
    have += static_cast<size_t>(n);
  }
  bytes.resize(have);
  return {};
}

}  // namespace

std::string_view image_format(std::span<const uint8_t> bytes) {
  if (starts(bytes, "\xff\xd8\xff")) return "JPEG";
  if (starts(bytes, "\x89PNG")) return "PNG";
  if (starts(bytes, "GIF87a") || starts(bytes, "GIF89a")) return "GIF";
  if (starts(bytes, "BM") && bytes.size() > 17 && bytes[15] == 0 && bytes[16] == 0 && bytes[17] == 0) return "BMP";
  if (starts(bytes, "RIFF") && starts(bytes, "WEBP", 8)) return "WebP";
  if (starts(bytes, "ftyp", 4)) return "HEIC or AVIF";
  if (starts(bytes, std::string_view("II*\0", 4)) || starts(bytes, std::string_view("MM\0*", 4)) ||
      starts(bytes, std::string_view("II+\0", 4)))
    return "TIFF";
  return "";
}

bool is_image_name(const std::string& path) {
  return is_any(ending_of(path),
                {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff"});
}

bool is_known_image_name(const std::string& path) {
  constexpr const char* kOfOthers[] = {".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg", ".psd", ".tga",
                                       ".ppm",  ".pgm",  ".dng",  ".cr2", ".cr3", ".nef", ".arw", ".raw"};
  return is_image_name(path) || is_any(ending_of(path), kOfOthers);
}

tl::expected<void, std::string> decode_image(std::span<const uint8_t> bytes, int channels, const std::string& name,
                                             Field& out) try {
  if (channels != 1 && channels != 3)
    return failed(name, fmt::format("images are read with 1 or 3 channels, not {}", channels));
  if (bytes.empty()) return failed(name, "is empty");
  const std::string_view format = image_format(bytes);
  if (format == "JPEG" || format == "PNG") {
    Result r = format == "JPEG" ? decode_jpeg(bytes, channels, name, out) : decode_png(bytes, channels, name, out);
    if (r) make_upright(format == "JPEG" ? jpeg_orientation(bytes) : png_orientation(bytes), out);
    return r;
  }
  for (const Format& other : kOthers)
    if (format == other.name) return decode_other(other, bytes, channels, name, out);
  return failed(name, fmt::format("is no JPEG, PNG, WebP, BMP, GIF or TIFF{}",
                                  format.empty() ? "" : fmt::format(", but {}: convert it to JPEG or PNG", format)));
} catch (const std::bad_alloc&) { return failed(name, "no memory for the image"); }

tl::expected<void, std::string> read_image(const std::string& path, int channels, Field& out) try {
  thread_local std::vector<uint8_t> bytes;
  if (Result read = read_bytes(path, bytes); !read) return read;
  const std::string_view format = image_format(bytes);
  if (is_any(ending_of(path), {".jpg", ".jpeg", ".png"}) &&
      std::any_of(std::begin(kOthers), std::end(kOthers), [&](const Format& f) { return format == f.name; }))
    // not all programs and machines read it
    return failed(path, fmt::format("is {}, not what its name says: rename or convert it", format));
  return decode_image(bytes, channels, path, out);
} catch (const std::bad_alloc&) { return failed(path, "no memory for the file"); }

tl::expected<void, std::string> read_indices(const std::string& path, Field& out) try {
  thread_local std::vector<uint8_t> bytes;
  if (Result read = read_bytes(path, bytes); !read) return read;
  if (!starts(bytes, "\x89PNG")) return failed(path, "is no PNG; the class of each pixel is kept in one");
  PngReader png(bytes, true);
  if (!png.start()) return failed(path, fmt::format("is a damaged PNG: {}", png.error()));
  if (png.channels() != 1)
    return failed(path, "has colours; a mask is a grey or palette PNG whose values are the classes");
  if (png.bits() > 8)
    return failed(path, "has 16 bits for each pixel; a mask is a PNG of at most 8, whose values are the classes");
  if (Result room = make_room(path, png.height(), png.width(), 1, out); !room) return room;
  if (!png.rows(out.data.data())) return failed(path, fmt::format("is a damaged PNG: {}", png.error()));
  return {};
} catch (const std::bad_alloc&) { return failed(path, "no memory for the image"); }

}  // namespace netc::rt
