// netc graph: well-formed, complete, and nothing lies on anything else.
#include "compiler/picture/picture.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "compiler/ops/ops.h"
#include "compiler/parse/parse.h"
#include "compiler/passes/pipeline.h"
#include "compiler/picture/layout.h"
#include "compiler/picture/network.h"
#include "compiler/schedule/make_plan.h"

using namespace netc;

namespace {

const char* kResidual = R"(
/// Shortcuts, <some> & "others".
net Residual(counts = [4, 3], classes = 10) {
  input image: f32[32, 32, 3]
  block ConvNorm(n, kernel, stride = 1) { Conv(n, kernel, stride = stride, padding = kernel / 2, bias = false) -> BatchNorm }
  block Basic(n, stride) {
    input x
    let shortcut = if stride == 1 and x.channels == n then x else x -> ConvNorm(n, 1, stride)
    output x -> ConvNorm(n, 3, stride) -> ReLU -> ConvNorm(n, 3) -> Add(shortcut) -> ReLU
  }
  var x = image -> ConvNorm(16, 3) -> ReLU
  for (stage, count) in enumerate(counts) {
    for i in 0..count { x = x -> Basic(16 * 2^stage, if stage > 0 and i == 0 then 2 else 1) }
  }
  output label = x -> GlobalAvgPool -> Dense(classes) -> Softmax
}
)";

const char* kBranches = R"(
net Branches {
  input left: f32[16, 16, 1]
  input right: f32[16, 16, 1]
  let tower = Conv(8, 3) -> ReLU -> MaxPool(2) -> Flatten -> Dense(16)
  let a = left -> tower
  let b = right -> tower
  let both = a -> Add(b)
  output same = both -> Dense(1) -> Sigmoid
  output kind = both -> Dropout(0.2) -> Dense(8) -> ReLU -> Add(a -> Dense(8), b -> Dense(8)) -> Dense(3) -> Softmax
}
)";

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

struct Drawn {
  sema::Model model;
  passes::Program program;
  plan::Plan plan;
  picture::Network network;
  std::string svg;
};

std::unique_ptr<Drawn> draw(const std::string& text) {
  const SourceFile source("test.net", text);
  Diagnostics diagnostics(source);
  auto d = std::make_unique<Drawn>();
  if (const auto file = parse(source, diagnostics))
    if (auto model = sema::analyse(*file, {}, ops::registry(), diagnostics)) d->model = std::move(*model);
  INFO(diagnostics.render(false));
  REQUIRE(!d->model.graph.outputs.empty());
  d->program = passes::run_pipeline(d->model, ops::registry());
  d->plan = schedule::make_plan(d->program.inference, host_machine(), 1);
  d->network = picture::network_of(d->model, d->plan);
  d->svg = picture::draw(d->model, d->plan);
  return d;
}

/// Every tag closes, in order; attributes are quoted; text holds no bare '<' or '&'.
bool well_formed(const std::string& xml) {
  static const std::regex tag(R"(<(/?)([a-zA-Z]+)((?:\s+[a-zA-Z:-]+="[^"<]*")*)\s*(/?)>)");
  static const std::regex text(R"((?:[^<&]|&(?:amp|lt|gt|quot|#10);)*)");
  std::vector<std::string> open;
  size_t at = 0;
  while (at < xml.size()) {
    const size_t next = std::min(xml.find('<', at), xml.size());
    if (!std::regex_match(xml.substr(at, next - at), text)) return false;
    if (next == xml.size()) break;
    const size_t close = xml.find('>', next);
    std::smatch m;
    const std::string whole = xml.substr(next, close - next + 1);
    if (close == std::string::npos || !std::regex_match(whole, m, tag)) return false;
    if (m[1] == "/") {
      if (open.empty() || open.back() != m[2]) return false;
      open.pop_back();
    } else if (m[4] != "/") {
      open.push_back(m[2]);
    }
    at = close + 1;
  }
  return open.empty();
}

struct Rect {
  double x, y, w, h;
};

std::vector<Rect> boxes(const std::string& svg) {
  static const std::regex box(
      "class=\"box\"[^>]* x=\"([^\"]+)\" y=\"([^\"]+)\" width=\"([^\"]+)\" height=\"([^\"]+)\"");
  std::vector<Rect> out;
  for (std::sregex_iterator it(svg.begin(), svg.end(), box), end; it != end; ++it)
    out.push_back({std::stod((*it)[1]), std::stod((*it)[2]), std::stod((*it)[3]), std::stod((*it)[4])});
  return out;
}

void sound(const Drawn& d) {
  CHECK(well_formed(d.svg));
  CHECK(d.svg.find("http") == d.svg.rfind("http"));  // the namespace only: nothing is fetched
  const std::vector<Rect> all = boxes(d.svg);
  CHECK(all.size() == d.network.boxes.size());
  for (size_t i = 0; i < all.size(); ++i) {
    CHECK(all[i].x >= 0);
    for (size_t j = i + 1; j < all.size(); ++j) {
      const bool apart = all[i].x + all[i].w <= all[j].x || all[j].x + all[j].w <= all[i].x ||
                         all[i].y + all[i].h <= all[j].y || all[j].y + all[j].h <= all[i].y;
      CHECK(apart);
    }
  }
  // Every row is in one box, after what it is computed from; every layer is drawn or stands for one that is.
  std::vector<int> seen(d.network.rows.size(), 0);
  for (const auto& box : d.network.boxes)
    for (const int r : box) ++seen[static_cast<size_t>(r)];
  CHECK(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
  size_t stands_for = d.network.rows.size();
  for (const picture::Repeat& r : d.network.repeats)
    stands_for += static_cast<size_t>((r.last - r.first + 1) * (r.times - 1));
  size_t ends = d.model.graph.outputs.size();
  for (const ir::Variable& v : d.model.graph.variables) ends += v.role == ir::Role::input;
  CHECK(stands_for == d.model.graph.layers.size() + ends);
  for (const picture::Edge& e : d.network.edges) CHECK(e.from < e.to);
}

}  // namespace

TEST_CASE("graph: every model is drawn, each layer once, boxes apart") {
  for (const auto& e : std::filesystem::directory_iterator(std::string(NETC_SOURCE_DIR) + "/models")) {
    if (e.path().extension() != ".net") continue;
    INFO(e.path().filename().string());
    const auto d = draw(read(e.path().string()));
    sound(*d);
    if (d->network.repeats.empty())
      for (const ir::Layer& l : d->model.graph.layers)
        CHECK_MESSAGE(d->svg.find("<title>" + l.name + ": ") != std::string::npos, l.name);
  }
}

TEST_CASE("graph: equal blocks are drawn once, shortcuts stay, text is escaped") {
  const auto d = draw(kResidual);
  sound(*d);
  REQUIRE(d->network.repeats.size() == 2);
  CHECK(d->network.repeats[0].times == 4);
  CHECK(d->network.repeats[1].times == 2);
  for (const picture::Repeat& r : d->network.repeats) CHECK(r.last - r.first + 1 == 7);
  CHECK(d->svg.find("× 4") != std::string::npos);
  CHECK(d->svg.find("&lt;some&gt; &amp; &quot;others&quot;") != std::string::npos);
  CHECK(d->svg.find("32 × 32 × 16") != std::string::npos);
  // The addition reads the convolution before it and what the block was given.
  int additions = 0;
  for (size_t r = 0; r < d->network.rows.size(); ++r) {
    if (d->network.rows[r].text.rfind("Add", 0) != 0) continue;
    ++additions;
    CHECK(std::count_if(d->network.edges.begin(), d->network.edges.end(),
                        [&](const picture::Edge& e) { return e.to == static_cast<int>(r); }) == 2);
  }
  CHECK(additions == 3);
}

TEST_CASE("graph: several inputs and outputs, layers without work") {
  const auto d = draw(kBranches);
  sound(*d);
  for (const char* name : {"left", "right", "same", "kind"})
    CHECK(d->svg.find(std::string(">") + name + "</text>") != std::string::npos);
  const auto gone = [&](const char* text) {
    return std::any_of(d->network.rows.begin(), d->network.rows.end(),
                       [&](const picture::Row& r) { return r.gone && r.text.rfind(text, 0) == 0; });
  };
  CHECK(gone("Dropout"));
  CHECK(gone("Flatten"));
  CHECK(!gone("Conv"));
}

TEST_CASE("graph: layouts of any graph keep boxes apart, and wires horizontal or vertical from box to box") {
  unsigned state = 5;
  const auto random = [&](int n) {
    state = state * 1664525 + 1013904223;
    return static_cast<int>((state >> 16) % static_cast<unsigned>(n));
  };
  for (int round = 0; round < 40; ++round) {
    std::vector<picture::Box> boxes(static_cast<size_t>(2 + random(20)));
    for (picture::Box& b : boxes) b.width = 64 + 2 * random(60), b.height = 25 * (1 + random(4));
    std::vector<picture::Wire> wires;
    for (int b = 1; b < static_cast<int>(boxes.size()); ++b)
      for (int k = random(3); k >= 0; --k) {
        const int a = random(3) == 0 ? random(b) : b - 1;
        picture::Wire w;
        w.from = a, w.to = b;
        if (random(4) == 0) w.leaves = 12.5;
        if (random(4) == 0) w.enters = boxes[static_cast<size_t>(b)].height - 12.5;
        wires.push_back(w);
      }
    picture::lay_out(boxes, wires);
    for (size_t i = 0; i < boxes.size(); ++i)
      for (size_t j = i + 1; j < boxes.size(); ++j) {
        const picture::Box &a = boxes[i], &b = boxes[j];
        const bool apart =
            a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
        CHECK(apart);
      }
    for (const picture::Wire& w : wires) {
      REQUIRE(w.path.size() >= 2);
      const picture::Box &a = boxes[static_cast<size_t>(w.from)], &b = boxes[static_cast<size_t>(w.to)];
      const picture::Point &s = w.path.front(), &e = w.path.back();
      CHECK((w.leaves < 0 ? s.y == a.y + a.height : s.y == a.y + w.leaves));
      CHECK((w.enters < 0 ? e.y == b.y : e.y == b.y + w.enters));
      CHECK((e.x >= b.x && e.x <= b.x + b.width));
      for (size_t k = 1; k < w.path.size(); ++k)
        CHECK((w.path[k].x == w.path[k - 1].x || w.path[k].y == w.path[k - 1].y));
    }
  }
}
