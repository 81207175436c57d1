// What became of each kernel: its strategy and estimated cost beside what its machine code does.
#pragma once
#include <string>
#include <vector>

#include "compiler/lower/lower.h"
#include "compiler/report/code.h"
#include "compiler/machine/machine.h"
#include "compiler/plan/plan.h"

namespace netc::report {

struct Row {
  std::string plan;  // "training" or "inference"
  std::string kernel, phase, shapes, strategy;
  double cost_us = 0;           // estimated, a full batch on all cores
  double flops = 0, bytes = 0;  // of a full batch
  int64_t scratch = 0;          // bytes per thread
  Code code;
};

/// Appends the plan's kernels to `rows`; objects[i] is kernels[i]'s. False and `error` when an object cannot be read.
bool add_rows(const std::string& plan_name, const plan::Plan&, const Machine&,
              const std::vector<lower::Object>& objects, std::vector<Row>& rows, std::string& error);

/// A table for people, with a line on what its columns are.
std::string text(const std::vector<Row>&);
/// A JSON array with one object for each kernel.
std::string json(const std::vector<Row>&);

}  // namespace netc::report
