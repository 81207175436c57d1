// The larger of what the arithmetic and what the memory takes, at the machine's limits (Limits), of which a strategy's
// loops reach a share.
#include "compiler/schedule/cost.h"

#include <algorithm>
#include <map>

namespace netc::schedule {
namespace {

constexpr double kCallUs = 0.3;     // of a kernel's call
constexpr double kThreadsUs = 2;    // of handing its tasks to other threads
constexpr double kGrainUs = 10;     // work below which a kernel runs on one thread, about
constexpr double kStartTerms = 24;  // multiply-adds that it takes as long to begin and to end a sum as to add

/// Shares of the limits: of multiply-adds, and of bytes moved from memory, above 1 where much of them is in the last
/// cache. Measured (docs/performance.md).
struct Share {
  double arithmetic, bytes;
};

Share share_of(const std::string& strategy) {
  static const std::map<std::string, Share> table = {
      {"gemm", {0.8, 1.0}},       {"gemm_stream", {0.6, 1.0}}, {"dot", {0.5, 1.0}},         {"outer", {0.5, 1.0}},
      {"tokens", {0.85, 1.0}},    {"strassen", {0.85, 1.0}},   {"attention", {0.65, 1.0}},  {"conv_lanes", {0.95, 1.0}},
      {"conv_depth", {0.3, 1.0}}, {"conv_planes", {0.4, 1.0}}, {"conv_dot", {0.4, 1.0}},    {"winograd", {0.75, 1.0}},
      {"taps_lanes", {0.6, 1.0}}, {"taps_planes", {0.4, 1.0}}, {"taps_panels", {0.5, 1.0}}, {"tile_sums", {0.55, 1.0}},
      {"tiles", {0.3, 1.0}},      {"taps_back", {0.3, 0.6}},   {"window", {0.1, 1.4}},      {"rows", {0.2, 1.5}},
      {"reduce", {0.2, 1.2}},     {"scatter", {0.1, 0.5}},     {"map", {0.1, 1.5}},         {"blocks", {0.1, 0.5}},
  };
  const auto it = table.find(strategy);
  return it == table.end() ? Share{0.2, 1} : it->second;
}

/// Sums that a tile holds in registers: fewer than the latency of one leave the units idle.
double busy(const Strategy& s) {
  double held = 1;
  for (const char* number : {"vectors", "rows", "lines", "channels", "filters", "taps", "tile"})
    if (!(s.name == "winograd" && std::string(number) == "tile")) held *= static_cast<double>(s.get(number, 1));
  return std::min(1.0, held / 8);
}

}  // namespace

double estimate_us(const Plan& p, const Kernel& k, const Strategy& s, const Machine& m) {
  const double batch = p.max_batch, flops = k.flops * batch + k.fixed_flops, bytes = k.bytes * batch + k.fixed_bytes;
  const Share share = share_of(s.name);
  double reached = share.arithmetic * std::min(1.0, static_cast<double>(s.vector) / m.vector_floats);
  if (k.anchor != ir::kNone && p.graph->nodes[k.anchor].op->kind == ir::Kind::contraction) {
    const ir::Type& t = p.graph->type(p.graph->nodes[k.anchor].results[0]);
    const double terms = std::max(1.0, flops / 2 / (static_cast<double>(t.elements()) * (t.batched ? batch : 1)));
    reached *= busy(s) * terms / (terms + kStartTerms) * (s.get("pairs", 0) ? 2 : 1);
  }
  // on one core
  const double arithmetic = flops / (m.limits.gflops * 1e3 * reached), cached = bytes / (m.limits.cache_gbytes * 1e3);
  const double cores = std::max(arithmetic, cached) > kGrainUs ? m.cores : 1;
  const double memory = bytes <= 0.5 * static_cast<double>(m.l2) * m.cores
                            ? cached / cores
                            : bytes / (m.limits.memory_gbytes * 1e3 * share.bytes);
  return kCallUs + (cores > 1 ? kThreadsUs : 0) + std::max(arithmetic / cores, memory);
}

}  // namespace netc::schedule
