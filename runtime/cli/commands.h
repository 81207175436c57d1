// The commands of a compiled program; each returns its exit code: 0 done, 1 the input is wrong or the work failed.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/core/safetensors.h"
#include "runtime/data/source.h"
#include "runtime/model.h"

namespace netc::rt {

struct EvalOptions {
  std::string data, weights;
  int batch = 0, threads = 0;
  bool json = false;
};
int run_eval(const ModelInfo&, CreateFn, const EvalOptions&);

struct PredictOptions {
  std::string weights;
  std::vector<std::string> images;
  int top = 0, threads = 0;
  bool json = false;
};
int run_predict(const ModelInfo&, CreateFn, const PredictOptions&);

struct BenchOptions {
  std::string what = "predict";
  int batch = 0, threads = 0;
  double seconds = 2;
  bool json = false, kernels = false;
};
int run_bench(const ModelInfo&, CreateFn, const BenchOptions&);

int run_summary(const ModelInfo&, bool json);
int run_info(const ModelInfo&, bool json);

/// "NAME: message" to stderr; returns 1.
int fail(const ModelInfo&, const std::string& message);

/// An instance for inference with the weights read in place from `weights`.
struct Loaded {
  std::shared_ptr<WeightsFile> file;  // outlives the model
  std::unique_ptr<Model> model;
  std::vector<std::string> classes;     // as the weights have them; may be empty
  std::optional<TableColumns> columns;  // of the table that they were trained on
};
bool load_for_inference(const ModelInfo&, CreateFn, const std::string& weights, int batch, int threads, Loaded& out);

}  // namespace netc::rt
