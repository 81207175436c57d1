// Batches ahead of the step: worker threads read, augment and ingest samples into a ring of batches.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "runtime/data/source.h"
#include "runtime/model.h"

namespace netc::rt {

struct LoaderOptions {
  int batch = 32;
  int threads = 0;  // worker threads; 0: as many as the machine has cores. The batches do not depend on it
  uint64_t seed = 0;
  bool shuffle = false;  // a new order each epoch, of seed and epoch
  bool augment = false;  // applies info().augment, drawn from seed, epoch and sample
};

/// One batch: n samples one after another for each of info().ingested and info().labels, 64-byte aligned, for
/// Model::use_buffers; `batch` of room.
struct Batch {
  std::span<const void* const> inputs, labels;
  int n = 0;  // >= 1; less than options.batch at the end of an epoch and where samples were skipped
  std::span<const size_t> indices;  // the samples' indices in the source
  /// in the epoch, from 0: what start_epoch's first_batch counts. Not consecutive when a whole batch is skipped
  uint64_t number = 0;
};

/// Same options, source and epoch: the same batches, whatever the threads. Used from one thread. The source and the
/// model must outlive it.
class Loader {
 public:
  /// Errors: no samples, more classes than the net has outputs, samples that do not fit the net's input, memory.
  static tl::expected<std::unique_ptr<Loader>, std::string> create(const Source& source, const Model& model,
                                                                   const LoaderOptions& options);
  virtual ~Loader() = default;

  /// Begins an epoch at batch `first_batch` (as an uninterrupted epoch would have reached it); drops what was left of
  /// the one before.
  virtual void start_epoch(uint64_t epoch, uint64_t first_batch = 0) = 0;
  /// The next batch, valid until the next call of next or start_epoch; waits for it to be decoded. False at the epoch's
  /// end.
  virtual bool next(Batch& batch) = 0;

  virtual size_t batches() const = 0;  // of an epoch
  virtual size_t samples() const = 0;  // of the source
  virtual const Source& source() const = 0;
  /// Distinct samples that could not be read and were left out of the batches handed out so far.
  virtual size_t skipped() const = 0;
  /// The first ten of them, in the order met, each with the reason.
  virtual std::vector<std::string> skipped_names() const = 0;
};

/// Puts a field through input `port` of the model into `out` (one sample of info().ingested): checks its shape,
/// converts an image to the input's type. `name` is the sample's, for the error; it may be empty. Thread-safe.
tl::expected<void, std::string> ingest_field(const Model& model, size_t port, const Field& field,
                                             const std::string& name, void* out);

/// The same for a label. An image becomes the port's elements, its pixels' values the nearest to each.
tl::expected<void, std::string> put_label(const ModelInfo& info, size_t index, const Field& field,
                                          const std::string& name, void* out);

}  // namespace netc::rt
