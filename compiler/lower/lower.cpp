#include "compiler/lower/lower.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <fmt/format.h>

#include "compiler/base/temporary.h"
#include "compiler/lower/apply.h"
#include "compiler/lower/build.h"
#include "compiler/lower/cache.h"
#include "compiler/lower/scratch.h"
#include "compiler/lower/stores_last.h"
#include "compiler/lower/whole_vectors.h"

namespace netc::lower {
namespace {

thread_local char in_work[256] = "";

// Halide's errors become exceptions of this file's; its warnings are for its developers.
class Reporter : public Halide::CompileTimeErrorReporter {
 public:
  void warning(const char*) override {}
  void error(const char* message) override { throw std::runtime_error(message); }
};

std::string one_line(std::string s) {
  while (!s.empty() && std::isspace(static_cast<unsigned char>(s.back()))) s.pop_back();
  std::replace(s.begin(), s.end(), '\n', ' ');
  return s;
}

std::string read_file(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(f), {}};
}

void compile(const plan::Plan& p, const plan::Kernel& k, const Machine& m, const Options& options,
             const std::string& stem, Object& o) {
  halide::Built b = build(p, k);
  apply(p, k, b);
  Halide::Target target(m.halide_target);
  for (auto f : {Halide::Target::NoAsserts, Halide::Target::NoBoundsQuery, Halide::Target::NoRuntime,
                 Halide::Target::UserContext})
    target.set_feature(f);
  std::vector<Halide::Argument> args(b.params.begin(), b.params.end());
  Halide::Pipeline pipeline(b.out);
  for (const auto& pass : b.passes) pipeline.add_custom_lowering_pass(pass.get(), nullptr);
  WholeVectors whole;
  pipeline.add_custom_lowering_pass(&whole, nullptr);
  StoresLast stores(b.out.name());
  if (k.outputs.size() > 1 && overwrites_operand(p, k)) pipeline.add_custom_lowering_pass(&stores, nullptr);
  ScratchPass scratch(p, k, b);
  pipeline.add_custom_lowering_pass(&scratch, nullptr);
  Halide::Module module = pipeline.compile_to_module(args, o.symbol, target, Halide::LinkageType::ExternalPlusArgv);
  o.scratch = scratch.found().bytes;
  o.scratch_batch = scratch.found().by_batch ? p.max_batch : 0;
  std::map<Halide::OutputFileType, std::string> files;
  if (options.want_halide_text) files[Halide::OutputFileType::stmt] = stem + ".stmt";
  if (options.want_cpp) files[Halide::OutputFileType::c_source] = stem + ".cpp";
  files[Halide::OutputFileType::object] = stem + ".o";
  module.compile(files);
  o.object = read_file(stem + ".o");
  if (options.want_halide_text) o.halide_text = read_file(stem + ".stmt");
  if (options.want_cpp) o.cpp_source = read_file(stem + ".cpp");
}

}  // namespace

const char* kernel_in_work() { return in_work; }

bool lower_all(const plan::Plan& p, const Machine& m, const Options& options, std::vector<Object>& objects,
               std::string& error) {
  const int n = static_cast<int>(p.kernels.size());
  objects.assign(n, {});
  std::map<std::string, int> first;  // key -> the kernel that is compiled for all equal ones
  std::vector<std::string> keys;
  std::vector<int> todo, same_as(n);
  for (int i = 0; i < n; ++i) {
    keys.push_back(content_key(p, p.kernels[i], m));
    objects[i].symbol = "netc_k_" + keys[i].substr(0, 16);
    auto [it, fresh] = first.try_emplace(keys[i], i);
    same_as[i] = it->second;
    bool must_compile = options.want_halide_text || options.want_cpp;
    if (fresh && (must_compile || !load_cached(options.cache_dir, keys[i], p.max_batch, objects[i]))) todo.push_back(i);
  }
  // Halide would run on a stack of its own, which exceptions cannot leave; kernels are small enough for a thread's.
  Halide::set_compiler_stack_size(0);
  static Reporter reporter;
  Halide::set_custom_compile_time_error_reporter(&reporter);
  const Temporary temp = todo.empty() ? Temporary("") : Temporary(Temporary::Folder());
  if (!todo.empty() && temp.path().empty()) {
    error = "cannot make a folder for temporary files; set TMPDIR to a writable one";
    return false;
  }

  std::atomic<int> next{0};
  std::mutex mutex;
  int done = 0;
  auto step = [&](int finished) {
    std::lock_guard lock(mutex);
    done += finished;
    if (options.progress) options.progress(done, static_cast<int>(todo.size()));
  };
  auto failed = [&](int i, const std::string& cause) {
    if (options.skip_failures) return;
    std::lock_guard lock(mutex);
    if (error.empty())
      error = fmt::format("internal error: kernel {} ({}): {}; please report it with the model", p.kernels[i].name,
                          p.kernels[i].strategy.text(), cause.empty() ? "the code generator gives no cause" : cause);
    next = static_cast<int>(todo.size());
  };
  if (!todo.empty()) step(0);
  auto work = [&] {
    for (int t; (t = next++) < static_cast<int>(todo.size());) {
      int i = todo[t];
      std::snprintf(in_work, sizeof in_work, "%s (%s)", p.kernels[i].name.c_str(),
                    p.kernels[i].strategy.text().c_str());
      try {
        compile(p, p.kernels[i], m, options, temp.path() + "/" + std::to_string(i), objects[i]);
        if (objects[i].object.empty()) {
          std::lock_guard lock(mutex);
          if (error.empty())
            error = fmt::format("no object file was written for kernel {} (is the disk full?)", p.kernels[i].name);
          next = static_cast<int>(todo.size());
          continue;
        }
        store_cached(options.cache_dir, keys[i], objects[i]);
        step(1);
      } catch (const std::exception& e) { failed(i, one_line(e.what())); } catch (...) {
        failed(i, "");
      }
      in_work[0] = 0;
    }
  };
  {
    std::vector<std::jthread> threads;
    try {
      for (int t = 1; t < std::min<int>(options.threads, static_cast<int>(todo.size())); ++t)
        threads.emplace_back(work);
    } catch (const std::system_error&) {  // no more threads to be had: these do it all
    }
    work();
  }
  for (int i = 0; i < n; ++i)
    if (same_as[i] != i) objects[i] = objects[same_as[i]];
  return error.empty();
}

}  // namespace netc::lower
