// What semantic analysis hands on: the graph of one net with all the user said about data and training.
#pragma once
#include <string>
#include <vector>

#include "compiler/ast/ast.h"
#include "compiler/base/diagnostics.h"
#include "compiler/ir/layer_def.h"

namespace netc::sema {

struct Hyperparameter {
  std::string name, value, type;
  bool overridden = false;
};

struct Augment {
  std::string kind;
  std::vector<double> args;
  std::string mode;
};

/// data { train = images("faces/train", labels = classes) ... }: `spec` is a data SPEC as the program's --data takes
/// it.
struct DataConfig {
  std::string train, valid, test;
  std::vector<Augment> augment;
};

/// early_stopping, reduce_lr_on_plateau, checkpoint, csv
struct Callback {
  std::string kind, monitor;
  double value = 0;
  int64_t patience = 0;
  std::string path;
};

/// weight * loss(output, label): an output of the net against `label`, which is an input or another output of that
/// name, else a label that the data gives.
struct LossTerm {
  const ir::LossDef* loss = nullptr;
  std::vector<ir::ArgValue> args;
  std::string output, label;
  double weight = 1;
  Span span;  // where it was written
};

struct TrainConfig {
  bool present = false;          // false: the product is inference only
  std::vector<LossTerm> losses;  // the loss is their sum
  const ir::OptimizerDef* optimizer = nullptr;
  std::vector<ir::ArgValue> optimizer_args;
  double lr = 1e-3;
  int64_t batch = 32, epochs = 1, seed = 1;
  /// as the runtime reads them: "top2", "precision@0.4", "kind:accuracy" of a named output
  std::vector<std::string> metrics;
  std::vector<Callback> callbacks;
};

/// let base = VGG16() from "vgg16.safetensors": weights whose names begin with `prefix` start as those of the file that
/// have the rest of the name. `written` is the file as the source has it, `path` the same beside the .net file that
/// says so. No prefix begins with another's.
struct InitialWeights {
  std::string prefix, path, written;
};
/// Where a layer was written, and what it is with values in place of names: "Conv(64, 3, stride = 2)". Without
/// arguments that are switches or further numbers, and without those that have their default.
struct LayerSource {
  Span span;
  std::string call;
};

struct Model {
  std::string net;  // "LeNet"
  std::string doc;  // the /// comment above it
  std::string source_path, source_hash;
  std::vector<std::string> imported_files;  // as they were opened
  std::vector<InitialWeights> initial_weights;
  std::vector<Hyperparameter> hyperparameters;
  std::vector<std::string> classes;  // from a hyperparameter named classes if it is a list of strings; else empty
  std::vector<LayerSource> sources;  // of each of graph.layers
  ir::Graph graph;  // forward, training semantics; one input variable per `input`, one Output per `output`
  DataConfig data;
  TrainConfig train;
};

struct Options {
  std::string net;                                           // --net, empty: the file's last net unless ambiguous
  std::vector<std::pair<std::string, std::string>> defines;  // -D name=value
};

/// All errors and warnings go to `diagnostics`; nullopt when there was an error.
std::optional<Model> analyse(const ast::File&, const Options&, const ir::Registry&, Diagnostics& diagnostics);

/// What a sound model is warned of: what is allowed and seldom meant. Reads traits of operators and losses only.
void lint(const Model&, Diagnostics&);

}  // namespace netc::sema
