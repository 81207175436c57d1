// Loops of matrix products.
#include "compiler/schedule/chooser.h"

namespace netc::schedule {

// The tile of `vectors` by `rows` that feeds the most multiply-adds from each load without leaving the registers, and
// wastes the least of `extent` (in vectors). `exact`: it must divide the extent.
Chooser::Tile Chooser::tile_for(int64_t extent, int64_t rows_limit, int64_t vectors_limit, bool exact,
                                bool exact_rows) const {
  Tile best;
  double best_score = 0;
  for (int64_t v = 1; v <= std::min(extent, vectors_limit); ++v) {
    if (exact && extent % v != 0) continue;
    for (int64_t r = 1; r <= rows_limit; ++r) {
      if (v * r + v + 1 > m.vector_registers - 1 || v * r > accumulators()) break;
      if (exact_rows && rows_limit % r != 0) continue;
      const double useful = static_cast<double>(extent) / static_cast<double>((extent + v - 1) / v * v);
      // enough independent sums to hide the latency of one
      const double busy = std::min(1.0, static_cast<double>(v * r) / kLatency);
      // loads compete with the multiply-adds
      const double fed = 1.0 / (1.0 + static_cast<double>(v + r) / static_cast<double>(v * r));
      const double score = useful * busy * fed;
      if (score > best_score + 1e-9) best_score = score, best = {v, r};
    }
  }
  return best;
}

// Vectors of a tile of one sample: a few loads at once keep the cache that has the weights busy, and the last tile,
// shifted inwards, reads few of them again.
int64_t Chooser::vectors_of_one(int64_t extent, int64_t lanes, int64_t most) {
  int64_t best = 1;
  double best_score = 0;
  for (int64_t v = 1; v <= most; ++v) {
    const double useful =
        static_cast<double>(extent) / static_cast<double>((extent + v * lanes - 1) / (v * lanes) * v * lanes);
    const double score = useful * std::min(1.0, static_cast<double>(v) / kLoads);
    if (score >= best_score) best_score = score, best = v;
  }
  return best;
}

void Chooser::gemm() {
  const Type& t = anchor_type();
  const Type& w = p.graph->type(p.graph->nodes[k.anchor].inputs[1]);
  const int64_t U = t.dims[0], K = w.elements() / U;
  if (w.bytes() > m.l2 * 2 && K >= 4096 && U % 4 == 0 && split_of(K).first > 1) return stream_gemm(K, U);
  s.name = "gemm";
  int lanes = lanes_for(U, m.vector_floats, 1, false).first;
  if (U < m.vector_floats) lanes = static_cast<int>(U);
  s.vector = lanes;
  const int64_t vectors = (U + lanes - 1) / lanes, fit = std::max<int64_t>(1, U / lanes);
  Tile tile = tile_for(vectors, std::min<int64_t>(12, std::max(p.max_batch, 1)), std::min<int64_t>(fit, 4), false);
  set("vectors", std::min(tile.vectors, fit));
  set("rows", tile.rows);
  // A sample alone reads whole rows of the weights, where they are short: what is read is then one piece of memory.
  const bool row_1 = !p.graph->nodes[k.anchor].op->dot && tile.rows > 1 && vectors * lanes > U &&
                     registers_of(static_cast<int>(U)) <= accumulators() / 2;
  if (row_1) set("vector_1", U), set("many", tile.rows);
  set("vectors_1", row_1 ? 1 : vectors_of_one(U, lanes, std::min<int64_t>(fit, accumulators() / 2)));
  set("tasks", k.flops * p.max_batch >= 2 * kGrainFlops ? 1 : 0);
  set("tasks_1", w.bytes() > 256 << 10 ? 1 : 0);
}

// Slices of K, and blocks of a slice: both must divide.
std::pair<int64_t, int64_t> Chooser::split_of(int64_t K) {
  for (int64_t slices : {16, 15, 14, 18, 20, 12, 24, 10, 8, 31, 32})
    if (K % slices == 0) {
      const int64_t block = largest_divisor(K / slices, 96);
      if (block >= 16) return {slices, block};
    }
  return {1, K};
}

void Chooser::stream_gemm(int64_t K, int64_t U) {
  s.name = "gemm_stream";
  int lanes = m.vector_floats;
  while (U % lanes != 0) lanes /= 2;
  s.vector = lanes;
  Tile tile = tile_for(U / lanes, 8, 8, true, true);
  set("vectors", tile.vectors);
  set("rows", tile.rows);
  // A sample alone reads rows of the weights whole, one after another, and asks for a later one meanwhile: its sums
  // stay in the first cache.
  set("vectors_1", largest_divisor(U / lanes, m.l1 / 2 / (4 * lanes)));
  set("ahead_1", std::max<int64_t>(1, m.l1 / 6 / (4 * U)));
  set("many", 8);  // samples, from which on a task keeps weights for all of them
  const auto [slices, block] = split_of(K);
  // A block of weights and the next, which is asked for meanwhile, have room in the second cache; wide layers are cut
  // into panels of columns, and K into fewer slices.
  const int64_t tiles = U / lanes / tile.vectors;
  int64_t panels = 1;
  while (panels < tiles && (tiles % panels != 0 || block * (U / panels) * 4 > m.l2 / 4)) ++panels;
  set("panels", panels);
  set("slices", largest_divisor(slices, std::max<int64_t>(1, slices / panels)));
  set("split_k", slices);
  set("block_k", block);
}

void Chooser::dot() {
  s.name = "dot";
  const Type& w = p.graph->type(p.graph->nodes[k.anchor].inputs[1]);
  int64_t K = anchor_type().dims[0], U = w.dims[1];
  s.vector = static_cast<int>(std::min<int64_t>(m.vector_floats, U));
  // a guard of the last vector costs more in a short sum
  if (U % s.vector != 0 && U % (s.vector / 2) == 0 && U < 16 * s.vector) s.vector /= 2;
  // Rows of the weights stay in the first cache for all samples, whose rows come from the second: the more rows of
  // weights in a tile, the less often.
  const int64_t tile = largest_divisor(
      K, std::clamp<int64_t>(m.l1 * 2 / 3 / std::max<int64_t>(1, w.dims[1] * 4), 4, accumulators() / 3));
  set("tile", tile);
  set("rows", accumulators() / tile);
  set("task_tiles",
      std::max<int64_t>(
          1, largest_near(K / tile, std::max<int64_t>(1, chunk_of(2.0 * U * 8 * tile, kGrainFlops, K / tile)))));
}

void Chooser::outer() {
  s.name = "outer";
  const Type& t = anchor_type();  // f32[K, U]
  auto [lanes, unused] = lanes_for(t.dims[1], m.vector_floats, 1, true);
  // a short row is one vector
  if (const int U = static_cast<int>(t.dims[1]);
      lanes < m.vector_floats && 3 * registers_of(U) <= m.vector_registers - 2)
    lanes = U;
  s.vector = lanes;
  // pieces long enough for memory, and rows enough that an operand is seldom read again
  const int64_t vectors = largest_divisor(t.dims[1] / lanes, 4);
  set("vectors", vectors);
  const int64_t row = vectors * registers_of(lanes),
                room = std::min<int64_t>(accumulators(), m.vector_registers - 2 - row);
  set("rows", largest_divisor(t.dims[0], std::max<int64_t>(1, room / row)));
  int64_t tiles = t.dims[0] / s.get("rows", 1);
  set("task_tiles", largest_divisor(tiles, chunk_of(2.0 * 16 * s.get("rows", 1) * t.dims[1], kGrainFlops, tiles)));
}

void Chooser::tokens() {
  s.name = "tokens";
  const Type& a = anchor_type();
  const int64_t U = a.dims.back(), T = a.dims[a.rank() - 2];
  if (p.graph->nodes[k.anchor].op->transforms_tiles) return strassen();
  if (weights_block(p, k) > 0) {
    const auto [lanes, vectors] = lanes_of_result(U, 1);
    s.vector = lanes;
    set("vectors", vectors);
    set("rows", rows_for(T, accumulators() / vectors));
    if (weights_in_pairs(p, k)) set("pairs", 1);
    return;
  }
  s.vector = lanes_for(U, m.vector_floats, 1, false).first;
  if (U < m.vector_floats) s.vector = static_cast<int>(U);
  const int64_t fit = std::max<int64_t>(1, U / s.vector);
  const Tile tile = tile_for((U + s.vector - 1) / s.vector, std::min<int64_t>(12, T), std::min<int64_t>(fit, 4), false);
  set("vectors", tile.vectors);
  set("rows", tile.rows);
}

void Chooser::attention() {
  s.name = "attention";
  const Type& y = anchor_type();
  const ir::Node& node = p.graph->nodes[k.anchor];
  const int64_t value = y.dims[1] / node.attrs.i("heads"), places = p.graph->type(node.inputs[1]).dims[0];
  s.vector = lanes_for(value, m.vector_floats, 1, true).first;
  const int64_t vectors = largest_divisor(value / s.vector, 4),
                of_scores = std::min<int64_t>(4, (places + s.vector - 1) / s.vector);
  set("vectors", vectors);
  set("score_vectors", of_scores);
  set("rows", rows_for(y.dims[0], accumulators() / std::max(vectors, of_scores)));
}

void Chooser::strassen() {
  s.name = "strassen";
  const Type& a = anchor_type();
  const int64_t pairs = (a.dims[0] + 1) / 2;
  const auto [lanes, vectors] = lanes_of_result(a.dims[1] / 2, 2);
  s.vector = lanes;
  set("vectors", vectors);
  set("rows", rows_for(pairs, accumulators() / vectors));
  set("task_pairs", even_share(pairs, 4 * m.cores));
}

}  // namespace netc::schedule
