// Loops of convolutions and their gradients.
#include "compiler/schedule/chooser.h"
#include "compiler/schedule/joins.h"

namespace netc::schedule {

void Chooser::conv() {
  const Type& a = anchor_type();  // f32[N, H, W, C], before pooling
  const Type& o = out().type;
  const auto [pool_y, pool_x] = pooling_of(*p.graph, k);
  int64_t C = a.dims[2], W = o.dims[1], area = pool_x * pool_y;
  if (p.graph->nodes[k.anchor].op->transforms_tiles) return winograd(pool_x, pool_y);
  const ir::Node& node = p.graph->nodes[k.anchor];
  const auto [phases_y, phases_x] = node.op->phases ? node.op->phases(node.attrs) : std::pair<int, int>{1, 1};
  const Type &in = p.graph->type(node.inputs[0]), &w = p.graph->type(node.inputs[1]);
  if (w.dims[2] == 1 && in.dims[2] == C && C >= m.vector_floats && area == 1 && phases_x * phases_y == 1) {
    s.name = "conv_depth";
    s.vector = lanes_for(C, m.vector_floats, 1, false).first;
    set("rows", rows_for(W, 7));
    set("unrolled", w.dims[0] * w.dims[1] <= kFewTaps ? 1 : 0);
    return conv_tasks(o.dims[0], C, s.vector, 4 * flops());  // bound by memory
  }
  const int64_t terms = in.dims[2];  // that are contiguous in both operands
  if (node.op->dot && C < m.vector_floats && terms % m.vector_floats == 0 && w.dims[2] == C && w.dims[3] == terms &&
      phases_x * phases_y == 1 && !weights_in_pairs(p, k)) {
    s.name = "conv_dot";
    s.vector = m.vector_floats;
    dot_tile(C, W, terms / m.vector_floats * w.dims[0] * w.dims[1], in.dims[1]);
  } else if (C >= m.vector_floats || W < 4 || phases_x * phases_y > 1) {
    s.name = "conv_lanes";
    auto [lanes, vectors] = lanes_of_result(C, area > 1 ? 1 : 2);
    s.vector = lanes;
    set("vectors", vectors);
    set("rows", rows_for((W + phases_x - 1) / phases_x, accumulators() / (vectors * area)));
    set("phases_x", phases_x);
    set("phases_y", phases_y);
    if (weights_in_pairs(p, k)) set("pairs", 1);
    return conv_tasks((o.dims[0] + phases_y - 1) / phases_y, C, lanes * vectors, flops());
  } else {
    s.name = "conv_planes";
    planes_tile(a, o);
  }
  tasks(o.dims[0], flops(), kGrainFlops, s.get("lines", 1));
}

// Channels, vectors along a row of the convolution `a` and rows of a tile of its results `o`. Pixels of several rows
// have nothing in common that stays in registers: fewer of them. Where the image is padded the copy has what the last
// vector of a row reads beyond it.
void Chooser::planes_tile(const Type& a, const Type& o) {
  const ir::Node& node = p.graph->nodes[k.anchor];
  bool padded = false;
  if (node.op->windows)
    for (const ir::WindowSteps& w : node.op->windows(node, *p.graph)) padded |= w.before > 0;
  const int64_t C = a.dims[2], W = o.dims[1], row = a.dims[1];
  const auto [pool_y, pool_x] = pooling_of(*p.graph, k);
  const int64_t area = pool_x * pool_y;
  s.vector = padded && row > m.vector_floats / 2 ? m.vector_floats : lanes_for(row, m.vector_floats, 1, false).first;
  const int64_t fit = std::max<int64_t>(1, W / s.vector);
  double best = -1;
  int64_t channels = 1, vectors = 1, lines = 1;
  for (int64_t c = 1; c <= C; ++c)
    for (int64_t v = 1; v <= (area > 1 ? 4 : 2); ++v) {
      const int64_t width = std::min(W, v * s.vector / pool_x),
                    computed = (width * pool_x + s.vector - 1) / s.vector * s.vector;
      if (width == 0 || computed != v * s.vector || (!padded && computed != width * pool_x)) continue;
      // pooled pixels of several vectors are to be whole vectors
      if (v > 1 && area > 1 && width * pool_x < computed) continue;
      for (int64_t l = 1; l <= (area > 1 || v < fit ? 1 : o.dims[0]); ++l) {
        const int64_t pixels = v * l * pool_y, most = v > 1 && area == 1 ? accumulators() : accumulators() * 3 / 4;
        if (C % c != 0 || c * pixels > std::max(most, pool_y)) continue;
        const double useful = static_cast<double>(W * pool_x) / static_cast<double>((W + width - 1) / width * computed);
        const double score = useful * std::min(1.0, static_cast<double>(c * pixels) / kLatency) /
                             (1.0 + static_cast<double>(c + pixels) / static_cast<double>(c * pixels));
        if (score > best + 1e-9) best = score, channels = c, vectors = v, lines = l;
      }
    }
  set("channels", channels);
  set("vectors", vectors);
  set("lines", lines);
}

// Channels and pixels of a tile, of which each sum is a vector of `terms`; those of a channel's pixels are joined
// together, half of the vectors at each step. A tile of a whole row leaves out what is beside the other operand's row,
// of `inner` pixels.
void Chooser::dot_tile(int64_t C, int64_t W, int64_t terms, int64_t inner) {
  double least = 0;
  int64_t channels = 1, pixels = 1;
  for (int64_t c = 1; c <= C; ++c)
    for (int64_t r = 1; r <= W; ++r) {
      if (C % c != 0 || c * r > accumulators() || c * r + std::min(c, r) + 1 > m.vector_registers) continue;
      int64_t joins = 0;
      for (int64_t sums = m.vector_floats; sums > 1; sums /= 2)
        joins += (r * sums / 2 + m.vector_floats - 1) / m.vector_floats;
      const double tile = static_cast<double>(c * r),
                   used = r == W ? std::min(1.0, static_cast<double>(inner) / static_cast<double>(W)) : 1;
      const double sums =
          static_cast<double>(terms) * used * (1 + static_cast<double>(c + r) / tile) / std::min(1.0, tile / kLatency);
      const double cost =
          (sums + 3 * static_cast<double>(joins) / static_cast<double>(r)) * static_cast<double>((W + r - 1) / r * r);
      if (least == 0 || cost < least - 1e-9) least = cost, channels = c, pixels = r;
    }
  set("channels", channels);
  set("rows", pixels);
}

// Pixels of a tile along a row of this extent: as many as there are registers for, unless fewer leave less of the last
// tile empty.
int64_t Chooser::rows_for(int64_t extent, int64_t most) {
  int64_t best = 1;
  double best_score = 0;
  for (int64_t r = 1; r <= std::min(extent, std::max<int64_t>(most, 1)); ++r) {
    const double useful = static_cast<double>(extent) / static_cast<double>((extent + r - 1) / r * r);
    const double score = useful * static_cast<double>(r) / (static_cast<double>(r) + 0.5);
    if (score >= best_score) best_score = score, best = r;
  }
  return best;
}

// Of `extent` things, how many a task takes when the sample is cut into about `tasks`: what keeps the cores equally
// busy, in few tasks.
int64_t Chooser::even_share(int64_t extent, int64_t tasks) const {
  if (tasks <= 1) return extent;
  int64_t best = extent;
  double least = 0;
  for (int64_t share = 1; share <= extent; ++share) {
    const int64_t n = (extent + share - 1) / share, longest = (n + m.cores - 1) / m.cores * share;
    const double apart = static_cast<double>(n) / static_cast<double>(tasks);
    const double cost =
        static_cast<double>(longest * m.cores) / static_cast<double>(extent) + 0.02 * std::max(apart, 1 / apart);
    if (least == 0 || cost < least - 1e-9) least = cost, best = share;
  }
  return best;
}

// Tasks: samples together until they are worth a thread. A sample that is worth several is split into rows of the
// image, which share the weights, or, where these are larger than the image, into panels of channels. For a tile of
// pixels `block_panels` panels follow one another, whose weights stay in cache: so results are written, and what is
// added to them is read, in longer pieces.
void Chooser::conv_tasks(int64_t rows, int64_t channels, int64_t panel, double work) {
  const ir::Node& node = p.graph->nodes[k.anchor];
  const int64_t weights = p.graph->type(node.inputs[1]).bytes(), panels = channels / panel;
  const bool by_panel = weights > 4 * p.graph->type(node.inputs[0]).bytes() && panels > 1;
  const int64_t tasks = work >= kSplitSampleFlops ? 4 * m.cores : 1;
  const int64_t task_panels = by_panel ? even_share(panels, tasks) : panels;
  set("image_rows", rows);
  set("task_rows", by_panel ? rows : even_share(rows, tasks));
  set("task_panels", task_panels);
  set("block_panels",
      channels % panel != 0
          ? 1
          : largest_divisor(task_panels, std::max<int64_t>(1, m.l2 / 8 / std::max<int64_t>(1, weights / panels))));
  set("task_samples", chunk_of(work, kGrainFlops, 1 << 10));
}

void Chooser::winograd(int64_t pool_x, int64_t pool_y) {
  s.name = "winograd";
  const ir::Node& node = p.graph->nodes[k.anchor];
  const Type &a = anchor_type(), &o = out().type;
  const int64_t tile = node.attrs.i("tile"), side = node.attrs.i("side"), C = p.graph->type(node.inputs[0]).dims[2],
                step_y = tile / pool_y;
  const auto [lanes, vectors] = lanes_of_result(a.dims[2], 2);
  s.vector = lanes;
  const int64_t rows = (o.dims[0] + step_y - 1) / step_y, columns = (a.dims[1] + tile - 1) / tile;
  const int64_t panel = lanes * vectors, of_tile = side * side * 4;  // bytes of a channel of a tile
  // Tile rows of a task: their transforms, and their products of a panel, fit a core's cache, and a sample that is
  // worth it keeps all cores busy.
  int64_t most = std::max<int64_t>(1, m.l2 / (of_tile * (C + panel) * columns));
  int64_t task_rows = largest_divisor(rows, most);
  if (flops() >= kSplitSampleFlops) {
    const auto busiest = [&](int64_t r) { return (rows / r + m.cores - 1) / m.cores * r; };
    for (int64_t r = task_rows = 1; r <= most; ++r)
      if (rows % r == 0 && busiest(r) <= busiest(task_rows)) task_rows = r;
  }
  // Where weights are larger than the tiles of a sample, tasks are panels of channels: each reads its weights once, and
  // all the tiles. A panel's products are to fit a core's cache.
  const int64_t tiles = (a.dims[0] + tile - 1) / tile * columns;
  const bool by_panel = flops() >= kSplitSampleFlops && a.dims[2] / panel >= m.cores &&
                        p.graph->type(node.inputs[1]).bytes() > of_tile * tiles * C && of_tile * tiles * panel <= m.l2;
  set("tile", tile);
  set("step_x", tile / pool_x);
  set("step_y", step_y);
  set("columns", columns);
  set("vectors", vectors);
  set("rows", rows_for((by_panel ? rows : task_rows) * columns, accumulators() / vectors));
  set("by_panel", by_panel ? 1 : 0);
  set("task_rows", task_rows);
  set("tile_rows", rows);
  set("task_samples", chunk_of(flops(), kGrainFlops, 1 << 10));
}

void Chooser::taps() {
  const Type& w = anchor_type();  // f32[KH, KW, C, K]
  const ir::Node& node = p.graph->nodes[k.anchor];
  const Type& dy = p.graph->type(node.inputs[1]);
  int64_t K = w.dims[3], H = dy.dims[0], W = dy.dims[1];
  bool planes = K < m.vector_floats && W >= m.vector_floats / 2;
  s.name = planes ? "taps_planes" : "taps_lanes";
  const int64_t KW = w.dims[1], C = w.dims[2];
  int64_t held_of = K;  // filters, or vectors of them
  if (!planes) s.vector = lanes_for(K, m.vector_floats, 1, true).first, held_of = K / s.vector;
  // A tile of `held` filters (or vectors of them) x `taps` along a kernel's row x `channels`: all must divide, as the
  // sums are added into.
  double best = 0;
  int64_t held = 1, taps = 1, channels = 1;
  for (int64_t h = 1; h <= std::min<int64_t>(held_of, 8); ++h)
    for (int64_t q = 1; q <= KW; ++q)
      // whole rows of taps first: they read the same pixels
      for (int64_t c = 1; c <= std::min<int64_t>(C, 8) && (c == 1 || q == KW); ++c) {
        const int64_t each = registers_of(s.vector);
        if (held_of % h || KW % q || C % c || h * q * c * each > accumulators() ||
            (h * q * c + h) * each + 1 > m.vector_registers - 1)
          continue;
        const double score = std::min(1.0, static_cast<double>(h * q * c) / kLatency) /
                             (1.0 + static_cast<double>(h + q * c) / static_cast<double>(h * q * c));
        if (score > best + 1e-9) best = score, held = h, taps = q, channels = c;
      }
  set(planes ? "filters" : "vectors", held);
  set("taps", taps);
  set("channels", channels);
  // Tasks are samples, or rows of the image where there are few; one copy of dw for each would be too much of a large
  // one.
  const int64_t tasks = 4 * m.cores, of_row = 4 * (p.graph->type(node.inputs[0]).dims[1] * C + W * K);
  const bool panels = !planes && w.bytes() > kLargeWeights, by_sample = !panels && p.max_batch >= tasks;
  if (panels) {
    s.name = "taps_panels";
    set("task_channels", channels * largest_divisor(C / channels, std::max<int64_t>(1, C / channels / tasks)));
  }
  // planes: a slice reads its halo again
  const int64_t task_rows = panels || by_sample ? H : even_share(H, planes ? 2 * m.cores : 8);
  set("task_rows", task_rows);
  set("task_samples", by_sample ? (p.max_batch + tasks - 1) / tasks : 0);
  const int64_t steps = planes ? (W + s.vector - 1) / s.vector : W;  // of the innermost loop along a row
  set("block_rows",
      largest_divisor(task_rows, std::max<int64_t>({1, (planes ? 64 : 16) / steps, panels ? 1 : m.l1 / 4 / of_row})));
}

// Tiles of an image, or taps of sums, transformed: all elements of one at once.
void Chooser::tiles() {
  const Type& t = anchor_type();
  s.name = t.batched ? "tiles" : "taps_back";
  s.vector = lanes_for(t.dims.back(), m.vector_floats, 1, true).first;
  set("side", p.graph->nodes[k.anchor].attrs.i("side"));
}

void Chooser::tile_sums() {
  s.name = "tile_sums";
  const Type& t = anchor_type();  // f32[E, C, K]
  s.vector = lanes_for(t.dims[2], m.vector_floats, 1, true).first;
  const int64_t vectors = largest_divisor(t.dims[2] / s.vector, 2),
                Q = p.graph->type(p.graph->nodes[k.anchor].inputs[0]).dims[1];
  set("vectors", vectors);
  set("channels", largest_divisor(t.dims[1], accumulators() / vectors));
  set("samples", std::max<int64_t>(1, 64 / Q));
}

}  // namespace netc::schedule
