// The larger of what the arithmetic and what the memory takes, at the machine's limits (Limits), each limit times the share of it that a strategy's loops reach.
#include "compiler/schedule/cost.h"

#include <algorithm>
#include <map>

namespace netc::schedule {
namespace {

constexpr double kCallUs = 1;             // of a kernel's call
constexpr double kThreadsUs = 2;          // of handing its tasks to other threads
constexpr double kGrainUs = 10;           // work below which a kernel runs on one thread, about

/// Shares of the limits: of multiply-adds, and of bytes moved.
struct Share { double arithmetic, bytes; };

Share share_of(const std::string& strategy) {
  static const std::map<std::string, Share> table = {
      {"gemm", {0.6, 0.9}},       {"gemm_stream", {0.6, 1.0}}, {"dot", {0.5, 0.8}},         {"outer", {0.5, 0.6}},       {"tokens", {0.7, 0.8}},
      {"conv_lanes", {0.75, 0.7}}, {"conv_planes", {0.5, 0.6}}, {"winograd", {1.6, 0.7}},    {"taps_lanes", {0.6, 0.7}},  {"taps_planes", {0.4, 0.6}},
      {"taps_panels", {0.5, 0.6}}, {"tile_sums", {0.7, 0.6}},   {"tiles", {0.3, 0.5}},       {"taps_back", {0.3, 0.5}},   {"window", {0.15, 0.6}},
      {"rows", {0.1, 0.5}},        {"reduce", {0.2, 0.5}},      {"scatter", {0.1, 0.2}},     {"map", {0.15, 0.6}},        {"blocks", {0.1, 0.3}},
  };
  const auto it = table.find(strategy);
  return it == table.end() ? Share{0.2, 0.5} : it->second;
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
  const bool contracts = k.anchor != ir::kNone && p.graph->nodes[k.anchor].op->kind == ir::Kind::contraction;
  const double lanes = std::min(1.0, static_cast<double>(s.vector) / m.vector_floats);
  const double arithmetic = flops / (m.limits.gflops * 1e3 * share.arithmetic * lanes * (contracts ? busy(s) : 1));  // on one core
  const bool cached = bytes <= 0.5 * static_cast<double>(m.l2) * m.cores;
  const double one_core = bytes / (m.limits.cache_gbytes * 1e3 * share.bytes);
  const double cores = std::max(arithmetic, one_core) > kGrainUs ? m.cores : 1;
  const double memory = cached ? one_core / cores : bytes / (m.limits.memory_gbytes * 1e3 * share.bytes);
  return kCallUs + (cores > 1 ? kThreadsUs : 0) + std::max(arithmetic / cores, memory);
}

}  // namespace netc::schedule
