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

void mirror(Sample& s, bool horizontal, bool vertical) {
  const auto c = static_cast<size_t>(s.channels), w = static_cast<size_t>(s.width), h = static_cast<size_t>(s.height);
  uint8_t* p = s.pixels.data();
  if (vertical)
    for (size_t y = 0; y < h / 2; ++y) std::swap_ranges(p + y * w * c, p + (y + 1) * w * c, p + (h - 1 - y) * w * c);
  if (!horizontal) return;
  for (size_t y = 0; y < h; ++y) {
    uint8_t* row = p + y * w * c;
    for (size_t a = 0, b = w - 1; a < b; ++a, --b)
      for (size_t k = 0; k < c; ++k) std::swap(row[a * c + k], row[b * c + k]);
  }
}

/// Replaces each value of channel `k` by table[value].
void look_up(Sample& s, size_t k, const std::array<uint8_t, 256>& table) {
  const auto c = static_cast<size_t>(s.channels);
  for (size_t i = k; i < s.pixels.size(); i += c) s.pixels[i] = table[s.pixels[i]];
}

std::array<uint8_t, 256> line(double scale, double offset) {
  std::array<uint8_t, 256> t;
  for (size_t v = 0; v < 256; ++v) t[v] = static_cast<uint8_t>(std::clamp(scale * static_cast<double>(v) + offset, 0.0, 255.0) + 0.5);
  return t;
}

/// Times `factor` around each channel's mean.
void contrast(Sample& s, double factor) {
  const auto c = static_cast<size_t>(s.channels);
  for (size_t k = 0; k < c; ++k) {
    uint64_t sum = 0;
    for (size_t i = k; i < s.pixels.size(); i += c) sum += s.pixels[i];
    const double mean = static_cast<double>(sum) / std::max(1.0, static_cast<double>(s.pixels.size() / c));
    look_up(s, k, line(factor, mean * (1 - factor)));
  }
}

}  // namespace

tl::expected<Augmenter, std::string> Augmenter::create(std::span<const AugmentInfo> steps) {
  Augmenter a;
  for (const AugmentInfo& info : steps) {
    const std::string_view kind = info.kind, mode = info.mode ? info.mode : "";
    const auto failed = [&](const std::string& why) { return tl::make_unexpected(fmt::format("augment: {}: {}", kind, why)); };
    Step s{Kind::flip, Fill::reflect, false, false, info.args[1] == 0, info.args[0], info.args[1] == 0 ? info.args[0] : info.args[1]};
    if (kind == "flip") {
      s.horizontal = mode.empty() || mode == "horizontal" || mode == "both";
      s.vertical = mode == "vertical" || mode == "both";
      if (!s.horizontal && !s.vertical) return failed(fmt::format("there is no mode {}; there are horizontal, vertical and both", mode));
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
    else if (!mode.empty() && mode != "reflect") return failed(fmt::format("there is no mode {}; there are reflect, constant, nearest and wrap", mode));
    const double most = s.kind == Kind::zoom ? 0.99 : 1;
    for (const double v : {s.a, s.b}) {
      if (!(v > 0) || v > most) return failed(fmt::format("needs an amount above 0 and not above {}, not {}; for example {}(0.1)", most, v, kind));
    }
    a.steps_.push_back(s);
  }
  return a;
}

void Augmenter::warp(Sample& s, const Affine& map, Fill fill) {
  other_.resize(s.pixels.size());
  const int w = s.width, h = s.height, c = s.channels;
  const float mx = static_cast<float>(w - 1) / 2, my = static_cast<float>(h - 1) / 2;
  const auto m = [&](int i) { return static_cast<float>(map.m[i]); };
  const uint8_t* in = s.pixels.data();
  uint8_t* out = other_.data();
  const auto at = [&](int y, int x) -> const uint8_t* {  
    static constexpr std::array<uint8_t, 4> kBlack{};
    if (static_cast<unsigned>(x) >= static_cast<unsigned>(w) || static_cast<unsigned>(y) >= static_cast<unsigned>(h)) {
      switch (fill) {
        case Fill::constant: return kBlack.data();
        case Fill::nearest: x = std::clamp(x, 0, w - 1), y = std::clamp(y, 0, h - 1); break;
        case Fill::wrap: x = wrap_around(x, w), y = wrap_around(y, h); break;
        case Fill::reflect: x = reflect(x, w), y = reflect(y, h); break;
      }
    }
    return in + static_cast<ptrdiff_t>(y * w + x) * c;
  };
  for (int y = 0; y < h; ++y) {
    const float oy = static_cast<float>(y) - my, ax = m(1) * oy + m(2) + mx, ay = m(4) * oy + m(5) + my;
    for (int x = 0; x < w; ++x) {
      const float ox = static_cast<float>(x) - mx, ix = m(0) * ox + ax, iy = m(3) * ox + ay;
      const float fx = std::floor(ix), fy = std::floor(iy);
      const int x0 = static_cast<int>(fx), y0 = static_cast<int>(fy);
      const int wx = static_cast<int>((ix - fx) * 256 + .5f), wy = static_cast<int>((iy - fy) * 256 + .5f);
      const uint8_t *a, *b, *d, *e;
      if (x0 >= 0 && y0 >= 0 && x0 + 1 < w && y0 + 1 < h) {
        a = in + static_cast<ptrdiff_t>(y0 * w + x0) * c;
        b = a + c;
        d = a + static_cast<ptrdiff_t>(w) * c;
        e = d + c;
      } else {
        a = at(y0, x0), b = at(y0, x0 + 1), d = at(y0 + 1, x0), e = at(y0 + 1, x0 + 1);
      }
      for (int k = 0; k < c; ++k) {
        const int top = a[k] * (256 - wx) + b[k] * wx, bottom = d[k] * (256 - wx) + e[k] * wx;
        *out++ = static_cast<uint8_t>((top * (256 - wy) + bottom * wy + 32768) >> 16);
      }
    }
  }
  s.pixels.swap(other_);
}

void Augmenter::apply(Sample& s, CounterRandom random) {
  if (s.pixels.empty() || s.channels > 4) return;
  Affine map;
  bool moves = false, mirror_x = false, mirror_y = false;
  Fill fill = Fill::reflect;
  // Composes: the steps so far are applied to what this one reads.
  const auto then = [&](double a, double b, double c, double d, double e, double f) {
    const auto& m = map.m;
    map = {{m[0] * a + m[1] * d, m[0] * b + m[1] * e, m[0] * c + m[1] * f + m[2], m[3] * a + m[4] * d, m[3] * b + m[4] * e, m[3] * c + m[4] * f + m[5]}};
  };
  for (const Step& step : steps_) {
    double u = 0, v = 0;
    switch (step.kind) {
      case Kind::flip: {
        const bool x = step.horizontal && random.uniform() < 0.5, y = step.vertical && random.uniform() < 0.5;
        mirror_x ^= x, mirror_y ^= y;
        then(x ? -1 : 1, 0, 0, 0, y ? -1 : 1, 0);
        continue;
      }
      case Kind::rotate: {
        const double angle = random.uniform(-step.a, step.a) * 2 * std::numbers::pi, c = std::cos(angle), sn = std::sin(angle);
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
    moves = true;
    fill = step.fill;
  }
  if (moves) warp(s, map, fill);
  else mirror(s, mirror_x, mirror_y);
  for (const Step& step : steps_) {
    if (step.kind == Kind::contrast) contrast(s, 1 + random.uniform(-step.a, step.a));
    if (step.kind != Kind::brightness) continue;
    const auto table = line(1, 255 * random.uniform(-step.a, step.a));
    for (size_t k = 0; k < static_cast<size_t>(s.channels); ++k) look_up(s, k, table);
  }
}

}  // namespace netc::rt
