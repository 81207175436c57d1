// Weight files: safetensors, read whole, written atomically.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <tl/expected.hpp>

#include "runtime/model.h"

namespace netc::rt {

/// One tensor, row-major, as float32; `data` belongs to the file it came from, or to the caller.
struct TensorView {
  std::string name;
  std::vector<int64_t> shape;
  const float* data = nullptr;
  size_t elements = 0;
  std::string dtype = "F32";  // in the file: F16, BF16 and F64 are converted, of others `data` is null
  bool restorable = false;    // data lies as in the file: WeightsFile::drop() and restore() are for it
};

/// "[5, 5, 1, 6]", for messages.
std::string shape_text(const std::vector<int64_t>& shape);

/// An open weight file: its contents as they were when it was opened, whatever others do to it. Its tensors live as
/// long as it does. What a model drops of them is read again from the file, and only if that is unchanged.
class WeightsFile final : public Backing {
 public:
  /// Reads and validates `path`. The error names the file and what is wrong with it.
  static tl::expected<std::shared_ptr<WeightsFile>, std::string> open(const std::string& path);
  /// The same of a file's bytes in memory, which outlive it; `name` is in place of its path.
  static tl::expected<std::shared_ptr<WeightsFile>, std::string> of_memory(std::span<const char> bytes,
                                                                           const std::string& name);
  ~WeightsFile() override;
  WeightsFile(const WeightsFile&) = delete;
  WeightsFile& operator=(const WeightsFile&) = delete;

  /// Null when there is no such tensor.
  const TensorView* find(std::string_view name) const;
  const std::vector<TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::string& path() const { return path_; }
  std::string_view bytes() const { return {map_, map_bytes_}; }
  void drop(const float* data, size_t bytes) override;
  bool restore(const float* data, size_t bytes) override;
  /// restore() failed: the file was written to since it was opened.
  bool changed() const { return changed_; }

 private:
  struct Stamp {
    int64_t bytes, modified;
    bool operator==(const Stamp&) const = default;
  };  // when, in nanoseconds
  WeightsFile() = default;
  std::optional<Stamp> stamp_now() const;
  static tl::expected<std::shared_ptr<WeightsFile>, std::string> parse(std::shared_ptr<WeightsFile> file,
                                                                       const char* bytes);
  std::string read_header();  // "" or what is wrong, as all three
  std::string read_data(size_t start);
  std::string read_part(size_t begin, size_t end);
  bool read_range(size_t begin, size_t end);
  std::string path_;
  int file_ = -1;
  Stamp stamp_{};
  char* map_ = nullptr;  // the file's bytes, in memory of our own
  size_t map_bytes_ = 0;
  std::vector<bool> dropped_;  // of each page
  bool changed_ = false;
  std::vector<std::unique_ptr<float[]>> copies_;  // of tensors that are converted, or not aligned to 4 bytes
  std::vector<TensorView> tensors_;               // in the order of their data
  std::unordered_map<std::string_view, size_t> index_;
  std::map<std::string, std::string> metadata_;
};

/// Replaces `path` by a file with these tensors, or leaves it as it was. Data starts 64-byte aligned, and tensors whose
/// size is a multiple of 64 bytes come first, so that each of them is aligned too. `durable` as for write_atomically.
tl::expected<void, std::string> write_safetensors(const std::string& path, std::vector<TensorView> tensors,
                                                  std::map<std::string, std::string> metadata, bool durable = true);

}  // namespace netc::rt
