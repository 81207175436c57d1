#include "runtime/data/augment/augmentation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string_view>

#include "runtime/kinds/kinds.h"

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

/// Brings a pixel's place into the image as `fill` has it; false: there is none.
bool inside(int& y, int& x, int h, int w, Fill fill) {
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

/// Fills `out` with what `in` shows at the mapped places, bilinear. Positions are fixed-point, 32 bits of fraction;
/// `outside` clips a pixel's place. C: the channels, 0: as `channels` says.
template <int C, class Outside>
void warp_pixels(const uint8_t* in, uint8_t* out, int h, int w, int channels, const std::array<double, 6>& map,
                 const Outside& outside) {
  const int c = C ? C : channels;
  const auto fixed = [](double v) { return static_cast<int64_t>(v * 0x1p32); };
  const double mx = (w - 1) / 2.0, my = (h - 1) / 2.0;
  // half of the weights' last bit
  const int64_t step_x = fixed(map[0]), step_y = fixed(map[3]), half = int64_t{1} << 23;
  for (int y = 0; y < h; ++y) {
    int64_t fx = fixed(map[1] * (y - my) + map[2] + mx - map[0] * mx) + half,
            fy = fixed(map[4] * (y - my) + map[5] + my - map[3] * mx) + half;
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

}  // namespace

void Moves::then(const std::array<double, 6>& n) {
  const std::array<double, 6> o = map;
  map = {o[0] * n[0] + o[1] * n[3], o[0] * n[1] + o[1] * n[4], o[0] * n[2] + o[1] * n[5] + o[2],
         o[3] * n[0] + o[4] * n[3], o[3] * n[1] + o[4] * n[4], o[3] * n[2] + o[4] * n[5] + o[5]};
}

tl::expected<Fill, std::string> fill_of(const AugmentInfo& info) {
  const std::string_view mode = info.mode ? info.mode : "";
  if (mode.empty() || mode == "reflect") return Fill::reflect;
  if (mode == "constant") return Fill::constant;
  if (mode == "nearest") return Fill::nearest;
  if (mode == "wrap") return Fill::wrap;
  return tl::make_unexpected(fmt::format("there is no mode {}; there are reflect, constant, nearest and wrap", mode));
}

Table line(double scale, double offset) {
  Table t;
  for (size_t v = 0; v < t.size(); ++v)
    t[v] = static_cast<uint8_t>(std::clamp(scale * static_cast<double>(v) + offset, 0.0, 255.0) + 0.5);
  return t;
}

void look_up(Field& s, const std::array<Table, 4>& tables) {
  const auto c = static_cast<size_t>(s.channels);
  uint8_t* p = s.data.data();
  for (const uint8_t* end = p + s.data.size(); p != end; p += c)
    for (size_t k = 0; k < c; ++k) p[k] = tables[k][p[k]];
}

tl::expected<Augmenter, std::string> Augmenter::create(std::span<const AugmentInfo> steps) {
  struct Maker {
    std::string_view name;
    MadeAugmentation (*make)(const AugmentInfo&);
  };
  static constexpr Maker kMakers[] = {
#define NETC_AUGMENTATION(name, ...) {#name, make_##name},
#include "runtime/kinds/augmentations.def"
#undef NETC_AUGMENTATION
  };
  Augmenter a;
  for (const AugmentInfo& info : steps) {
    const auto failed = [&](const std::string& why) {
      return tl::make_unexpected(fmt::format("augment: {}: {}", info.kind, why));
    };
    const kinds::Augmentation* kind = kinds::find(kinds::kAugmentations, info.kind);
    const Maker* maker = kinds::find(kMakers, info.kind);
    if (!kind || !maker) {
      std::string known;
      for (const kinds::Augmentation& k : kinds::kAugmentations)
        known += fmt::format("{}{}", known.empty() ? "" : ", ", k.name);
      return failed("there is no such augmentation; there are " + known);
    }
    for (size_t i = 0; i < 2; ++i) {
      const kinds::Argument& argument = kind->arguments[i];
      const double v = info.args[i];
      if (argument.name.empty() || !argument.choices.empty() || (argument.optional && v == 0)) continue;
      if (!(v > 0) || v > argument.most)
        return failed(fmt::format("needs an amount above 0 and not above {}, not {}; for example {}(0.1)",
                                  argument.most, v, kind->name));
    }
    auto made = maker->make(info);
    if (!made) return failed(made.error());
    a.steps_.push_back(std::move(*made));
  }
  return a;
}

void Augmenter::warp(Field& s, const Moves& moves) {
  const std::array<double, 6>& map = moves.map;
  const Fill fill = moves.fill;
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

Moves Augmenter::draw(const Field& s, CounterRandom& random) const {
  Moves m;
  for (const auto& step : steps_) step->move(m, s.height, s.width, random);
  return m;
}

bool Augmenter::moves() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const auto& step) { return step->moves(); });
}

void Augmenter::follow(Field& s, CounterRandom random) {
  if (s.data.empty() || s.channels != 1) return;
  const Moves moves = draw(s, random);
  if (!moves.warped) return mirror(s, moves.mirror_x, moves.mirror_y);
  const auto& m = moves.map;
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
  if (moves.warped) warp(s, moves);
  else mirror(s, moves.mirror_x, moves.mirror_y);
  for (const auto& step : steps_) step->colour(s, random);
}

}  // namespace netc::rt
