// The command line of netc.
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <new>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "compiler/tool/compile.h"
#include "compiler/tool/explain.h"
#include "compiler/tool/layers.h"
#include "compiler/tool/summary.h"

namespace netc::tool {
namespace {

void add_file_options(CLI::App& app, FileOptions& f) {
  app.add_option("-D", f.definitions, "a hyperparameter: -D name=value")->take_all()->allow_extra_args(false)->type_name("NAME=VALUE");
  app.add_option("--net", f.net, "the net to take, when the file has several")->type_name("NAME");
  app.add_flag("--Werror", f.warnings_are_errors, "warnings are errors");
  app.add_option_function<std::string>("--diagnostics", [&f](const std::string& v) { f.json = v == "json"; }, "text or json")->check(CLI::IsMember({"text", "json"}));
  app.add_option_function<std::string>("--color", [&f](const std::string& v) {
    if (v != "auto") f.color = v == "always";
  }, "auto, always or never")->check(CLI::IsMember({"auto", "always", "never"}));
  f.color = isatty(STDERR_FILENO) && !std::getenv("NO_COLOR");
}

int run(int argc, char** argv) {
  CLI::App app("netc compiles neural networks to native programs.");
  app.set_version_flag("--version", "netc " NETC_VERSION);
  CompileOptions o;
  app.add_option("FILE", o.path, "the model: FILE.net")->type_name("");
  app.add_option("-o,--output", o.out, "where the result goes")->type_name("PATH");
  app.add_option("--emit", o.emit, "what to make")->check(CLI::IsMember({"program", "library", "cpp", "objects", "graph", "ir", "schedule", "halide"}));
  app.add_option("--target", o.target, "host, x86-64-avx2 or x86-64-avx512");
  app.add_option("--max-batch", o.max_batch, "the largest batch of the product")->check(CLI::Range(1, 65536));
  app.add_option("--threads", o.threads, "threads that compile")->check(CLI::Range(1, 1024));
  app.add_flag("--inference-only", o.inference_only, "without training");
  app.add_flag("--no-cache", o.no_cache, "compile every kernel again");
  app.add_flag("--report", o.report, "what each kernel's machine code does: vector width, multiply-adds, spills");
  app.add_flag("--timings", o.timings, "what each stage took");
  app.add_option("--print-after", o.print_after, "prints the graph after this pass, or after all");
  app.add_flag("--MD", o.depfile, "-MD writes PATH.d for make and ninja");
  add_file_options(app, o.file);
  CLI::App* check = app.add_subcommand("check", "diagnostics only");
  std::vector<std::string> files;
  check->add_option("FILE", files, "models to check")->required();
  FileOptions check_options;
  add_file_options(*check, check_options);
  CLI::App* summary_app = app.add_subcommand("summary", "the layers as a table, and the totals");
  std::string summary_file;
  FileOptions summary_options;
  bool summary_json = false;
  summary_app->add_option("FILE", summary_file, "the model")->required();
  summary_app->add_flag("--json", summary_json, "as JSON");
  add_file_options(*summary_app, summary_options);
  CLI::App* explain_app = app.add_subcommand("explain", "what a diagnostic means, with an example");
  std::string id;
  explain_app->add_option("ID", id, "the word in brackets at the end of a message; none: all of them");
  CLI::App* layers_app = app.add_subcommand("layers", "the layers of the language, their arguments and formulas");
  std::string layer;
  bool layers_json = false;
  layers_app->add_option("NAME", layer, "one layer, loss or optimiser");
  layers_app->add_flag("--json", layers_json, "as JSON");
  for (const char* later : {"fmt", "graph", "import", "lsp"})
    if (argc > 1 && std::string(argv[1]) == later) return print_error(fmt::format("{} is not in this version yet; netc --help lists what is", later)), kUsage;
  std::vector<std::string> arguments;  // in reverse, as CLI11 takes them; it knows no -MD
  for (int i = argc - 1; i > 0; --i) arguments.push_back(std::string(argv[i]) == "-MD" ? "--MD" : argv[i]);
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kDone : kUsage;
  }
  if (check->parsed()) {
    int code = kDone;
    for (const std::string& f : files)
      if (!load_model(f, check_options)) code = kFailed;
    return code;
  }
  if (summary_app->parsed()) return summary(summary_file, summary_options, summary_json);
  if (explain_app->parsed()) return explain(id);
  if (layers_app->parsed()) return layers(layer, layers_json);
  if (o.path.empty()) {
    print_error("no model given; netc FILE.net -o PROGRAM compiles one, netc --help lists the rest");
    return kUsage;
  }
  return compile(o);
}

}  // namespace
}  // namespace netc::tool

int main(int argc, char** argv) {
  try {
    return netc::tool::run(argc, argv);
  } catch (const std::bad_alloc&) {
    netc::tool::print_error("out of memory");
    return netc::tool::kFailed;
  } catch (const std::exception& e) {
    netc::tool::print_error(fmt::format("internal error: {}; please report it with the model", e.what()));
    return netc::tool::kInternal;
  }
}
