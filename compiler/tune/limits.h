// What this machine's arithmetic and memory give at most, measured in some 50 ms and kept in the compiler's cache
// folder.
#pragma once
#include <string>

#include "compiler/machine/machine.h"
#include "compiler/plan/plan.h"

namespace netc::tune {

/// Measures. Where the processor's vectors are not known to this file, what `m` has stays.
Limits measure_limits(const Machine& m);

/// Those that an earlier run on this machine measured; false, and `m` as it was, where there are none.
bool load_limits(const std::string& cache_dir, Machine& m);
/// Measures them; the largest that any run saw are kept, since other processes only take from them. A folder that
/// cannot be written is no error.
void update_limits(const std::string& cache_dir, Machine& m);

}  // namespace netc::tune
