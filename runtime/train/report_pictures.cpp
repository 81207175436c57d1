#include <png.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "runtime/train/report_parts.h"

namespace netc::rt::html {

std::vector<unsigned char> thumbnail(const Field& image, int side) {
  const int channels = image.channels;
  if (image.height < 1 || image.width < 1 || (channels != 1 && channels != 3) ||
      image.data.size() <
          static_cast<size_t>(image.height) * static_cast<size_t>(image.width) * static_cast<size_t>(channels))
    return {};
  const double scale = std::min(1.0, static_cast<double>(side) / std::max(image.height, image.width));
  const int h = std::max(1, static_cast<int>(image.height * scale)),
            w = std::max(1, static_cast<int>(image.width * scale));
  std::vector<uint8_t> small(static_cast<size_t>(h) * static_cast<size_t>(w) * static_cast<size_t>(channels));
  for (int y = 0; y < h; ++y) {  // the mean of the pixels under each
    const int y0 = static_cast<int>(int64_t{y} * image.height / h),
              y1 = std::max(y0 + 1, static_cast<int>(int64_t{y + 1} * image.height / h));
    for (int x = 0; x < w; ++x) {
      const int x0 = static_cast<int>(int64_t{x} * image.width / w),
                x1 = std::max(x0 + 1, static_cast<int>(int64_t{x + 1} * image.width / w));
      for (int c = 0; c < channels; ++c) {
        uint64_t sum = 0;
        for (int v = y0; v < y1; ++v)
          for (int u = x0; u < x1; ++u)
            sum += image.data[(static_cast<size_t>(v) * static_cast<size_t>(image.width) + static_cast<size_t>(u)) *
                                  static_cast<size_t>(channels) +
                              static_cast<size_t>(c)];
        const uint64_t n = static_cast<uint64_t>(y1 - y0) * static_cast<uint64_t>(x1 - x0);
        small[(static_cast<size_t>(y) * static_cast<size_t>(w) + static_cast<size_t>(x)) *
                  static_cast<size_t>(channels) +
              static_cast<size_t>(c)] = static_cast<uint8_t>((sum + n / 2) / n);
      }
    }
  }
  png_image png;
  std::memset(&png, 0, sizeof png);
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(w), png.height = static_cast<png_uint_32>(h);
  png.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  std::vector<unsigned char> out(PNG_IMAGE_PNG_SIZE_MAX(png));
  png_alloc_size_t bytes = out.size();
  const bool written = png_image_write_to_memory(&png, out.data(), &bytes, 0, small.data(), 0, nullptr) != 0;
  png_image_free(&png);
  out.resize(written ? bytes : 0);
  return out;
}

std::string base64(const std::vector<unsigned char>& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string s;
  s.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t v = 0;
    for (size_t k = 0; k < 3; ++k) v = v << 8 | (k < n ? bytes[i + k] : 0u);
    for (size_t k = 0; k < 4; ++k) s += k <= n ? kDigits[v >> (18 - 6 * k) & 63] : '=';
  }
  return s;
}

std::string pictures(const Source& source, const std::vector<Answered>& answered,
                     const std::vector<std::string>& names) {
  constexpr int kSide = 160;
  auto name = [&](int k) {
    return k >= 0 && static_cast<size_t>(k) < names.size() ? escape(names[static_cast<size_t>(k)])
                                                           : fmt::format("{}", k);
  };
  std::string s;
  Sample sample;
  for (const Answered& a : answered) {
    if (!source.read(a.index, sample)) continue;
    const auto image =
        std::find_if(sample.inputs.begin(), sample.inputs.end(), [](const Field& f) { return f.image(); });
    if (image == sample.inputs.end()) return "";
    const std::vector<unsigned char> png = thumbnail(*image, kSide);
    if (png.empty()) continue;
    const std::string file = escape(source.name(a.index));
    const bool right = a.answer == a.label;
    s += fmt::format(
        "<div class=\"shot\"><img{} alt=\"{}\" title=\"{}\" src=\"data:image/png;base64,{}\"/><span class=\"{}\">{} "
        "{:.0f}&#160;%</span>{}</div>\n",
        std::max(image->height, image->width) < kSide / 2 ? " class=\"pixels\"" : "", file, file, base64(png),
        right ? "good" : "bad", name(a.answer), static_cast<double>(a.probability) * 100,
        right ? "" : fmt::format("<span class=\"muted\">is {}</span>", name(a.label)));
  }
  return s;
}

}  // namespace netc::rt::html
