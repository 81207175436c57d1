#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <new>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "runtime/cli/commands.h"
#include "runtime/cli/usage.h"
#include "runtime/core/processor.h"
#include "runtime/core/weights.h"
#include "runtime/kinds/kinds.h"
#include "runtime/train/metrics.h"
#include "runtime/train/trainer.h"
#include "runtime/train/weights_metadata.h"

namespace netc::rt {

int fail(const ModelInfo& info, const std::string& message) {
  // where nobody listens any more the exit code says it
  std::fputs(fmt::format("{}: {}\n", info.name, message).c_str(), stderr);
  return 1;
}

bool load_for_inference(const ModelInfo& info, CreateFn create, const std::string& weights, int batch, int threads,
                        Loaded& out) {
  const bool without = weights.empty() && !info.has_weights();
  if (!without) {
    auto file = open_weights(info, weights);
    if (!file) return fail(info, file.error()), false;
    out.file = std::move(*file);
  }
  std::string error;
  out.model = create({.threads = threads, .max_batch = batch, .training = false, .own_weights = false}, error);
  if (!out.model) return fail(info, error), false;
  if (without) return true;
  if (auto loaded = load_weights(*out.model, *out.file, true); !loaded) return fail(info, loaded.error()), false;
  auto classes = classes_of(info, *out.file);
  if (!classes) return fail(info, classes.error()), false;
  out.classes = std::move(*classes);
  out.columns = columns_of(*out.file);
  return true;
}

namespace {

constexpr int kUsage = 2, kInternal = 70;

void add_train(CLI::App& app, TrainOptions& o) {
  app.add_option("--data", o.data,
                 fmt::format("what to train on: a folder has a subfolder for each class; {}", kinds::data_kinds_text()))
      ->type_name("SPEC");
  app.add_option("--valid", o.valid, "what to validate on after each epoch")->type_name("SPEC");
  app.add_option("--epochs", o.epochs, "times through the data")->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  app.add_option("--batch", o.batch, "samples of a step")->check(CLI::Range(int64_t{1}, int64_t{65536}));
  app.add_option("--lr", o.lr, "learning rate")->check([](const std::string& v) {
    const double lr = std::strtod(v.c_str(), nullptr);
    return lr > 0 && lr <= std::numeric_limits<float>::max() ? std::string()
                                                             : v + " is no learning rate: it is a number above 0";
  });
  app.add_option("--seed", o.seed, "of the weights, the order and the dropout")
      ->check(CLI::Range(uint64_t{0}, uint64_t{4294967295}));
  app.add_option("--threads", o.threads, "default: as many as the machine has cores")->check(CLI::Range(1, 1024));
  app.add_option("--weights", o.weights, "start from these weights")->type_name("FILE");
  app.add_option("--out", o.out, "the run's folder; default runs/NAME-1, -2, ...")->type_name("DIR");
  app.add_option("--resume", o.resume, "continue the run in this folder")->type_name("DIR");
  app.add_flag("--accept-data-change", o.accept_data_change,
               "resume although the data is not what the run was trained on");
  app.add_option("--save-every", o.save_every,
                 "within an epoch save this often, 0: after each step; default 10, or more where saving takes long")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 1e6));
  app.add_flag("--json", o.json, "one JSON object a line");
  app.add_flag("--quiet", o.quiet, "errors and the last line only");
  app.add_option_function<std::string>(
         "--color",
         [&o](const std::string& v) {
           if (v != "auto") o.color = v == "always";
         },
         "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
}

int run(int argc, char** argv, const ModelInfo& info, CreateFn create) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow any more fails a write, as a full disk does
  CLI::App app(
      fmt::format("{}: {}", info.name, *info.doc ? info.doc : fmt::format("the net {}, compiled by netc", info.net)),
      info.name);
  app.set_version_flag("--version",
                       fmt::format("{} ({}, netc {})", info.name, info.source_hash, info.compiler_version));
  app.require_subcommand(1);

  TrainOptions train_options;
  train_options.program = argc > 0 ? argv[0] : info.name;
  CLI::App* train_app = app.add_subcommand("train", "trains on labelled data");
  add_train(*train_app, train_options);

  const std::string weights_help =
      info.weights.empty() ? "a safetensors file" : "a safetensors file, instead of the weights inside this program";
  const bool needed = info.weights.empty() && info.has_weights();
  EvalOptions eval_options;
  CLI::App* eval = app.add_subcommand("eval", "loss, metrics and confusion matrix on labelled data");
  eval->add_option("--data", eval_options.data, "as for train; default: the model's own test data")->type_name("SPEC");
  eval->add_option("--weights", eval_options.weights, weights_help)->required(needed)->type_name("FILE");
  eval->add_option("--batch", eval_options.batch, "samples at a time")->check(CLI::Range(1, 65536));
  eval->add_option("--threads", eval_options.threads, "default: as many as the machine has cores")
      ->check(CLI::Range(1, 1024));
  eval->add_flag("--json", eval_options.json, "as JSON");

  PredictOptions predict_options;
  CLI::App* predict =
      app.add_subcommand("predict", "what the net answers for images or rows: class and probability, or its outputs");
  predict->add_option("--weights", predict_options.weights, weights_help)->required(needed)->type_name("FILE");
  predict
      ->add_option("IMAGE", predict_options.images,
                   "image files, folders, - for a list or an image on stdin, tables (FILE.csv), or a SPEC")
      ->required()
      ->type_name("");
  predict->add_option("--top", predict_options.top, "the K most likely classes")
      ->check(CLI::Range(1, 1000000))
      ->type_name("K");
  predict->add_option("--threads", predict_options.threads, "default: as many as the machine has cores")
      ->check(CLI::Range(1, 1024));
  predict->add_flag("--json", predict_options.json, "as JSON");

  BenchOptions bench_options;
  CLI::App* bench = app.add_subcommand("bench", "how fast this machine runs the net");
  bench->add_option("WHAT", bench_options.what, "train or predict")
      ->check(CLI::IsMember({"train", "predict"}))
      ->type_name("");
  bench->add_option("--batch", bench_options.batch, "samples of a step")->check(CLI::Range(1, 65536));
  bench->add_option("--seconds", bench_options.seconds, "how long to measure")->check(CLI::Range(0.01, 3600.0));
  bench->add_option("--threads", bench_options.threads, "default: as many as the machine has cores")
      ->check(CLI::Range(1, 1024));
  bench->add_flag("--kernels", bench_options.kernels, "a line for each kernel");
  bench->add_flag("--json", bench_options.json, "as JSON");

  bool summary_json = false, info_json = false;
  CLI::App* summary = app.add_subcommand("summary", "the layers and their parameters");
  summary->add_flag("--json", summary_json, "as JSON");
  CLI::App* about = app.add_subcommand("info", "how this program was compiled, and the memory it takes");
  about->add_flag("--json", info_json, "as JSON");

  for (CLI::App* command : app.get_subcommands({})) command->set_version_flag("--version", app.version());

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(e);  // --help, --version
    return fail(info, usage_text(info.name, e.what(), meant(app, {argv + 1, argv + argc}))), kUsage;
  }
  if (train_app->parsed()) return train(info, create, train_options);
  if (eval->parsed()) return run_eval(info, create, eval_options);
  if (predict->parsed()) return run_predict(info, create, predict_options);
  if (bench->parsed()) return run_bench(info, create, bench_options);
  return summary->parsed() ? run_summary(info, summary_json) : run_info(info, info_json);
}

}  // namespace

int program_main(int argc, char** argv, const ModelInfo& info, CreateFn create) {
  try {
    if (const std::string why = cannot_run(info.target ? info.target : ""); !why.empty()) return fail(info, why);
    const int code = run(argc, argv, info, create);
    if (std::fflush(stdout) != 0 || std::ferror(stdout))
      return fail(info, fmt::format("cannot write to standard output: {}", std::strerror(errno)));
    return code;
  } catch (const std::bad_alloc&) {
    return fail(info, "out of memory");
  } catch (const std::system_error& e) {  // what fmt::print says when it cannot write
    return fail(info, e.what());
  } catch (const std::exception& e) {
    fail(info, fmt::format("internal error: {}; please report it with `{} info`", e.what(), info.name));
    return kInternal;
  } catch (...) {
    fail(info, fmt::format("internal error of an unknown kind; please report it with `{} info`", info.name));
    return kInternal;
  }
}

}  // namespace netc::rt
