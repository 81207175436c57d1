// netc FILE.net -o OUT: a model to a product.
#pragma once
#include <string>

#include "compiler/tool/frontend.h"
#include "compiler/tool/outputs.h"

namespace netc::tool {

struct CompileOptions {
  FileOptions file;
  std::string path, out;  // out empty: the file's name without .net
  Emit emit = Emit::program;
  std::string target = "host", print_after;
  std::string tuning;        // the tuning file; empty: MODEL.tune beside the model, where there is one
  std::string weights;       // that go inside the product; empty: none
  double tune = 0;           // seconds to measure for what that file lacks; 0: nothing is measured
  int max_batch = 0;         // 0: the train section's batch, or 32
  int64_t memory_limit = 0;  // bytes of an instance, scratch apart; 0: none
  int threads = 0;           // of the compiler; 0: as many as the machine has cores
  bool bf16 = false;         // --precision bf16
  uint64_t seed = 1;         // of what netc verify feeds the net with
  bool inference_only = false, no_cache = false, timings = false, report = false, json = false, depfile = false;
};

/// Returns the exit code.
int compile(const CompileOptions&);

}  // namespace netc::tool
