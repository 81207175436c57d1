#include "runtime/data/augment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numbers>
#include <string_view>

namespace netc::rt {
namespace {

/// The pixel that stands at `i` outside of 0..n-1.
int reflect(int i, int n) {
  const int period = 2 * n;
  i %= period;
  if (i < 0) i += period;
  return i < n ? i : period - 1 - i;
}

int wrap_around(int i, int n) {
  i %= n;
  return i < 0 ? i + n : i;
}

void mirror(Field& s, bool horizontal, bool vertical) {
  const auto c = static_cast<size_t>(s.channels), w = static_cast<size_t>(s.width), h = static_cast<size_t>(s.height);
  uint8_t* p = s.data.data();
  if (vertical)
    for (size_t y = 0; y < h / 2; ++y) std::swap_ranges(p + y * w * c, p + (y + 1) * w * c, p + (h - 1 - y) * w * c);
  if (!horizontal) return;
  for (size_t y = 0; y < h; ++y) {
    uint8_t* row = p + y * w * c;
    for (size_t a = 0, b = w - 1; a < b; ++a, --b)
      for (size_t k = 0; k < c; ++k) std::swap(row[a * c + k], row[b * c + k]);
  }
}

std::array<uint8_t, 256> line(double scale, double offset) {
  std::array<uint8_t, 256> t;
  for (size_t v = 0; v < 256; ++v)
    t[v] = static_cast<uint8_t>(std::clamp(scale * static_cast<double>(v) + offset, 0.0, 255.0) + 0.5);
  return t;
}

using Table = std::array<uint8_t, 256>;

/// Replaces each value of channel `k` by tables[k][value].
void look_up(Field& s, const std::array<Table, 4>& tables) {
  const auto c = static_cast<size_t>(s.channels);
  uint8_t* p = s.data.data();
  for (const uint8_t* end = p + s.data.size(); p != end; p += c)
    for (size_t k = 0; k < c; ++k) p[k] = tables[k][p[k]];
}

/// Times `factor` around each channel's mean.
void contrast(Field& s, double factor) {
  const auto c = static_cast<size_t>(s.channels);
  std::array<uint64_t, 4> sums{};
  const uint8_t* p = s.data.data();
  for (const uint8_t* end = p + s.data.size(); p != end; p += c)
    for (size_t k = 0; k < c; ++k) sums[k] += p[k];
  std::array<Table, 4> tables;
  for (size_t k = 0; k < c; ++k)
    tables[k] = line(factor, static_cast<double>(sums[k]) / static_cast<double>(s.data.size() / c) * (1 - factor));
  look_up(s, tables);
}

}  // namespace

tl::expected<Augmenter, std::string> Augmenter::create(std::span<const AugmentInfo> steps) {
  Augmenter a;
  for (const AugmentInfo& info : steps) {
    const std::string_view kind = info.kind, mode = info.mode ? info.mode : "";
    const auto failed = [&](const std::string& why) {
      return tl::make_unexpected(fmt::format("augment: {}: {}", kind, why));
    };
    Step s{Kind::flip,
           Fill::reflect,
           false,
           false,
           info.args[1] == 0,
           info.args[0],
           info.args[1] == 0 ? info.args[0] : info.args[1]};
    if (kind == "flip") {
      s.horizontal = mode.empty() || mode == "horizontal" || mode == "both";
      s.vertical = mode == "vertical" || mode == "both";
      if (!s.horizontal && !s.vertical)
        return failed(fmt::format("there is no mode {}; there are horizontal, vertical and both", mode));
      a.steps_.push_back(s);
      continue;
    }
    if (kind == "rotate") s.kind = Kind::rotate;
    else if (kind == "shift") s.kind = Kind::shift;
    else if (kind == "zoom") s.kind = Kind::zoom;
    else if (kind == "contrast") s.kind = Kind::contrast;
    else if (kind == "brightness") s.kind = Kind::brightness;
    else return failed("there is no such augmentation; there are flip, rotate, shift, zoom, contrast and brightness");
    if (mode == "constant") s.fill = Fill::constant;
    else if (mode == "nearest") s.fill = Fill::nearest;
    else if (mode == "wrap") s.fill = Fill::wrap;
    else if (!mode.empty() && mode != "reflect")
      return failed(fmt::format("there is no mode {}; there are reflect, constant, nearest and wrap", mode));
    const double most = s.kind == Kind::zoom ? 0.99 : 1;
    for (const double v : {s.a, s.b}) {
      if (!(v > 0) || v > most)
        return failed(
            fmt::format("needs an amount above 0 and not above {}, not {}; for example {}(0.1)", most, v, kind));
    }
    a.steps_.push_back(s);
  }
  return a;
}

/// Fills `out` with what `in` shows at the mapped places, bilinear. Positions are fixed-point, 32 bits of fraction;
/// `outside` clips a pixel's place. C: the channels, 0: as `channels` says.
template <int C, class Outside>
void Augmenter::warp_pixels(const uint8_t* in, uint8_t* out, int h, int w, int channels, const Affine& map,
                            const Outside& outside) {
  const int c = C ? C : channels;
  const auto fixed = [](double v) { return static_cast<int64_t>(v * 0x1p32); };
  const double mx = (w - 1) / 2.0, my = (h - 1) / 2.0;
  // half of the weights' last bit
  const int64_t step_x = fixed(map.m[0]), step_y = fixed(map.m[3]), half = int64_t{1} << 23;
  for (int y = 0; y < h; ++y) {
    int64_t fx = fixed(map.m[1] * (y - my) + map.m[2] + mx - map.m[0] * mx) + half,
            fy = fixed(map.m[4] * (y - my) + map.m[5] + my - map.m[3] * mx) + half;
    for (int x = 0; x < w; ++x, fx += step_x, fy += step_y) {
      const int x0 = static_cast<int>(fx >> 32), y0 = static_cast<int>(fy >> 32);
      const int wx = static_cast<int>(fx >> 24 & 255), wy = static_cast<int>(fy >> 24 & 255);
      const uint8_t *a, *b, *d, *e;
      if (static_cast<unsigned>(x0) < static_cast<unsigned>(w - 1) &&
          static_cast<unsigned>(y0) < static_cast<unsigned>(h - 1)) {
        a = in + (static_cast<ptrdiff_t>(y0) * w + x0) * c;
        b = a + c;
        d = a + static_cast<ptrdiff_t>(w) * c;
        e = d + c;
      } else {
        a = outside(y0, x0), b = outside(y0, x0 + 1), d = outside(y0 + 1, x0), e = outside(y0 + 1, x0 + 1);
      }
      for (int k = 0; k < c; ++k) {
        const int top = (a[k] << 8) + (b[k] - a[k]) * wx, bottom = (d[k] << 8) + (e[k] - d[k]) * wx;
        *out++ = static_cast<uint8_t>(((top << 8) + (bottom - top) * wy + 32768) >> 16);
      }
    }
  }
}

/// Brings a pixel's place into the image as `fill` has it; false: there is none.
bool Augmenter::inside(int& y, int& x, int h, int w, Fill fill) {
  if (static_cast<unsigned>(x) < static_cast<unsigned>(w) && static_cast<unsigned>(y) < static_cast<unsigned>(h))
    return true;
  switch (fill) {
    case Fill::constant: return false;
    case Fill::nearest: x = std::clamp(x, 0, w - 1), y = std::clamp(y, 0, h - 1); break;
    case Fill::wrap: x = wrap_around(x, w), y = wrap_around(y, h); break;
    case Fill::reflect: x = reflect(x, w), y = reflect(y, h); break;
  }
  return true;
}

void Augmenter::warp(Field& s, const Affine& map, Fill fill) {
  other_.resize(s.data.size());
  const int w = s.width, h = s.height, c = s.channels;
  const uint8_t* in = s.data.data();
  const auto outside = [=](int y, int x) -> const uint8_t* {
    static constexpr std::array<uint8_t, 4> kBlack{};
    return inside(y, x, h, w, fill) ? in + (static_cast<ptrdiff_t>(y) * w + x) * c : kBlack.data();
  };
  if (c == 1) warp_pixels<1>(in, other_.data(), h, w, c, map, outside);
  else if (c == 3) warp_pixels<3>(in, other_.data(), h, w, c, map, outside);
  else warp_pixels<0>(in, other_.data(), h, w, c, map, outside);
  s.data.swap(other_);
}

Augmenter::Moves Augmenter::draw(const Field& s, CounterRandom& random) const {
  Moves m;
  Affine& map = m.map;
  // Composes: the steps so far are applied to what this one reads.
  const auto then = [&](double a, double b, double c, double d, double e, double f) {
    const auto& o = map.m;
    map = {{o[0] * a + o[1] * d, o[0] * b + o[1] * e, o[0] * c + o[1] * f + o[2], o[3] * a + o[4] * d,
            o[3] * b + o[4] * e, o[3] * c + o[4] * f + o[5]}};
  };
  for (const Step& step : steps_) {
    double u = 0, v = 0;
    switch (step.kind) {
      case Kind::flip: {
        const bool x = step.horizontal && random.uniform() < 0.5, y = step.vertical && random.uniform() < 0.5;
        m.mirror_x ^= x, m.mirror_y ^= y;
        then(x ? -1 : 1, 0, 0, 0, y ? -1 : 1, 0);
        continue;
      }
      case Kind::rotate: {
        const double angle = random.uniform(-step.a, step.a) * 2 * std::numbers::pi, c = std::cos(angle),
                     sn = std::sin(angle);
        then(c, -sn, 0, sn, c, 0);
        break;
      }
      case Kind::shift:
        u = random.uniform(-step.a, step.a) * s.height;
        v = random.uniform(-step.b, step.b) * s.width;
        then(1, 0, v, 0, 1, u);
        break;
      case Kind::zoom:
        u = 1 + random.uniform(-step.a, step.a);
        v = step.same ? u : 1 + random.uniform(-step.b, step.b);
        then(v, 0, 0, 0, u, 0);
        break;
      case Kind::contrast:
      case Kind::brightness: continue;
    }
    m.warped = true;
    m.fill = step.fill;
  }
  return m;
}

bool Augmenter::moves() const {
  return std::any_of(steps_.begin(), steps_.end(),
                     [](const Step& s) { return s.kind != Kind::contrast && s.kind != Kind::brightness; });
}

void Augmenter::follow(Field& s, CounterRandom random) {
  if (s.data.empty() || s.channels != 1) return;
  const Moves moves = draw(s, random);
  if (!moves.warped) return mirror(s, moves.mirror_x, moves.mirror_y);
  const auto& m = moves.map.m;
  const double mx = (s.width - 1) / 2.0, my = (s.height - 1) / 2.0;
  other_.resize(s.data.size());
  uint8_t* out = other_.data();
  for (int y = 0; y < s.height; ++y) {
    for (int x = 0; x < s.width; ++x) {
      const double fx = m[0] * (x - mx) + m[1] * (y - my) + m[2] + mx,
                   fy = m[3] * (x - mx) + m[4] * (y - my) + m[5] + my;
      int u = static_cast<int>(std::floor(fx + 0.5)), v = static_cast<int>(std::floor(fy + 0.5));
      *out++ = inside(v, u, s.height, s.width, moves.fill)
                   ? s.data[static_cast<size_t>(v) * static_cast<size_t>(s.width) + static_cast<size_t>(u)]
                   : uint8_t{0};
    }
  }
  s.data.swap(other_);
}

void Augmenter::apply(Field& s, CounterRandom random) {
  if (s.data.empty() || s.channels > 4) return;
  const Moves moves = draw(s, random);
  if (moves.warped) warp(s, moves.map, moves.fill);
  else mirror(s, moves.mirror_x, moves.mirror_y);
  for (const Step& step : steps_) {
    if (step.kind == Kind::contrast) contrast(s, 1 + random.uniform(-step.a, step.a));
    if (step.kind != Kind::brightness) continue;
    std::array<Table, 4> tables;
    tables.fill(line(1, 255 * random.uniform(-step.a, step.a)));
    look_up(s, tables);
  }
}

}  // namespace netc::rt
