// What products are linked from: kernels compiled while the host's compiler works on the driver, and the names that
// bind one to the other.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "compiler/emit/process.h"
#include "compiler/emit/product.h"

namespace netc::emit {

/// A C++ source that the host's compiler turns into an object beside the kernels' compilation.
struct Source {
  std::string name, text;
};

/// Compiles both plans' kernels, and at the same time `sources` into temp.file(NAME + ".o"). Fills all of `built` but
/// product_bytes. With options.lower.want_cpp no object is kept.
bool compile_all(const Unit&, const BuildOptions&, const std::vector<Source>& sources, const TempFolder& temp,
                 Built& built, std::string& error);

/// One object for each distinct symbol, in order of first use.
std::vector<const lower::Object*> distinct(const Built&);

/// The drivers that a product needs, the first called "driver".
std::vector<Source> driver_sources(const Unit&);

/// Assembly for the target's kind of processor that defines the driver's names: each kernel's readable name jumps to
/// its content-hash symbol; NAME_scratch_bytes.
std::string names_assembly(const Unit&, const Built&);
/// The same in C++.
std::string names_source(const Unit&, const Built&);

/// Writes the kernels and the names into `temp`: the files to link, in order. False and `error` when the disk is full.
bool write_objects(const Unit&, const Built&, const TempFolder& temp, std::vector<std::string>& files,
                   std::string& error);

/// The host's compiler with the flags every source gets.
std::vector<std::string> compiler_command(const Toolchain&);

/// Adds the time since construction to `timings` under `name`.
class Timed {
 public:
  Timed(const BuildOptions& options, std::string name)
      : timings_(options.timings),
        name_(std::move(name)),
        start_(std::chrono::steady_clock::now()) {}
  ~Timed() {
    if (timings_)
      timings_->emplace_back(
          name_, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count());
  }

 private:
  std::vector<std::pair<std::string, double>>* timings_;
  std::string name_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace netc::emit
