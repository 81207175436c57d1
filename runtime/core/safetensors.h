// Weight files: safetensors, read through a mapping without copying, written atomically.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <tl/expected.hpp>

namespace netc::rt {

/// One tensor, row-major, as float32; `data` belongs to the file it came from, or to the caller.
struct TensorView {
  std::string name;
  std::vector<int64_t> shape;
  const float* data = nullptr;
  size_t elements = 0;
  std::string dtype = "F32";               // in the file: F16, BF16 and F64 are converted, of others `data` is null
  bool mapped = false;                     // data lies in the mapped file itself
};

/// "[5, 5, 1, 6]", for messages.
std::string shape_text(const std::vector<int64_t>& shape);

/// An open weight file. Immutable, so it can be shared between threads; its tensors live as long as it does.
class WeightsFile {
 public:
  /// Maps and validates `path`. The error names the file and what is wrong with it.
  static tl::expected<std::shared_ptr<WeightsFile>, std::string> open(const std::string& path);
  ~WeightsFile();
  WeightsFile(const WeightsFile&) = delete;
  WeightsFile& operator=(const WeightsFile&) = delete;

  /// Null when there is no such tensor.
  const TensorView* find(std::string_view name) const;
  const std::vector<TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::string& path() const { return path_; }
 private:
  WeightsFile() = default;
  std::string path_;
  void* map_ = nullptr;
  size_t map_bytes_ = 0;
  std::vector<std::unique_ptr<float[]>> copies_;   // of tensors that are converted, or not aligned to 4 bytes
  std::vector<TensorView> tensors_;        // in the order of their data
  std::unordered_map<std::string_view, size_t> index_;
  std::map<std::string, std::string> metadata_;
};

/// Replaces `path` by a file with these tensors, or leaves it as it was. Data starts 64-byte aligned, and tensors whose size is a multiple of
/// 64 bytes come first, so that each of them is aligned too. `durable` as for write_atomically.
tl::expected<void, std::string> write_safetensors(const std::string& path, std::vector<TensorView> tensors, std::map<std::string, std::string> metadata,
                                                  bool durable = true);

}  // namespace netc::rt
