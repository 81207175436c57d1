// Photos as cameras and people save them: every orientation, and formats beside JPEG and PNG.
#include <doctest/doctest.h>

#include <zlib.h>

#include <string>

#include "runtime/core/unicode.h"
#include "runtime/data/exif.h"
#include "tests/data/support.h"

using namespace netc::rt;
using namespace netc::rt::test;

namespace {

void put(Bytes& out, uint64_t v, int bytes, bool little = true) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<uint8_t>(v >> (8 * (little ? i : bytes - 1 - i))));
}
void put(Bytes& out, const std::string& text) { out.insert(out.end(), text.begin(), text.end()); }
void put(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }

/// An EXIF block with another entry before the orientation.
Bytes exif(int orientation, bool little) {
  Bytes b;
  put(b, little ? std::string("II*\0", 4) : std::string("MM\0*", 4));
  put(b, 8, 4, little);
  put(b, 2, 2, little);
  for (const auto& [tag, value] : {std::pair{0x100, 9}, {0x112, orientation}}) {
    put(b, static_cast<uint64_t>(tag), 2, little), put(b, 3, 2, little), put(b, 1, 4, little);
    put(b, static_cast<uint64_t>(value), 2, little), put(b, 0, 2, little);
  }
  put(b, 0, 4, little);
  return b;
}

Bytes with_exif_png(Bytes image, const Bytes& block) {
  Bytes chunk;
  put(chunk, "eXIf");
  put(chunk, block);
  Bytes whole;
  put(whole, block.size(), 4, false);
  put(whole, chunk);
  put(whole, crc32(0, chunk.data(), static_cast<unsigned>(chunk.size())), 4, false);
  image.insert(image.begin() + 33, whole.begin(), whole.end());  // after IHDR
  return image;
}
Bytes with_exif_jpeg(Bytes image, const Bytes& block) {
  Bytes segment{0xff, 0xe1};
  put(segment, block.size() + 8, 2, false);
  put(segment, std::string("Exif\0\0", 6));
  put(segment, block);
  image.insert(image.begin() + 2, segment.begin(), segment.end());
  return image;
}

const Bytes kRgb = pattern(5, 7, 3, 9);  // what each of these holds

Bytes bmp(int bits, bool down) {
  Bytes b, pixels;
  const int stride = (7 * bits + 31) / 32 * 4;
  for (int y = 0; y < 5; ++y) {
    const size_t begin = pixels.size();
    for (int x = 0; x < 7; ++x) {
      const uint8_t* p = &kRgb[static_cast<size_t>(((down ? y : 4 - y) * 7 + x) * 3)];
      pixels.insert(pixels.end(), {p[2], p[1], p[0]});
      if (bits == 32) pixels.push_back(0);
    }
    pixels.resize(begin + static_cast<size_t>(stride));
  }
  put(b, "BM"), put(b, 54 + pixels.size(), 4), put(b, 0, 4), put(b, 54, 4);
  put(b, 40, 4), put(b, 7, 4), put(b, static_cast<uint64_t>(down ? -5 : 5), 4), put(b, 1, 2),
      put(b, static_cast<uint64_t>(bits), 2);
  for (int i = 0; i < 6; ++i) put(b, 0, 4);
  put(b, pixels);
  return b;
}

/// `alpha`: what kind of it each pixel has, 50 of 255; 0: none.
Bytes tiff(int orientation, int alpha = 0) {
  Bytes b, pixels;
  for (size_t i = 0; i < kRgb.size(); ++i) {
    pixels.push_back(kRgb[i]);
    if (alpha && i % 3 == 2) pixels.push_back(50);
  }
  const uint64_t entries_count = alpha ? 11 : 10, samples = alpha ? 4 : 3, bits_at = 8 + 2 + entries_count * 12 + 4,
                 pixels_at = bits_at + 2 * samples;
  std::vector<std::pair<int, uint64_t>> entries = {{256, 7},
                                                   {257, 5},
                                                   {258, bits_at},
                                                   {259, 1},
                                                   {262, 2},
                                                   {273, pixels_at},
                                                   {274, static_cast<uint64_t>(orientation)},
                                                   {277, samples},
                                                   {278, 5},
                                                   {279, pixels.size()}};
  if (alpha) entries.emplace_back(338, static_cast<uint64_t>(alpha));
  put(b, std::string("II*\0", 4)), put(b, 8, 4), put(b, entries_count, 2);
  for (const auto& [tag, value] : entries)
    put(b, static_cast<uint64_t>(tag), 2), put(b, tag == 273 || tag == 279 ? 4 : 3, 2),
        put(b, tag == 258 ? samples : 1, 4), put(b, value, 4);
  put(b, 0, 4);
  for (uint64_t i = 0; i < samples; ++i) put(b, 8, 2);
  put(b, pixels);
  return b;
}

/// Four colours, 2 x 3 pixels at (1, 0) of a screen of 3 x 3, each pixel after a code that begins anew.
Bytes gif(bool interlaced) {
  Bytes b;
  put(b, "GIF89a"), put(b, 3, 2), put(b, 3, 2), put(b, Bytes{0x91, 3, 0});
  put(b, Bytes{0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 9, 9});
  put(b, Bytes{0x2c}), put(b, 1, 2), put(b, 0, 2), put(b, 2, 2), put(b, 3, 2),
      put(b, Bytes{static_cast<uint8_t>(interlaced ? 0x40 : 0), 2});
  uint64_t codes = 0;
  int at = 0;
  for (const uint64_t pixel :
       interlaced ? std::vector<uint64_t>{0, 1, 1, 2, 2, 0} : std::vector<uint64_t>{0, 1, 2, 0, 1, 2})
    codes |= (4 | pixel << 3) << at, at += 6;
  codes |= uint64_t{5} << at;
  put(b, 5, 1), put(b, codes, 5), put(b, Bytes{0, 0x3b});
  return b;
}

const Bytes kWebp{'R', 'I',  'F',  'F',  0x24, 0,    0, 0,    'W',  'E',  'B',  'P',  'V', 'P', '8',
                  ' ', 0x18, 0,    0,    0,    0x30, 1, 0,    0x9d, 1,    0x2a, 1,    0,   1,   0,
                  3,   0,    0x34, 0x25, 0xa4, 0,    3, 0x70, 0,    0xfe, 0xfb, 0x94, 0,   0};

Field decoded(const Bytes& bytes, int channels = 3) {
  Field f;
  const auto r = decode_image(bytes, channels, "x", f);
  INFO((r ? "" : r.error()));
  REQUIRE(r);
  return f;
}

}  // namespace

TEST_CASE("photos are upright, whatever their orientation") {
  const Bytes stored{1, 2, 3, 4, 5, 6};
  const std::vector<Bytes> upright = {{1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1}, {4, 5, 6, 1, 2, 3},
                                      {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3}, {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4}};
  for (int o = 1; o <= 8; ++o)
    for (const bool little : {false, true}) {
      CAPTURE(o);
      const Field f = decoded(with_exif_png(png(stored, 2, 3, Png::grey), exif(o, little)), 1);
      CHECK(f.data == upright[static_cast<size_t>(o - 1)]);
      CHECK(f.height == (o < 5 ? 2 : 3));
      CHECK(f.width == (o < 5 ? 3 : 2));
      const Bytes picture = jpeg(pattern(16, 8, 3), 16, 8, 3);
      Field turned = decoded(picture);
      make_upright(o, turned);
      CHECK(decoded(with_exif_jpeg(picture, exif(o, little))).data == turned.data);
      Bytes webp = kWebp;
      put(webp, "EXIF"), put(webp, exif(o, little).size(), 4), put(webp, exif(o, little));
      CHECK(webp_orientation(webp) == o);
      Field page{kRgb, 5, 7, 3};
      make_upright(o, page);
      CHECK(decoded(tiff(o)).data == page.data);
    }
  for (const int o : {0, 9, 255, 65535})
    CHECK(decoded(with_exif_png(png(stored, 2, 3, Png::grey), exif(o, true)), 1).data == stored);
  damage(with_exif_jpeg(jpeg(pattern(16, 8, 3), 16, 8, 3), exif(6, true)), 300,
         [](const Bytes& b) { jpeg_orientation(b); });
  damage(with_exif_png(png(stored, 2, 3, Png::grey), exif(6, true)), 300, [](const Bytes& b) { png_orientation(b); });
  damage(kWebp, 300, [](const Bytes& b) { webp_orientation(b); });
}

TEST_CASE("WebP, BMP, GIF and TIFF") {
  for (const int bits : {24, 32})
    for (const bool down : {false, true}) CHECK(decoded(bmp(bits, down)).data == kRgb);
  CHECK(decoded(tiff(1)).data == kRgb);
  // associated or not: it counts for nothing
  for (const int alpha : {1, 2}) CHECK(decoded(tiff(1, alpha)).data == kRgb);
  const Field page = decoded(tiff(1), 1);
  CHECK(page.data[0] == luma(kRgb.data()));
  for (const bool interlaced : {false, true}) {
    const Field f = decoded(gif(interlaced));
    CHECK((f.height == 3 && f.width == 3));
    CHECK(f.data == Bytes{9, 9, 9, 0, 0, 0, 255, 0, 0, 9, 9, 9, 0, 255, 0, 0, 0, 0, 9, 9, 9, 255, 0, 0, 0, 255, 0});
  }
  CHECK((decoded(kWebp).height == 1 && decoded(kWebp, 1).channels == 1));
  for (const Bytes& whole : {bmp(24, false), tiff(1), gif(false), kWebp}) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(whole.size() * 3 / 4));
    Field f;
    const auto r = decode_image(cut, 3, "cut", f);
    REQUIRE_FALSE(r);
    CHECK(has(r.error(), "cut: is a damaged"));
    damage(whole, 300, [&](const Bytes& b) { (void)decode_image(b, 3, "x", f); });
  }
}

TEST_CASE("names in Unicode: the same characters are the same name") {
  const std::string composed = "caf\xc3\xa9", apart = "cafe\xcc\x81";
  CHECK(nfc("plain") == "plain");
  CHECK(nfc("\xff\xfe") == "\xff\xfe");
  CHECK(nfc(apart) == composed);
  CHECK(same_class(apart, composed));
  CHECK_FALSE(same_class("cafe", composed));
  TempFolder t;
  t.write(apart + "/1.png", png(pattern(3, 3, 3), 3, 3, Png::rgb));
  t.write("tea/1.png", png(pattern(3, 3, 3), 3, 3, Png::rgb));
  ModelInfo info = info_for(-1, -1, 3, DType::u8, 2);
  CHECK(opened(t.path(), info)->classes() == std::vector<std::string>{composed, "tea"});
  const std::vector<const char*> names{"tea", composed.c_str()};
  info.classes = names;
  CHECK(opened(t.path(), info)->class_of(0) == 0);
  t.write(composed + "/2.png", png(pattern(3, 3, 3), 3, 3, Png::rgb));
  CHECK(has(error_of(t.path(), info), "twice"));
}

TEST_CASE("a folder says what it reads and what it leaves out") {
  TempFolder t;
  t.write("a/1.bmp", bmp(24, false));
  t.write("a/2.PNG", png(pattern(3, 3, 3), 3, 3, Png::rgb));
  t.write("b/3.tiff", tiff(1));
  t.write("b/4.heic", {1});
  t.write("b/notes.txt", {1});
  const ModelInfo info = info_for(-1, -1, 3, DType::u8, 2);
  CHECK(
      has(opened(t.path(), info)->describe(),
          "3 images (1 .bmp, 1 .png, 1 .tiff), 2 classes, 2 other files ignored (1 .heic, 1 .txt: images among them"));
  t.write("c/5.heic", {1});
  CHECK(has(error_of(t.path(), info), "/c: has no images (.jpg, .png, .webp, .bmp, .gif, .tif), but 1 .heic"));
}
