// From the model's forward graph to the three graphs that are compiled.
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/sema/model.h"

namespace netc::passes {

struct Program {
  ir::Graph training;    // one step: forward, loss, gradients, updates. Outputs: the net's, then "loss"
  ir::Graph inference;   // outputs: the net's
  ir::Graph evaluation;  // inference with the label, and "loss" (penalties included) as the last output
  /// Of `training`: the index of each trained variable and its gradient, penalties included.
  std::vector<std::pair<int32_t, ir::ValueId>> gradients;
};

struct PipelineOptions {
  bool bf16 = false;  // contractions multiply rounded operands: round_products
#ifdef NDEBUG
  bool verify = false;  // after every pass; a violation is a bug here and aborts with the messages
#else
  bool verify = true;
#endif
  std::string print_after = {};  // a pass's name ("autodiff") or "all"; on_print gets "training/autodiff" and the graph
  std::function<void(const std::string& pass, const ir::Graph&)> on_print = {};
  std::vector<std::pair<std::string, double>>* timings = nullptr;  // "training/autodiff", milliseconds
};

/// Without a train section, training and evaluation are empty graphs.
Program run_pipeline(const sema::Model&, const ir::Registry&, const PipelineOptions& = {});

/// Names that print_after takes.
const std::vector<std::string>& pass_names();

}  // namespace netc::passes
