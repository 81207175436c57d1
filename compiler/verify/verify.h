// Whether a compiled network computes what it should: its passes against the interpreter of the graph as the user wrote
// it, its gradients against finite differences, its kernels one by one and a whole step against the interpreter in
// double.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "compiler/passes/pipeline.h"
#include "compiler/verify/compare.h"
#include "compiler/verify/runner.h"

namespace netc::verify {

struct Options {
  Machine machine;
  int batch = 4;                      // the plans' largest; smaller ones are run, too
  std::vector<int> threads = {1, 2};  // one result, whatever their number
  bool batches = true;                // of one sample, and of one less than the largest; else the largest only
  lower::Options lower;
  emit::Toolchain toolchain;
  int roundings = 2;      // sets of rounding errors that are tried: one takes half the time
  bool passes = true;     // not of products of bf16, which passes round
  bool kernels = true;    // one by one; else whole steps only
  bool gradients = true;  // a plan that keeps every gradient, besides the step's own, which updates weights right away
  const plan::Plan *train = nullptr, *infer = nullptr;  // plans that are there already
  /// Makes the others: of a training step, or of inference. Null: as the compiler does.
  std::function<plan::Plan(const ir::Graph&, const Machine&, int batch)> plan;
};

/// One tensor or kernel: `what` names it in the plan of `where`.
struct Line {
  std::string where, what;
  Comparison result;
  std::string text;  // what is wrong; "" when nothing is
};

struct Report {
  std::vector<Line> kernels, results;
  /// other than wrong numbers: memory written that is not a kernel's, results that depend on threads
  std::vector<std::string> faults;
  bool ok() const;
};

/// Passes and gradients, in double.
void verify_passes(const sema::Model&, const passes::Program&, const Contents&, int batch, Report&);

/// A plan's kernels. False and `error` when they cannot be compiled.
bool verify_plan(const std::string& where, const plan::Plan&, const Contents&, const Options&, Report&,
                 std::string& error);

/// All of a model; `contents` gives variables of a graph contents for a batch.
bool verify_model(const sema::Model&, const passes::Program&, const std::function<Contents(const ir::Graph&)>& contents,
                  const Options&, Report&, std::string& error);

}  // namespace netc::verify
