#include "compiler/tool/compile.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <list>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "compiler/emit/process.h"
#include "compiler/emit/product.h"
#include "compiler/emit/text.h"
#include "compiler/machine/machine.h"
#include "compiler/ops/ops.h"
#include "compiler/passes/pipeline.h"
#include "compiler/report/report.h"
#include "compiler/schedule/limit.h"
#include "compiler/schedule/make_plan.h"
#include "compiler/tool/limit.h"
#include "compiler/tool/outputs.h"
#include "compiler/tool/tuning.h"
#include "compiler/tool/verify.h"
#include "compiler/tool/weights.h"
#include "compiler/tune/limits.h"
#include "runtime/cores.h"
#include "runtime/counted.h"

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

/// A line on a terminal while kernels are compiled, which goes away with the last one.
std::function<void(int, int)> progress_line() {
  if (!isatty(STDERR_FILENO)) return {};
  return [start = Clock::now()](int done, int of) mutable {
    if (done == 0) start = Clock::now();
    const std::string left =
        done == 0 ? "" : fmt::format(", about {:.0f} s left", std::ceil(seconds_since(start) / done * (of - done)));
    if (done < of) fmt::print(stderr, "\r\x1b[Kkernels: {} of {}{}", done, of, left);
    else fmt::print(stderr, "\r\x1b[K");
    std::fflush(stderr);
  };
}

/// The exit code of an error.
int failure(const std::string& error) { return error.starts_with("internal error") ? kInternal : kFailed; }

/// As make reads names.
std::string make_name(const std::string& path) {
  std::string s;
  for (const char c : path) s += c == ' ' || c == '#' ? std::string("\\") + c : c == '$' ? "$$" : std::string(1, c);
  return s;
}

/// The plans for a further processor of --target.
struct Further {
  std::string target;
  Machine machine;
  plan::Plan train, infer;
  LimitCost limit_cost;
};

struct Compilation {
  const CompileOptions& o;
  sema::Model model;
  passes::Program program;
  Machine machine;
  schedule::Tuning tuning;
  bool has_tuning = false;
  plan::Plan train, infer;
  emit::Unit unit;
  emit::BuildOptions build;
  LimitCost limit_cost;
  std::shared_ptr<rt::WeightsFile> weights;
  std::string target;  // the machine's name
  std::list<Further> further;
  std::vector<std::pair<std::string, double>> timings;
  Clock::time_point start = Clock::now();

  bool has_training() const { return !o.inference_only && !model.train.losses.empty() && model.train.optimizer; }

  /// False after a message.
  bool prepare() {
    if (has_training() && o.max_batch > 0 && model.train.batch > o.max_batch) {
      print_error(
          fmt::format("the train section's batch of {} is above --max-batch {}: the product trains with batches of {}",
                      model.train.batch, o.max_batch, o.max_batch));
      model.train.batch = o.max_batch;
    }
    passes::PipelineOptions how;
    how.bf16 = o.bf16;
    how.print_after = o.print_after;
    how.on_print = [](const std::string& pass, const ir::Graph& g) {
      fmt::print(stderr, "// after {}\n{}\n", pass, print(g));
    };
    if (o.timings) how.timings = &timings;
    program = passes::run_pipeline(model, ops::registry(), how);
    build.lower.threads = o.threads > 0 ? o.threads : rt::available_cores();
    if (!o.no_cache) build.lower.cache_dir = cache_folder();
    build.timings = o.timings ? &timings : nullptr;
    if (!tune()) return false;
    if (has_training()) train = schedule::plan_sparing(program.training, machine, batch(), &tuning);
    infer = schedule::make_plan(inferred(), machine, batch(), &tuning);
    unit.model = &model;
    unit.train = has_training() ? &train : nullptr;
    unit.infer = &infer;
    unit.machine = &machine;
    unit.version = NETC_VERSION;
    unit.bf16 = o.bf16;
    std::string error;
    if (!o.weights.empty() && !put_inside(o.weights, unit, weights, error)) return print_error(error), false;
    if (o.memory_limit > 0 && !limit_memory(unit, program, tuning, train, o.memory_limit, limit_cost, error))
      return print_error(error), false;
    for (Further& f : further) {
      tune::load_limits(cache_folder(), f.machine);
      if (has_training()) f.train = schedule::plan_sparing(program.training, f.machine, batch(), &tuning);
      f.infer = schedule::make_plan(inferred(), f.machine, batch(), &tuning);
      emit::Unit& u = unit.also.emplace_back(unit);
      u.also.clear();
      u.variant = f.target, u.machine = &f.machine, u.infer = &f.infer, u.train = has_training() ? &f.train : nullptr;
      if (o.memory_limit > 0 && !limit_memory(u, program, tuning, f.train, o.memory_limit, f.limit_cost, error))
        return print_error(error), false;
    }
    if (!further.empty()) unit.variant = target;
    return true;
  }

  /// Reads --target, best first. "" or the message for the user.
  std::string set_targets() {
    std::vector<Further> all;
    for (size_t at = 0; at <= o.target.size();) {
      const size_t comma = std::min(o.target.find(',', at), o.target.size());
      Further f;
      f.target = o.target.substr(at, comma - at);
      at = comma + 1;
      if (!machine_for(f.target, f.machine) || (f.target.empty() && !o.target.empty()))
        return fmt::format("unknown target {}; there are {}; several have commas between", f.target,
                           targets_text("and"));
      if (std::any_of(all.begin(), all.end(),
                      [&](const Further& other) { return other.machine.halide_target == f.machine.halide_target; }))
        return fmt::format("--target {} names one processor twice", o.target);
      all.push_back(std::move(f));
    }
    std::stable_sort(all.begin(), all.end(), [](const Further& a, const Further& b) {
      return std::pair(a.machine.vector_floats, a.machine.bf16_dot) >
             std::pair(b.machine.vector_floats, b.machine.bf16_dot);
    });
    if (all.size() > 1 && o.emit != Emit::program && o.emit != Emit::library)
      return "several targets go with --emit program or library; name one";
    machine = all[0].machine, target = all[0].target;
    further.assign(std::make_move_iterator(all.begin() + 1), std::make_move_iterator(all.end()));
    return "";
  }

  /// Without the tuning file, which tuning writes.
  std::vector<Read> reads() const {
    std::vector<Read> all = {{o.path, "the source"}};
    for (const std::string& file : model.imported_files) all.push_back({file, "an imported file"});
    for (const sema::InitialWeights& w : model.initial_weights)
      all.push_back({w.path, "a weights file that the net starts from"});
    if (!o.weights.empty()) all.push_back({o.weights, "the weights file"});
    return all;
  }

  /// The user did not name it: nothing but a list that netc wrote is replaced.
  static std::string cannot_write_depfile(const std::string& out, const std::vector<Read>& all) {
    const std::string path = out + ".d";
    if (std::string error = cannot_write(path, all, true); !error.empty()) return error;
    std::error_code none;
    std::string target;
    std::getline(std::ifstream(path, std::ios::binary), target, ':');
    const bool own =
        !fs::is_regular_file(path, none) || fs::path(target).filename() == fs::path(make_name(out)).filename();
    return own ? ""
               : fmt::format(
                     "{} is no list of what {} depends on, and -MD would replace it; name another output with -o", path,
                     out);
  }

  /// "" or why what was asked for cannot be written.
  std::string cannot_write_outputs(const std::string& out, bool is_text) const {
    std::vector<Read> all = reads();
    all.push_back({tuning_path(o.path, o.tuning), "the tuning file"});
    std::string error;
    if (is_text) error = o.out.empty() || o.out == "-" ? "" : cannot_write(o.out, all, true);
    else if (o.emit == Emit::program)
      error = o.out.empty() && is_other(out) ? out + " is no program; name the output with -o"
                                             : cannot_write(out, all, false);
    else error = cannot_fill(out, files_in_folder(o.emit, emit::identifier(unit.name)), all);
    return error.empty() && o.depfile ? cannot_write_depfile(out, all) : error;
  }

  int batch() const {
    return o.max_batch > 0 ? o.max_batch : has_training() ? static_cast<int>(model.train.batch) : kDefaultBatch;
  }
  const ir::Graph& inferred() const { return has_training() ? program.evaluation : program.inference; }

  /// Reads the tuning file, and measures what it lacks where that was asked for.
  bool tune() {
    const std::string path = tuning_path(o.path, o.tuning);
    std::string error;
    if (!read_tuning(path, !o.tuning.empty() && o.tune == 0, tuning, has_tuning, error))
      return print_error(error), false;
    if (o.tune == 0) return tune::load_limits(cache_folder(), machine), true;
    if (error = cannot_write(path, reads(), true); !error.empty()) return print_error(error), false;
    tune::update_limits(cache_folder(), machine);
    std::vector<tune::Job> jobs;
    if (has_training()) jobs.push_back({"training", &program.training, batch(), {batch()}});
    jobs.push_back(
        {"inference", &inferred(), batch(), batch() > 1 ? std::vector<int>{batch(), 1} : std::vector<int>{1}});
    tune::Options how{.seconds = o.tune, .lower = build.lower, .toolchain = {}, .progress = {}};
    tune::Outcome outcome;
    if (!find_toolchain(how.toolchain, error) || !tune_into(path, jobs, machine, how, tuning, outcome, error))
      return print_error(error), false;
    has_tuning = true;
    const Limits& l = machine.limits;
    if (o.emit == Emit::tuning)
      fmt::print(
          "{}Limits of this machine: {:.0f} GFLOP/s a core, {:.0f} GB/s from a core's cache, {:.0f} GB/s from memory. "
          "Written to {}\n",
          text(outcome), l.gflops, l.cache_gbytes, l.memory_gbytes, path);
    return true;
  }

  std::string plans_text() const {
    return text(limit_cost, true) + (unit.train ? print(train) + "\n" : "") + print(infer);
  }

  int emit_halide() {
    build.lower.want_halide_text = true;
    // Halide numbers names in the order of their making: one thread prints the same text each time
    if (o.threads == 0) build.lower.threads = 1;
    std::string text, error;
    for (const plan::Plan* plan : {unit.train, unit.infer}) {
      if (!plan) continue;
      std::vector<lower::Object> objects;
      if (!lower_all(*plan, machine, build.lower, objects, error)) return print_error(error), failure(error);
      for (size_t i = 0; i < objects.size(); ++i) {
        const plan::Kernel& k = plan->kernels[i];
        text += fmt::format("// {} {}\n{}\n", to_string(k.phase), k.name, objects[i].halide_text);
      }
    }
    return write_text(o.out, text);
  }

  int emit_product(const std::string& out) {
    std::string error = unsupported(unit);
    if (!error.empty() || !find_toolchain(build.toolchain, error)) return print_error(error), kFailed;
    using Build =
        bool (*)(const emit::Unit&, const emit::BuildOptions&, const std::string&, emit::Built&, std::string&);
    const Build make = o.emit == Emit::program   ? emit::build_program
                       : o.emit == Emit::library ? emit::build_library
                       : o.emit == Emit::cpp     ? emit::build_cpp
                                                 : emit::build_objects;
    emit::Built built;
    if (!o.file.json) build.lower.progress = progress_line();
    const bool made = make(unit, build, out, built, error);
    if (build.lower.progress) build.lower.progress(0, 0);
    if (!made) return print_error(error), failure(error);
    std::vector<report::Row> rows;
    if (o.report && unit.train && !report::add_rows("training", train, machine, built.train, rows, error))
      return print_error(error), kFailed;
    if (o.report && !report::add_rows("inference", infer, machine, built.infer, rows, error))
      return print_error(error), kFailed;
    if (o.json) return print_json(out, built, rows), kDone;
    print_result(out, built);
    if (o.report || o.timings || o.tune > 0) print_tuning();
    if (o.report) fmt::print("\n{}", report::text(rows));
    return kDone;
  }

  int64_t parameters() const {
    int64_t n = 0;
    for (const ir::Variable& v : model.graph.variables)
      if (v.role == ir::Role::weight || v.role == ir::Role::state) n += model.graph.type(v.value).elements();
    return n;
  }

  static int64_t training_arena(const emit::Memory& m) { return std::max(m.train_arena, m.infer_arena); }
  static int threads() { return rt::available_cores(); }

  void print_result(const std::string& out, const emit::Built& built) const {
    using emit::grouped;
    const std::string kernels = (unit.train ? fmt::format("{} training + ", train.kernels.size()) : "") +
                                rt::counted(static_cast<int64_t>(infer.kernels.size()), "inference kernel");
    const std::string origin = o.emit == Emit::cpp ? ""
                                                   : fmt::format(" ({} compiled, {} from cache)",
                                                                 distinct(built) - built.from_cache, built.from_cache);
    fmt::print("{}: {}, {}{}, {} {}{}, {:.1f} s\n", unit.name, rt::counted(parameters(), "parameter"), kernels, origin,
               to_string(o.emit), out,
               built.product_bytes > 0 ? fmt::format(" {} bytes", grouped(built.product_bytes)) : "",
               seconds_since(start));
    const emit::Memory& m = built.memory;
    if (unit.train) {
      fmt::print(
          "training takes {} bytes: weights {}, optimiser {}, arena {}, data {}, scratch {} for each of {} (batch "
          "{})\n",
          grouped(training_bytes(m, threads())), grouped(m.weights), grouped(m.slots), grouped(training_arena(m)),
          grouped(m.data), grouped(m.scratch_per_thread), rt::counted(threads(), "thread"), infer.max_batch);
    }
    fmt::print("inference takes {} bytes: weights {}, arena {}, data {}, scratch {} for each of {} (batch {})\n",
               grouped(inference_bytes(m, threads())), grouped(m.weights), grouped(m.infer_arena), grouped(m.data),
               grouped(m.scratch_per_thread), rt::counted(threads(), "thread"), infer.max_batch);
    fmt::print("{}", text(limit_cost, o.report));
    if (further.empty()) return;
    std::string others;
    for (const Further& f : further) others += (others.empty() ? "" : ", ") + f.target;
    fmt::print("plans for several processors, of which the first that runs is taken: {} (above), {}\n", target, others);
  }

  int tuned() const { return infer.tuned + (unit.train ? train.tuned : 0); }
  void print_tuning() const {
    const std::string path = tuning_path(o.path, o.tuning);
    const size_t all = tuning.entries.size();
    if (has_tuning)
      fmt::print("tuning: {} of {} of {} fit{} this machine, and made {}\n", fitting(),
                 rt::counted(static_cast<int64_t>(all), "entry"), path, fitting() == 1 ? "s" : "",
                 rt::counted(tuned(), "choice"));
    else fmt::print("tuning: there is no {}; --tune makes it\n", path);
  }
  /// Entries of this machine.
  size_t fitting() const {
    const std::string key = schedule::machine_key(machine);
    return static_cast<size_t>(std::count_if(tuning.entries.begin(), tuning.entries.end(),
                                             [&](const auto& e) { return e.first.first == key; }));
  }

  /// Equal kernels are one.
  static int distinct(const emit::Built& built) {
    std::set<std::string> symbols;
    for (const auto* objects : {&built.train, &built.infer})
      for (const lower::Object& object : *objects) symbols.insert(object.symbol);
    return static_cast<int>(symbols.size());
  }

  void print_json(const std::string& out, const emit::Built& built, const std::vector<report::Row>& rows) const {
    const emit::Memory& m = built.memory;
    nlohmann::json j = {{"name", unit.name},
                        {"emit", to_string(o.emit)},
                        {"path", out},
                        {"parameters", parameters()},
                        {"product_bytes", built.product_bytes},
                        {"seconds", seconds_since(start)},
                        {"batch", infer.max_batch},
                        {"target", machine.halide_target}};
    j["kernels"] = {{"training", unit.train ? train.kernels.size() : 0},
                    {"inference", infer.kernels.size()},
                    {"distinct", distinct(built)},
                    {"from_cache", built.from_cache}};
    j["tuning"] = {{"entries", tuning.entries.size()}, {"of_this_machine", fitting()}, {"used", tuned()}};
    j["memory"] = {{"threads", threads()},
                   {"weights", m.weights},
                   {"optimiser", m.slots},
                   {"training_arena", unit.train ? training_arena(m) : 0},
                   {"inference_arena", m.infer_arena},
                   {"data", m.data},
                   {"scratch_per_thread", m.scratch_per_thread},
                   {"training_total", unit.train ? training_bytes(m, threads()) : 0},
                   {"inference_total", inference_bytes(m, threads())}};
    for (const Further& f : further) j["further_targets"].push_back(f.machine.halide_target);
    if (limit_cost.arena > 0) {
      j["memory_limit"] = {{"bytes", o.memory_limit},
                           {"recomputed", limit_cost.layers},
                           {"plain", limit_cost.plain},
                           {"flops", limit_cost.flops},
                           {"unlimited_flops", limit_cost.unlimited_flops},
                           {"unlimited_training_arena", limit_cost.unlimited_arena}};
    }
    if (o.report) j["report"] = nlohmann::json::parse(report::json(rows));
    fmt::print("{}\n", j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
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
  Compilation c{.o = o,
                .model = std::move(*model),
                .program = {},
                .machine = {},
                .tuning = {},
                .train = {},
                .infer = {},
                .unit = {},
                .build = {},
                .limit_cost = {},
                .weights = {},
                .target = {},
                .further = {},
                .timings = {}};
  if (const std::string error = c.set_targets(); !error.empty()) return print_error(error), kUsage;
  if (o.bf16 && o.emit == Emit::cpp) {
    print_error("--emit cpp writes float32 only; leave out --precision bf16, or emit a library or objects");
    return kUsage;
  }
  const std::string out = o.out.empty() ? default_output(o.path) : o.out;
  const bool nothing = o.emit == Emit::tuning || o.emit == Emit::verification;
  const bool text =
      nothing || o.emit == Emit::ir || o.emit == Emit::graph || o.emit == Emit::schedule || o.emit == Emit::halide;
  if (!text && is_special(out)) {
    print_error(fmt::format("{} is no file that can be replaced; name another output", out));
    return kFailed;
  }
  c.unit.name = fs::path(out).filename().string();
  if (o.emit != Emit::program || c.unit.name.empty() || c.unit.name == "." || c.unit.name == "..")
    c.unit.name = fs::path(o.path).stem().string();
  if (const std::string error = nothing ? "" : c.cannot_write_outputs(out, text); !error.empty())
    return print_error(error), kFailed;
  if (!c.prepare()) return kFailed;
  int code = kDone;
  if (o.emit == Emit::ir) code = write_text(o.out, print(c.has_training() ? c.program.training : c.program.inference));
  else if (o.emit == Emit::graph) code = write_text(o.out, print(c.model.graph));
  else if (o.emit == Emit::schedule) code = write_text(o.out, c.plans_text());
  else if (o.emit == Emit::halide) code = c.emit_halide();
  else if (o.emit == Emit::verification) code = verify(c.unit, c.program, c.build.lower, {o.json, o.seed});
  else if (o.emit != Emit::tuning) code = c.emit_product(out);
  if (code == kDone && o.depfile) {
    std::string files = make_name(o.path);
    for (const std::string& f : c.model.imported_files) files += " " + make_name(f);
    if (!o.weights.empty()) files += " " + make_name(o.weights);
    if (c.has_tuning) files += " " + make_name(tuning_path(o.path, o.tuning));
    code = write_text(out + ".d", fmt::format("{}: {}\n", make_name(out), files));
  }
  for (const auto& [what, ms] : c.timings) fmt::print(stderr, "{:>9.2f} ms  {}\n", ms, what);
  return code;
}

}  // namespace netc::tool
