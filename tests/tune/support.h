// A net's plan from source text, for a fixed processor: what is compared does not depend on where the test runs.
#pragma once
#include <doctest/doctest.h>

#include "compiler/ops/ops.h"
#include "compiler/parse/parse.h"
#include "compiler/passes/pipeline.h"
#include "compiler/schedule/tuning.h"

namespace support {

inline netc::passes::Program program(const std::string& net) {
  const netc::SourceFile file("test.net", net);
  netc::Diagnostics diagnostics(file);
  auto tree = parse(file, diagnostics);
  REQUIRE_MESSAGE(tree, diagnostics.render(false));
  auto model = netc::sema::analyse(*tree, {}, netc::ops::registry(), diagnostics);
  REQUIRE_MESSAGE(model, diagnostics.render(false));
  return netc::passes::run_pipeline(*model, netc::ops::registry());
}

inline netc::Machine machine() {
  netc::Machine m;
  REQUIRE(netc::machine_for("x86-64-avx2", m));
  return m;
}

}  // namespace support
