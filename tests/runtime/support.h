// What the tests of the runtime's core share: folders that go away, safetensors files written by hand, a model that
// only holds variables.
#pragma once
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "runtime/core/safetensors.h"
#include "runtime/model.h"

namespace netc::rt::test {

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "netc-runtime-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline void write(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

inline std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A safetensors file: the header's length (or `claimed`), the header, the data.
inline std::string file_of(const std::string& header, const std::string& data, uint64_t claimed = UINT64_MAX) {
  const uint64_t n = claimed == UINT64_MAX ? header.size() : claimed;
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(n >> (8 * i) & 255);
  return out + header + data;
}

inline std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                         const std::string& begin, const std::string& end) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", name, dtype, shape, begin, end);
}

/// Holds its variables' data, and what was bound instead.
class VariablesModel final : public Model {
 public:
  explicit VariablesModel(std::vector<VarInfo> variables)
      : variables_(std::move(variables)),
        bound(variables_.size(), nullptr) {
    info_.name = info_.net = "Toy";
    info_.source_hash = "1234";
    info_.variables = variables_;
    for (const VarInfo& v : variables_) data.emplace_back(v.elements(), -7.f);
  }
  const ModelInfo& info() const override { return info_; }
  float* variable(size_t i) override { return data[i].data(); }
  void bind_variable(size_t i, const float* p, Backing*) override { bound[i] = p; }
  void* input(size_t) override { return nullptr; }
  void* labels(size_t) override { return nullptr; }
  void ingest(size_t, const void*, int, int, int, void*) const override {}
  void use_buffers(std::span<const void* const>, std::span<const void* const>) override {}
  const float* infer(int) override { return nullptr; }
  float evaluate(int) override { return 0; }
  float train_step(int, float, uint32_t, uint32_t) override { return 0; }
  const float* output(size_t) const override { return nullptr; }
  float loss_of(size_t) const override { return 0; }
  void run_kernel(size_t, int, int) override {}

  std::vector<VarInfo> variables_;
  ModelInfo info_{};
  std::vector<const float*> bound;
  std::vector<std::vector<float>> data;
};

inline VarInfo variable(const char* name, std::vector<int64_t> dims, VarRole role = VarRole::weight,
                        Init init = {"zeros", 0, 0, 1, 1}) {
  VarInfo v{};
  v.name = name, v.role = role, v.trainable = role == VarRole::weight, v.rank = static_cast<int>(dims.size()),
  v.init = init;
  for (size_t i = 0; i < dims.size(); ++i) v.dims[i] = dims[i];
  return v;
}

}  // namespace netc::rt::test
