// What may vary follows from lower/: whatever has to divide does, tiles fit the registers, a sample is split one way or
// not at all. strategy.cpp says what the numbers are for.
#include "compiler/schedule/candidates.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>

#include "compiler/schedule/joins.h"
#include "compiler/schedule/strategy.h"

namespace netc::schedule {
namespace {

using ir::Type;

constexpr int64_t kMostTasks = 64, kMostSamples = 64;

class Chooser {
 public:
  Chooser(const Plan& p, const Kernel& k, const Machine& m, const Strategy& s) : p_(p), k_(k), m_(m), s_(s) {}

  std::vector<Choice> run() {
    const std::string& n = s_.name;
    if (k_.outputs.empty() || p_.buffers[k_.outputs[0]].type.has_any_extent()) return {};
    if (n == "map" || n == "window" || n == "rows") tasks(1);
    if (k_.anchor == ir::kNone) return std::move(found_);
    if (n == "gemm") gemm();
    else if (n == "gemm_stream") gemm_stream();
    else if (n == "dot") dot();
    else if (n == "outer") outer();
    else if (n == "tokens") tokens();
    else if (n == "strassen") strassen();
    else if (n == "attention") attention();
    else if (n == "conv_lanes") conv_lanes();
    else if (n == "conv_depth") conv_depth();
    else if (n == "conv_planes") conv_planes();
    else if (n == "conv_dot") conv_dot();
    else if (n == "winograd") winograd();
    else if (n == "taps_lanes" || n == "taps_planes" || n == "taps_panels") taps();
    else if (n == "tile_sums") tile_sums();
    else if (n == "reduce") add("tasks", 2, 64, power);
    return std::move(found_);
  }

 private:
  using Fits = std::function<bool(int64_t)>;

  int64_t now(const char* number) const { return s_.get(number, 1); }
  const Type& result() const { return p_.graph->type(p_.graph->nodes[k_.anchor].results[0]); }
  const Type& operand(size_t i) const { return p_.graph->type(p_.graph->nodes[k_.anchor].inputs[i]); }
  const Buffer& out() const { return p_.buffers[k_.outputs[0]]; }
  /// Registers of a vector.
  int64_t each() const { return (s_.vector + m_.vector_floats - 1) / m_.vector_floats; }
  /// `held` vectors times `rows` of sums leave room for what they are made of.
  bool in_registers(int64_t held, int64_t rows) const {
    return held * rows * each() + std::min(held, rows) * each() + 1 <= m_.vector_registers;
  }

  static bool power(int64_t v) { return (v & (v - 1)) == 0; }

  /// A number that the strategy has may be what fits.
  void add(const char* number, int64_t from, int64_t to, const Fits& fits = {}) {
    Choice c{number, {}};
    for (int64_t v = from; v <= to; ++v)
      if (!fits || fits(v)) c.values.push_back(v);
    keep(std::move(c));
  }
  void keep(Choice c) {
    if (s_.get(c.number, -1) < 0 || c.values.empty()) return;
    std::sort(c.values.begin(), c.values.end());
    c.values.erase(std::unique(c.values.begin(), c.values.end()), c.values.end());
    found_.push_back(std::move(c));
  }
  /// Pieces of which 1, 2, 3, ... make `extent`, each a multiple of `unit`.
  void pieces(const char* number, int64_t extent, int64_t unit = 1) {
    Choice c{number, {extent}};
    for (int64_t t = 2; t <= std::min(extent, kMostTasks); ++t)
      if (const int64_t piece = ((extent + t - 1) / t + unit - 1) / unit * unit; piece < extent)
        c.values.push_back(piece);
    keep(std::move(c));
  }
  void samples() { add("task_samples", 1, kMostSamples, power); }

  // A sample is split into rows, or samples go together.
  void tasks(int64_t unit) {
    const Type& t = out().type;
    if (t.rank() < 2 || out().planar) return t.batched ? samples() : void();
    pieces("task_rows", t.dims[0], unit);
    if (t.batched && s_.get("task_rows", t.dims[0]) >= t.dims[0]) samples();
  }

  void gemm() {
    const int64_t fit = std::max<int64_t>(1, result().dims[0] / s_.vector);
    add("vectors", 1, std::min<int64_t>(fit, 8), [&](int64_t v) { return in_registers(v, now("rows")); });
    if (now("many") == 1) {  // else small batches have loops of their own
      add("rows", 1, std::min<int64_t>(12, std::max(p_.max_batch, 1)),
          [&](int64_t v) { return in_registers(now("vectors"), v); });
      add("vectors_1", 1, fit, [&](int64_t v) { return in_registers(v, 1); });
    }
    add("tasks", 0, 1);
    add("tasks_1", 0, 1);
  }

  void gemm_stream() {
    const int64_t K = operand(1).dims[0], vectors = result().dims[0] / s_.vector;
    add("rows", 1, 8, [&](int64_t v) { return power(v) && in_registers(now("vectors"), v); });
    add("vectors", 1, 8, [&](int64_t v) { return vectors % v == 0 && in_registers(v, now("rows")); });
    add("vectors_1", 1, vectors, [&](int64_t v) { return vectors % v == 0; });
    add("split_k", 2, kMostTasks,
        [&](int64_t v) { return K % v == 0 && K / v % now("block_k") == 0 && v % now("slices") == 0; });
    add("block_k", 16, 256, [&](int64_t v) { return K / now("split_k") % v == 0; });
  }

  void dot() {
    const int64_t K = result().dims[0];
    add("tile", 1, 8, [&](int64_t v) { return K % v == 0 && in_registers(v, now("rows")); });
    add("rows", 2, 8, [&](int64_t v) { return in_registers(now("tile"), v); });
    add("task_tiles", 1, K, power);
  }

  void outer() {
    const int64_t K = result().dims[0], vectors = result().dims[1] / s_.vector;
    add("vectors", 1, 16, [&](int64_t v) { return vectors % v == 0 && in_registers(v, now("rows")); });
    add("rows", 1, 16,
        [&](int64_t v) { return K % v == 0 && K / v % now("task_tiles") == 0 && in_registers(now("vectors"), v); });
    const int64_t tiles = K / now("rows");
    add("task_tiles", 1, tiles, [&](int64_t v) { return tiles % v == 0; });
  }

  void tokens() {
    const Type& t = result();
    const int64_t fit = std::max<int64_t>(1, t.dims.back() / s_.vector);
    add("rows", 1, std::min<int64_t>(16, t.dims[t.rank() - 2]),
        [&](int64_t v) { return in_registers(now("vectors"), v); });
    if (weights_block(p_, k_) == 0)
      add("vectors", 1, std::min<int64_t>(fit, 8), [&](int64_t v) { return in_registers(v, now("rows")); });
  }

  void strassen() {
    const int64_t pairs = (result().dims[0] + 1) / 2;
    add("rows", 1, std::min<int64_t>(16, pairs), [&](int64_t v) { return in_registers(now("vectors"), v); });
    pieces("task_pairs", pairs);
  }

  void attention() {
    const int64_t held = std::max(now("vectors"), now("score_vectors"));
    add("rows", 1, std::min<int64_t>(12, result().dims[0]), [&](int64_t v) { return in_registers(held, v); });
  }

  /// Pixels of the convolution for one of the result, where it is pooled.
  int64_t area() const {
    const Pooling pooling = pooling_of(*p_.graph, k_);
    return pooling.y * pooling.x;
  }

  void conv_lanes() {
    const Type& o = out().type;
    const int64_t columns = (o.dims[1] + now("phases_x") - 1) / now("phases_x"), rows = now("image_rows"),
                  panels = o.dims[2] / (s_.vector * now("vectors"));
    add("rows", 1, std::min<int64_t>(columns, 16), [&](int64_t v) { return in_registers(now("vectors"), v * area()); });
    const bool by_panel = now("task_panels") < panels, by_row = now("task_rows") < rows;
    if (!by_panel) pieces("task_rows", rows);
    if (!by_row) pieces("task_panels", panels);
    add("block_panels", 1, 16, [&](int64_t v) { return now("task_panels") % v == 0; });
    if (!by_panel && !by_row) samples();
  }

  void conv_depth() {
    const Type& o = out().type;
    add("rows", 1, std::min<int64_t>(o.dims[1], m_.vector_registers / 2));
    pieces("task_rows", o.dims[0]);
    if (now("task_rows") >= o.dims[0]) samples();
  }

  void conv_planes() {
    const Type& o = out().type;
    const int64_t row = result().dims[1], pool_x = std::max<int64_t>(1, row / o.dims[1]), pool_y = area() / pool_x,
                  rows = now("task_rows");
    const auto held = [&](int64_t channels, int64_t vectors, int64_t lines) {
      return in_registers(channels, vectors * lines * pool_y);
    };
    add("channels", 1, o.dims[2],
        [&](int64_t v) { return o.dims[2] % v == 0 && held(v, now("vectors"), now("lines")); });
    add("vectors", 1, row / s_.vector,
        [&](int64_t v) { return v * s_.vector % pool_x == 0 && held(now("channels"), v, now("lines")); });
    if (area() == 1)
      add("lines", 1, o.dims[0],
          [&](int64_t v) { return (rows >= o.dims[0] || rows % v == 0) && held(now("channels"), now("vectors"), v); });
    pieces("task_rows", o.dims[0], now("lines"));
    if (rows >= o.dims[0]) samples();
  }

  void conv_dot() {
    const Type& o = out().type;
    add("channels", 1, o.dims[2], [&](int64_t v) { return o.dims[2] % v == 0 && in_registers(v, now("rows")); });
    add("rows", 1, std::min<int64_t>(o.dims[1], 16), [&](int64_t v) { return in_registers(now("channels"), v); });
    pieces("task_rows", o.dims[0]);
    if (now("task_rows") >= o.dims[0]) samples();
  }

  void winograd() {
    const int64_t rows = now("tile_rows"), columns = now("columns"), side = now("tile") + 2,
                  row = side * side * operand(0).dims[2] * 4 * columns;
    add("rows", 1, std::min<int64_t>(16, now("task_rows") * columns),
        [&](int64_t v) { return in_registers(now("vectors"), v); });
    add("by_panel", 0, 1, [](int64_t) { return true; });
    if (now("by_panel") == 1) return;  // tasks have all rows
    add("task_rows", 1, rows,
        [&](int64_t v) { return rows % v == 0 && v * columns >= now("rows") && v * row <= 8 * m_.l2; });
    if (now("task_rows") >= rows) samples();
  }

  void taps() {
    const Type& w = result();  // f32[KH, KW, C, K]
    const int64_t C = w.dims[2], H = operand(1).dims[0], rows = now("task_rows");
    const bool planes = s_.name == "taps_planes", panels = s_.name == "taps_panels";
    const char* held = planes ? "filters" : "vectors";
    const int64_t holds = planes ? w.dims[3] : w.dims[3] / s_.vector;
    add(held, 1, std::min<int64_t>(holds, 16),
        [&](int64_t v) { return holds % v == 0 && in_registers(v, now("taps") * now("channels")); });
    add("taps", 1, w.dims[1],
        [&](int64_t v) { return w.dims[1] % v == 0 && in_registers(now(held), v * now("channels")); });
    add("channels", 1, std::min<int64_t>(C, 16), [&](int64_t v) {
      return C % v == 0 && in_registers(now(held), now("taps") * v) && (!panels || now("task_channels") % v == 0);
    });
    if (panels) add("task_channels", 1, C, [&](int64_t v) { return C % v == 0 && v % now("channels") == 0; });
    else if (now("task_samples") > 0) samples();
    else add("task_rows", (H + 31) / 32, H, [&](int64_t v) { return v % now("block_rows") == 0; });
    add("block_rows", 1, rows, [&](int64_t v) { return rows % v == 0; });
  }

  void tile_sums() {
    const Type& t = result();  // f32[E, C, K]
    const int64_t vectors = t.dims[2] / s_.vector;
    add("vectors", 1, 8, [&](int64_t v) { return vectors % v == 0 && in_registers(v, now("channels")); });
    add("channels", 1, std::min<int64_t>(t.dims[1], 16),
        [&](int64_t v) { return t.dims[1] % v == 0 && in_registers(now("vectors"), v); });
    add("samples", 1, 256, power);
  }

  const Plan& p_;
  const Kernel& k_;
  const Machine& m_;
  const Strategy& s_;
  std::vector<Choice> found_;
};

bool differs(const Strategy& a, const Strategy& b) {
  if (a.name != b.name || a.vector != b.vector || a.numbers.size() != b.numbers.size()) return true;
  for (size_t i = 0; i < a.numbers.size(); ++i)
    if (a.numbers[i].first != b.numbers[i].first) return true;
  return false;
}

}  // namespace

std::vector<Choice> choices(const Plan& p, const Kernel& k, const Machine& m, const Strategy& s) {
  return Chooser(p, k, m, s).run();
}

bool can_take(const Plan& p, const Kernel& k, const Machine& m, const Strategy& s) {
  if (differs(s, k.strategy)) return false;
  for (const auto& [number, v] : s.numbers)
    if (v < 0 || v > 1 << 24) return false;
  const std::vector<Choice> may = choices(p, k, m, s);
  const auto values_of = [](const std::vector<Choice>& all, const std::string& number) -> const std::vector<int64_t>* {
    for (const Choice& c : all)
      if (c.number == number) return &c.values;
    return nullptr;
  };
  for (size_t i = 0; i < s.numbers.size(); ++i) {
    const auto& [number, v] = s.numbers[i];
    if (v == k.strategy.numbers[i].second) continue;
    const std::vector<int64_t>* values = values_of(may, number);
    if (!values || std::find(values->begin(), values->end(), v) == values->end()) return false;
  }
  return true;
}

std::vector<Strategy> neighbours(const Plan& p, const Kernel& k, const Machine& m, const Strategy& s, int each) {
  std::vector<Strategy> found;
  for (const Choice& c : choices(p, k, m, s)) {
    const int64_t present = s.get(c.number, 1);
    std::vector<int64_t> values = c.values;
    const auto far = [&](int64_t v) {
      return std::abs(std::log(static_cast<double>(v + 1) / static_cast<double>(present + 1)));
    };
    std::stable_sort(values.begin(), values.end(), [&](int64_t a, int64_t b) { return far(a) < far(b); });
    int taken = 0;
    for (int64_t v : values) {
      if (v == present || taken == each) continue;
      Strategy other = s;
      for (auto& [number, at] : other.numbers)
        if (number == c.number) at = v;
      if (!can_take(p, k, m, other)) continue;
      found.push_back(std::move(other));
      ++taken;
    }
  }
  return found;
}

std::optional<Strategy> strategy_of(const std::string& text) {
  Strategy s;
  std::string_view rest = text;
  bool first = true, vector = false;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    if (first) {
      s.name = word;
      first = false;
      continue;
    }
    const size_t equals = word.find('=');
    int64_t v = 0;
    if (equals == std::string_view::npos || equals == 0) return std::nullopt;
    const auto [end, failed] = std::from_chars(word.data() + equals + 1, word.data() + word.size(), v);
    if (failed != std::errc() || end != word.data() + word.size() || v < 0 || v > 1 << 30) return std::nullopt;
    if (!vector && word.substr(0, equals) == "vector") s.vector = static_cast<int>(v), vector = true;
    else s.numbers.push_back({std::string(word.substr(0, equals)), v});
  }
  if (s.name.empty() || !vector) return std::nullopt;
  return s;
}

}  // namespace netc::schedule
