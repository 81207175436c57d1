// Compiles a graph's plan, loads the kernels and runs them in this process: what a product does, without the generated
// driver.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "compiler/ir/op_def.h"
#include "compiler/emit/product.h"
#include "compiler/lower/lower.h"
#include "compiler/machine/machine.h"
#include "compiler/plan/plan.h"

/// All outputs and updates by value, after running every kernel once. Empty and `error` on failure.
std::map<netc::ir::ValueId, netc::ir::RefTensor> run_kernels(
    const netc::ir::Graph&, const netc::Machine&, const std::map<std::string, netc::ir::RefTensor>& variables,
    int batch, int max_batch, int threads, std::string& error);
/// The same of a plan.
std::map<netc::ir::ValueId, netc::ir::RefTensor> run_plan(const netc::plan::Plan&, const netc::Machine&,
                                                          const std::map<std::string, netc::ir::RefTensor>& variables,
                                                          int batch, int threads, std::string& error);

/// What kernels of tests are compiled with: all cores, and what this process has compiled already.
netc::lower::Options lower_options();
netc::emit::Toolchain toolchain();
