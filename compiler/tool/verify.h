// netc verify FILE.net: the user's own network against the interpreter.
#pragma once
#include <string>

#include "compiler/emit/unit.h"
#include "compiler/lower/lower.h"
#include "compiler/passes/pipeline.h"
#include "compiler/tool/frontend.h"

namespace netc::tool {

struct VerifyOptions {
  bool json = false;
  uint64_t seed = 1;  // of what the net is fed with
};

/// Prints a line for each kernel and each result, the worst error beside its bound. Returns the exit code: kFailed when
/// one is over.
int verify(const emit::Unit&, const passes::Program&, const lower::Options&, const VerifyOptions&);

}  // namespace netc::tool
