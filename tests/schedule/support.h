// Nets from source text to plans, without compiling a kernel.
#pragma once
#include <string>

#include <doctest/doctest.h>

#include "compiler/ops/ops.h"
#include "compiler/parse/parse.h"
#include "compiler/passes/pipeline.h"
#include "compiler/machine/machine.h"
#include "compiler/plan/plan.h"

namespace netc::test {

inline passes::Program program_of(const std::string& text) {
  SourceFile file("test.net", text);
  Diagnostics diagnostics(file);
  const auto tree = parse(file, diagnostics);
  REQUIRE_MESSAGE(tree.has_value(), diagnostics.render(false));
  const auto model = sema::analyse(*tree, {}, ops::registry(), diagnostics);
  REQUIRE_MESSAGE(model.has_value(), diagnostics.render(false));
  return passes::run_pipeline(*model, ops::registry(), {.verify = true});
}

/// A machine that is the same on every host.
inline Machine machine() {
  Machine m;
  machine_for("x86-64-avx2", m);
  m.cores = 2, m.l1 = 32 << 10, m.l2 = 512 << 10, m.l3 = 16 << 20;
  return m;
}

/// The kernel that computes the node of this operator, or null.
inline const plan::Kernel* kernel_with(const plan::Plan& p, const std::string& op) {
  for (const plan::Kernel& k : p.kernels)
    for (const ir::NodeId n : k.nodes)
      if (p.graph->nodes[static_cast<size_t>(n)].op->name == op) return &k;
  return nullptr;
}

}  // namespace netc::test
