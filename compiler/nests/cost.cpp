// The larger of what the arithmetic and what the memory takes, at the machine's limits (Limits), of which a nest's
// loops reach a share.
#include "compiler/nests/nest.h"

namespace netc::nests {
namespace {

constexpr double kCallUs = 0.3;     // of a kernel's call
constexpr double kThreadsUs = 2;    // of handing its tasks to other threads
constexpr double kGrainUs = 10;     // work below which a kernel runs on one thread, about
constexpr double kStartTerms = 24;  // multiply-adds that it takes as long to begin and to end a sum as to add

}  // namespace

double estimate_us(const Site& at, const Strategy& s) {
  const Nest* nest = find(s.name);
  if (!nest) return 0;
  const plan::Kernel& k = at.k;
  const Machine& m = at.m;
  const double batch = at.p.max_batch, flops = k.flops * batch + k.fixed_flops, bytes = k.bytes * batch + k.fixed_bytes;
  const Share share = nest->share();
  double reached = share.arithmetic * std::min(1.0, static_cast<double>(s.vector) / m.vector_floats);
  if (at.is(ir::Kind::contraction)) {
    const ir::Type& t = at.result();
    const double terms = std::max(1.0, flops / 2 / (static_cast<double>(t.elements()) * (t.batched ? batch : 1)));
    // Sums of a tile hide each other's latency; in pairs each lane adds two products at once.
    reached *= std::min(1.0, nest->held(s) / kLatency) * terms / (terms + kStartTerms) * nest->products(s);
  }
  // on one core
  const double arithmetic = flops / (m.limits.gflops * 1e3 * reached), cached = bytes / (m.limits.cache_gbytes * 1e3);
  const double cores = std::max(arithmetic, cached) > kGrainUs ? m.cores : 1;
  const double memory = bytes <= 0.5 * static_cast<double>(m.l2) * m.cores
                            ? cached / cores
                            : bytes / (m.limits.memory_gbytes * 1e3 * share.bytes);
  return kCallUs + (cores > 1 ? kThreadsUs : 0) + std::max(arithmetic / cores, memory);
}

}  // namespace netc::nests
