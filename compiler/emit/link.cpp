#include "compiler/emit/link.h"

#include <algorithm>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "compiler/emit/driver.h"
#include "compiler/emit/text.h"

namespace netc::emit {
namespace {

/// The driver's name of a kernel, its symbol, and how many tensors it takes.
struct Name { std::string readable, symbol; size_t tensors; };

std::vector<Name> names_of(const Unit& u, const Built& built) {
  std::vector<Name> names;
  auto add = [&](const schedule::Plan* p, const std::vector<lower::Object>& objects) {
    if (!p) return;
    const std::vector<std::string> readable = kernel_symbols(u, *p);
    for (size_t k = 0; k < readable.size(); ++k) names.push_back({readable[k], objects[k].symbol, p->kernels[k].inputs.size() + p->kernels[k].outputs.size()});
  };
  add(u.train, built.train);
  add(u.infer, built.infer);
  return names;
}

bool compile_kernels(const Unit& u, const BuildOptions& options, const TempFolder& temp, Built& built, std::string& error) {
  lower::Options lower = options.lower;
  if (lower.cache_dir.empty()) lower.cache_dir = temp.file("cache");  // kernels that both plans have are compiled once
  if (u.train && !lower::lower_all(*u.train, *u.machine, lower, built.train, error)) return false;
  if (!lower::lower_all(*u.infer, *u.machine, lower, built.infer, error)) return false;
  std::set<std::string> seen;
  int64_t scratch = 0;
  built.kernels = static_cast<int>(built.train.size() + built.infer.size());
  built.from_cache = 0;
  for (auto* list : {&built.train, &built.infer}) {
    int64_t together = 0;  // of kernels in step
    for (size_t k = 0; k < list->size(); ++k) {
      const lower::Object& o = (*list)[k];
      together += o.scratch;
      scratch = std::max(scratch, together);
      if (!(list == &built.train ? u.train : u.infer)->kernels[k].with_next) together = 0;
      if (seen.insert(o.symbol).second && o.from_cache) ++built.from_cache;
    }
  }
  built.memory = memory_of(u, scratch);
  return true;
}

}  // namespace

std::vector<std::string> compiler_command(const Toolchain& t) {
  std::vector<std::string> command = split_words(t.cxx);
  for (const char* flag : {"-std=c++20", "-fPIC", "-ffunction-sections", "-fdata-sections", "-w"}) command.push_back(flag);
  if (t.cxx.find("clang") == std::string::npos) command.push_back("-fno-gnu-unique");  // see build_library
  command.push_back("-I" + t.include_dir);
  return command;
}

bool compile_all(const Unit& u, const BuildOptions& options, const std::vector<Source>& sources, const TempFolder& temp, Built& built, std::string& error) {
  std::vector<std::thread> threads;
  std::vector<std::string> errors(sources.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    const std::string cpp = temp.file(sources[i].name + ".cpp");
    if (!write_file(cpp, sources[i].text, error)) break;
    std::vector<std::string> command = compiler_command(options.toolchain);
    command.push_back(u.with_main ? "-O0" : "-O1");  // a driver only calls kernels: a program's compiles in half the time, a library's is small
    command.insert(command.end(), {"-c", cpp, "-o", temp.file(sources[i].name + ".o")});
    threads.emplace_back([command, &said = errors[i]] { run_process(command, said); });
  }
  if (error.empty()) {
    Timed timed(options, "kernels");
    compile_kernels(u, options, temp, built, error);
  }
  {
    Timed timed(options, "driver, after kernels");
    for (std::thread& t : threads) t.join();
  }
  for (const std::string& e : errors)
    if (error.empty() && !e.empty()) error = "compiling the driver: " + e;
  return error.empty();
}

std::vector<const lower::Object*> distinct(const Built& built) {
  std::vector<const lower::Object*> objects;
  std::set<std::string> seen;
  for (auto* list : {&built.train, &built.infer})
    for (const lower::Object& o : *list)
      if (seen.insert(o.symbol).second) objects.push_back(&o);
  return objects;
}

std::string names_assembly(const Unit& u, const Built& built) {
  const bool x86 = u.machine->halide_target.rfind("x86", 0) == 0;
  std::string s = "  .text\n";
  for (const Name& n : names_of(u, built)) s += fmt::format("  .globl {0}\n  .type {0}, %function\n{0}: {1} {2}\n", n.readable, x86 ? "jmp" : "b", n.symbol);
  const std::string scratch = identifier(u.name) + "_scratch_bytes";
  s += fmt::format("  .section .rodata\n  .balign 8\n  .globl {0}\n  .type {0}, %object\n  .size {0}, 8\n{0}: .quad {1}\n", scratch, built.memory.scratch_per_thread);
  return s + "  .section .note.GNU-stack,\"\",%progbits\n";
}

std::string names_source(const Unit& u, const Built& built) {
  std::string s = "// The kernels' readable names, and the scratch memory that the hungriest of them asks for.\n#include <cstddef>\n\nstruct halide_buffer_t;\n\nextern \"C\" {\n";
  for (const Name& n : names_of(u, built)) {
    std::string types, declared, passed;
    for (size_t i = 0; i < n.tensors; ++i) {
      types += ", halide_buffer_t*";
      declared += fmt::format(", halide_buffer_t* t{}", i);
      passed += fmt::format(", t{}", i);
    }
    s += fmt::format("int {}(void*{});\nint {}(void* context{}) {{ return {}(context{}); }}\n", n.symbol, types, n.readable, declared, n.symbol, passed);
  }
  return s + fmt::format("extern const size_t {0}_scratch_bytes;\nconst size_t {0}_scratch_bytes = {1};\n}}\n", identifier(u.name), built.memory.scratch_per_thread);
}

bool write_objects(const Unit& u, const Built& built, const TempFolder& temp, std::vector<std::string>& files, std::string& error) {
  for (const lower::Object* o : distinct(built)) {
    files.push_back(temp.file(o->symbol + ".o"));
    if (!write_file(files.back(), o->object, error)) return false;
  }
  files.push_back(temp.file("names.s"));
  return write_file(files.back(), names_assembly(u, built), error);
}

}  // namespace netc::emit
