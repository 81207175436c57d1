// The driver's text: tables, one struct per plan (plan_code.cpp), and the class that owns the memory and implements rt::Model.
#include "compiler/emit/driver.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/emit/text.h"

namespace netc::emit {
namespace {

using schedule::Buffer;
using schedule::Plan;

constexpr const char* kHead = R"cpp(// $net$ as C++: written by netc $version$ from $source$. Compiling the source again replaces this file.
//
// A step reads from top to bottom in Training::forward, backward, update and Inference::prepare, forward, loss: one kernel a line, with the shapes beside it.
#include <math.h>
#include <string.h>

#include "runtime/halide_buffer.h"
#include "runtime/kernel_support.h"
#include "runtime/model.h"

namespace rt = netc::rt;

// The kernels: compiled apart, bound to these names by the link. 0, or an error. Inputs come first, then outputs.
extern "C" {
$declarations$
extern const size_t $id$_scratch_bytes;  // per thread
}

namespace {

$tables$
/// Where an instance's tensors lie.
struct Memory {
  char* arena = nullptr;
  float* variables[$variable_slots$] = {};
  const void* input = nullptr;
  const void* labels = nullptr;
  float lr = 0;
  uint32_t seed = 0, step = 0;
};

)cpp";

constexpr const char* kClass = R"cpp(
/// One instance of $net$.
class Network final : public rt::Model {
 public:
  bool create(const rt::CreateOptions& options, std::string& error) {
    max_batch_ = options.max_batch > 0 ? options.max_batch : kInfo.max_batch;
    if (max_batch_ > kInfo.max_batch) {
      error = "a batch of " + std::to_string(max_batch_) + " is too large: $id$ was compiled for at most $max_batch$ (netc --max-batch)";
      return false;
    }
$training_check$    context_ = rt::Context::create(options.threads, $id$_scratch_bytes, error);
    if (!context_) return false;
    arena_ = rt::allocate_aligned($arena$);
    input_ = rt::allocate_aligned(kSampleBytes * static_cast<size_t>(max_batch_));
    labels_ = rt::allocate_aligned(kLabelBytes * static_cast<size_t>(max_batch_));
    bool enough = arena_ && input_ && labels_;
    if (options.own_weights) {
      weights_ = rt::allocate_aligned(kInfo.memory.weights);
      enough = enough && weights_;
    }
$allocate_slots$    if (!enough) {
      error = "there is not enough memory for $net$";
      return false;
    }
    m_.arena = static_cast<char*>(arena_.get());
    m_.input = input_.get();
    m_.labels = labels_.get();
    for (size_t i = 0; i < $variables$; ++i) {
      char* block = static_cast<char*>(kVariables[i].role == rt::VarRole::slot ? slots_.get() : weights_.get());
      m_.variables[i] = block ? reinterpret_cast<float*>(block + kOffsets[i]) : nullptr;
    }
    rt::Context* context = context_.get();
$connect$    place();
    return true;
  }

  const rt::ModelInfo& info() const override { return kInfo; }

  float* variable(size_t index) override {
    prepared_ = false;  // the caller may write to it
    return index < $variables$ ? m_.variables[index] : nullptr;
  }
  void bind_variable(size_t index, const float* data) override {
    if (index >= $variables$) return;
    m_.variables[index] = const_cast<float*>(data);  // inference only reads it
    prepared_ = false;
    place();
  }

  void* input() override { return input_.get(); }
  void* labels() override { return labels_.get(); }
  void use_buffers(const void* input, const void* labels) override {
    m_.input = input ? input : input_.get();
    m_.labels = labels ? labels : labels_.get();
$place_data$  }

$ingest$
  const float* infer(int batch) override {
    if (!begin(batch)) return nullptr;
    inference_.forward();
    return finish(inference_.failed, $infer_output$);
  }

  float evaluate(int batch) override {
$evaluate$  }

  float train_step(int batch, float lr, uint32_t seed, uint32_t step) override {
$train_step$  }

  const float* output() const override { return output_; }

  void run_kernel(size_t index, int batch, int repeats) override {
$run_kernel$  }

 private:
  static constexpr size_t kSampleBytes = $sample_bytes$, kLabelBytes = $label_bytes$;

  void place() {
$place$  }

  // False: no such batch, or weights are missing.
  bool can_run(int batch) const {
    for (size_t i = 0; i < $weights$; ++i)
      if (!m_.variables[i]) return false;
    return batch >= 1 && batch <= max_batch_;
  }

  // Inference at this batch, with what depends on the weights alone up to date. False when it cannot run.
  bool begin(int batch) {
    if (!can_run(batch)) return false;
    inference_.failed = false;
    inference_.set_batch(batch);
    if (!prepared_) inference_.prepare();
    prepared_ = true;
    return true;
  }
  const float* finish(bool failed, const rt::Tensor& output) {
    output_ = failed ? nullptr : reinterpret_cast<const float*>(output.host);
    return output_;
  }

  Memory m_;
$plans$  std::unique_ptr<rt::Context> context_;
  rt::AlignedMemory weights_, slots_, arena_, input_, labels_;
  const float* output_ = nullptr;
  int max_batch_ = 0;
  bool prepared_ = false, training_ = false;
};

}  // namespace

const rt::ModelInfo& $id$_info() { return kInfo; }

/// Null and `error` when memory or threads cannot be had.
std::unique_ptr<rt::Model> $id$_create(const rt::CreateOptions& options, std::string& error) {
  auto network = std::make_unique<Network>();
  if (!network->create(options, error)) return nullptr;
  return network;
}
)cpp";

std::string ingest_text(const Unit& u) {
  const Plan& p = *u.infer;
  if (p.ingest_kernel < 0) {
    return "  void ingest(const void* sample, int height, int width, int channels, void* out) const override { memcpy(out, sample, kSampleBytes); }\n";
  }
  const schedule::Kernel& k = p.kernels[static_cast<size_t>(p.ingest_kernel)];
  const Buffer& in = p.buffers[static_cast<size_t>(k.inputs[0])];
  const Buffer& out = p.buffers[static_cast<size_t>(p.ingested_buffer)];
  const int64_t channels = in.type.dims[2];
  std::string s = "  void ingest(const void* sample, int height, int width, int channels, void* out) const override {\n";
  std::string fits = fmt::format("height >= 1 && width >= 1 && channels == {}", channels);
  if (in.type.dims[0] != ir::kAnyExtent) fits += fmt::format(" && height == {}", in.type.dims[0]);
  if (in.type.dims[1] != ir::kAnyExtent) fits += fmt::format(" && width == {}", in.type.dims[1]);
  s += fmt::format("    if (!({})) {{\n      memset(out, 0, kSampleBytes);\n      return;\n    }}\n", fits);
  s += "    rt::Tensor image, ingested;\n";
  s += fmt::format("    image.set({}, {{{{{}, 1}}, {{width, {}}}, {{height, {} * width}}}});\n", element_literal(in.type.dtype), channels, channels, channels);
  s += "    image.place(sample);\n";
  std::string extents;
  const std::vector<int64_t> strides = strides_of(out);
  for (size_t d = 0; d < out.type.dims.size(); ++d) extents += fmt::format("{}{{{}, {}}}", d ? ", " : "", out.type.dims[out.type.dims.size() - 1 - d], strides[d]);
  s += fmt::format("    ingested.set({}, {{{}}});\n    ingested.place(out);\n", element_literal(out.type.dtype), extents);
  s += fmt::format("    {}(nullptr, &image, &ingested);  // {}\n  }}\n", kernel_symbols(u, p)[static_cast<size_t>(p.ingest_kernel)], k.comment);
  return s;
}

/// Body of run_kernel: training's kernels come first in info().kernels.
std::string run_kernel_text(const Unit& u) {
  std::string s = "    if (!can_run(batch)) return;\n    prepared_ = false;\n";
  const size_t train = u.train ? u.train->kernels.size() : 0;
  auto ingest = [&](const Plan& p, size_t first) {
    if (p.ingest_kernel < 0) return;
    const ir::Type& in = p.buffers[static_cast<size_t>(p.kernels[static_cast<size_t>(p.ingest_kernel)].inputs[0])].type;
    const ir::Type out = ingested_type(u);
    auto extent = [&](size_t d) { return in.dims[d] == ir::kAnyExtent ? out.dims[d] : in.dims[d]; };
    const int64_t bytes = extent(0) * extent(1) * in.dims[2] * size_of(in.dtype);
    s += fmt::format("    if (index == {}) {{  // {}: reads whatever the input buffer holds\n", first + static_cast<size_t>(p.ingest_kernel), p.kernels[static_cast<size_t>(p.ingest_kernel)].name);
    s += fmt::format("      char* to = static_cast<char*>(input_.get());\n      if (kSampleBytes * static_cast<size_t>(max_batch_) < {}) return;\n", bytes);
    s += fmt::format("      for (int i = 0; i < repeats * batch; ++i) ingest(to, {}, {}, {}, to + kSampleBytes * static_cast<size_t>(i % max_batch_));\n      return;\n    }}\n",
                     extent(0), extent(1), in.dims[2]);
  };
  if (u.train) ingest(*u.train, 0);
  ingest(*u.infer, train);
  if (u.train) {
    s += fmt::format("    if (index < {}) {{\n      if (!training_) return;\n      train_.set_batch(batch);\n", train);
    s += "      for (int i = 0; i < repeats; ++i) train_.run_kernel(index);\n      return;\n    }\n";
  }
  s += "    inference_.set_batch(batch);\n";
  s += fmt::format("    for (int i = 0; i < repeats; ++i) inference_.run_kernel({});\n", train ? fmt::format("index - {}", train) : "index");
  return s;
}

}  // namespace

std::string driver_source(const Unit& u) {
  const Variables variables = variables_of(u);
  const Memory memory = memory_of(u, 0);
  const bool trains = u.train != nullptr;
  const std::string id = identifier(u.name);
  const size_t weights = static_cast<size_t>(std::count_if(variables.rows.begin(), variables.rows.end(), [](const VariableRow& r) { return r.variable->role != ir::Role::slot; }));
  auto output = [](const Plan& p, int buffer) { return tensor_names(p)[static_cast<size_t>(buffer)]; };
  auto loss = [&](const char* plan, const Plan& p) {
    return fmt::format("reinterpret_cast<const float*>({}.{}.host)[0]", plan, output(p, p.loss_buffer));
  };

  std::string tables = info_tables(u) + "\n";
  if (variables.rows.empty()) tables = "constexpr rt::VarInfo kVariables[1] = {};\n" + tables;
  std::string offsets;
  for (size_t i = 0; i < variables.rows.size(); ++i) offsets += fmt::format("{}{}", i % 16 == 0 ? (i ? ",\n    " : "\n    ") : ", ", variables.rows[i].offset);
  tables += fmt::format("/// Of each variable in its block, bytes.\nconstexpr int64_t kOffsets[] = {{{}}};\n", offsets.empty() ? "0" : offsets);
  if (trains) tables += constant_tables(u, *u.train);
  tables += constant_tables(u, *u.infer);

  std::string evaluate = "    return NAN;  // compiled without a loss\n";
  if (u.infer->loss_buffer >= 0) {
    evaluate = "    if (!begin(batch)) return NAN;\n    inference_.forward();\n    inference_.loss();\n";
    evaluate += fmt::format("    finish(inference_.failed, inference_.{});\n", output(*u.infer, u.infer->output_buffer));
    evaluate += fmt::format("    return inference_.failed ? NAN : {};\n", loss("inference_", *u.infer));
  }
  std::string train_step = "    return NAN;  // compiled for inference only\n";
  if (trains) {
    train_step = "    if (!training_ || !can_run(batch)) return NAN;\n    m_.lr = lr;\n    m_.seed = seed;\n    m_.step = step;\n    prepared_ = false;\n";
    train_step += "    train_.failed = false;\n    train_.set_batch(batch);\n    train_.forward();\n";
    train_step += fmt::format("    const float loss = {};\n    train_.backward();\n    train_.update();\n", loss("train_", *u.train));
    train_step += fmt::format("    finish(train_.failed, train_.{});\n    return train_.failed ? NAN : loss;\n", output(*u.train, u.train->output_buffer));
  }
  const std::string training_check = trains ? "    training_ = options.training;\n"
                                            : fmt::format("    if (options.training) {{\n      error = \"{} was compiled for inference only\";\n      return false;\n    }}\n", id);
  const std::string declarations = (trains ? kernel_declarations(u, *u.train) : "") + kernel_declarations(u, *u.infer);

  std::string source = u.model->source_path;
  std::replace_if(source.begin(), source.end(), [](unsigned char c) { return c < 32; }, ' ');
  constexpr const char* reconnect = "    {0}.context = context;\n    {0}.describe();\n    {0}.set_batch(1);\n";
  const std::vector<std::pair<std::string, std::string>> values = {
      {"declarations", declarations},
      {"tables", tables},
      {"training_check", training_check},
      {"arena", trains ? fmt::format("training_ ? {} : {}", std::max(memory.train_arena, memory.infer_arena), memory.infer_arena) : std::to_string(memory.infer_arena)},
      {"allocate_slots", trains ? "    if (training_) {\n      slots_ = rt::allocate_aligned(kInfo.memory.slots);\n      enough = enough && slots_;\n    }\n" : ""},
      {"connect", (trains ? fmt::format(reconnect, "train_") : "") + fmt::format(reconnect, "inference_")},
      {"ingest", ingest_text(u)},
      {"infer_output", "inference_." + output(*u.infer, u.infer->output_buffer)},
      {"evaluate", evaluate},
      {"train_step", train_step},
      {"run_kernel", run_kernel_text(u)},
      {"place", std::string(trains ? "    train_.place(m_);\n" : "") + "    inference_.place(m_);\n"},
      {"place_data", std::string(trains ? "    train_.place_data(m_);\n" : "") + "    inference_.place_data(m_);\n"},
      {"plans", std::string(trains ? "  Training train_;\n" : "") + "  Inference inference_;\n"},
      {"sample_bytes", std::to_string(ingested_type(u).bytes())},
      {"label_bytes", std::to_string(label_type(u).bytes())},
      {"variables", std::to_string(variables.rows.size())},
      {"variable_slots", std::to_string(std::max<size_t>(1, variables.rows.size()))},
      {"weights", std::to_string(weights)},
      {"max_batch", std::to_string(u.infer->max_batch)},
      {"version", u.version},
      {"source", source},
      {"net", u.model->net},
      {"id", id},
  };
  std::string s = fill(kHead, values) + (trains ? plan_code(u, *u.train, variables) + "\n" : "") + plan_code(u, *u.infer, variables) + fill(kClass, values);
  if (u.with_main) s += fill("\nint main(int argc, char** argv) { return rt::program_main(argc, argv, kInfo, $id$_create); }\n", values);
  return s;
}

}  // namespace netc::emit
