// A network inside an application: what the C interface of a compiled library does. No exception leaves it; nothing is
// allocated after open() but by load and save.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "runtime/core/safetensors.h"
#include "runtime/model.h"

namespace netc::rt {

enum class Status : int { ok = 0, argument = 1, memory = 2, file = 3, state = 4, failed = 5 };

/// One instance: a model, its weights and the count of its steps. Not thread-safe itself; instances are independent.
class Embedded {
 public:
  /// Null and `error` when memory or threads cannot be had, the processor lacks instructions, or an option is out of
  /// range.
  static std::unique_ptr<Embedded> open(const ModelInfo&, CreateFn create, int threads, int max_batch, bool training,
                                        std::string& error) noexcept;

  /// Message of the last call that failed, or "".
  const char* error() const { return error_; }
  const ModelInfo& info() const { return model_->info(); }

  /// Weights from a safetensors file, as it is now. Those inside the product are there from the start.
  Status load(const char* path) noexcept;
  Status save(const char* path) noexcept;
  /// Fresh weights; the same seed gives the same bits.
  Status initialise(uint64_t seed) noexcept;

  /// Puts input `port` of a sample into place `index` of the batch, resized if the net does that. `height` and `width`
  /// count for images only.
  Status set_sample(size_t port, int index, const void* sample, int height, int width) noexcept;
  /// The class index of a sample, for label `port`.
  Status set_label(size_t port, int index, int label) noexcept;
  /// The elements of a label that is not a class index.
  Status set_target(size_t port, int index, const void* values) noexcept;

  /// Runs the first `count` samples; `out` gets `count` rows of info().outputs[0], valid until the next call.
  Status infer(int count, const float** out) noexcept;
  /// Rows of output `port` of the last call that ran the net; null before it, or when it failed.
  const float* output(size_t port) const noexcept { return model_->output(port); }
  Status evaluate(int count, float* loss) noexcept;
  /// One step on the first `count` samples; lr <= 0: the net's own.
  Status train_step(int count, float lr, float* loss) noexcept;

 private:
  Status fail(Status status, const char* format, ...) noexcept __attribute__((format(printf, 3, 4)));
  Status take(const tl::expected<std::shared_ptr<WeightsFile>, std::string>& file);
  Status not_run() noexcept;
  bool in_range(int count) const { return count >= 1 && count <= max_batch_; }

  std::unique_ptr<Model> model_;
  std::shared_ptr<WeightsFile> file_;           // bound: must live as long as the model reads it; see WeightsFile
  std::map<std::string, std::string> of_data_;  // what the loaded weights remember of the data they were trained on
  int max_batch_ = 0;
  bool training_ = false, ready_ = false;
  uint32_t step_ = 0, seed_ = 1;
  char error_[1024] = "";
};

}  // namespace netc::rt
