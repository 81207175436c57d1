// The drawing itself.
#include "compiler/picture/picture.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "compiler/picture/layout.h"
#include "compiler/picture/network.h"

namespace netc::picture {
namespace {

constexpr double kRow = 25, kPad = 11, kMargin = 24, kFont = 12.5, kSmall = 10.5, kCorner = 5;
constexpr const char* kFonts = "Helvetica, Arial, 'Nimbus Sans', 'Liberation Sans', sans-serif";
constexpr const char* kInk = "#1d2733";
constexpr const char* kPale = "#8592a0";
constexpr const char* kLine = "#5b6876";
constexpr const char* kGone = "#f6f7f8";

struct Style {
  const char *fill, *meaning;
};
Style style(Look l) {
  switch (l) {
    case Look::input:
    case Look::output: return {"#22344a", ""};
    case Look::product: return {"#c9dff5", "convolution or matrix product"};
    case Look::fold: return {"#d5ecd0", "window or reduction"};
    case Look::pointwise: return {"#fdebc6", "element by element"};
    case Look::move: return {"#e8e4f1", "another place or shape"};
  }
  return {"#ffffff", ""};
}

/// As wide as Helvetica and its kin set it, and a sixth more: what stands in for them where there are none is wider.
double width_of(const std::string& s, double size) {
  static const int widths[95] = {278,  278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
                                 556,  556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
                                 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
                                 667,  778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
                                 333,  556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
                                 556,  556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584};
  double w = 0;
  for (const char c : s) {
    const auto u = static_cast<unsigned char>(c);
    if ((u & 0xC0) == 0x80) continue;
    w += u >= 32 && u < 127 ? widths[u - 32] : 600;
  }
  return w * size / 1000 * 1.16;
}

std::string escaped(const std::string& s) {
  std::string out;
  for (const char c : s) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\n': out += "&#10;"; break;
      default:
        if (static_cast<unsigned char>(c) >= 32) out += c;
    }
  }
  return out;
}

std::string text(double x, double y, const std::string& s, double size, const char* color, const char* more = "") {
  return fmt::format("<text x=\"{:g}\" y=\"{:g}\" font-size=\"{:g}\" fill=\"{}\"{}>{}</text>\n", x, y, size, color,
                     more, escaped(s));
}

std::string rect(const std::string& attributes, double x, double y, double width, double height, double round = 0) {
  return fmt::format("<rect {} x=\"{:g}\" y=\"{:g}\" width=\"{:g}\" height=\"{:g}\" rx=\"{:g}\"/>\n", attributes, x, y,
                     width, height, round);
}

std::string level_line(const char* color, double width, double from, double to, double y) {
  return fmt::format("<path d=\"M{:g} {:g} H{:g}\" stroke=\"{}\" stroke-width=\"{:g}\"/>\n", from, y, to, color, width);
}

/// Horizontal and vertical pieces with round corners.
std::string curve(const std::vector<Point>& p) {
  std::string d = fmt::format("M{:g} {:g}", p[0].x, p[0].y);
  for (size_t i = 1; i + 1 < p.size(); ++i) {
    const auto toward = [&](const Point& to) {
      const double dx = to.x - p[i].x, dy = to.y - p[i].y, length = std::abs(dx) + std::abs(dy),
                   r = std::min(kCorner, length / 2);
      return length > 0 ? Point{p[i].x + dx / length * r, p[i].y + dy / length * r} : p[i];
    };
    const Point a = toward(p[i - 1]), b = toward(p[i + 1]);
    d += fmt::format(" L{:g} {:g} Q{:g} {:g} {:g} {:g}", a.x, a.y, p[i].x, p[i].y, b.x, b.y);
  }
  return d + fmt::format(" L{:g} {:g}", p.back().x, p.back().y);
}

class Picture {
 public:
  Picture(const sema::Model& model, Network net) : model_(model), net_(std::move(net)) {}

  std::string run() {
    measure();
    connect();
    lay_out(boxes_, wires_);
    extent();
    for (const Repeat& r : net_.repeats) frame(r);
    for (size_t w = 0; w < wires_.size(); ++w) wire(wires_[w]);
    for (size_t b = 0; b < boxes_.size(); ++b) box(b);
    labels();
    legend();
    return document();
  }

 private:
  const sema::Model& model_;
  Network net_;
  std::vector<Box> boxes_;
  std::vector<Wire> wires_;
  std::vector<int> box_of_, place_;  // of each row: its box, and which of its rows
  std::vector<bool> shown_shape_;    // rows whose shape stands inside the box
  std::string body_;
  double left_ = 0, right_ = 0, bottom_ = 0;

  void measure() {
    const size_t n = net_.rows.size();
    box_of_.assign(n, 0), place_.assign(n, 0), shown_shape_.assign(n, false);
    for (size_t b = 0; b < net_.boxes.size(); ++b) {
      const std::vector<int>& rows = net_.boxes[b];
      Box box;
      for (size_t k = 0; k < rows.size(); ++k) {
        const Row& r = net_.rows[rows[k]];
        box_of_[rows[k]] = static_cast<int>(b), place_[rows[k]] = static_cast<int>(k);
        // Where the shape changes inside a box. The last row's stands at the wire below it.
        shown_shape_[rows[k]] = k + 1 < rows.size() && net_.rows[rows[k + 1]].shape != r.shape;
        const double shape = shown_shape_[rows[k]] ? width_of(r.shape, kSmall) + 10 : 0;
        box.width = std::max(box.width, std::ceil((width_of(r.text, kFont) + 2 * shape + 2 * kPad) / 2) * 2);
      }
      box.width = std::max(box.width, 64.0);
      box.label = net_.rows[rows.back()].look == Look::output ? 0 : width_of(net_.rows[rows.back()].shape, kSmall) + 8;
      box.height = kRow * static_cast<double>(rows.size());
      boxes_.push_back(box);
    }
  }

  void connect() {
    std::set<std::tuple<int, int, double, double>> seen;
    for (const Edge& e : net_.edges) {
      const int a = box_of_[e.from], b = box_of_[e.to];
      if (a == b && place_[e.to] == place_[e.from] + 1) continue;
      if (a == b) continue;  // a second operand from inside the same kernel: the box itself says it
      Wire w;
      w.from = a, w.to = b;
      if (place_[e.from] + 1 < static_cast<int>(net_.boxes[a].size())) w.leaves = kRow * (place_[e.from] + 0.5);
      if (place_[e.to] > 0) w.enters = kRow * (place_[e.to] + 0.5);
      if (seen.insert({a, b, w.leaves, w.enters}).second) wires_.push_back(w);
    }
  }

  void extent() {
    for (const Box& b : boxes_) right_ = std::max(right_, b.x + b.width), bottom_ = std::max(bottom_, b.y + b.height);
    for (const Wire& w : wires_)
      for (const Point& p : w.path) left_ = std::min(left_, p.x - 4), right_ = std::max(right_, p.x + 4);
    for (size_t b = 0; b < boxes_.size(); ++b) {
      const Row& r = net_.rows[net_.boxes[b].back()];
      right_ = std::max(right_, boxes_[b].x + boxes_[b].width / 2 + 8 + width_of(r.shape, kSmall));
    }
  }

  void box(size_t b) {
    const Box& at = boxes_[b];
    const std::vector<int>& rows = net_.boxes[b];
    const Row& first = net_.rows[rows[0]];
    const bool end = first.look == Look::input || first.look == Look::output;
    const double round = end ? kRow / 2 : kCorner;
    const std::string clip = fmt::format("b{}", b);
    body_ += fmt::format("<g>\n<title>{}</title>\n",
                         escaped(net_.kernels[b].empty() ? first.title : "one kernel: " + net_.kernels[b]));
    body_ += fmt::format("<clipPath id=\"{}\">{}</clipPath>\n", clip,
                         rect("class=\"outline\"", at.x, at.y, at.width, at.height, round));
    for (size_t k = 0; k < rows.size(); ++k) {
      const Row& r = net_.rows[rows[k]];
      const double y = at.y + kRow * static_cast<double>(k), baseline = y + kRow / 2 + kFont * 0.35;
      body_ += fmt::format("<g class=\"row\" clip-path=\"url(#{})\"><title>{}</title>\n", clip, escaped(r.title));
      body_ += rect(fmt::format("fill=\"{}\"", r.gone ? kGone : style(r.look).fill), at.x, y, at.width, kRow);
      if (k > 0) body_ += level_line("#ffffff", 1.5, at.x, at.x + at.width, y);
      const char* font = r.gone ? " text-anchor=\"middle\" font-style=\"italic\"" : " text-anchor=\"middle\"";
      body_ += text(at.x + at.width / 2, baseline, r.text, kFont,
                    end      ? "#ffffff"
                    : r.gone ? kPale
                             : kInk,
                    end ? " text-anchor=\"middle\" font-weight=\"bold\"" : font);
      if (shown_shape_[rows[k]])
        body_ += text(at.x + at.width - kPad, baseline - 0.5, r.shape, kSmall, kLine, " text-anchor=\"end\"");
      body_ += "</g>\n";
    }
    const std::string stroke =
        fmt::format("class=\"box\" fill=\"none\" stroke=\"{}\"", end ? style(first.look).fill : kLine);
    body_ += rect(stroke, at.x, at.y, at.width, at.height, round) + "</g>\n";
  }

  void wire(const Wire& w) {
    body_ += fmt::format(
        "<path class=\"wire\" d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.2\" marker-end=\"url(#arrow)\"/>\n",
        curve(w.path), kLine);
  }

  /// The shape below each box; where a wire leaves by the side, above it.
  void labels() {
    std::set<std::pair<int, double>> seen;
    for (const Wire& w : wires_) {
      if (!seen.insert({w.from, w.leaves}).second) continue;
      const std::vector<int>& rows = net_.boxes[w.from];
      const Row& r = net_.rows[w.leaves < 0 ? rows.back() : rows[static_cast<size_t>(w.leaves / kRow)]];
      const Box& b = boxes_[w.from];
      if (w.leaves < 0) body_ += text(b.x + b.width / 2 + 6, b.y + b.height + 16, r.shape, kSmall, kLine);
    }
  }

  /// Around what repeats, and how often it does.
  void frame(const Repeat& repeat) {
    double x0 = 1e300, y0 = 1e300, x1 = -1e300, y1 = -1e300;
    const auto cover = [&](double ax, double ay, double bx, double by) {
      x0 = std::min(x0, ax), y0 = std::min(y0, ay), x1 = std::max(x1, bx), y1 = std::max(y1, by);
    };
    std::set<int> inside;
    for (int r = repeat.first; r <= repeat.last; ++r) inside.insert(box_of_[r]);
    for (const int b : inside)
      cover(boxes_[b].x, boxes_[b].y, boxes_[b].x + boxes_[b].width, boxes_[b].y + boxes_[b].height);
    const double top = y0, low = y1;
    for (const Wire& w : wires_)
      if (inside.count(w.to))
        for (const Point& p : w.path)
          if (p.y > top && p.y < low) cover(p.x, p.y, p.x, p.y);
    const std::string times = fmt::format("× {}", repeat.times);
    const double pad = 7, above = 5, wide = width_of(times, kFont + 1.5) + 14;
    const std::string dashed = fmt::format("fill=\"#f3f5f8\" stroke=\"{}\" stroke-dasharray=\"5 4\"", kPale);
    body_ += "<g class=\"repeat\">\n" + rect(dashed, x0 - pad, y0 - above, x1 - x0 + 2 * pad, y1 - y0 + 2 * above, 9);
    body_ +=
        text(x0 - pad - 7, (y0 + y1) / 2 + 5, times, kFont + 1.5, kInk, " text-anchor=\"end\" font-weight=\"bold\"") +
        "</g>\n";
    left_ = std::min(left_, x0 - pad - wide);
    right_ = std::max(right_, x1 + pad);
    bottom_ = std::max(bottom_, y1 + above);
  }

  void legend() {
    struct Item {
      const char* fill;
      std::string text;
      bool joined;
    };
    std::vector<Item> items;
    for (const Look l : {Look::product, Look::fold, Look::pointwise, Look::move})
      if (std::any_of(net_.rows.begin(), net_.rows.end(), [&](const Row& r) { return r.look == l && !r.gone; }))
        items.push_back({style(l).fill, style(l).meaning, false});
    if (std::any_of(net_.rows.begin(), net_.rows.end(), [](const Row& r) { return r.gone; }))
      items.push_back({kGone, "nothing left to compute", false});
    if (std::any_of(net_.boxes.begin(), net_.boxes.end(), [](const auto& b) { return b.size() > 1; }))
      items.push_back({"#ffffff", "joined: one kernel", true});
    if (items.empty()) return;
    const double size = kSmall, swatch = 13, between = 16;
    right_ = std::max(right_, left_ + 250);
    double x = left_, y = bottom_ + 34;
    for (const Item& i : items) {
      const double wide = swatch + 6 + width_of(i.text, size) + between;
      if (x > left_ && x + wide - between > right_) x = left_, y += 18;
      body_ += rect(fmt::format("fill=\"{}\" stroke=\"{}\" stroke-width=\"0.8\"", i.fill, i.joined ? kLine : kPale), x,
                    y - 10, swatch, swatch, 2.5);
      if (i.joined) body_ += level_line(kPale, 1, x, x + swatch, y - 3.5);
      body_ += text(x + swatch + 6, y, i.text, size, kLine);
      x += wide;
    }
    bottom_ = y + 6;
  }

  std::string document() const {
    const double width = right_ - left_ + 2 * kMargin, height = bottom_ + 2 * kMargin;
    std::string out = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"{:g} {:g} {:g} {:g}\" width=\"{:g}\" height=\"{:g}\" "
        "font-family=\"{}\" role=\"img\">\n",
        left_ - kMargin, -kMargin, width, height, width, height, kFonts);
    out += fmt::format("<title>{}</title>\n<desc>{}</desc>\n", escaped(model_.net), escaped(model_.doc));
    out += fmt::format(
        "<defs><marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"9.5\" refY=\"5\" markerWidth=\"8\" markerHeight=\"8\" "
        "orient=\"auto\">"
        "<path d=\"M0.5 1 L9.5 5 L0.5 9 L2.5 5 Z\" fill=\"{}\"/></marker></defs>\n",
        kLine);
    out += rect("fill=\"#ffffff\"", left_ - kMargin, -kMargin, width, height);
    return out + body_ + "</svg>\n";
  }
};

}  // namespace

std::string draw(const sema::Model& model, const plan::Plan& plan) {
  return Picture(model, network_of(model, plan)).run();
}

}  // namespace netc::picture
