#include "tests/train/support.h"

#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>

#include "runtime/core/files.h"
#include "runtime/train/report_parts.h"

namespace netc::rt::test {
namespace fs = std::filesystem;

Behaviour behaviour;

TempFolder::TempFolder() {
  std::string name = (fs::temp_directory_path() / "netc-train-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}
TempFolder::~TempFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write(const std::string& path, const std::string& contents) { std::ofstream(path, std::ios::binary) << contents; }

namespace {

constexpr int kInputs = 64;

std::vector<VarInfo> variables_of(int outputs) {
  const Init weights{"glorot_uniform", 0, 0, kInputs, outputs}, zeros{"zeros", 0, 0, 0, 0};
  return {{"dense.weight", VarRole::weight, true, 2, {kInputs, outputs}, weights, 0, 0},
          {"dense.bias", VarRole::weight, true, 1, {outputs}, zeros, 0, 0},
          {"dense.weight.momentum", VarRole::slot, false, 2, {kInputs, outputs}, zeros, 0, 0}};
}

ModelInfo make_info(const char* name, int outputs) {
  static const std::vector<VarInfo> three = variables_of(3), one = variables_of(1);
  static const LayerInfo layers[] = {{"dense1", "Dense(<3>)", "f32[3]", 195, 192, 3}};
  static const KernelInfo kernels[] = {{"dense", "infer", 384, 1000, "plain"},
                                       {"dense", "forward", 384, 1000, "plain"},
                                       {"update", "update", 0, 0, "plain", 400, 2000}};
  static const KeyValue hyperparameters[] = {{"width", "\"<64>\""}};
  static const char* const metrics[] = {"accuracy", "top2"};
  ModelInfo m = {};
  m.name = name, m.net = "Regression", m.doc = "Softmax & regression.", m.source_path = "fake.net",
  m.source_hash = "0123456789abcdef", m.target = "host", m.compiler_version = "0";
  m.hyperparameters = hyperparameters, m.layers = layers, m.kernels = kernels, m.metrics = metrics;
  static const PortInfo image[] = {{"image", DType::u8, 3, {8, 8, 1}}}, label[] = {{"label", DType::i32, 0, {}}};
  static const PortInfo answer[] = {{"answer", DType::f32, 1, {1}}}, answers[] = {{"answer", DType::f32, 1, {3}}};
  static const LossInfo losses[] = {{"crossentropy", 1, 0, TargetKind::label, 0}};
  m.inputs = m.ingested = image;
  m.outputs = outputs == 1 ? answer : answers;
  m.labels = label;
  m.losses = losses;
  m.variables = outputs == 1 ? one : three;
  m.max_batch = 16, m.has_training = true, m.loss = "crossentropy", m.optimizer = "momentum";
  m.lr = 0.05, m.batch = 8, m.epochs = 2, m.seed = 1;
  m.data_train = m.data_valid = m.data_test = "";
  m.macs = kInputs * outputs;
  return m;
}

uint32_t mix(uint32_t x) {
  x = (x ^ x >> 16) * 0x7feb352du;
  x = (x ^ x >> 15) * 0x846ca68bu;
  return x ^ x >> 16;
}

class Regression final : public Model {
 public:
  Regression(const ModelInfo& info, const CreateOptions& o)
      : info_(info),
        training_(o.training),
        outputs_(static_cast<int>(info.output().dims[0])) {
    info_.callbacks = behaviour.callbacks;
    const int batch = o.max_batch > 0 ? o.max_batch : info.max_batch;
    input_.resize(static_cast<size_t>(batch * kInputs)), labels_.resize(static_cast<size_t>(batch)),
        rows_.resize(static_cast<size_t>(batch * outputs_));
    for (size_t i = 0; i < info.variables.size(); ++i) {
      const bool held = info.variables[i].role == VarRole::slot ? o.training : o.own_weights;
      own_[i].resize(held ? info.variables[i].elements() : 0);
      at_[i] = held ? own_[i].data() : nullptr;
    }
    use_buffers({}, {});
  }
  const ModelInfo& info() const override { return info_; }
  float* variable(size_t i) override { return at_[i]; }
  void bind_variable(size_t i, const float* data, Backing*) override { at_[i] = const_cast<float*>(data); }
  void* input(size_t) override { return input_.data(); }
  void* labels(size_t) override { return labels_.data(); }
  void ingest(size_t, const void* sample, int, int, int, void* out) const override {
    std::memcpy(out, sample, kInputs);
  }
  void use_buffers(std::span<const void* const> inputs, std::span<const void* const> labels) override {
    x_ = inputs.empty() ? input_.data() : static_cast<const uint8_t*>(inputs[0]);
    y_ = labels.empty() ? labels_.data() : static_cast<const int32_t*>(labels[0]);
  }
  const float* infer(int batch) override {
    forward(batch, 0);
    return rows_.data();
  }
  float evaluate(int batch) override {
    if (behaviour.interrupt_evaluation) behaviour.interrupt_evaluation = false, std::raise(SIGINT);
    forward(batch, 0);
    return loss(batch);
  }
  float train_step(int batch, float lr, uint32_t seed, uint32_t step) override {
    if (behaviour.at_step) behaviour.at_step(step);
    if (step == behaviour.interrupt_at) std::raise(behaviour.signal);
    forward(batch, mix(seed * 977 + step));
    const float l = loss(batch);
    for (int i = 0; i < batch; ++i) {
      for (int c = 0; c < outputs_; ++c) {
        const float g = (rows_[static_cast<size_t>(i * outputs_ + c)] - target(i, c)) / static_cast<float>(batch);
        for (int k = 0; k < kInputs; ++k) at_[2][k * outputs_ + c] += g * static_cast<float>(x_[i * kInputs + k]) / 255;
        at_[1][c] -= lr * g;
      }
    }
    for (int k = 0; k < kInputs * outputs_; ++k) at_[0][k] -= lr * at_[2][k], at_[2][k] *= 0.5f;
    return step == behaviour.nan_at ? std::numeric_limits<float>::quiet_NaN() : l;
  }
  const float* output(size_t) const override { return rows_.data(); }
  float loss_of(size_t) const override { return std::numeric_limits<float>::quiet_NaN(); }
  void run_kernel(size_t, int batch, int repeats) override {
    for (int i = 0; i < repeats; ++i) forward(batch, 0);
  }

 private:
  float target(int i, int c) const { return outputs_ == 1 ? static_cast<float>(y_[i]) : y_[i] == c ? 1.0f : 0.0f; }
  void forward(int batch, uint32_t noise) {
    for (int i = 0; i < batch; ++i) {
      float* row = &rows_[static_cast<size_t>(i * outputs_)];
      float sum = 0;
      for (int c = 0; c < outputs_; ++c) {
        float s = at_[1][c] + (noise ? static_cast<float>(mix(noise + static_cast<uint32_t>(i)) & 255) / 1024 *
                                           static_cast<float>(c)
                                     : 0);
        for (int k = 0; k < kInputs; ++k) s += at_[0][k * outputs_ + c] * static_cast<float>(x_[i * kInputs + k]) / 255;
        row[c] = std::exp(s), sum += row[c];
      }
      for (int c = 0; c < outputs_; ++c) row[c] /= outputs_ == 1 ? 1 + row[c] : sum;
    }
  }
  float loss(int batch) const {
    double l = 0;
    for (int i = 0; i < batch; ++i)
      for (int c = 0; c < outputs_; ++c) {
        const float p = std::min(1 - 1e-6f, std::max(1e-6f, rows_[static_cast<size_t>(i * outputs_ + c)]));
        l -= target(i, c) * std::log(p) + (outputs_ == 1 ? (1 - target(i, c)) * std::log(1 - p) : 0);
      }
    return static_cast<float>(l / batch);
  }

  ModelInfo info_;
  bool training_;
  int outputs_;
  std::vector<uint8_t> input_;
  std::vector<int32_t> labels_;
  std::vector<float> rows_, own_[3];
  float* at_[3] = {};
  const uint8_t* x_ = nullptr;
  const int32_t* y_ = nullptr;
};

/// Standard output or error into a file while it lives.
class Catch {
 public:
  Catch(FILE* stream, std::string path) : stream_(stream), path_(std::move(path)) {
    std::fflush(stream_);
    before_ = dup(fileno(stream_));
    if (FILE* file = std::fopen(path_.c_str(), "wb")) dup2(fileno(file), fileno(stream_)), std::fclose(file);
  }
  std::string stop() {
    std::fflush(stream_);
    dup2(before_, fileno(stream_));
    close(before_);
    return contents(path_);
  }

 private:
  FILE* stream_;
  std::string path_;
  int before_;
};

}  // namespace

const ModelInfo& regression() {
  static const ModelInfo info = make_info("fake", 3);
  return info;
}
const ModelInfo& sigmoid() {
  static const ModelInfo info = make_info("two", 1);
  return info;
}
std::unique_ptr<Model> create_regression(const CreateOptions& o, std::string&) {
  return std::make_unique<Regression>(regression(), o);
}
std::unique_ptr<Model> create_sigmoid(const CreateOptions& o, std::string&) {
  return std::make_unique<Regression>(sigmoid(), o);
}

void make_pictures(const std::string& path, const std::vector<std::string>& classes, int each, uint32_t seed) {
  std::mt19937 random(seed);
  for (size_t k = 0; k < classes.size(); ++k) {
    fs::create_directories(fs::path(path) / classes[k]);
    for (int i = 0; i < each; ++i) {
      Field s;
      s.height = s.width = 8, s.channels = 1;
      for (size_t p = 0; p < kInputs; ++p)
        s.data.push_back(static_cast<uint8_t>(random() % 120 + (p / 8 / 2 == k ? 110 : 0)));
      const auto png = html::thumbnail(s, 8);
      write((fs::path(path) / classes[k] / (std::to_string(i) + ".png")).string(), {png.begin(), png.end()});
    }
  }
}

Output run(std::vector<std::string> arguments, bool two_classes) {
  arguments.insert(arguments.begin(), "./fake");
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  ModelInfo info = two_classes ? sigmoid() : regression();
  info.callbacks = behaviour.callbacks;
  info.classes = behaviour.classes;
  if (behaviour.change) behaviour.change(info);
  const TempFolder folder;
  Catch out(stdout, folder.path("out")), err(stderr, folder.path("err"));
  const int code =
      program_main(static_cast<int>(argv.size()), argv.data(), info, two_classes ? create_sigmoid : create_regression);
  return {code, out.stop(), err.stop()};
}

}  // namespace netc::rt::test
