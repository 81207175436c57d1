#include "runtime/data/draw.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>

namespace netc::rt {
namespace {

struct Point {
  float x, y;
};

/// A digit's strokes in the unit square, y downwards; x < 0 lifts the pen.
constexpr Point kUp{-1, -1};
constexpr Point kZero[] = {{.5f, 0},     {.25f, .08f}, {.1f, .3f}, {.08f, .6f},  {.2f, .88f}, {.5f, 1},
                           {.78f, .88f}, {.92f, .6f},  {.9f, .3f}, {.75f, .08f}, {.5f, 0}};
constexpr Point kOne[] = {{.3f, .2f}, {.55f, 0}, {.52f, .5f}, {.5f, 1}};
constexpr Point kTwo[] = {{.12f, .25f}, {.25f, .06f}, {.5f, 0},  {.78f, .08f}, {.86f, .28f},
                          {.75f, .5f},  {.4f, .75f},  {.08f, 1}, {.5f, .98f},  {.92f, 1}};
constexpr Point kThree[] = {{.12f, .12f}, {.4f, 0},     {.72f, .06f}, {.82f, .25f}, {.7f, .43f}, {.4f, .48f},
                            {.72f, .54f}, {.88f, .75f}, {.72f, .95f}, {.4f, 1},     {.1f, .88f}};
constexpr Point kFour[] = {{.6f, 0}, {.3f, .35f},  {.06f, .66f}, {.5f, .65f}, {.95f, .64f},
                           kUp,      {.68f, .35f}, {.66f, .7f},  {.64f, 1}};
constexpr Point kFive[] = {{.85f, 0},    {.5f, .01f}, {.2f, 0},     {.16f, .42f}, {.45f, .38f},
                           {.78f, .48f}, {.88f, .7f}, {.75f, .92f}, {.42f, 1},    {.1f, .9f}};
constexpr Point kSix[] = {{.75f, .02f}, {.42f, .15f}, {.18f, .42f}, {.1f, .72f},  {.25f, .95f}, {.52f, 1},
                          {.8f, .9f},   {.86f, .7f},  {.7f, .52f},  {.42f, .52f}, {.16f, .68f}};
constexpr Point kSeven[] = {{.08f, .02f}, {.5f, .02f}, {.92f, 0}, {.7f, .35f}, {.5f, .68f}, {.4f, 1}};
constexpr Point kEight[] = {{.5f, .46f},  {.24f, .34f}, {.2f, .14f},  {.5f, 0},     {.8f, .14f},
                            {.76f, .34f}, {.5f, .46f},  {.16f, .64f}, {.14f, .88f}, {.5f, 1},
                            {.86f, .88f}, {.84f, .64f}, {.5f, .46f}};
constexpr Point kNine[] = {{.84f, .32f}, {.6f, .48f}, {.3f, .48f},  {.14f, .28f}, {.24f, .08f},
                           {.52f, 0},    {.8f, .1f},  {.84f, .32f}, {.78f, .65f}, {.6f, 1}};
constexpr std::span<const Point> kDigits[] = {kZero, kOne, kTwo, kThree, kFour, kFive, kSix, kSeven, kEight, kNine};

float real(CounterRandom& r, double low, double high) { return static_cast<float>(r.uniform(low, high)); }

uint8_t clamp8(float v) { return static_cast<uint8_t>(std::clamp(v, 0.f, 255.f) + .5f); }

/// Adds noise of about `sigma` grey levels to n values: sums of two random bytes.
void add_noise(uint8_t* p, size_t n, float sigma, CounterRandom& random) {
  const float scale = sigma / 104.f;
  uint64_t bits = 0;
  for (size_t i = 0; i < n; ++i) {
    if (i % 4 == 0) bits = random.bits();
    const auto sum = static_cast<float>((bits & 255) + (bits >> 8 & 255)) - 255.f;
    bits >>= 16;
    p[i] = clamp8(static_cast<float>(p[i]) + scale * sum);
  }
}

/// Raises the pixels within `radius` of the segment to `ink`, with a soft edge of one pixel. `grey`: height x width,
/// one channel `stride` bytes apart.
void stroke(Point a, Point b, float radius, float ink, int height, int width, int stride, uint8_t* grey) {
  const float reach = radius + 1;
  const int x0 = std::max(0, static_cast<int>(std::floor(std::min(a.x, b.x) - reach))),
            x1 = std::min(width - 1, static_cast<int>(std::ceil(std::max(a.x, b.x) + reach)));
  const int y0 = std::max(0, static_cast<int>(std::floor(std::min(a.y, b.y) - reach))),
            y1 = std::min(height - 1, static_cast<int>(std::ceil(std::max(a.y, b.y) + reach)));
  const float dx = b.x - a.x, dy = b.y - a.y, length2 = std::max(dx * dx + dy * dy, 1e-6f);
  for (int y = y0; y <= y1; ++y) {
    for (int x = x0; x <= x1; ++x) {
      const float px = static_cast<float>(x) - a.x, py = static_cast<float>(y) - a.y;
      const float t = std::clamp((px * dx + py * dy) / length2, 0.f, 1.f);
      const float ex = px - t * dx, ey = py - t * dy;
      const float cover = std::clamp(radius + .5f - std::sqrt(ex * ex + ey * ey), 0.f, 1.f);
      uint8_t& p = grey[static_cast<size_t>(y * width + x) * static_cast<size_t>(stride)];
      p = std::max(p, clamp8(ink * cover));
    }
  }
}

/// The signed distance from p to a polygon: negative inside.
float distance(Point p, std::span<const Point> polygon) {
  float nearest = 1e30f;
  bool inside = false;
  for (size_t i = 0, j = polygon.size() - 1; i < polygon.size(); j = i++) {
    const Point a = polygon[i], b = polygon[j];
    const float ex = b.x - a.x, ey = b.y - a.y, wx = p.x - a.x, wy = p.y - a.y;
    const float t = std::clamp((wx * ex + wy * ey) / (ex * ex + ey * ey), 0.f, 1.f);
    const float qx = wx - t * ex, qy = wy - t * ey;
    nearest = std::min(nearest, qx * qx + qy * qy);
    if ((a.y > p.y) != (b.y > p.y) && p.x < ex * (p.y - a.y) / ey + a.x) inside = !inside;
  }
  return inside ? -std::sqrt(nearest) : std::sqrt(nearest);
}

/// The corners of a shape of radius 1; none: a circle.
std::span<const Point> corners(int what, std::array<Point, 12>& out) {
  const auto at = [&](int i, float radius, double turns) {
    const double angle = 2 * std::numbers::pi * turns;
    out[static_cast<size_t>(i)] = {radius * static_cast<float>(std::sin(angle)),
                                   -radius * static_cast<float>(std::cos(angle))};
  };
  const auto polygon = [&](int n, float inner) {
    for (int i = 0; i < n; ++i) at(i, i % 2 ? inner : 1.f, static_cast<double>(i) / n);
    return std::span<const Point>(out.data(), static_cast<size_t>(n));
  };
  switch (what) {
    case 1: return polygon(4, 1.f);
    case 2: return polygon(3, 1.f);
    case 3: return polygon(10, .42f);
    case 4: {
      constexpr float kLong = .95f, kShort = .3f;
      constexpr Point kCross[] = {{-kShort, -kLong}, {kShort, -kLong}, {kShort, -kShort}, {kLong, -kShort},
                                  {kLong, kShort},   {kShort, kShort}, {kShort, kLong},   {-kShort, kLong},
                                  {-kShort, kShort}, {-kLong, kShort}, {-kLong, -kShort}, {-kShort, -kShort}};
      std::copy(std::begin(kCross), std::end(kCross), out.begin());
      return std::span<const Point>(out.data(), 12);
    }
    default: return {};
  }
}

}  // namespace

void draw_digit(int what, CounterRandom random, int height, int width, int channels, uint8_t* out, uint8_t* mask) {
  const size_t pixels = static_cast<size_t>(height) * static_cast<size_t>(width);
  std::fill(out, out + pixels * static_cast<size_t>(channels), uint8_t{0});
  const float unit = static_cast<float>(std::min(height, width)) / 28.f;  // the sizes below are for 28 x 28
  const float angle = real(random, -.32, .32), slant = real(random, -.35, .25), wide = real(random, 9, 16) * unit,
              tall = real(random, 16, 22) * unit;
  const float cx = static_cast<float>(width - 1) / 2 + real(random, -3, 3) * unit,
              cy = static_cast<float>(height - 1) / 2 + real(random, -2.5, 2.5) * unit;
  const float radius = real(random, .7, 1.7) * unit, ink = real(random, 150, 255), noise = real(random, 0, 22);
  const float c = std::cos(angle), s = std::sin(angle);
  std::array<Point, 16> line{};
  const std::span<const Point> strokes = kDigits[what];
  for (size_t i = 0; i < strokes.size(); ++i) {
    const float jx = real(random, -.06, .06), jy = real(random, -.05, .05);
    if (strokes[i].x < 0) {
      line[i] = kUp;
      continue;
    }
    const float y = (strokes[i].y - .5f + jy) * tall, x = (strokes[i].x - .5f + jx) * wide - slant * y;
    line[i] = {cx + c * x - s * y, cy + s * x + c * y};
  }
  for (size_t i = 1; i < strokes.size(); ++i)
    if (strokes[i].x >= 0 && strokes[i - 1].x >= 0)
      stroke(line[i - 1], line[i], radius, ink, height, width, channels, out);
  for (size_t i = 0; mask && i < pixels; ++i) mask[i] = out[static_cast<size_t>(channels) * i] > ink / 2;
  if (channels == 3)
    for (size_t i = 0; i < pixels; ++i) out[3 * i + 1] = out[3 * i + 2] = out[3 * i];
  add_noise(out, pixels * static_cast<size_t>(channels), noise, random);
}

void draw_shape(int what, CounterRandom random, int height, int width, int channels, uint8_t* out, uint8_t* mask) {
  const float size = static_cast<float>(std::min(height, width));
  std::array<float, 3> back{}, ink{};
  float apart = 0;
  while (apart < 90) {  // the two differ enough to see, in grey too
    apart = 0;
    for (size_t i = 0; i < 3; ++i) back[i] = real(random, 0, 255), ink[i] = real(random, 0, 255);
    const float luma = .299f * (back[0] - ink[0]) + .587f * (back[1] - ink[1]) + .114f * (back[2] - ink[2]);
    apart = std::abs(luma) * 1.5f;
  }
  const float radius = size * real(random, .2, .4), angle = real(random, -.35, .35), c = std::cos(angle),
              s = std::sin(angle), squeeze = real(random, .85, 1.15);
  const float mx = (static_cast<float>(width) / 2 - radius * .8f), my = (static_cast<float>(height) / 2 - radius * .8f);
  const float cx = static_cast<float>(width - 1) / 2 + real(random, -mx, mx),
              cy = static_cast<float>(height - 1) / 2 + real(random, -my, my);
  const float shade_x = real(random, -40, 40) / size, shade_y = real(random, -40, 40) / size,
              noise = real(random, 0, 20);
  std::array<Point, 12> room;
  const std::span<const Point> polygon = corners(what, room);
  uint8_t* p = out;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const float dx = static_cast<float>(x) - cx, dy = static_cast<float>(y) - cy;
      const Point at{(c * dx + s * dy) / radius * squeeze, (c * dy - s * dx) / radius};
      const float far = at.x * at.x + at.y * at.y;
      const float d = far > 2.f ? 1.f : polygon.empty() ? std::sqrt(far) - .9f : distance(at, polygon);
      const float cover = std::clamp(.5f - d * radius, 0.f, 1.f);
      if (mask) *mask++ = cover > .5f;
      const float shade = shade_x * (static_cast<float>(x) - static_cast<float>(width) / 2) +
                          shade_y * (static_cast<float>(y) - static_cast<float>(height) / 2);
      std::array<float, 3> rgb;
      for (size_t i = 0; i < 3; ++i) rgb[i] = cover * ink[i] + (1 - cover) * (back[i] + shade);
      if (channels == 1) *p++ = clamp8(.299f * rgb[0] + .587f * rgb[1] + .114f * rgb[2]);
      else
        for (const float v : rgb) *p++ = clamp8(v);
    }
  }
  add_noise(out, static_cast<size_t>(p - out), noise, random);
}

}  // namespace netc::rt
