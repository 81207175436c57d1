// What a machine's arithmetic and memory give at most, by loops that do nothing else: some 100 ms. float32, the widest
// vectors that the processor has.
#pragma once
#include <optional>

namespace netc::rt {

struct MachineLimits {
  double gflops = 0;         // multiply-adds of one core, each two operations: 1e9 a second
  double cache_gbytes = 0;   // read from one core's second cache: 1e9 bytes a second
  double memory_gbytes = 0;  // read from memory by all threads together
};
/// Nothing where the processor's vectors are not known here. Other processes only take from what is seen.
std::optional<MachineLimits> measure_limits(int threads);

}  // namespace netc::rt
