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
struct Name {
  std::string readable, symbol;
  size_t tensors;
};

std::vector<Name> names_of(const Unit& u, const Built& built) {
  std::vector<Name> names;
  auto add = [&](const plan::Plan* p, const std::vector<lower::Object>& objects) {
    if (!p) return;
    const std::vector<std::string> readable = kernel_symbols(u, *p);
    for (size_t k = 0; k < readable.size(); ++k)
      names.push_back({readable[k], objects[k].symbol, p->kernels[k].inputs.size() + p->kernels[k].outputs.size()});
  };
  add(u.train, built.train);
  add(u.infer, built.infer);
  return names;
}

bool compile_kernels(const Unit& u, const BuildOptions& options, const TempFolder& temp, Built& built,
                     std::string& error) {
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
  for (const char* flag : {"-std=c++20", "-fPIC", "-ffunction-sections", "-fdata-sections", "-w"})
    command.push_back(flag);
  if (t.cxx.find("clang") == std::string::npos) command.push_back("-fno-gnu-unique");  // see build_library
  command.push_back("-I" + t.include_dir);
  return command;
}

bool compile_all(const Unit& u, const BuildOptions& options, const std::vector<Source>& sources, const TempFolder& temp,
                 Built& built, std::string& error) {
  std::vector<std::string> errors(sources.size());
  std::vector<std::jthread> threads;  // joined before the errors go, whatever is thrown
  for (size_t i = 0; i < sources.size(); ++i) {
    const std::string cpp = temp.file(sources[i].name + ".cpp");
    if (!write_file(cpp, sources[i].text, error)) break;
    std::vector<std::string> command = compiler_command(options.toolchain);
    // a driver only calls kernels: a program's compiles in half the time, a library's is small
    command.push_back(u.with_main ? "-O0" : "-O1");
    command.insert(command.end(), {"-c", cpp, "-o", temp.file(sources[i].name + ".o")});
    threads.emplace_back([command, &said = errors[i]] {
      try {
        run_process(command, said);
      } catch (const std::exception& e) { said = e.what(); }
    });
  }
  if (error.empty()) {
    Timed timed(options, "kernels");
    bool good = compile_kernels(u, options, temp, built, error);
    built.also.resize(u.also.size());
    for (size_t i = 0; i < u.also.size() && good; ++i)
      good = compile_kernels(u.also[i], options, temp, built.also[i], error);
  }
  {
    Timed timed(options, "driver, after kernels");
    for (std::jthread& t : threads) t.join();
  }
  for (const std::string& e : errors)
    if (error.empty() && !e.empty()) error = "compiling the driver: " + e;
  return error.empty();
}

std::vector<const lower::Object*> distinct(const Built& built) {
  std::vector<const lower::Object*> objects;
  std::set<std::string> seen;
  const auto add = [&](const Built& b) {
    for (auto* list : {&b.train, &b.infer})
      for (const lower::Object& o : *list)
        if (seen.insert(o.symbol).second) objects.push_back(&o);
  };
  add(built);
  for (const Built& b : built.also) add(b);
  return objects;
}

std::vector<Source> driver_sources(const Unit& u) {
  if (u.also.empty()) return {{"driver", driver_source(u)}};
  std::vector<Source> sources = {{"driver", chooser_source(u)}};
  for (const Unit* v : all_of(u)) sources.push_back({fmt::format("driver{}", sources.size()), driver_source(*v)});
  return sources;
}

std::string names_assembly(const Unit& u, const Built& built) {
  const bool x86 = u.machine->halide_target.rfind("x86", 0) == 0;
  std::string s = "  .text\n";
  for (const Name& n : names_of(u, built))
    s += fmt::format("  .globl {0}\n  .type {0}, %function\n{0}: {1} {2}\n", n.readable, x86 ? "jmp" : "b", n.symbol);
  const std::string scratch = prefix_of(u) + "_scratch_bytes";
  s += fmt::format(
      "  .section .rodata\n  .balign 8\n  .globl {0}\n  .type {0}, %object\n  .size {0}, 8\n{0}: .quad {1}\n", scratch,
      built.memory.scratch_per_thread);
  return s + "  .section .note.GNU-stack,\"\",%progbits\n";
}

std::string names_source(const Unit& u, const Built& built) {
  std::string s =
      "// The kernels' readable names, and the scratch memory that the hungriest of them asks for.\n#include "
      "<cstddef>\n\nstruct halide_buffer_t;\n\nextern \"C\" {\n";
  for (const Name& n : names_of(u, built)) {
    std::string types, declared, passed;
    for (size_t i = 0; i < n.tensors; ++i) {
      types += ", halide_buffer_t*";
      declared += fmt::format(", halide_buffer_t* t{}", i);
      passed += fmt::format(", t{}", i);
    }
    s += fmt::format("int {}(void*{});\nint {}(void* context{}) {{ return {}(context{}); }}\n", n.symbol, types,
                     n.readable, declared, n.symbol, passed);
  }
  return s + fmt::format("extern const size_t {0}_scratch_bytes;\nconst size_t {0}_scratch_bytes = {1};\n}}\n",
                         identifier(u.name), built.memory.scratch_per_thread);
}

bool write_objects(const Unit& u, const Built& built, const TempFolder& temp, std::vector<std::string>& files,
                   std::string& error) {
  for (const lower::Object* o : distinct(built)) {
    files.push_back(temp.file(o->symbol + ".o"));
    if (!write_file(files.back(), o->object, error)) return false;
  }
  if (!u.weights.empty()) {  // page by page as it is: in a section of its own, behind what code refers to
    const std::string symbol = identifier(u.name) + "_weights", inside = temp.file("weights.safetensors");
    files.push_back(temp.file("weights.s"));
    const std::string text = fmt::format(
        "  .section .rodata.{0},\"a\",%progbits\n  .balign 64\n  .globl {0}\n  .type {0}, %object\n  .size {0}, {1}\n"
        "{0}: .incbin \"{2}\"\n  .section .note.GNU-stack,\"\",%progbits\n",
        symbol, u.weights.size(), inside);
    if (!write_file(inside, u.weights, error) || !write_file(files.back(), text, error)) return false;
  }
  for (size_t i = 0; i <= u.also.size(); ++i) {
    files.push_back(temp.file(fmt::format("names{}.s", i)));
    if (!write_file(files.back(), i == 0 ? names_assembly(u, built) : names_assembly(u.also[i - 1], built.also[i - 1]),
                    error))
      return false;
  }
  return true;
}

}  // namespace netc::emit
