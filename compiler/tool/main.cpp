// The command line of netc.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <map>
#include <new>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "compiler/machine/machine.h"
#include "compiler/passes/pipeline.h"
#include "compiler/tool/compile.h"
#include "compiler/tool/crash.h"
#include "compiler/tool/explain.h"
#include "compiler/tool/fmt.h"
#include "compiler/tool/graph.h"
#include "compiler/tool/layers.h"
#include "compiler/tool/summary.h"
#include "compiler/tool/tuning.h"
#include "runtime/cli/usage.h"

namespace netc::tool {
namespace {

/// How diagnostics are printed.
void add_output_options(CLI::App& app, FileOptions& f) {
  app.add_option_function<std::string>(
         "--diagnostics", [&f](const std::string& v) { f.json = v == "json"; }, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_option_function<std::string>(
         "--color",
         [&f](const std::string& v) {
           if (v != "auto") f.color = v == "always";
         },
         "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  f.color = isatty(STDERR_FILENO) && !std::getenv("NO_COLOR");
}

void add_file_options(CLI::App& app, FileOptions& f) {
  app.add_option("-D", f.definitions, "a hyperparameter: -D name=value")
      ->take_all()
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE")
      ->check([](const std::string& v) {
        return v.find('=') == std::string::npos || v[0] == '=' ? v + " is no definition; write -D name=value"
                                                               : std::string();
      });
  app.add_option("-I,--import-path", f.import_paths, "where imported files are looked for, too")
      ->take_all()
      ->allow_extra_args(false)
      ->type_name("DIR");
  app.add_option("--net", f.net, "the net to take, when the file has several")->type_name("NAME");
  app.add_flag("--Werror", f.warnings_are_errors, "warnings are errors");
  add_output_options(app, f);
}

void add_precision(CLI::App& app, CompileOptions& o) {
  app.add_option_function<std::string>(
         "--precision", [&o](const std::string& v) { o.bf16 = v == "bf16"; },
         "of what products are made of: f32, or bf16, whose sums are f32")
      ->check(CLI::IsMember({"f32", "bf16"}));
}

/// "800MB", "1.5GiB", "4096": bytes; 0 where it says none.
int64_t bytes_of(const std::string& size) {
  static const std::map<std::string, double> units = {{"", 1},         {"b", 1},       {"kb", 1e3},     {"mb", 1e6},
                                                      {"gb", 1e9},     {"tb", 1e12},   {"kib", 0x1p10}, {"mib", 0x1p20},
                                                      {"gib", 0x1p30}, {"tib", 0x1p40}};
  double number = 0;
  const auto [end, wrong] = std::from_chars(size.data(), size.data() + size.size(), number);
  const auto unit = units.find(CLI::detail::to_lower(size.substr(static_cast<size_t>(end - size.data()))));
  const bool good = wrong == std::errc() && unit != units.end() && number > 0 && number * unit->second < 0x1p62;
  return good ? static_cast<int64_t>(number * unit->second) : 0;
}

/// What decides which plans are made, and what of them is compiled.
void add_machine_options(CLI::App& app, CompileOptions& o) {
  app.add_option("--target", o.target,
                 targets_text() + "; several with commas between: the product takes the best that runs");
  app.add_option_function<std::string>(
         "--memory-limit", [&o](const std::string& v) { o.memory_limit = bytes_of(v); },
         "what an instance may take, as 800MB or 2GiB: training computes again what it cannot keep")
      ->check([](const std::string& v) {
        return bytes_of(v) > 0 ? std::string() : v + " is no size; write 800MB or 1.5GiB";
      })
      ->type_name("SIZE");
  app.add_option("--threads", o.threads, "threads that compile")->check(CLI::Range(1, 1024));
  app.add_flag("--inference-only", o.inference_only, "without training");
  app.add_flag("--no-cache", o.no_cache, "compile every kernel again");
  app.add_option("--tuning", o.tuning, "the tuning file, instead of MODEL.tune beside the model")->type_name("FILE");
  add_precision(app, o);
}

/// What the design names and this version lacks: the message for the user, or "".
std::string not_yet(const std::vector<std::string>& arguments) {
  static const std::set<std::string> commands = {"import", "lsp"};
  const auto lacks = [](const std::string& what) {
    return what + " is not in this version yet; netc --help lists what is";
  };
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string name = arguments[i].substr(0, arguments[i].find('='));
    if (i == 0 && commands.count(name)) return lacks(name);
    const std::string value = name != arguments[i]       ? arguments[i].substr(name.size() + 1)
                              : i + 1 < arguments.size() ? arguments[i + 1]
                                                         : "";
    if (name == "--emit" && value == "onnx") return lacks(name + " " + value);
    if (name == "--target" && (value == "aarch64" || value == "cuda" || value == "opencl"))
      return lacks(name + " " + value);
  }
  return "";
}

int usage(const std::string& message, const std::string& near = "") {
  return print_error(rt::usage_text("netc", message, near)), kUsage;
}

int run(int argc, char** argv) {
  CLI::App app("netc compiles neural networks to native programs.");
  app.set_version_flag("--version", "netc " NETC_VERSION);
  CompileOptions o;
  app.add_option("FILE", o.path, "the model: FILE.net")->type_name("");
  app.add_option("-o,--output", o.out, "where the result goes")->type_name("PATH");
  app.add_option_function<std::string>(
         "--emit", [&o](const std::string& v) { o.emit = emit_of(v).value_or(Emit::program); }, "what to make")
      ->check(CLI::IsMember(emits()));
  app.add_option("--max-batch", o.max_batch, "the largest batch of the product")->check(CLI::Range(1, 65536));
  app.add_option("--weights", o.weights,
                 "a safetensors file that goes inside the program or library, which then needs none")
      ->type_name("FILE");
  add_machine_options(app, o);
  app.add_flag("--report", o.report, "what each kernel's machine code does: vector width, multiply-adds, spills");
  app.add_flag("--timings", o.timings, "what each stage took");
  std::vector<std::string> passes = passes::pass_names();
  passes.push_back("all");
  app.add_option("--print-after", o.print_after, "prints the graph after this pass, or after all")
      ->check(CLI::IsMember(passes));
  app.add_flag("--json", o.json, "sizes, memory and the report as JSON");
  app.add_flag(
         "--tune{60}", o.tune,
         "measures which loops are fastest on this machine, for --tune=SECONDS (60), and keeps them in MODEL.tune")
      ->check(CLI::Range(1, 1000000));
  app.add_flag("--MD", o.depfile, "-MD writes PATH.d for make and ninja");
  add_file_options(app, o.file);
  CLI::App* check_app = app.add_subcommand("check", "diagnostics only");
  std::vector<std::string> files;
  check_app->add_option("FILE", files, "models to check")->required();
  FileOptions check_options;
  add_file_options(*check_app, check_options);
  CLI::App* summary_app = app.add_subcommand("summary", "the layers as a table, and the totals");
  std::string summary_file;
  FileOptions summary_options;
  bool summary_json = false;
  summary_app->add_option("FILE", summary_file, "the model")->required();
  summary_app->add_flag("--json", summary_json, "as JSON");
  add_file_options(*summary_app, summary_options);
  CLI::App* fmt_app = app.add_subcommand("fmt", "the canonical layout, in place");
  std::vector<std::string> fmt_files;
  FileOptions fmt_options;
  bool fmt_check = false;
  fmt_app->add_option("FILE", fmt_files, "models to lay out; - is stdin to stdout")->required();
  fmt_app->add_flag("--check", fmt_check,
                    "writes nothing; names the files that would change, and fails if there are any");
  add_output_options(*fmt_app, fmt_options);
  CLI::App* graph_app = app.add_subcommand("graph", "a picture of the network, as SVG");
  std::string graph_file, graph_out;
  FileOptions graph_options;
  graph_app->add_option("FILE", graph_file, "the model")->required();
  graph_app->add_option("-o,--output", graph_out, "where the picture goes; stdout when not given")->type_name("PATH");
  add_file_options(*graph_app, graph_options);
  CLI::App* explain_app = app.add_subcommand("explain", "what a diagnostic means, with an example");
  std::string id;
  explain_app->add_option("ID", id, "the word in brackets at the end of a message; none: all of them");
  CLI::App* layers_app = app.add_subcommand("layers", "the layers of the language, their arguments and formulas");
  std::string layer;
  bool layers_json = false;
  layers_app->add_option("NAME", layer, "one layer, loss or optimiser");
  layers_app->add_flag("--json", layers_json, "as JSON");
  CLI::App* tune_app = app.add_subcommand(
      "tune", "measures which loops are fastest on this machine, and keeps them in MODEL.tune beside each model");
  std::vector<std::string> tune_paths;
  CompileOptions tune_options;
  tune_options.tune = 60;
  tune_app->add_option("FILE_OR_FOLDER", tune_paths, "models, or folders of models")->required();
  tune_app->add_option("--seconds", tune_options.tune, "to measure, for each model")->check(CLI::Range(0.1, 1e6));
  tune_app->add_option("--tuning", tune_options.tuning, "one tuning file for all of them")->type_name("FILE");
  tune_app->add_option("--max-batch", tune_options.max_batch, "the largest batch of the product")
      ->check(CLI::Range(1, 65536));
  tune_app->add_option("--target", tune_options.target, targets_text());
  add_precision(*tune_app, tune_options);
  tune_app->add_option("--threads", tune_options.threads, "threads that compile")->check(CLI::Range(1, 1024));
  tune_app->add_flag("--inference-only", tune_options.inference_only, "without training");
  tune_app->add_flag("--no-cache", tune_options.no_cache, "compile every kernel again");
  add_file_options(*tune_app, tune_options.file);
  CLI::App* verify_app =
      app.add_subcommand("verify", "compares a network's kernels, results and gradients with an interpreter in double");
  CompileOptions verify_options;
  verify_options.emit = Emit::verification;
  verify_options.max_batch = 4;
  verify_app->add_option("FILE", verify_options.path, "the model")->required();
  verify_app->add_option("--max-batch", verify_options.max_batch, "samples of a step (4)")->check(CLI::Range(1, 4096));
  verify_app->add_option("--seed", verify_options.seed, "of the numbers that the net is fed with (1)");
  verify_app->add_flag("--json", verify_options.json, "as JSON");
  add_machine_options(*verify_app, verify_options);
  add_file_options(*verify_app, verify_options.file);
  for (CLI::App* command : {check_app, summary_app, fmt_app, graph_app, explain_app, layers_app, tune_app, verify_app})
    command->set_version_flag("--version", "netc " NETC_VERSION);
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (const std::string lacking = not_yet(arguments); !lacking.empty()) return print_error(lacking), kUsage;
  std::reverse(arguments.begin(), arguments.end());                                           // as CLI11 takes them
  std::replace(arguments.begin(), arguments.end(), std::string("-MD"), std::string("--MD"));  // which it does not know
  try {
    app.parse(arguments);
  } catch (const CLI::Success& e) {  // --help, --version
    return app.exit(e), kDone;
  } catch (const CLI::ParseError& e) { return usage(e.what(), rt::meant(app, {argv + 1, argv + argc}, {"-MD"})); }
  if (check_app->parsed()) return check(files, check_options);
  if (fmt_app->parsed()) return format_files(fmt_files, fmt_check, fmt_options);
  if (graph_app->parsed()) return graph(graph_file, graph_out, graph_options);
  if (summary_app->parsed()) return summary(summary_file, summary_options, summary_json);
  if (explain_app->parsed()) return explain(id);
  if (verify_app->parsed()) return compile(verify_options);
  if (tune_app->parsed()) return tune_models(tune_paths, tune_options);
  if (layers_app->parsed()) return layers(layer, layers_json);
  if (o.path.empty()) {
    print_error("no model given; netc FILE.net -o PROGRAM compiles one, netc --help lists the rest");
    return kUsage;
  }
  std::error_code ec;
  if (const std::string near = std::filesystem::exists(o.path, ec) ? "" : rt::meant(app, {o.path}); !near.empty())
    return usage(fmt::format("no file and no command is called {}", o.path), near);
  const bool product = o.emit == Emit::program || o.emit == Emit::library || o.emit == Emit::objects;
  if (o.report && !product)
    return usage("--report is about machine code: it goes with --emit program, library or objects");
  if (!o.weights.empty() && o.emit != Emit::program && o.emit != Emit::library)
    return usage("--weights puts weights inside a product: it goes with --emit program or library");
  if (o.json && !product && o.emit != Emit::cpp)
    return usage("--json goes with --emit program, library, objects or cpp");
  return compile(o);
}

}  // namespace
}  // namespace netc::tool

int main(int argc, char** argv) {
  netc::tool::handle_signals();
  try {
    const int code = netc::tool::run(argc, argv);
    if (std::fflush(stdout) == 0) return code;
    netc::tool::print_error("the output cannot be written (is the disk full?)");
    return netc::tool::kFailed;
  } catch (const std::system_error& e) {  // the same, earlier
    netc::tool::print_error(fmt::format("the output cannot be written: {}", e.what()));
    return netc::tool::kFailed;
  } catch (const std::bad_alloc&) {
    netc::tool::print_error("out of memory");
    return netc::tool::kFailed;
  } catch (const std::exception& e) {
    netc::tool::print_error(fmt::format("internal error: {}; please report it with the model", e.what()));
    return netc::tool::kInternal;
  }
}
