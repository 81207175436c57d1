// Finding the pieces, and the program: the product that most users ask for.
#include "compiler/emit/product.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "compiler/emit/driver.h"
#include "compiler/emit/link.h"

namespace netc::emit {

namespace fs = std::filesystem;

bool find_toolchain(Toolchain& out, std::string& error) {
  const char* cxx = std::getenv("CXX");
  const std::vector<std::string> wanted = split_words(cxx ? cxx : "");
  if (!wanted.empty()) {
    out.cxx = cxx;
    if (find_executable(wanted[0]).empty()) {
      error = fmt::format("there is no C++ compiler {} ($CXX); set CXX to one, or unset it", wanted[0]);
      return false;
    }
  } else {
    for (const char* name : {"c++", "g++", "clang++"})
      if (out.cxx.empty() && !find_executable(name).empty()) out.cxx = name;
    if (out.cxx.empty()) {
      error = "there is no C++ compiler on PATH; install g++ (Debian: apt-get install g++), or set CXX";
      return false;
    }
  }
  std::error_code ec;
  const fs::path self = fs::read_symlink("/proc/self/exe", ec), prefix = self.parent_path().parent_path();
  struct Place {
    fs::path library, include;
  };
  for (const Place& p :
       {Place{prefix / "lib" / "netc", prefix / "include" / "netc"}, Place{prefix / "lib", NETC_SOURCE_DIR}}) {
    if (!fs::exists(p.library / "libnetc_runtime.a", ec) || !fs::exists(p.library / "libnetc_runtime_core.a", ec) ||
        !fs::exists(p.include / "runtime" / "model.h", ec))
      continue;
    out.library_dir = p.library;
    out.include_dir = p.include;
    return true;
  }
  error = fmt::format(
      "netc's runtime is not where it belongs ({}/lib/netc/libnetc_runtime.a and {}/include/netc/runtime): install "
      "netc again",
      prefix.string(), prefix.string());
  return false;
}

bool build_program(const Unit& unit, const BuildOptions& options, const std::string& out, Built& built,
                   std::string& error) {
  std::error_code ec;
  const fs::path folder = fs::path(out).parent_path();
  if (fs::is_directory(out, ec)) {
    error = fmt::format("{} is a folder; give the program another name", out);
    return false;
  }
  if (!folder.empty() && !fs::is_directory(folder, ec)) {
    error = fmt::format("there is no folder {} to write {} into", folder.string(), fs::path(out).filename().string());
    return false;
  }
  TempFolder temp;
  if (!temp.ok(error)) return false;
  const std::vector<Source> drivers = driver_sources(unit);
  if (!compile_all(unit, options, drivers, temp, built, error)) return false;

  Timed timed(options, "link");
  std::vector<std::string> files;
  for (const Source& s : drivers) files.push_back(temp.file(s.name + ".o"));
  if (!write_objects(unit, built, temp, files, error)) return false;
  const Temporary linked(fmt::format("{}.{}.tmp", out, getpid()));  // beside the result: a rename replaces it at once
  std::vector<std::string> command = split_words(options.toolchain.cxx);
  command.insert(command.end(), {"-o", linked.path()});
  command.insert(command.end(), files.begin(), files.end());
  command.push_back(options.toolchain.library_dir + "/libnetc_runtime.a");
  for (const char* flag : {"-lturbojpeg", "-lpng", "-lz", "-lpthread", "-Wl,--gc-sections", "-s"})
    command.push_back(flag);
  if (!run_process(command, error)) {
    error = "linking the program: " + error;
    return false;
  }
  fs::rename(linked.path(), out, ec);
  if (ec) {
    error = fmt::format("cannot write {}: {}", out, ec.message());
    return false;
  }
  built.product_bytes = static_cast<int64_t>(fs::file_size(out, ec));
  return true;
}

}  // namespace netc::emit
