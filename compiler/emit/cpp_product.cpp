// The whole product as C++ source: the driver, the kernels through Halide's C++ backend, the runtime's sources, and two
// ways to build them without netc.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "compiler/emit/driver.h"
#include "compiler/emit/link.h"
#include "compiler/emit/product.h"
#include "compiler/emit/text.h"

namespace netc::emit {

namespace fs = std::filesystem;

namespace {

/// The instruction set that the kernels' vectors were chosen for, as g++ and clang++ call it.
const char* march_of(const Machine& m) { return m.vector_floats >= 16 ? "x86-64-v4" : "x86-64-v3"; }

/// Contractions are allowed, as they are in compiled kernels; vectors are read through pointers to floats.
std::string flags_of(const Unit& u) {
  return fmt::format("-std=c++20 -O2 -march={} -ffp-contract=fast -fno-strict-aliasing -DFMT_HEADER_ONLY -I.",
                     march_of(*u.machine));
}

constexpr const char* kLibraries = "-lturbojpeg -lpng -lz -lpthread";

std::string makefile(const Unit& u) {
  return fmt::format(
      "# Builds {0} with a C++20 compiler alone.\n"
      "CXX ?= g++\n"
      "SOURCES := $(wildcard *.cpp kernels/*.cpp runtime/*.cpp runtime/*/*.cpp runtime/*/*/*.cpp)\n"
      "{0}: $(SOURCES:.cpp=.o)\n\t$(CXX) -o $@ $^ {2}\n"
      "kernels/%.o: kernels/%.cpp\n\t$(CXX) {1} -w -Wno-psabi -c -o $@ $<\n"
      "%.o: %.cpp\n\t$(CXX) {1} -c -o $@ $<\n"
      "clean:\n\trm -f {0} $(SOURCES:.cpp=.o)\n",
      u.name, flags_of(u), kLibraries);
}

std::string cmake_lists(const Unit& u) {
  return fmt::format(
      "cmake_minimum_required(VERSION 3.16)\nproject({1} LANGUAGES CXX)\nset(CMAKE_CXX_STANDARD 20)\nif(NOT "
      "CMAKE_BUILD_TYPE)\n  set(CMAKE_BUILD_TYPE Release)\nendif()\n"
      "find_package(Threads REQUIRED)\nfile(GLOB sources *.cpp kernels/*.cpp runtime/*.cpp "
      "runtime/*/*.cpp runtime/*/*/*.cpp)\nadd_executable({0} ${{sources}})\n"
      "target_include_directories({0} PRIVATE .)\ntarget_compile_definitions({0} PRIVATE FMT_HEADER_ONLY)\n"
      "target_compile_options({0} PRIVATE -march={2} -ffp-contract=fast -fno-strict-aliasing)\n"
      "target_link_libraries({0} PRIVATE turbojpeg png z Threads::Threads)\n",
      u.name, identifier(u.name), march_of(*u.machine));
}

std::string readme(const Unit& u) {
  return fmt::format(
      "# {0} as C++\n\n`make -j` (or CMake) builds the program {0}; neither netc nor Halide is needed, only a C++20 "
      "compiler and the libraries that the runtime uses\n"
      "(Debian: libfmt-dev libexpected-dev libcli11-dev nlohmann-json3-dev libturbojpeg0-dev libpng-dev zlib1g-dev; "
      "libwebp-dev libgif-dev libtiff-dev for their formats).\n\n"
      "- `driver.cpp`: the net: `forward`, `backward`, `update`, one call a kernel\n- `kernels/`: each kernel, as "
      "Halide's C++ backend writes it\n"
      "- `names.cpp`: the driver's names of the kernels\n- `runtime/`: data, training and the command line\n\nThe "
      "kernels' vectors are {1} floats wide: processors of {2}.\n",
      u.name, u.machine->vector_floats, march_of(*u.machine));
}

/// The runtime's sources and headers, under `out`/runtime.
bool copy_runtime(const std::string& include_dir, const std::string& out, std::string& error) {
  std::error_code ec;
  const fs::path from = fs::path(include_dir) / "runtime";
  int sources = 0;
  for (fs::recursive_directory_iterator it(from, ec), end; !ec && it != end; it.increment(ec)) {
    const std::string extension = it->path().extension().string();
    if (!it->is_regular_file(ec) || (extension != ".cpp" && extension != ".h" && extension != ".def")) continue;
    std::string text;
    const std::string to = fmt::format("{}/runtime/{}", out, fs::relative(it->path(), from, ec).string());
    if (!read_whole(it->path().string(), text, error) || !replace_file(to, text, error)) return false;
    sources += extension == ".cpp";
  }
  if (ec || sources == 0) {
    error = fmt::format("the runtime's sources are not in {}: install netc again", from.string());
    return false;
  }
  return true;
}

}  // namespace

bool build_cpp(const Unit& unit, const BuildOptions& options, const std::string& out, Built& built,
               std::string& error) {
  std::error_code ec;
  if (fs::exists(out, ec) && !fs::is_directory(out, ec)) {
    error = fmt::format("{} is a file; give the folder another name", out);
    return false;
  }
  TempFolder temp;
  if (!temp.ok(error)) return false;
  BuildOptions how = options;
  how.lower.want_cpp = true;
  if (!compile_all(unit, how, {}, temp, built, error)) return false;
  // kernels of an earlier version of the net; nothing else of the user's
  for (const auto& old : fs::directory_iterator(out + "/kernels", ec))
    if (old.path().filename().string().rfind("netc_k_", 0) == 0 && old.path().extension() == ".cpp")
      fs::remove(old.path(), ec);
  built.product_bytes = 0;
  for (const lower::Object* o : distinct(built)) {
    if (!replace_file(fmt::format("{}/kernels/{}.cpp", out, o->symbol), o->cpp_source, error)) return false;
    built.product_bytes += static_cast<int64_t>(o->cpp_source.size());
  }
  return replace_file(out + "/driver.cpp", driver_source(unit), error) &&
         replace_file(out + "/names.cpp", names_source(unit, built), error) &&
         replace_file(out + "/Makefile", makefile(unit), error) &&
         replace_file(out + "/CMakeLists.txt", cmake_lists(unit), error) &&
         replace_file(out + "/README.md", readme(unit), error) &&
         copy_runtime(options.toolchain.include_dir, out, error);
}

}  // namespace netc::emit
