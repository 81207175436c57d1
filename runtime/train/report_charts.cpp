#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "runtime/train/report_parts.h"

namespace netc::rt::html {
namespace {

constexpr double kWidth = 520, kHeight = 290, kLeft = 54, kRight = 16, kTop = 14, kBottom = 42;
constexpr size_t kMostDots = 60;  // beyond it a line has no dots

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void take(double v) { low = std::min(low, v), high = std::max(high, v); }
};

/// 1, 2 or 5 times a power of ten, so that `range` takes about `steps` of it.
double nice_step(double range, int steps) {
  const double rough = range / steps, power = std::pow(10, std::floor(std::log10(rough)));
  const double x = rough / power;
  return power * (x < 1.5 ? 1 : x < 3.5 ? 2 : x < 7.5 ? 5 : 10);
}

/// Maps values to the drawing's coordinates.
struct Axes {
  Range x, y;
  double px(double v) const { return kLeft + (v - x.low) / (x.high - x.low) * (kWidth - kLeft - kRight); }
  double py(double v) const { return kHeight - kBottom - (v - y.low) / (y.high - y.low) * (kHeight - kTop - kBottom); }
};

Axes axes_of(const std::vector<Series>& series, bool unit_range) {
  Axes a;
  for (const Series& s : series) {
    for (const auto& [x, y] : s.points)
      if (std::isfinite(y)) a.x.take(x), a.y.take(y);
  }
  if (unit_range) a.x = {0, 1}, a.y = {0, 1};
  if (!(a.x.low <= a.x.high)) a.x = {0, 1};
  if (!(a.y.low <= a.y.high)) a.y = {0, 1};
  if (a.x.low == a.x.high) a.x.low -= 0.5, a.x.high += 0.5;
  const double room = a.y.high > a.y.low ? 0.06 * (a.y.high - a.y.low) : std::max(0.05 * std::abs(a.y.high), 1e-3);
  if (!unit_range) {
    const bool positive = a.y.low >= 0, share = a.y.high <= 1 && a.y.low >= 0;
    a.y.low -= room, a.y.high += room;
    if (positive) a.y.low = std::max(0.0, a.y.low);
    if (share && a.y.high > 1 && a.y.high - room > 0.9) a.y.high = 1 + room / 4;
  }
  return a;
}

std::string grid(const Axes& a, const std::string& x_name, bool whole_x) {
  std::string s;
  const double dy = nice_step(a.y.high - a.y.low, 5);
  for (double v = std::ceil(a.y.low / dy) * dy; v <= a.y.high + dy * 1e-9; v += dy) {
    const double value = std::abs(v) < dy * 1e-9 ? 0 : v;
    s += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/><text class=\"tick\" "
        "text-anchor=\"end\" x=\"{3:.1f}\" "
        "y=\"{4:.1f}\">{5:.4g}</text>\n",
        kLeft, kWidth - kRight, a.py(v), kLeft - 7, a.py(v) + 4, value);
  }
  double dx = nice_step(a.x.high - a.x.low, 8);
  if (whole_x) dx = std::max(1.0, dx);
  for (double v = std::ceil(a.x.low / dx) * dx; v <= a.x.high + dx * 1e-9; v += dx) {
    s += fmt::format("<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{:.4g}</text>\n", a.px(v),
                     kHeight - kBottom + 17, std::abs(v) < dx * 1e-9 ? 0 : v);
  }
  s += fmt::format("<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>", kLeft,
                   kWidth - kRight, kHeight - kBottom);
  s += fmt::format("<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                   (kLeft + kWidth - kRight) / 2, kHeight - 7, escape(x_name));
  return s;
}

std::string line(const Axes& a, const Series& s, bool dots) {
  std::string path, marks;
  bool down = false;
  for (const auto& [x, y] : s.points) {
    if (!std::isfinite(y)) {
      down = false;
      continue;
    }
    path += fmt::format("{}{:.1f} {:.1f}", down ? "L" : "M", a.px(x), a.py(y));
    down = true;
    if (dots)
      marks += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"><title>{} {:g}: {:.4f}</title></circle>",
                           a.px(x), a.py(y), escape(s.name), x, y);
  }
  return fmt::format("<g class=\"{}\"><path d=\"{}\"/>{}</g>\n", s.second ? "line second" : "line first", path, marks);
}

}  // namespace

std::string line_chart(const std::string& title, const std::string& x_name, const std::vector<Series>& series,
                       bool unit_range) {
  const Axes a = axes_of(series, unit_range);
  std::string s = fmt::format("<figure><figcaption>{}", escape(title));
  for (const Series& one : series)
    s += fmt::format("<span class=\"key {}\">{}</span>", one.second ? "second" : "first", escape(one.name));
  s += fmt::format("</figcaption>\n<svg viewBox=\"0 0 {:g} {:g}\" role=\"img\"><title>{}</title>\n", kWidth, kHeight,
                   escape(title));
  s += grid(a, x_name, !unit_range);
  if (unit_range)
    s += fmt::format("<line class=\"chance\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>", a.px(0),
                     a.py(0), a.px(1), a.py(1));
  for (const Series& one : series) s += line(a, one, !unit_range && one.points.size() <= kMostDots);
  return s + "</svg></figure>\n";
}

std::string roc_chart(std::vector<Scored> scores, const std::string& second_class) {
  std::erase_if(scores, [](const Scored& s) { return !std::isfinite(s.score); });
  std::sort(scores.begin(), scores.end(), [](const Scored& a, const Scored& b) { return a.score > b.score; });
  const size_t second = static_cast<size_t>(
                   std::count_if(scores.begin(), scores.end(), [](const Scored& s) { return s.second; })),
               first = scores.size() - second;
  if (first == 0 || second == 0) return "";
  Series curve{fmt::format("{}", second_class), {{0, 0}}};
  double area = 0;
  size_t hits = 0, false_alarms = 0;
  for (size_t i = 0; i < scores.size();) {
    const float at = scores[i].score;
    const auto [x0, y0] = std::pair(static_cast<double>(false_alarms) / static_cast<double>(first),
                                    static_cast<double>(hits) / static_cast<double>(second));
    // equal scores are one step
    for (; i < scores.size() && scores[i].score == at; ++i) (scores[i].second ? hits : false_alarms) += 1;
    const double x = static_cast<double>(false_alarms) / static_cast<double>(first),
                 y = static_cast<double>(hits) / static_cast<double>(second);
    area += (x - x0) * (y + y0) / 2;
    const auto& [last_x, last_y] = curve.points.back();
    // finer than a pixel
    if (std::abs(x - last_x) + std::abs(y - last_y) > 0.002 || i == scores.size()) curve.points.push_back({x, y});
  }
  return line_chart(fmt::format("ROC: area under the curve {:.4f}", area),
                    "false positive rate (up: true positive rate)", {curve}, true);
}

}  // namespace netc::rt::html
