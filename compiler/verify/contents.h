// What a graph's variables hold while it is verified.
#pragma once
#include <map>
#include <string>

#include "compiler/ir/interpret.h"

namespace netc::verify {

/// Contents of a graph's variables by name, constants left out: finite, as float32 holds them; labels and tokens in the
/// range that the operators that read them tell apart. They depend on a variable's name, so that graphs of one model
/// get the same. `draw` picks another set.
std::map<std::string, ir::RefTensor> contents(const ir::Graph&, int batch, uint64_t draw);

/// True of a label of which any number is a sensible value, as for squared errors; false where shares or answers from 0
/// to 1 are wanted.
bool is_quantity(const ir::Graph&, ir::ValueId label);

}  // namespace netc::verify
