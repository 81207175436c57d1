// The library: one relocatable object of driver, kernels and the runtime's core, whose only global symbols are the C
// functions; so two such libraries link into one application, whatever they share. And the folder of objects.
#include <filesystem>

#include <fmt/format.h>

#include "compiler/emit/driver.h"
#include "compiler/emit/library_text.h"
#include "compiler/emit/link.h"
#include "compiler/emit/text.h"

namespace netc::emit {

namespace fs = std::filesystem;

namespace {

bool check_folder(const std::string& out, std::string& error) {
  std::error_code ec;
  if (!fs::exists(out, ec) || fs::is_directory(out, ec)) return true;
  error = fmt::format("{} is a file; give the folder another name", out);
  return false;
}

bool archive(const BuildOptions& options, const TempFolder& temp, const std::vector<std::string>& files,
             const std::vector<std::string>& symbols, const std::string& id, std::string& error) {
  const std::string all = temp.file("all.o"), hidden = temp.file(id + ".o"), list = temp.file("symbols.txt");
  std::string text;
  for (const std::string& s : symbols) text += s + "\n";
  if (!write_file(list, text, error)) return false;
  // Templates' groups become plain sections: their symbols turn local, and a group that the application shares would be
  // thrown away under them.
  std::vector<std::string> command = split_words(options.toolchain.cxx);
  command.insert(command.end(), {"-r", "-nostdlib", "-Wl,--force-group-allocation", "-o", all});
  command.insert(command.end(), files.begin(), files.end());
  command.push_back(options.toolchain.library_dir + "/libnetc_runtime_core.a");
  return run_process(command, error) &&
         run_process({"objcopy", "--strip-debug", "--keep-global-symbols=" + list, all, hidden}, error) &&
         run_process({"ar", "rcs", temp.file("lib.a"), hidden}, error);
}

}  // namespace

bool build_library(const Unit& unit, const BuildOptions& options, const std::string& out, Built& built,
                   std::string& error) {
  for (const char* tool : {"objcopy", "ar"})
    if (find_executable(tool).empty()) {
      error = fmt::format("there is no {} on PATH; install binutils", tool);
      return false;
    }
  TempFolder temp;
  if (!check_folder(out, error) || !temp.ok(error)) return false;
  Unit u = unit;
  u.with_main = false;
  for (Unit& v : u.also) v.with_main = false;
  const std::string id = identifier(u.name);
  std::vector<Source> sources = driver_sources(u);
  sources.push_back({"glue", library_text(u, {}).glue});
  if (!compile_all(u, options, sources, temp, built, error)) return false;

  Timed timed(options, "archive");
  const LibraryText text = library_text(u, built.memory);
  std::vector<std::string> files;
  for (const Source& s : sources) files.push_back(temp.file(s.name + ".o"));
  std::string bytes;
  if (!write_objects(u, built, temp, files, error)) return false;
  if (!archive(options, temp, files, text.symbols, id, error)) {
    error = "making the library: " + error;
    return false;
  }
  if (!read_whole(temp.file("lib.a"), bytes, error)) return false;
  built.product_bytes = static_cast<int64_t>(bytes.size());
  return replace_file(out + "/include/" + id + "_c.h", text.c_header, error) &&
         replace_file(out + "/include/" + id + ".h", text.cpp_header, error) &&
         replace_file(out + "/lib/lib" + id + ".a", bytes, error) &&
         replace_file(fmt::format("{0}/lib/cmake/{1}/{1}Config.cmake", out, id), text.cmake, error) &&
         replace_file(out + "/README.md", text.readme, error);
}

bool build_objects(const Unit& unit, const BuildOptions& options, const std::string& out, Built& built,
                   std::string& error) {
  TempFolder temp;
  if (!check_folder(out, error) || !temp.ok(error) || !compile_all(unit, options, {}, temp, built, error)) return false;
  std::string list =
      "# object, the driver's name of the kernel, what it computes. int SYMBOL(void* context, halide_buffer_t* in..., "
      "halide_buffer_t* out...)\n";
  auto add = [&](const plan::Plan* p, const std::vector<lower::Object>& objects) {
    if (!p) return;
    const std::vector<std::string> names = kernel_symbols(unit, *p);
    for (size_t k = 0; k < names.size(); ++k)
      list += fmt::format("{}.o {} {}\n", objects[k].symbol, names[k], p->kernels[k].comment);
  };
  add(unit.train, built.train);
  add(unit.infer, built.infer);
  built.product_bytes = 0;
  for (const lower::Object* o : distinct(built)) {
    if (!replace_file(fmt::format("{}/{}.o", out, o->symbol), o->object, error)) return false;
    built.product_bytes += static_cast<int64_t>(o->object.size());
  }
  return replace_file(out + "/symbols.txt", list, error);
}

}  // namespace netc::emit
