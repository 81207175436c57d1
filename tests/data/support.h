// What the tests of data sources share: images written through the libraries, a model that only copies, temporary
// folders.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "runtime/data/image.h"
#include "runtime/data/loader.h"
#include "runtime/data/source.h"

namespace netc::rt::test {

using Bytes = std::vector<uint8_t>;

inline Bytes bytes_of(const std::string& s) { return {s.begin(), s.end()}; }
inline bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// A folder that is removed with the object.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  std::string path() const { return path_.string(); }
  /// makes the folders it needs; returns the whole path
  std::string write(const std::string& name, const Bytes& bytes) const;

 private:
  std::filesystem::path path_;
};

/// A picture with some structure: height x width x channels.
Bytes pattern(int height, int width, int channels, uint32_t seed = 1);
Bytes jpeg(const Bytes& pixels, int height, int width, int channels, int quality = 95);
enum class Png { grey, rgb, rgba, grey_alpha, palette, grey16, rgb16 };
/// `pixels`: 8-bit samples of that layout; palette: indices; 16-bit: repeated in both bytes.
Bytes png(const Bytes& pixels, int height, int width, Png layout, bool interlaced = false);
Bytes idx(const std::vector<uint32_t>& dims, const Bytes& data);
Bytes gzip(const Bytes& data);

/// Calls f with every kind of damage to `bytes`: n truncations and n with some bytes changed.
void damage(const Bytes& bytes, int n, const std::function<void(const Bytes&)>& f);

/// Ports that live as long as the program, for a ModelInfo to point at.
std::span<const PortInfo> keep(std::vector<PortInfo> ports);
std::span<const LossInfo> keep(std::vector<LossInfo> losses);
/// A net of these ports; each label is compared with the output of its place, or with the last. Ingested is what is fed
/// in.
ModelInfo info_of(std::vector<PortInfo> inputs, std::vector<PortInfo> outputs, std::vector<PortInfo> labels);

inline PortInfo f32(const char* name, int64_t n) { return {name, DType::f32, 1, {n}}; }
inline PortInfo index(const char* name) { return {name, DType::i32, 0, {}}; }

/// An image of dims, -1: any, and a class among `outputs`.
ModelInfo info_for(int64_t height, int64_t width, int64_t channels, DType dtype = DType::u8, int64_t outputs = 10);

/// ingest() copies a fixed input; of an input of any size it keeps 4 x 4 pixels at the upper left, repeating where
/// there are none.
class FakeModel final : public Model {
 public:
  explicit FakeModel(const ModelInfo& info);
  const ModelInfo& info() const override { return info_; }
  float* variable(size_t) override { return nullptr; }
  void bind_variable(size_t, const float*, Backing*) override {}
  void* input(size_t) override { return nullptr; }
  void* labels(size_t) override { return nullptr; }
  void ingest(size_t port, const void* sample, int height, int width, int channels, void* out) const override;
  void use_buffers(std::span<const void* const>, std::span<const void* const>) override {}
  const float* infer(int) override { return nullptr; }
  float evaluate(int) override { return 0; }
  float train_step(int, float, uint32_t, uint32_t) override { return 0; }
  const float* output(size_t) const override { return nullptr; }
  float loss_of(size_t) const override { return 0; }
  void run_kernel(size_t, int, int) override {}

 private:
  ModelInfo info_;
};

/// The source that the test wants, or the error that it wants instead; "" is none.
std::unique_ptr<Source> opened(const std::string& spec, const ModelInfo& info, Split split = Split::train);
std::string error_of(const std::string& spec, const ModelInfo& info, Split split = Split::train);

/// The class index of a sample.
int label_of(const Sample& sample);
/// A field's elements.
template <class T>
std::vector<T> values(const Field& f) {
  const T* p = reinterpret_cast<const T*>(f.data.data());
  return {p, p + f.data.size() / sizeof(T)};
}

/// The project's real data, or "" when this machine has none.
std::string shared_data(const std::string& name);

}  // namespace netc::rt::test
