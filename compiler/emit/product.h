// From a unit to what the user asked for: a program, a library, or C++ source. Kernels and the driver compile at the
// same time; outputs are replaced atomically.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "compiler/emit/unit.h"
#include "compiler/lower/lower.h"

namespace netc::emit {

/// Where the pieces of a product are, relative to this executable: the build tree or an installed prefix.
struct Toolchain {
  std::string cxx;          // the host's C++ compiler: $CXX, else c++ or g++ on PATH
  std::string include_dir;  // holds runtime/model.h
  std::string library_dir;  // holds libnetc_runtime.a and libnetc_runtime_core.a
};
/// False with the remedy in `error` when a piece is missing.
bool find_toolchain(Toolchain& out, std::string& error);

struct BuildOptions {
  lower::Options lower;
  Toolchain toolchain;
  std::vector<std::pair<std::string, double>>* timings = nullptr;  // milliseconds
};

/// What was compiled: the objects of each plan's kernels, in order, and the exact memory.
struct Built {
  std::vector<lower::Object> train, infer;
  Memory memory;
  int64_t product_bytes = 0;  // of the program or the archive
  int kernels = 0, from_cache = 0;
  std::vector<Built> also;  // of the units for other processors
};

/// An executable with every command. `out` is a path.
bool build_program(const Unit&, const BuildOptions&, const std::string& out, Built&, std::string& error);
/// A folder: include/NAME.h, include/NAME_c.h, lib/libNAME.a, lib/cmake/NAME/NAMEConfig.cmake, README.md.
bool build_library(const Unit&, const BuildOptions&, const std::string& out, Built&, std::string& error);
/// A folder with the driver, all kernels as C++, the runtime's sources and a CMakeLists.txt: builds with g++ alone.
bool build_cpp(const Unit&, const BuildOptions&, const std::string& out, Built&, std::string& error);
/// A folder with the kernels' object files and a list of their symbols.
bool build_objects(const Unit&, const BuildOptions&, const std::string& out, Built&, std::string& error);

}  // namespace netc::emit
