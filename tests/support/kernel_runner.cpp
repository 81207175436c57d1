#include "tests/support/kernel_runner.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "compiler/schedule/check.h"
#include "compiler/schedule/make_plan.h"
#include "compiler/verify/runner.h"
#include "runtime/cores.h"

using namespace netc;

namespace {

/// What this process has compiled: the same kernels at another batch, or with other threads, are not compiled again.
const std::string& compiled() {
  struct Folder {
    std::string path = (std::filesystem::temp_directory_path() / "netc-test-cache-XXXXXX").string();
    Folder() {
      if (!mkdtemp(path.data())) path.clear();
    }
    ~Folder() {
      std::error_code ec;
      if (!path.empty()) std::filesystem::remove_all(path, ec);
    }
  };
  static const Folder folder;
  return folder.path;
}

}  // namespace

lower::Options lower_options() {
  lower::Options options;
  options.threads = rt::available_cores();
  options.cache_dir = compiled();
  return options;
}

emit::Toolchain toolchain() {
  emit::Toolchain tools;
  tools.cxx = "g++";
  return tools;
}

std::map<ir::ValueId, ir::RefTensor> run_kernels(const ir::Graph& g, const Machine& m,
                                                 const std::map<std::string, ir::RefTensor>& variables, int batch,
                                                 int max_batch, int threads, std::string& error) {
  return run_plan(schedule::make_plan(g, m, max_batch), m, variables, batch, threads, error);
}

std::map<ir::ValueId, ir::RefTensor> run_plan(const plan::Plan& plan, const Machine& m,
                                              const std::map<std::string, ir::RefTensor>& variables, int batch,
                                              int threads, std::string& error) {
  for (const std::string& fault : schedule::check_plan(plan))
    return error = fault, std::map<ir::ValueId, ir::RefTensor>();
  const auto kernels = verify::Kernels::load(plan, m, lower_options(), toolchain(), error);
  if (!kernels) return {};
  const auto run = verify::Run::create(*kernels, verify::Layout::product, batch, threads, error);
  if (!run) return {};
  verify::Contents all;  // what is not given is zero, as in the interpreter
  for (const ir::Variable& v : plan.graph->variables) {
    const ir::Type& t = plan.graph->type(v.value);
    if (v.role != ir::Role::constant && !t.has_any_extent())
      all[v.name].data.assign(static_cast<size_t>(t.elements() * (t.batched ? batch : 1)), 0.0);
  }
  for (const auto& [name, contents] : variables) all[name] = contents;
  run->set(all);
  if (!run->step(error)) return {};
  std::map<ir::ValueId, ir::RefTensor> results;
  const auto fetch = [&](ir::ValueId v) {
    for (size_t i = 0; i < plan.buffers.size(); ++i)
      if (plan.buffers[i].value == v) results[v] = run->get(static_cast<int>(i));
  };
  for (const ir::Output& o : plan.graph->outputs) fetch(o.value);
  for (const ir::Update& u : plan.graph->updates) fetch(u.value);
  return results;
}
