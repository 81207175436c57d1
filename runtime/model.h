// The interface between a compiled network and the runtime: generated code implements Model, the training loop and the
// commands use it. No exceptions cross it; nothing is allocated after create().
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace netc::rt {

enum class DType : uint8_t { f32, u8, i32, u32 };
constexpr size_t size_of(DType t) { return t == DType::u8 ? 1 : 4; }

enum class VarRole : uint8_t { weight, state, slot };

struct Init {
  const char* kind;
  double a, b;
  int64_t fan_in, fan_out;
};  // see compiler/ir/graph.h

/// A tensor that outlives a step. Row-major in its file form; `bytes` of f32.
struct VarInfo {
  const char* name;  // stable, as in safetensors: "stage1.conv.weight"
  VarRole role;
  bool trainable;
  int rank;
  int64_t dims[8];
  Init init;
  double l1, l2;
  double momentum =
      0;  // a running average: the share of its value that a training step keeps; 0: it is none, or frozen
  size_t elements() const {
    size_t e = 1;
    for (int i = 0; i < rank; ++i) e *= static_cast<size_t>(dims[i]);
    return e;
  }
};

/// Fresh training starts with the tensors of a safetensors file for the weights and states whose names begin with
/// `prefix`; the file names them by the rest, or by the whole name. The file is `path`, absolute; where there is none,
/// `written`, as the source has it.
struct InitialWeights {
  const char* prefix;
  const char* path;
  const char* written;
};

/// What the values of an output mean. scores: about 0, and their softmax or sigmoid is the probabilities.
enum class Means : uint8_t { values, probabilities, scores };

/// One sample's shape; -1 is an extent known only per sample (images of any size: the model resizes them itself, see
/// Model::ingest).
struct PortInfo {
  const char* name;
  DType dtype;
  int rank;
  int64_t dims[8];
  int64_t below = 0;                    // integers that the net takes as numbers of rows, 0 to below - 1; 0: any
  double least = -1e300, most = 1e300;  // of f32 labels: what the losses that take them are made for
  /// a place in an image stays at its share of height and width; false: images are cut, or bars are put beside them
  bool stretched = true;
  Means means = Means::values;  // of an output
  bool classes = false;         // a row of the output answers with a class
  bool sized() const {
    for (int i = 0; i < rank; ++i)
      if (dims[i] < 0) return false;
    return true;
  }
  size_t elements() const {
    size_t e = 1;
    for (int i = 0; i < rank; ++i) e *= dims[i] < 0 ? 0 : static_cast<size_t>(dims[i]);
    return e;
  }
  size_t bytes() const { return elements() * size_of(dtype); }  // of one sample; 0 unless sized()
};

/// A term of the loss: weight * kind(outputs[output], target).
enum class TargetKind : uint8_t { label, input, output };
/// `target` -1: a label that the term does not depend on, whatever it is; the data need not have it.
struct LossInfo {
  const char* kind;
  double weight;
  int output;
  TargetKind target_kind;
  int target;
};

struct LayerInfo {
  const char* name;
  const char* text;
  const char* output_shape;
  int64_t params;
  int64_t macs;
  int line;
};
struct KernelInfo {
  const char* name;
  const char* phase;    // forward backward update ingest
  double flops, bytes;  // of one sample
  const char* strategy;
  double fixed_flops = 0, fixed_bytes = 0;  // whatever the batch
};
struct CallbackInfo {
  const char* kind;
  const char* monitor;
  double value;
  int64_t patience;
  const char* path;
};
struct AugmentInfo {
  const char* kind;
  const char* mode;
  double args[4];
};
struct KeyValue {
  const char* key;
  const char* value;
};

struct TableColumns;  // runtime/data/source.h

/// The exact bytes an instance takes.
struct MemoryInfo {
  size_t weights, slots, train_arena, infer_arena, data_buffers, scratch_per_thread;
};

struct ModelInfo {
  const char* name;  // "lenet": the program's name
  const char* net;   // "LeNet"
  const char* doc;
  const char* source_path;
  const char* source_hash;
  const char* target;
  const char* compiler_version;
  const char* precision = "f32";  // of what products are made of: "f32", "bf16"
  std::span<const KeyValue> hyperparameters;
  std::span<const char* const> classes;  // empty: named by the data, or 0..n-1
  std::span<const PortInfo> inputs;      // as the user feeds them, in the net's order: at least one
  /// of each, what ingest() writes for one sample: the batch input's sample type. The same but for '*'
  std::span<const PortInfo> ingested;
  std::span<const PortInfo> outputs;  // in the net's order: at least one, f32
  /// what losses compare outputs with, besides inputs and outputs; rank 0 i32: a class index
  std::span<const PortInfo> labels;
  std::span<const LossInfo> losses;  // the loss is their sum, and the weights' penalties
  std::span<const VarInfo> variables;
  std::span<const InitialWeights> initial_weights;
  std::span<const char> weights = {};  // a safetensors file inside the product; empty: none
  std::span<const LayerInfo> layers;
  std::span<const KernelInfo> kernels;
  MemoryInfo memory;
  int max_batch;
  // training; has_training false: inference only
  bool has_training;
  const char* loss;
  const char* optimizer;  // as text
  double lr;
  int64_t batch, epochs, seed;
  const char* data_train;
  const char* data_valid;
  const char* data_test;
  std::span<const char* const> metrics;
  std::span<const CallbackInfo> callbacks;
  std::span<const AugmentInfo> augment;
  double macs;                            // of one sample's forward pass
  const TableColumns* columns = nullptr;  // as NamedInfo has it from the weights: what tables are read by
  /// Whether there is anything that a weights file would have to give.
  bool has_weights() const {
    for (const VarInfo& v : variables)
      if (v.role != VarRole::slot) return true;
    return false;
  }
  const PortInfo& input() const { return inputs.front(); }
  const PortInfo& output() const { return outputs.front(); }
};

/// How many classes the output tells apart that label `label` is compared with; 0 when no loss says. A single output
/// tells two.
inline int64_t classes_at(const ModelInfo& info, size_t label) {
  for (const LossInfo& l : info.losses) {
    if (l.target_kind != TargetKind::label || static_cast<size_t>(l.target) != label) continue;
    const PortInfo& out = info.outputs[static_cast<size_t>(l.output)];
    const int64_t width = out.rank > 0 ? out.dims[out.rank - 1] : 1;
    return width == 1 ? 2 : width;
  }
  return 0;
}

/// What the integers of label `label` must stay below when they are class indices, one for each row of the output that
/// it is compared with; 0: they are none.
inline int64_t indices_below(const ModelInfo& info, size_t label) {
  const PortInfo& p = info.labels[label];
  if (p.dtype != DType::i32) return 0;
  for (const LossInfo& l : info.losses) {
    if (l.target_kind != TargetKind::label || static_cast<size_t>(l.target) != label) continue;
    const int rank = info.outputs[static_cast<size_t>(l.output)].rank;
    const bool rows = p.rank + 1 == rank || (p.rank == rank && rank > 0 && p.dims[rank - 1] == 1);
    return p.rank == 0 || rows ? classes_at(info, label) : 0;
  }
  return 0;
}
/// The first of the `n` integers at `values` that is not from 0 to below - 1; n: all are, or `below` is 0.
inline size_t first_outside(const void* values, size_t n, int64_t below) {
  const auto* v = static_cast<const int32_t*>(values);
  for (size_t i = 0; i < n && below > 0; ++i)
    if (v[i] < 0 || v[i] >= below) return i;
  return n;
}
/// The first of the f32 label's `n` values that lies outside its limits by more than rounding; n: none does.
inline size_t first_beyond(const PortInfo& label, const void* values, size_t n) {
  constexpr double kRounding = 1e-5;  // of what another net gave as probabilities
  const auto* v = static_cast<const float*>(values);
  for (size_t i = 0; i < n && label.dtype == DType::f32; ++i)
    if (v[i] < label.least - kRounding || v[i] > label.most + kRounding) return i;
  return n;
}

/// Where bound variables lie, when it can give up their memory and have their contents again.
class Backing {
 public:
  virtual ~Backing() = default;
  /// `data` takes no more memory until restore().
  virtual void drop(const float* data, size_t bytes) = 0;
  /// The contents are there. False: they cannot be had any more.
  virtual bool restore(const float* data, size_t bytes) = 0;
};

/// One instance: weights, arenas, threads. Not thread-safe itself; instances are independent. Buffers are 64-byte
/// aligned and stay valid for its life.
class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelInfo& info() const = 0;
  /// The storage of a variable (row-major), or null when this instance does not hold it (slots without training; what
  /// was dropped and cannot be had again).
  virtual float* variable(size_t index) = 0;
  /// Makes the instance read variable `index` from `data` instead of its own storage: inference only; data, and
  /// `backing` where it is not null, must outlive it; that drops data once what is made of it is made.
  virtual void bind_variable(size_t index, const float* data, Backing* backing) = 0;
  /// The batch's input `port`: max_batch samples of info().ingested[port]; and its labels. Null when there is no such
  /// port.
  virtual void* input(size_t port = 0) = 0;
  virtual void* labels(size_t port = 0) = 0;
  /// Turns one decoded sample of input `port` (height x width x channels, u8 or f32 as info().inputs says) into `out`.
  /// Thread-safe, touches no instance state. Without '*': a copy.
  virtual void ingest(size_t port, const void* sample, int height, int width, int channels, void* out) const = 0;
  /// Runs on other input and label buffers than its own (the loader's), one for each port, without copying; a null, or
  /// an empty span: its own.
  virtual void use_buffers(std::span<const void* const> inputs, std::span<const void* const> labels) = 0;
  // batch rows of info().outputs[0]. Inference form (running statistics, no dropout)
  virtual const float* infer(int batch) = 0;
  virtual float evaluate(int batch) = 0;  // like infer, and the loss of the labels; infer's results stay in output()
  /// forward, backward, update of one batch; returns the loss (mean over the batch, penalties included). step counts
  /// from 1.
  virtual float train_step(int batch, float lr, uint32_t seed, uint32_t step) = 0;
  /// The net's output `port` of the last infer, evaluate or train_step; null when that failed.
  virtual const float* output(size_t port = 0) const = 0;
  /// The mean over the batch of info().losses[term] in the last evaluate or train_step, without its weight; not a
  /// number where there is but one term.
  virtual float loss_of(size_t term) const = 0;
  /// Runs kernel `index` alone `repeats` times, on whatever its buffers hold, for bench --kernels.
  virtual void run_kernel(size_t index, int batch, int repeats) = 0;
};

struct CreateOptions {
  int threads = 0;          // 0: as many as the machine has cores
  int max_batch = 0;        // 0: info().max_batch
  bool training = false;    // holds slots and the training arena
  bool own_weights = true;  // false: every variable will be bound
};

/// Implemented by generated code. On failure (memory): null, and `error` says why.
using CreateFn = std::unique_ptr<Model> (*)(const CreateOptions&, std::string& error);

/// The whole command line of a compiled program: train, eval, predict, bench, summary, info. Returns the exit code.
int program_main(int argc, char** argv, const ModelInfo& info, CreateFn create);

}  // namespace netc::rt
