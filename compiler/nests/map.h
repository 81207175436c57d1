// One element after another: what `map` and `window` share.
#pragma once
#include "compiler/nests/nest_of.h"

namespace netc::nests {

struct MapNumbers {
  int64_t task_rows = 1, task_samples = 1;
  static constexpr Number<MapNumbers> kNumbers[] = {{"task_rows", &MapNumbers::task_rows},
                                                    {"task_samples", &MapNumbers::task_samples}};
};

MapNumbers map_numbers(const Site&, int& lanes);
void map_loop(Loops&, const MapNumbers&);

}  // namespace netc::nests
