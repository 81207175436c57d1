// A contraction's inner loop keeps a tile of accumulators in registers: `lanes` x `vectors` along the dim in which an operand is contiguous, times `rows` along
// another dim, so that each load of an operand feeds several multiply-adds. What differs is which dims these are:
//
//   gemm         y[n, u]:        lanes along u, rows along n
//   gemm_stream  y[n, u]:        the same for weights larger than the caches: K is split into tasks that stream a slice of the weights each
//   dot          y[n, k]:        both operands contiguous along the reduction: lanes along it, a tile of k x n accumulators
//   outer        dw[k, u]:       lanes along u, rows along k; the reduction is the batch; the optimiser follows in registers
//   conv_lanes   y[n, y, x, c]:  lanes along channels, rows along x; a panel of weights meets all pixels of a task before the next
//   conv_depth   y[n, y, x, c]:  each channel its own kernel: lanes along channels, rows along x; all channels of a tile of pixels before the next
//   conv_planes  y[n, y, x, c]:  few channels: lanes along x, all channels in the tile
//   taps_lanes   dw[ky,kx,c,k]:  lanes along k, a tile of taps; tasks are slices of image rows
//   taps_panels  dw[ky,kx,c,k]:  the same for many weights; tasks are groups of channels c, over the whole batch
//   taps_planes  dw[ky,kx,c,k]:  few channels k: lanes along x, a reduction
//   tokens       y[n, ..., t, u]: a matrix product for each sample: lanes along u, rows along t; panels of columns, or the outer dims, are tasks
//
// What is no contraction:
//
//   winograd     y[n, y, x, c]:  tiles of a task are transformed, then for each panel of channels multiplied, lanes along it, rows along tiles, and turned back
//   tile_sums    s[e, c, k]:     of tiles that the kernels `tiles` transformed, lanes along k; each element e is a task; `taps_back` makes taps of them
//   blocks       weights into blocks
//   map, window  one element after another, lanes along the innermost dim
//   rows         per-sample folds (softmax, layer norm, a mean over axes): a fold is computed for the row that needs it, lanes along the row or the result
//   reduce       folds over the batch: slices of the outermost dim are tasks, whose sums are added in order
//   scatter      in order along the batch, lanes along the innermost dim
#include "compiler/schedule/strategy.h"

#include <algorithm>
#include <cmath>

#include "compiler/schedule/cost.h"

namespace netc::schedule {
namespace {

using ir::Kind;
using ir::Type;

constexpr double kGrainFlops = 200e3;     // work of a task below which another thread does not pay
constexpr double kSplitSampleFlops = 1e6; // work of a sample from which it is shared between threads
constexpr int64_t kLargeWeights = 512 << 10; // bytes
constexpr int64_t kFewTaps = 25;          // of a kernel whose loops are unrolled
constexpr int64_t kGrainElements = 32768; // the same for kernels bound by memory

int64_t largest_divisor(int64_t n, int64_t limit) {
  for (int64_t d = std::min(n, limit); d > 1; --d)
    if (n % d == 0) return d;
  return 1;
}

// Lanes and vectors per tile of a dim of this extent. `exact`: tiles must divide it.
std::pair<int, int> lanes_for(int64_t extent, int widest, int max_vectors, bool exact) {
  int lanes = widest;
  if (exact) {
    while (lanes > 1 && extent % lanes != 0) lanes /= 2;
    if (lanes < widest && extent <= 2 * widest) lanes = static_cast<int>(extent);  // a small odd extent is one vector
    return {lanes, static_cast<int>(largest_divisor(extent / lanes, max_vectors))};
  }
  while (lanes > extent) lanes /= 2;
  return {std::max(lanes, 1), static_cast<int>(std::clamp<int64_t>(extent / std::max(lanes, 1), 1, max_vectors))};
}

int64_t chunk_of(double work_per_item, double grain, int64_t limit) {
  return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(grain / std::max(work_per_item, 1.0))), 1, std::max<int64_t>(limit, 1));
}

struct Chooser {
  const Plan& p;
  const Kernel& k;
  const Machine& m;
  Strategy s;

  const Type& anchor_type() const { return p.graph->type(p.graph->nodes[k.anchor].results[0]); }
  const Buffer& out() const { return p.buffers[k.outputs[0]]; }
  double flops() const { return std::max(k.flops, 1.0); }
  void set(const char* name, int64_t v) { s.numbers.push_back({name, v}); }
  int accumulators() const { return m.vector_registers == 32 ? 24 : 12; }
  /// Registers that one vector takes; an uneven one that is wider than a register is cut into pieces of several widths.
  int registers_of(int lanes) const { return (lanes + m.vector_floats - 1) / m.vector_floats + (lanes > m.vector_floats && lanes % m.vector_floats != 0); }

  // Tasks: rows of the image together, or samples together, until a task is worth a thread.
  void tasks(int64_t rows, double work_per_sample, double grain, int64_t multiple = 1) {
    if (k.anchor != ir::kNone && p.graph->nodes[k.anchor].op->kind == Kind::contraction) {
      // Rows of a task share their halo: tasks are large, but one sample alone still keeps all cores busy when it is worth it.
      const bool split = work_per_sample >= kSplitSampleFlops && rows >= 2 * multiple;
      const int64_t even = std::max<int64_t>(multiple, largest_near(rows, std::max<int64_t>(1, rows / (4 * m.cores))) / multiple * multiple);
      set("task_rows", split ? even : rows);
      set("task_samples", chunk_of(work_per_sample, grain, 1 << 10));
      return;
    }
    if (work_per_sample >= 2 * grain && rows > 1) {
      set("task_rows", largest_near(rows, chunk_of(work_per_sample / rows, grain, rows)));
      set("task_samples", 1);
    } else {
      set("task_rows", rows);
      set("task_samples", chunk_of(work_per_sample, grain, 1 << 10));
    }
  }
  static int64_t largest_near(int64_t rows, int64_t want) {  // fewer, even tasks
    int64_t tasks = std::max<int64_t>(1, rows / want);
    return (rows + tasks - 1) / tasks;
  }

  /// The block in which the anchor's operand 1 is stored, 0 when it is not. A tile then has one block.
  int64_t weight_block() const {
    const ir::ValueId w = p.graph->nodes[k.anchor].inputs[1];
    for (size_t i = 0; i < k.inputs.size(); ++i)
      if (k.input_values[i] == w) return p.buffers[k.inputs[i]].block;
    return 0;
  }
  /// Lanes and vectors of a tile along the result's innermost dim of this extent.
  std::pair<int, int> lanes_of_result(int64_t extent, int max_vectors) const {
    const int64_t block = weight_block();
    return block > 0 ? lanes_for(block, m.vector_floats, static_cast<int>(block), true) : lanes_for(extent, m.vector_floats, max_vectors, false);
  }

  void pack() {
    s.name = "blocks";
    s.vector = lanes_for(out().block, m.vector_floats, 1, true).first;
    if (k.anchor != ir::kNone && p.graph->nodes[k.anchor].op->transforms_tiles) set("elements", anchor_type().dims[0]);
  }

  void map() {
    s.name = "map";
    const Type& t = out().type;
    int64_t inner = out().planar ? t.dims[1] : t.rank() ? t.dims.back() : 1;
    s.vector = lanes_for(inner, m.vector_floats, 1, false).first;
    if (inner < m.vector_floats && inner > 1) s.vector = static_cast<int>(inner);
    tasks(t.rank() ? t.dims[0] : 1, static_cast<double>(t.has_any_extent() ? 1 : t.elements()), kGrainElements);
  }

  // The tile of `held` vectors by `rows` that feeds the most multiply-adds from each load without leaving the registers, and wastes the least of `extent`
  // (in vectors). `exact`: it must divide the extent.
  struct Tile { int64_t vectors = 1, rows = 1; };
  Tile tile_for(int64_t extent, int64_t rows_limit, int64_t vectors_limit, bool exact, bool exact_rows = false) const {
    Tile best;
    double best_score = 0;
    for (int64_t v = 1; v <= std::min(extent, vectors_limit); ++v) {
      if (exact && extent % v != 0) continue;
      for (int64_t r = 1; r <= rows_limit; ++r) {
        if (v * r + v + 1 > m.vector_registers - 1 || v * r > accumulators()) break;
        if (exact_rows && rows_limit % r != 0) continue;
        const double useful = static_cast<double>(extent) / static_cast<double>((extent + v - 1) / v * v);
        const double busy = std::min(1.0, static_cast<double>(v * r) / kLatency);              // enough independent sums to hide the latency of one
        const double fed = 1.0 / (1.0 + static_cast<double>(v + r) / static_cast<double>(v * r));  // loads compete with the multiply-adds
        const double score = useful * busy * fed;
        if (score > best_score + 1e-9) best_score = score, best = {v, r};
      }
    }
    return best;
  }
  static constexpr double kLatency = 8;

  void gemm() {
    const Type& t = anchor_type();
    const Type& w = p.graph->type(p.graph->nodes[k.anchor].inputs[1]);
    const int64_t K = w.dims[0], U = t.dims[0];
    if (w.bytes() > m.l2 * 2 && K >= 4096 && U % 4 == 0 && split_of(K).first > 1) return stream_gemm(K, U);
    s.name = "gemm";
    int lanes = lanes_for(U, m.vector_floats, 1, false).first;
    if (U < m.vector_floats) lanes = static_cast<int>(U);
    s.vector = lanes;
    const int64_t vectors = (U + lanes - 1) / lanes, fit = std::max<int64_t>(1, U / lanes);
    Tile tile = tile_for(vectors, std::min<int64_t>(12, std::max(p.max_batch, 1)), std::min<int64_t>(fit, 4), false);
    set("vectors", std::min(tile.vectors, fit));
    set("rows", tile.rows);
    set("vectors_1", std::min<int64_t>(fit, accumulators() / 2));
    set("tasks", k.flops * p.max_batch >= 2 * kGrainFlops ? 1 : 0);
    set("tasks_1", w.bytes() > 256 << 10 ? 1 : 0);
  }

  // Slices of K, and blocks of a slice: both must divide.
  static std::pair<int64_t, int64_t> split_of(int64_t K) {
    for (int64_t slices : {16, 15, 14, 18, 20, 12, 24, 10, 8, 31, 32})
      if (K % slices == 0) {
        const int64_t block = largest_divisor(K / slices, 96);
        if (block >= 16) return {slices, block};
      }
    return {1, K};
  }

  void stream_gemm(int64_t K, int64_t U) {
    s.name = "gemm_stream";
    int lanes = m.vector_floats;
    while (U % lanes != 0) lanes /= 2;
    s.vector = lanes;
    Tile tile = tile_for(U / lanes, 8, 8, true, true);
    set("vectors", tile.vectors);
    set("rows", tile.rows);
    set("vectors_1", largest_divisor(U / lanes, m.l1 / 4 / (4 * lanes)));
    set("many", 8);  // samples, from which on a task keeps weights for all of them
    set("split_k", split_of(K).first);
    set("block_k", split_of(K).second);
  }

  void dot() {
    s.name = "dot";
    const Type& w = p.graph->type(p.graph->nodes[k.anchor].inputs[1]);
    int64_t K = anchor_type().dims[0], U = w.dims[1];
    s.vector = static_cast<int>(std::min<int64_t>(m.vector_floats, U));
    const int64_t tile = largest_divisor(K, 4);
    set("tile", tile);
    set("rows", 4);
    set("task_tiles", std::max<int64_t>(1, largest_near(K / tile, std::max<int64_t>(1, chunk_of(2.0 * U * 8 * tile, kGrainFlops, K / tile)))));
  }

  void outer() {
    s.name = "outer";
    const Type& t = anchor_type();  // f32[K, U]
    auto [lanes, unused] = lanes_for(t.dims[1], m.vector_floats, 1, true);
    s.vector = lanes;
    const int64_t vectors = largest_divisor(t.dims[1] / lanes, accumulators() / 2);  // long pieces of few rows: memory is read and written in few streams
    set("vectors", vectors);
    const int64_t row = vectors * registers_of(lanes), room = std::min<int64_t>(accumulators(), m.vector_registers - 2 - row);
    set("rows", largest_divisor(t.dims[0], std::max<int64_t>(1, room / row)));
    int64_t tiles = t.dims[0] / s.get("rows", 1);
    set("task_tiles", largest_divisor(tiles, chunk_of(2.0 * 16 * s.get("rows", 1) * t.dims[1], kGrainFlops, tiles)));
  }

  void conv() {
    const Type& a = anchor_type();  // f32[N, H, W, C], before pooling
    const Type& o = out().type;
    int64_t pool_y = std::max<int64_t>(1, a.dims[0] / std::max<int64_t>(1, o.dims[0])), pool_x = std::max<int64_t>(1, a.dims[1] / std::max<int64_t>(1, o.dims[1]));
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
    if (C >= m.vector_floats || W < 4 || phases_x * phases_y > 1) {
      s.name = "conv_lanes";
      auto [lanes, vectors] = lanes_of_result(C, area > 1 ? 1 : 2);
      s.vector = lanes;
      set("vectors", vectors);
      set("rows", rows_for((W + phases_x - 1) / phases_x, accumulators() / (vectors * area)));
      set("phases_x", phases_x);
      set("phases_y", phases_y);
      return conv_tasks((o.dims[0] + phases_y - 1) / phases_y, C, lanes * vectors, flops());
    } else {
      s.name = "conv_planes";
      s.vector = lanes_for(W, m.vector_floats, 1, false).first;
      planes_tile(C, W, o.dims[0], area);
    }
    tasks(o.dims[0], flops(), kGrainFlops, s.get("lines", 1));
  }

  // Channels, vectors along a row and rows of a tile. Pixels of several rows have nothing in common that stays in registers: fewer of them.
  void planes_tile(int64_t C, int64_t W, int64_t H, int64_t area) {
    const int64_t fit = std::max<int64_t>(1, W / s.vector);
    double best = -1;
    int64_t channels = 1, vectors = 1, lines = 1;
    for (int64_t c = 1; c <= C; ++c)
      for (int64_t v = 1; v <= std::min<int64_t>(fit, 2); ++v)
        for (int64_t l = 1; l <= (area > 1 || v < fit ? 1 : H); ++l) {
          const int64_t pixels = v * l * area, most = v > 1 && area == 1 ? accumulators() : accumulators() * 3 / 4;
          if (C % c != 0 || c * pixels > std::max(most, area)) continue;
          const double useful = static_cast<double>(W) / static_cast<double>((W + v * s.vector - 1) / (v * s.vector) * v * s.vector);
          const double score = useful * std::min(1.0, static_cast<double>(c * pixels) / kLatency) / (1.0 + static_cast<double>(c + pixels) / static_cast<double>(c * pixels));
          if (score > best + 1e-9) best = score, channels = c, vectors = v, lines = l;
        }
    set("channels", channels);
    set("vectors", vectors);
    set("lines", lines);
  }

  // Pixels of a tile along a row of this extent: as many as there are registers for, unless fewer leave less of the last tile empty.
  static int64_t rows_for(int64_t extent, int64_t most) {
    int64_t best = 1;
    double best_score = 0;
    for (int64_t r = 1; r <= std::min(extent, std::max<int64_t>(most, 1)); ++r) {
      const double useful = static_cast<double>(extent) / static_cast<double>((extent + r - 1) / r * r);
      const double score = useful * static_cast<double>(r) / (static_cast<double>(r) + 0.5);
      if (score >= best_score) best_score = score, best = r;
    }
    return best;
  }

  // Of `extent` things, how many a task takes when the sample is cut into about `tasks`: what keeps the cores equally busy, in few tasks.
  int64_t even_share(int64_t extent, int64_t tasks) const {
    if (tasks <= 1) return extent;
    int64_t best = extent;
    double least = 0;
    for (int64_t share = 1; share <= extent; ++share) {
      const int64_t n = (extent + share - 1) / share, longest = (n + m.cores - 1) / m.cores * share;
      const double apart = static_cast<double>(n) / static_cast<double>(tasks);
      const double cost = static_cast<double>(longest * m.cores) / static_cast<double>(extent) + 0.02 * std::max(apart, 1 / apart);
      if (least == 0 || cost < least - 1e-9) least = cost, best = share;
    }
    return best;
  }

  // Tasks: samples together until they are worth a thread. A sample that is worth several is split into rows of the image, which share the weights, or, where
  // these are larger than the image, into panels of channels. For a tile of pixels `block_panels` panels follow one another, whose weights stay in cache: so
  // results are written, and what is added to them is read, in longer pieces.
  void conv_tasks(int64_t rows, int64_t channels, int64_t panel, double work) {
    const ir::Node& node = p.graph->nodes[k.anchor];
    const int64_t weights = p.graph->type(node.inputs[1]).bytes(), panels = channels / panel;
    const bool by_panel = weights > 4 * p.graph->type(node.inputs[0]).bytes() && panels > 1;
    const int64_t tasks = work >= kSplitSampleFlops ? 4 * m.cores : 1;
    const int64_t task_panels = by_panel ? even_share(panels, tasks) : panels;
    set("image_rows", rows);
    set("task_rows", by_panel ? rows : even_share(rows, tasks));
    set("task_panels", task_panels);
    set("block_panels", channels % panel != 0 ? 1 : largest_divisor(task_panels, std::max<int64_t>(1, m.l2 / 8 / std::max<int64_t>(1, weights / panels))));
    set("task_samples", chunk_of(work, kGrainFlops, 1 << 10));
  }

  void winograd(int64_t pool_x, int64_t pool_y) {
    s.name = "winograd";
    const ir::Node& node = p.graph->nodes[k.anchor];
    const Type &a = anchor_type(), &o = out().type;
    const int64_t tile = node.attrs.i("tile"), side = node.attrs.i("side"), C = p.graph->type(node.inputs[0]).dims[2], step_y = tile / pool_y;
    const auto [lanes, vectors] = lanes_of_result(a.dims[2], 2);
    s.vector = lanes;
    const int64_t rows = (o.dims[0] + step_y - 1) / step_y, columns = (a.dims[1] + tile - 1) / tile;
    // Tile rows of a task: their transforms fit a core's cache, and a sample that is worth it keeps all cores busy.
    int64_t most = std::max<int64_t>(1, m.l2 / (side * side * C * 4 * columns));
    int64_t task_rows = largest_divisor(rows, most);
    if (flops() >= kSplitSampleFlops) {
      const auto busiest = [&](int64_t r) { return (rows / r + m.cores - 1) / m.cores * r; };
      for (int64_t r = task_rows = 1; r <= most; ++r)
        if (rows % r == 0 && busiest(r) <= busiest(task_rows)) task_rows = r;
    }
    set("tile", tile);
    set("step_x", tile / pool_x);
    set("step_y", step_y);
    set("columns", columns);
    set("vectors", vectors);
    set("rows", rows_for(task_rows * columns, accumulators() / vectors));
    set("task_rows", task_rows);
    set("tile_rows", rows);
    set("task_samples", chunk_of(flops(), kGrainFlops, 1 << 10));
  }

  // Lanes along a row: a short row is cut into equal vectors, so that none is partly empty.
  int64_t row_vector(int64_t W) const {
    if (W <= m.vector_floats) return W;
    if (W < 4 * m.vector_floats)
      for (int64_t lanes = m.vector_floats; lanes > m.vector_floats / 2; --lanes)
        if (W % lanes == 0) return lanes;
    return m.vector_floats;
  }
  // Rows of about `slices` slices; a divisor where one is near, so that no slice needs a guard.
  static int64_t slice_of(int64_t rows, int64_t slices) {
    const int64_t want = (rows + slices - 1) / slices;
    for (int64_t r = want; r <= want + want / 2; ++r)
      if (rows % r == 0) return r;
    return want;
  }

  void taps() {
    const Type& w = anchor_type();  // f32[KH, KW, C, K]
    const Type& dy = p.graph->type(p.graph->nodes[k.anchor].inputs[1]);
    int64_t K = w.dims[3], H = dy.dims[0], W = dy.dims[1];
    bool planes = K < m.vector_floats && W >= m.vector_floats / 2;
    s.name = planes ? "taps_planes" : "taps_lanes";
    const int64_t KW = w.dims[1], C = w.dims[2];
    int64_t held_of = K;  // filters, or vectors of them
    if (planes) s.vector = static_cast<int>(row_vector(W));
    else s.vector = lanes_for(K, m.vector_floats, 1, true).first, held_of = K / s.vector;
    // A tile of `held` filters (or vectors of them) x `taps` along a kernel's row x `channels`: all must divide, as the sums are added into.
    double best = 0;
    int64_t held = 1, taps = 1, channels = 1;
    for (int64_t h = 1; h <= std::min<int64_t>(held_of, 8); ++h)
      for (int64_t q = 1; q <= KW; ++q)
        for (int64_t c = 1; c <= std::min<int64_t>(C, 8) && (c == 1 || q == KW); ++c) {  // whole rows of taps first: they read the same pixels
          const int64_t each = registers_of(s.vector);
          if (held_of % h || KW % q || C % c || h * q * c * each > accumulators() || (h * q * c + h) * each + 1 > m.vector_registers - 1) continue;
          const double score = std::min(1.0, static_cast<double>(h * q * c) / kLatency) / (1.0 + static_cast<double>(h + q * c) / static_cast<double>(h * q * c));
          if (score > best + 1e-9) best = score, held = h, taps = q, channels = c;
        }
    set(planes ? "filters" : "vectors", held);
    set("taps", taps);
    set("channels", channels);
    int64_t task_rows = slice_of(H, 8);
    if (!planes && w.bytes() > kLargeWeights) {  // one copy of dw for each slice would be too much
      s.name = "taps_panels";
      task_rows = H;
      set("task_channels", channels * largest_divisor(C / channels, std::max<int64_t>(1, C / channels / (4 * m.cores))));
    }
    set("task_rows", task_rows);
    const int64_t steps = planes ? (W + s.vector - 1) / s.vector : W;  // of the innermost loop along a row
    set("block_rows", largest_divisor(task_rows, std::max<int64_t>(1, 16 / steps)));
  }

  void reduce() {
    const Type& o = anchor_type();
    const Type& in = p.graph->type(p.graph->nodes[k.anchor].inputs[0]);
    if (o.batched) {
      s.name = "rows";
      s.vector = m.vector_floats;
      const int64_t outer = o.rank() ? o.dims[0] : 1;
      tasks(outer, std::max(flops(), static_cast<double>(in.has_any_extent() ? 1 : in.elements())), kGrainElements);
      return;
    }
    s.name = "reduce";
    int64_t inner = o.rank() ? o.dims.back() : 1;
    s.vector = static_cast<int>(std::min<int64_t>(m.vector_floats, inner >= m.vector_floats ? m.vector_floats : in.rank() > 1 ? in.dims[in.rank() - 2] : m.vector_floats));
    set("tasks", 16);
  }

  void tokens() {
    s.name = "tokens";
    const Type& a = anchor_type();
    const int64_t U = a.dims.back(), T = a.dims[a.rank() - 2];
    if (weight_block() > 0) {
      const auto [lanes, vectors] = lanes_of_result(U, 1);
      s.vector = lanes;
      set("vectors", vectors);
      set("rows", rows_for(T, accumulators() / vectors));
      return;
    }
    s.vector = lanes_for(U, m.vector_floats, 1, false).first;
    if (U < m.vector_floats) s.vector = static_cast<int>(U);
    const int64_t fit = std::max<int64_t>(1, U / s.vector);
    const Tile tile = tile_for(fit, std::min<int64_t>(12, T), std::min<int64_t>(fit, 4), false);
    set("vectors", tile.vectors);
    set("rows", tile.rows);
  }

  void scatter() {
    s.name = "scatter";
    s.vector = static_cast<int>(std::min<int64_t>(m.vector_floats, anchor_type().dims.back()));
  }

  // Tiles of an image, or taps of sums, transformed: all elements of one at once.
  void tiles() {
    const Type& t = anchor_type();
    s.name = t.batched ? "tiles" : "taps_back";
    s.vector = lanes_for(t.dims.back(), m.vector_floats, 1, true).first;
    set("side", p.graph->nodes[k.anchor].attrs.i("side"));
  }

  void tile_sums() {
    s.name = "tile_sums";
    const Type& t = anchor_type();  // f32[E, C, K]
    s.vector = lanes_for(t.dims[2], m.vector_floats, 1, true).first;
    const int64_t vectors = largest_divisor(t.dims[2] / s.vector, 2), Q = p.graph->type(p.graph->nodes[k.anchor].inputs[0]).dims[1];
    set("vectors", vectors);
    set("channels", largest_divisor(t.dims[1], accumulators() / vectors));
    set("samples", std::max<int64_t>(1, 64 / Q));
  }

  void window() {
    if (p.graph->nodes[k.anchor].op->transforms_tiles) return tiles();
    map();
    s.name = "window";
  }

  void contraction(const ir::Node& node) {
    const Type &a = anchor_type(), &b = p.graph->type(node.inputs[1]);
    if (!a.batched && a.rank() == 3) tile_sums();
    else if (!a.batched) a.rank() == 2 ? outer() : a.rank() == 4 ? taps() : reduce();
    else if (a.rank() == 2 || b.batched) tokens();
    else if (a.rank() == 3) conv();
    else node.op->dot ? dot() : gemm();
  }

  Strategy run() {
    s.vector = m.vector_floats;
    if (out().block > 0) pack();
    else if (k.anchor == ir::kNone) map();
    else {
      auto& node = p.graph->nodes[k.anchor];
      switch (node.op->kind) {
        case Kind::contraction: contraction(node); break;
        case Kind::reduction: reduce(); break;
        case Kind::scatter: scatter(); break;
        case Kind::ingest: s.name = "ingest"; s.vector = static_cast<int>(std::min<int64_t>(m.vector_floats, out().type.dims[1])); break;
        default: window(); break;
      }
    }
    s.cost_us = estimate_us(p, k, s, m);
    return s;
  }
};

}  // namespace

Strategy choose_strategy(const Plan& p, const Kernel& k, const Machine& m) { return Chooser{p, k, m, {}}.run(); }

}  // namespace netc::schedule
