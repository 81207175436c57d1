// The texts of a compiled library: its headers, the C functions behind them, its CMake package and README.
#pragma once
#include <string>
#include <vector>

#include "compiler/emit/unit.h"

namespace netc::emit {

struct LibraryText {
  std::string c_header, cpp_header, glue, cmake, readme;
  std::vector<std::string> symbols;  // what applications call: the archive's only global symbols
};
/// `memory` with the kernels' scratch: the README states the exact bytes.
LibraryText library_text(const Unit&, const Memory& memory);

}  // namespace netc::emit
