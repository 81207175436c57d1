#include <doctest/doctest.h>

#include <cmath>

#include "tests/data/support.h"

using namespace netc::rt;
using namespace netc::rt::test;

namespace {

/// The largest difference between two pictures.
int apart(const Bytes& a, const Bytes& b) {
  REQUIRE(a.size() == b.size());
  int most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

Bytes smooth(int height, int width, int channels) {
  Bytes p;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c) p.push_back(static_cast<uint8_t>(40 + 2 * x + 3 * y + 20 * c));
  return p;
}

Bytes luma(const Bytes& rgb) {
  Bytes out;
  for (size_t i = 0; i < rgb.size(); i += 3)
    out.push_back(static_cast<uint8_t>(std::lround(.299 * rgb[i] + .587 * rgb[i + 1] + .114 * rgb[i + 2])));
  return out;
}

Field decoded(const Bytes& bytes, int channels) {
  Field s;
  const auto r = decode_image(bytes, channels, "x", s);
  INFO((r ? "" : r.error()));
  REQUIRE(r);
  return s;
}

}  // namespace

TEST_CASE("JPEG in colour and grey, as either") {
  const Bytes rgb = smooth(17, 23, 3), grey = smooth(17, 23, 1);
  const Field colour = decoded(jpeg(rgb, 17, 23, 3, 100), 3);
  CHECK(colour.height == 17);
  CHECK(colour.width == 23);
  CHECK(colour.channels == 3);
  CHECK(apart(colour.data, rgb) <= 4);
  CHECK(apart(decoded(jpeg(rgb, 17, 23, 3, 100), 1).data, luma(rgb)) <= 3);
  const Field g = decoded(jpeg(grey, 17, 23, 1, 100), 1), g3 = decoded(jpeg(grey, 17, 23, 1, 100), 3);
  CHECK(apart(g.data, grey) <= 2);
  for (size_t i = 0; i < g.data.size(); ++i) CHECK((g3.data[3 * i] == g.data[i] && g3.data[3 * i + 2] == g.data[i]));
  CHECK(decoded(jpeg(pattern(8, 8, 4), 8, 8, 4), 3).data.size() == 8 * 8 * 3);
}

TEST_CASE("PNG of every layout, plain and interlaced") {
  for (const bool interlaced : {false, true}) {
    CAPTURE(interlaced);
    const Bytes rgb = pattern(11, 13, 3), grey = pattern(11, 13, 1);
    CHECK(decoded(png(rgb, 11, 13, Png::rgb, interlaced), 3).data == rgb);
    CHECK(decoded(png(rgb, 11, 13, Png::rgb16, interlaced), 3).data == rgb);
    CHECK(decoded(png(grey, 11, 13, Png::grey, interlaced), 1).data == grey);
    CHECK(decoded(png(grey, 11, 13, Png::grey16, interlaced), 1).data == grey);
    CHECK(apart(decoded(png(rgb, 11, 13, Png::rgb, interlaced), 1).data, luma(rgb)) <= 1);
    const Field g3 = decoded(png(grey, 11, 13, Png::grey, interlaced), 3);
    for (size_t i = 0; i < grey.size(); ++i)
      CHECK((g3.data[3 * i] == grey[i] && g3.data[3 * i + 1] == grey[i] && g3.data[3 * i + 2] == grey[i]));
    const Bytes rgba = pattern(11, 13, 4);
    const Field opaque = decoded(png(rgba, 11, 13, Png::rgba, interlaced), 3);
    for (size_t i = 0; i < rgba.size() / 4; ++i)
      CHECK((opaque.data[3 * i] == rgba[4 * i] && opaque.data[3 * i + 2] == rgba[4 * i + 2]));
    const Bytes la = pattern(11, 13, 2);
    CHECK(decoded(png(la, 11, 13, Png::grey_alpha, interlaced), 1).data[5] == la[10]);
    const Field p = decoded(png(grey, 11, 13, Png::palette, interlaced), 3);
    for (size_t i = 0; i < grey.size(); ++i) CHECK((p.data[3 * i] == grey[i] && p.data[3 * i + 1] == 255 - grey[i]));
  }
}

TEST_CASE("damaged images are errors with their name, never crashes") {
  const std::vector<std::pair<Bytes, const char*>> images{
      {jpeg(pattern(40, 40, 3), 40, 40, 3), "colour.jpg"},
      {jpeg(pattern(40, 40, 1), 40, 40, 1), "grey.jpg"},
      {png(pattern(40, 40, 3), 40, 40, Png::rgb), "rgb.png"},
      {png(pattern(40, 40, 1), 40, 40, Png::palette, true), "palette.png"},
      {png(pattern(40, 40, 3), 40, 40, Png::rgb16), "wide.png"}};
  for (const auto& [bytes, name] : images) {
    CAPTURE(name);
    int refused = 0;
    damage(bytes, 200, [&, original = bytes, file = std::string(name)](const Bytes& b) {
      Field s;
      for (const int channels : {1, 3}) {
        const auto r = decode_image(b, channels, file, s);
        // cut off; the last two bytes of a JPEG are only its end mark
        if (b.size() < original.size() - 2) CHECK_FALSE(r);
        if (r)
          CHECK(s.data.size() ==
                static_cast<size_t>(s.height) * static_cast<size_t>(s.width) * static_cast<size_t>(channels));
        else CHECK(r.error().rfind(file + ": ", 0) == 0);
        refused += !r;
      }
    });
    CHECK(refused >= 200);
    Field s;
    CHECK(decode_image(bytes, 3, name, s));  // the decoder has not been spoiled
  }
}

TEST_CASE("sizes are checked before memory is taken; other formats are named") {
  Bytes huge = png(pattern(4, 4, 1), 4, 4, Png::grey);
  Field s;
  for (size_t i = 16; i < 24; ++i) huge[i] = i % 4 < 2 ? 0 : 0xff;  // 65535 x 65535; the checksum is wrong as well
  CHECK_FALSE(decode_image(huge, 1, "huge.png", s));
  Bytes wide = jpeg(pattern(8, 8, 3), 8, 8, 3);
  for (size_t i = 0; i + 8 < wide.size(); ++i)
    if (wide[i] == 0xff && wide[i + 1] == 0xc0) wide[i + 5] = wide[i + 6] = wide[i + 7] = wide[i + 8] = 0x7f;
  const auto r = decode_image(wide, 3, "wide.jpg", s);
  REQUIRE_FALSE(r);
  CHECK(r.error().find("million") != std::string::npos);
  CHECK(s.data.capacity() < 1000000);
  const Bytes gif{'G', 'I', 'F', '8', '9', 'a'};
  CHECK(decode_image(gif, 3, "a.gif", s).error().find("GIF") != std::string::npos);
  CHECK(decode_image(Bytes{}, 3, "none", s).error() == "none: is empty");
  CHECK_FALSE(read_image("/nonexistent/a.jpg", 3, s));
  CHECK_FALSE(read_image("/tmp", 3, s));
}
