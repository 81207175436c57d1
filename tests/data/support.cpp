#include "tests/data/support.h"

#include <doctest/doctest.h>
#include <png.h>
#include <turbojpeg.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <fstream>
#include <random>

namespace netc::rt::test {

namespace fs = std::filesystem;

TempFolder::TempFolder() {
  static int counter = 0;
  path_ = fs::temp_directory_path() / ("netc_data_" + std::to_string(::getpid()) + "_" + std::to_string(counter++));
  fs::create_directories(path_);
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string TempFolder::write(const std::string& name, const Bytes& bytes) const {
  const fs::path path = path_ / name;
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return path.string();
}

Bytes pattern(int height, int width, int channels, uint32_t seed) {
  Bytes p;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c)
        p.push_back(static_cast<uint8_t>(static_cast<uint32_t>(3 * x + 2 * y + 40 * c) + 29 * seed));
  return p;
}

Bytes jpeg(const Bytes& pixels, int height, int width, int channels, int quality) {
  const tjhandle handle = tjInitCompress();
  unsigned char* out = nullptr;
  unsigned long size = 0;
  const int format = channels == 1 ? TJPF_GRAY : channels == 4 ? TJPF_CMYK : TJPF_RGB;
  tjCompress2(handle, pixels.data(), width, 0, height, format, &out, &size, channels == 1 ? TJSAMP_GRAY : TJSAMP_444,
              quality, 0);
  Bytes bytes(out, out + size);
  tjFree(out);
  tjDestroy(handle);
  return bytes;
}

Bytes png(const Bytes& pixels, int height, int width, Png layout, bool interlaced) {
  Bytes out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &out,
      [](png_structp p, png_bytep data, size_t n) {
        auto* bytes = static_cast<Bytes*>(png_get_io_ptr(p));
        bytes->insert(bytes->end(), data, data + n);
      },
      nullptr);
  const bool wide = layout == Png::grey16 || layout == Png::rgb16;
  const int type = layout == Png::grey || layout == Png::grey16 ? PNG_COLOR_TYPE_GRAY
                   : layout == Png::rgb || layout == Png::rgb16 ? PNG_COLOR_TYPE_RGB
                   : layout == Png::rgba                        ? PNG_COLOR_TYPE_RGB_ALPHA
                   : layout == Png::grey_alpha                  ? PNG_COLOR_TYPE_GRAY_ALPHA
                                                                : PNG_COLOR_TYPE_PALETTE;
  png_set_IHDR(png, info, static_cast<unsigned>(width), static_cast<unsigned>(height), wide ? 16 : 8, type,
               interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (layout == Png::palette) {
    png_color palette[256];
    png_byte alpha[4] = {0, 100, 200, 255};
    for (int i = 0; i < 256; ++i)
      palette[i] = {static_cast<png_byte>(i), static_cast<png_byte>(255 - i), static_cast<png_byte>(i / 2)};
    png_set_PLTE(png, info, palette, 256);
    png_set_tRNS(png, info, alpha, 4, nullptr);
  }
  png_write_info(png, info);
  Bytes samples;
  for (const uint8_t v : pixels) samples.insert(samples.end(), wide ? 2 : 1, v);
  const size_t stride = samples.size() / static_cast<size_t>(height);
  std::vector<png_bytep> rows;
  for (size_t y = 0; y < static_cast<size_t>(height); ++y) rows.push_back(samples.data() + y * stride);
  png_write_image(png, rows.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return out;
}

Bytes idx(const std::vector<uint32_t>& dims, const Bytes& data) {
  Bytes out{0, 0, 8, static_cast<uint8_t>(dims.size())};
  for (const uint32_t d : dims)
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(d >> shift));
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

Bytes gzip(const Bytes& data) {
  z_stream z{};
  deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  Bytes out(deflateBound(&z, data.size()) + 64);
  z.next_in = const_cast<uint8_t*>(data.data());
  z.avail_in = static_cast<unsigned>(data.size());
  z.next_out = out.data();
  z.avail_out = static_cast<unsigned>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

void damage(const Bytes& bytes, int n, const std::function<void(const Bytes&)>& f) {
  std::mt19937 random(7);
  for (int i = 0; i < n; ++i) {
    f(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(
                                               i < 64 ? std::min<size_t>(static_cast<size_t>(i), bytes.size() - 1)
                                                      : random() % bytes.size())));
    Bytes changed = bytes;
    for (uint32_t k = 1 + random() % 6; k > 0; --k)
      changed[(random() % 2 ? random() % std::min<size_t>(bytes.size(), 64) : random() % bytes.size())] =
          static_cast<uint8_t>(random());
    f(changed);
  }
}

std::span<const PortInfo> keep(std::vector<PortInfo> ports) {
  static std::deque<std::vector<PortInfo>> all;
  return all.emplace_back(std::move(ports));
}
std::span<const LossInfo> keep(std::vector<LossInfo> losses) {
  static std::deque<std::vector<LossInfo>> all;
  return all.emplace_back(std::move(losses));
}

ModelInfo info_of(std::vector<PortInfo> inputs, std::vector<PortInfo> outputs, std::vector<PortInfo> labels) {
  ModelInfo info{};
  info.name = info.net = "fake";
  std::vector<LossInfo> losses;
  for (size_t i = 0; i < labels.size(); ++i) {
    losses.push_back(
        {"loss", 1, static_cast<int>(std::min(i, outputs.size() - 1)), TargetKind::label, static_cast<int>(i)});
  }
  info.inputs = info.ingested = keep(std::move(inputs));
  info.outputs = keep(std::move(outputs));
  info.labels = keep(std::move(labels));
  info.losses = keep(std::move(losses));
  info.max_batch = 128;
  return info;
}

ModelInfo info_for(int64_t height, int64_t width, int64_t channels, DType dtype, int64_t outputs) {
  ModelInfo info = info_of({{"image", dtype, 3, {height, width, channels}}}, {{"class", DType::f32, 1, {outputs}}},
                           {{"label", DType::i32, 0, {}}});
  const int64_t h = height < 0 ? 4 : height, w = width < 0 ? 4 : width;
  info.ingested = keep({{"image", dtype, 3, {h, w, channels < 0 ? 3 : channels}}});
  return info;
}

FakeModel::FakeModel(const ModelInfo& info) : info_(info) {}

void FakeModel::ingest(size_t port, const void* sample, int height, int width, int channels, void* out) const {
  if (info_.inputs[port].sized()) {
    std::memcpy(out, sample, info_.ingested[port].bytes());
    return;
  }
  const auto* in = static_cast<const uint8_t*>(sample);
  auto* to = static_cast<uint8_t*>(out);
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 4; ++x)
      for (int c = 0; c < channels; ++c) *to++ = in[((y % height) * width + x % width) * channels + c];
}

std::unique_ptr<Source> opened(const std::string& spec, const ModelInfo& info, Split split) {
  auto r = open_source(spec, split, info);
  INFO((r ? "" : r.error()));
  REQUIRE(r);
  return std::move(*r);
}

std::string error_of(const std::string& spec, const ModelInfo& info, Split split) {
  const auto r = open_source(spec, split, info);
  return r ? "" : r.error();
}

int label_of(const Sample& sample) { return sample.labels.size() == 1 ? values<int32_t>(sample.labels[0])[0] : -1; }

std::string shared_data(const std::string& name) {
  const fs::path path = fs::path(NETC_SOURCE_DIR) / ".." / "shared" / "data" / name;
  return fs::exists(path) ? path.lexically_normal().string() : "";
}

}  // namespace netc::rt::test
