// The IR's text, in pieces that passes use too. Graph's own print() and parse() are declared in graph.h.
#pragma once
#include <string>

#include "compiler/ir/graph.h"

namespace netc::ir {

std::string to_string(OutputKind);    // "loss"
std::string to_string(Role);          // "weight"
std::string to_string(const Attr&);   // true, 3, 0.5, "same", [1, 2]: a number with a point or an exponent is a double
std::string to_string(const Attrs&);  // "{eps = 0.001, rank = 1}", "" when empty
std::string quoted(const std::string&);  // "..." with \" \\ \n \t \r escaped

}  // namespace netc::ir
