#include "compiler/tool/compile.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include <fmt/format.h>

#include "compiler/emit/product.h"
#include "compiler/emit/text.h"
#include "compiler/ops/ops.h"
#include "compiler/passes/pipeline.h"
#include "compiler/report/report.h"
#include "compiler/schedule/plan.h"

namespace netc::tool {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kDefaultBatch = 32;

double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

std::string cache_folder() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (xdg && *xdg) return std::string(xdg) + "/netc";
  return home && *home ? std::string(home) + "/.cache/netc" : "";
}

/// Text to a file, or to stdout when there is none.
int write_text(const std::string& out, const std::string& text) {
  if (out.empty() || out == "-") {
    fmt::print("{}", text);
    return kDone;
  }
  const std::string temporary = out + ".tmp";
  std::ofstream(temporary, std::ios::binary) << text;
  std::error_code ec;
  if (fs::file_size(temporary, ec) == text.size() && !ec) fs::rename(temporary, out, ec);
  if (!ec) return kDone;
  print_error(fmt::format("cannot write {}: {}", out, ec.message()));
  fs::remove(temporary, ec);
  return kFailed;
}

struct Compilation {
  const CompileOptions& o;
  sema::Model model;
  passes::Program program;
  schedule::Machine machine;
  schedule::Plan train, infer;
  emit::Unit unit;
  emit::BuildOptions build;
  std::vector<std::pair<std::string, double>> timings;
  Clock::time_point start = Clock::now();

  bool has_training() const { return !o.inference_only && model.train.loss && model.train.optimizer; }

  void prepare() {
    passes::PipelineOptions how;
    how.print_after = o.print_after;
    how.on_print = [](const std::string& pass, const ir::Graph& g) { fmt::print(stderr, "// after {}\n{}\n", pass, print(g)); };
    if (o.timings) how.timings = &timings;
    program = passes::run_pipeline(model, ops::registry(), how);
    const int batch = o.max_batch > 0 ? o.max_batch : has_training() ? static_cast<int>(model.train.batch) : kDefaultBatch;
    if (has_training()) train = schedule::make_plan(program.training, machine, batch);
    infer = schedule::make_plan(has_training() ? program.evaluation : program.inference, machine, batch);
    unit.model = &model;
    unit.train = has_training() ? &train : nullptr;
    unit.infer = &infer;
    unit.machine = &machine;
    unit.version = NETC_VERSION;
    build.lower.threads = o.threads > 0 ? o.threads : std::max(1u, std::thread::hardware_concurrency());
    if (!o.no_cache) build.lower.cache_dir = cache_folder();
    build.timings = o.timings ? &timings : nullptr;
  }

  std::string plans_text() const { return (unit.train ? print(train) + "\n" : "") + print(infer); }

  int emit_halide() {
    build.lower.want_halide_text = true;
    std::string text, error;
    for (const schedule::Plan* plan : {unit.train, unit.infer}) {
      if (!plan) continue;
      std::vector<lower::Object> objects;
      if (!lower_all(*plan, machine, build.lower, objects, error)) return print_error(error), kFailed;
      for (size_t i = 0; i < objects.size(); ++i) text += fmt::format("// {} {}\n{}\n", to_string(plan->kernels[i].phase), plan->kernels[i].name, objects[i].halide_text);
    }
    return write_text(o.out, text);
  }

  int emit_product(const std::string& out) {
    std::string error = unsupported(unit);
    if (!error.empty() || !find_toolchain(build.toolchain, error)) return print_error(error), kFailed;
    using Build = bool (*)(const emit::Unit&, const emit::BuildOptions&, const std::string&, emit::Built&, std::string&);
    const Build make = o.emit == "program" ? emit::build_program : o.emit == "library" ? emit::build_library : o.emit == "cpp" ? emit::build_cpp : emit::build_objects;
    emit::Built built;
    if (!make(unit, build, out, built, error)) return print_error(error), kFailed;
    print_result(out, built);
    return o.report ? print_report(built) : kDone;
  }

  int print_report(const emit::Built& built) const {
    std::vector<report::Row> rows;
    std::string error;
    if (unit.train && !report::add_rows("training", train, machine, built.train, rows, error)) return print_error(error), kFailed;
    if (!report::add_rows("inference", infer, machine, built.infer, rows, error)) return print_error(error), kFailed;
    fmt::print("\n{}", report::text(rows));
    return kDone;
  }

  void print_result(const std::string& out, const emit::Built& built) const {
    using emit::grouped;
    int64_t parameters = 0;
    for (const emit::LayerRow& l : emit::layers_of(model)) parameters += l.trainable + l.fixed;
    fmt::print("{}: {} parameters; {} kernels, {} from the cache; {}{}; {:.1f} s\n", unit.name, grouped(parameters), built.kernels, built.from_cache, out,
               built.product_bytes > 0 ? fmt::format(", {} bytes", grouped(built.product_bytes)) : "", seconds_since(start));
    const emit::Memory& m = built.memory;
    const int threads = std::max(1u, std::thread::hardware_concurrency());
    if (unit.train) {
      fmt::print("training takes {} bytes: weights {}, optimiser {}, arena {}, data {}, scratch {} for each of {} threads (batch {})\n",
                 grouped(training_bytes(m, threads)), grouped(m.weights), grouped(m.slots), grouped(std::max(m.train_arena, m.infer_arena)), grouped(m.data),
                 grouped(m.scratch_per_thread), threads, infer.max_batch);
    }
    fmt::print("inference takes {} bytes: weights {}, arena {}, data {}, scratch {} for each of {} threads (batch {})\n", grouped(inference_bytes(m, threads)),
               grouped(m.weights), grouped(m.infer_arena), grouped(m.data), grouped(m.scratch_per_thread), threads, infer.max_batch);
  }
};

std::string default_output(const std::string& path) {
  const fs::path p(path);
  return p.extension() == ".net" ? p.stem().string() : p.filename().string() + ".out";
}

}  // namespace

int compile(const CompileOptions& o) {
  auto model = load_model(o.path, o.file);
  if (!model) return kFailed;
  Compilation c{.o = o, .model = std::move(*model), .program = {}, .machine = {}, .train = {}, .infer = {}, .unit = {}, .build = {}, .timings = {}};
  if (!schedule::machine_for(o.target, c.machine)) {
    print_error(fmt::format("unknown target {}; there are host, x86-64-avx2, x86-64-avx512", o.target));
    return kUsage;
  }
  const std::string out = o.out.empty() ? default_output(o.path) : o.out;
  c.prepare();
  c.unit.name = fs::path(out).filename().string();
  if (o.emit != "program" || c.unit.name.empty() || c.unit.name == "." || c.unit.name == "..") c.unit.name = fs::path(o.path).stem().string();
  int code = kDone;
  if (o.emit == "ir") code = write_text(o.out, print(c.has_training() ? c.program.training : c.program.inference));
  else if (o.emit == "graph") code = write_text(o.out, print(c.model.graph));
  else if (o.emit == "schedule") code = write_text(o.out, c.plans_text());
  else if (o.emit == "halide") code = c.emit_halide();
  else code = c.emit_product(out);
  if (code == kDone && o.depfile) code = write_text(out + ".d", fmt::format("{}: {}\n", out, o.path));
  for (const auto& [what, ms] : c.timings) fmt::print(stderr, "{:>9.2f} ms  {}\n", ms, what);
  return code;
}

}  // namespace netc::tool
