// What a model's variables hold in a test of its training step.
#pragma once
#include <map>
#include <string>

#include "compiler/ir/op_def.h"

namespace netc::test {

/// Photographs, classes below 3, weights as they are initialised, by the variables' names; the same each time.
std::map<std::string, ir::RefTensor> contents(const ir::Graph&, int batch);

}  // namespace netc::test
