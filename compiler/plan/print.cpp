#include <fmt/format.h>

#include "compiler/plan/plan.h"

namespace netc::plan {

namespace {
std::string layout_text(const Buffer& b) {
  if (b.planar) return " planar";
  if (b.block == 0) return "";
  const int rank = b.type.rank();
  const std::string pairs = b.pair_dim >= 0 ? fmt::format(", in pairs along dim {}", rank - 1 - b.pair_dim) : "";
  return fmt::format(" in blocks of {} along dim {}{}", b.block, rank - 1 - b.block_dim, pairs);
}
}  // namespace

std::string print(const Plan& p) {
  std::string s =
      fmt::format("plan of {}: {} kernels, {} buffers, arena {} bytes at batch {}{}\n", p.graph->name, p.kernels.size(),
                  p.buffers.size(), p.arena_bytes, p.max_batch,
                  p.slice > 0 ? fmt::format(", {} {} at a time", p.slice, p.slice == 1 ? "sample" : "samples") : "");
  for (auto& k : p.kernels) {
    const std::string measured =
        k.strategy.measured_us > 0 ? fmt::format(" (measured {:.1f} us)", k.strategy.measured_us) : "";
    s += fmt::format(
        "{:8} {}: {}\n           {}, {:.0f} us{}; a sample {:.0f} flop, {:.0f} bytes; a batch {:.0f} flop, {:.0f} "
        "bytes\n",
        to_string(k.phase), k.name, k.comment, k.strategy.text(), k.strategy.cost_us, measured, k.flops, k.bytes,
        k.fixed_flops, k.fixed_bytes);
    auto list = [&](const char* what, const std::vector<int>& bs) {
      for (int b : bs) {
        const Buffer& f = p.buffers[b];
        s += fmt::format("           {} {} {}{}{}\n", what, f.name, to_string(f.type), layout_text(f),
                         f.storage == Storage::arena ? fmt::format(" @{}", f.offset) : "");
      }
    };
    list("reads ", k.inputs);
    list("writes", k.outputs);
    if (k.with_next) s += "           in step with the next\n";
  }
  return s;
}

}  // namespace netc::plan
