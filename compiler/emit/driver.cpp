// The driver's text: tables, one struct per plan (plan_code.cpp), and the class that owns the memory and implements
// rt::Model.
#include "compiler/emit/driver.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "compiler/emit/text.h"

namespace netc::emit {
namespace {

using plan::Buffer;
using plan::Plan;

constexpr const char* kHead =
    R"code(// $net$ as C++: written by netc $version$ from $source$. Compiling the source again replaces this file.
//
// A step reads from top to bottom in Training::forward, backward, update and Inference::prepare, forward, loss: one kernel a line, with the shapes beside it.
#include <math.h>
#include <string.h>

#include "runtime/arena.h"
#include "runtime/halide_buffer.h"
#include "runtime/kernel_support.h"
#include "runtime/model.h"

namespace rt = netc::rt;

// The kernels: compiled apart, bound to these names by the link. 0, or an error. Inputs come first, then outputs.
extern "C" {
$declarations$
extern const size_t $id$_scratch_bytes;  // per thread
$weights_inside$}

namespace {

$tables$
/// Where an instance's tensors lie.
struct Memory {
  char* arena = nullptr;
  float* variables[$variable_slots$] = {};
  rt::Backing* backings[$variable_slots$] = {};  // of variables whose memory can be dropped
  const void* inputs[$inputs$] = {};
$memory_labels$  float lr = 0;
  uint32_t seed = 0, step = 0;
  /// Takes no more memory until it is restored.
  void drop(size_t variable, size_t bytes) const {
    if (backings[variable]) backings[variable]->drop(variables[variable], bytes);
  }
  bool restore(size_t variable, size_t elements) const {
    return !backings[variable] || backings[variable]->restore(variables[variable], elements * sizeof(float));
  }
};

)code";

constexpr const char* kClass = R"code(
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
    bool enough = arena_ != nullptr;
    for (size_t i = 0; i < $inputs$; ++i) {
      inputs_[i] = rt::allocate_aligned(kSampleBytes[i] * static_cast<size_t>(max_batch_));
      enough = enough && inputs_[i];
    }
$allocate_labels$    if (options.own_weights) {
      weights_ = rt::allocate_aligned(kInfo.memory.weights);
      enough = enough && weights_;
    }
$allocate_slots$    if (!enough) {
      error = "there is not enough memory for $net$";
      return false;
    }
    m_.arena = static_cast<char*>(arena_.get());
    for (size_t i = 0; i < $variables$; ++i) {
      char* block = static_cast<char*>(kVariables[i].role == rt::VarRole::slot ? slots_.get() : weights_.get());
      m_.variables[i] = block ? reinterpret_cast<float*>(block + kOffsets[i]) : nullptr;
    }
    rt::Context* context = context_.get();
$connect$    use_buffers({}, {});
    place();
    return true;
  }

  const rt::ModelInfo& info() const override { return kInfo; }

  float* variable(size_t index) override {
    prepared_ = false;  // the caller may write to it
    return index < $variables$ && m_.restore(index, kVariables[index].elements()) ? m_.variables[index] : nullptr;
  }
  void bind_variable(size_t index, const float* data, rt::Backing* backing) override {
    if (index >= $variables$) return;
    m_.variables[index] = const_cast<float*>(data);  // inference only reads it
    m_.backings[index] = backing;
    prepared_ = false;
    place();
  }

  void* input(size_t port) override { return port < $inputs$ ? inputs_[port].get() : nullptr; }
  void* labels(size_t port) override { return $labels_of_port$; }
  void use_buffers(std::span<const void* const> inputs, std::span<const void* const> labels) override {
    for (size_t i = 0; i < $inputs$; ++i) m_.inputs[i] = i < inputs.size() && inputs[i] ? inputs[i] : inputs_[i].get();
$use_labels$$place_data$  }

$ingest$
  const float* infer(int batch) override {
    if (!begin(batch)) return nullptr;
    inference_.forward();
    return finish(inference_.failed, {$infer_outputs$});
  }

  float evaluate(int batch) override {
$evaluate$  }

  float train_step(int batch, float lr, uint32_t seed, uint32_t step) override {
$train_step$  }

  const float* output(size_t port) const override { return port < $outputs$ ? outputs_[port] : nullptr; }
  float loss_of(size_t term) const override { return $loss_of$; }

  void run_kernel(size_t index, int batch, int repeats) override {
$run_kernel$  }

 private:
  static constexpr size_t kSampleBytes[] = {$sample_bytes$};
$label_bytes$
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
    memset(outputs_, 0, sizeof outputs_);
    if (!can_run(batch)) return false;
    inference_.failed = false;
    inference_.set_batch(batch);
    for (size_t i = 0; i < $weights$ && !prepared_; ++i)
      if (!m_.restore(i, kVariables[i].elements())) return false;
    if (!prepared_) inference_.prepare(m_);
    prepared_ = true;
    return true;
  }
  const float* finish(bool failed, std::initializer_list<const rt::Tensor*> outputs) {
    size_t port = 0;
    for (const rt::Tensor* t : outputs) outputs_[port++] = failed ? nullptr : reinterpret_cast<const float*>(t->host);
    return outputs_[0];
  }
$number$
  Memory m_;
$plans$  std::unique_ptr<rt::Context> context_;
  rt::AlignedMemory weights_, slots_, arena_, inputs_[$inputs$]$own_labels$;
  const float* outputs_[$outputs$] = {};
$own_terms$  int max_batch_ = 0;
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
)code";

/// A function that ingests input `port`: a call of each of its kernels for an image of any size.
std::string ingest_one(const Unit& u, size_t port, const std::string& name) {
  const Plan& p = *u.infer;
  const std::vector<plan::Ingest>& ingests = p.inputs[port].ingests;
  const Buffer& in = p.buffers[static_cast<size_t>(p.kernels[static_cast<size_t>(ingests[0].kernel)].inputs[0])];
  const int64_t channels = in.type.dims[2];
  std::string s =
      fmt::format("  static void {}(const void* sample, int height, int width, int channels, void* out) {{\n", name);
  std::string fits = fmt::format("height >= 1 && width >= 1 && channels == {}", channels);
  if (in.type.dims[0] != ir::kAnyExtent) fits += fmt::format(" && height == {}", in.type.dims[0]);
  if (in.type.dims[1] != ir::kAnyExtent) fits += fmt::format(" && width == {}", in.type.dims[1]);
  s += fmt::format("    if (!({})) {{\n      memset(out, 0, kSampleBytes[{}]);\n      return;\n    }}\n", fits, port);
  s += fmt::format("    rt::Tensor image{};\n", ingests.size() == 1 ? ", ingested" : "");
  s += fmt::format("    image.set({}, {{{{{}, 1}}, {{width, {}}}, {{height, {} * width}}}});\n",
                   element_literal(in.type.dtype), channels, channels, channels);
  s += "    image.place(sample);\n";
  for (size_t i = 0; i < ingests.size(); ++i) {
    const Buffer& out = p.buffers[static_cast<size_t>(ingests[i].buffer)];
    const std::string to = ingests.size() == 1 ? "ingested" : fmt::format("ingested{}", i);
    std::string extents;
    std::vector<plan::StoredDim> dims = stored_dims(out);
    dims.resize(out.type.dims.size());  // a sample's
    for (const plan::StoredDim& d : dims)
      extents += fmt::format("{}{{{}, {}}}", extents.empty() ? "" : ", ", d.extent, d.stride);
    if (ingests.size() > 1) s += fmt::format("    rt::Tensor {};\n", to);
    const std::string place =
        out.sample_at == 0 ? "out"
                           : fmt::format("static_cast<char*>(out) + {}", out.sample_at * size_of(out.type.dtype));
    s += fmt::format("    {0}.set({1}, {{{2}}});\n    {0}.place({3});\n", to, element_literal(out.type.dtype), extents,
                     place);
    const auto kernel = static_cast<size_t>(ingests[i].kernel);
    s += fmt::format("    {}(nullptr, &image, &{});  // {}\n", kernel_symbols(u, p)[kernel], to,
                     p.kernels[kernel].comment);
  }
  return s + "  }\n";
}

std::string ingest_text(const Unit& u) {
  std::string members, cases;
  std::set<std::string> used;
  for (size_t i = 0; i < u.infer->inputs.size(); ++i) {
    if (u.infer->inputs[i].ingests.empty()) continue;
    const std::string name = unique_identifier("ingest_" + inputs_of(u)[i].name, used);
    members += ingest_one(u, i, name);
    cases += fmt::format("    if (port == {}) return {}(sample, height, width, channels, out);\n", i, name);
  }
  return members +
         "  void ingest(size_t port, const void* sample, int height, int width, int channels, void* out) const "
         "override {\n" +
         cases +
         fmt::format("    if (port < {}) memcpy(out, sample, kSampleBytes[port]);\n  }}\n", u.infer->inputs.size());
}

/// Body of run_kernel: training's kernels come first in info().kernels.
std::string run_kernel_text(const Unit& u) {
  std::string s = "    if (!can_run(batch)) return;\n    prepared_ = false;\n";
  const size_t train = u.train ? u.train->kernels.size() : 0;
  const std::vector<Port> inputs = inputs_of(u);
  auto ingest = [&](const Plan& p, size_t first) {
    for (size_t i = 0; i < p.inputs.size(); ++i)
      for (const plan::Ingest& one : p.inputs[i].ingests) {
        const ir::Type &type = inputs[i].type, &made = p.buffers[static_cast<size_t>(one.buffer)].type;
        auto extent = [&](size_t d) { return type.dims[d] == ir::kAnyExtent ? made.dims[d] : type.dims[d]; };
        const int64_t bytes = extent(0) * extent(1) * type.dims[2] * size_of(type.dtype);
        s += fmt::format("    if (index == {}) {{  // {}: reads whatever the input's buffer holds\n",
                         first + static_cast<size_t>(one.kernel), p.kernels[static_cast<size_t>(one.kernel)].name);
        s += fmt::format(
            "      char* to = static_cast<char*>(inputs_[{0}].get());\n      if (kSampleBytes[{0}] * "
            "static_cast<size_t>(max_batch_) < {1}) return;\n",
            i, bytes);
        s += fmt::format(
            "      for (int i = 0; i < repeats * batch; ++i) ingest({0}, to, {1}, {2}, {3}, to + kSampleBytes[{0}] * "
            "static_cast<size_t>(i % max_batch_));\n"
            "      return;\n    }}\n",
            i, extent(0), extent(1), type.dims[2]);
      }
  };
  if (u.train) ingest(*u.train, 0);
  ingest(*u.infer, train);
  if (u.train) {
    s += fmt::format("    if (index < {}) {{\n      if (!training_) return;\n      train_.set_batch(batch);\n", train);
    s += "      for (int i = 0; i < repeats; ++i) train_.run_kernel(index);\n      return;\n    }\n";
  }
  const std::string slice = std::to_string(u.infer->slice),
                    run =
                        fmt::format("inference_.run_kernel({});\n", train ? fmt::format("index - {}", train) : "index");
  if (u.infer->slice == 0) return s + "    inference_.set_batch(batch);\n    for (int i = 0; i < repeats; ++i) " + run;
  s += "    for (int i = 0; i < repeats; ++i)\n      for (int left = batch; left > 0; left -= " + slice +
       ") {  // in slices, as forward() does\n";
  s += "        inference_.set_batch(std::min(left, " + slice + "));\n        " + run + "      }\n";
  return s;
}

std::string tensor_of(const Plan& p, int buffer) { return tensor_names(p)[static_cast<size_t>(buffer)]; }

/// "&train_.softmax, &train_.box"
std::string outputs_text(const char* plan, const Plan& p) {
  std::string s;
  for (int b : p.output_buffers) s += fmt::format("{}&{}.{}", s.empty() ? "" : ", ", plan, tensor_of(p, b));
  return s;
}

/// Takes the loss's terms out of a plan's tensors.
std::string terms_text(const char* plan, const Plan& p) {
  std::string s;
  for (size_t i = 0; i < p.term_buffers.size(); ++i)
    s += fmt::format("    terms_[{}] = number({}.{});\n", i, plan, tensor_of(p, p.term_buffers[i]));
  return s;
}

std::string evaluate_text(const Unit& u) {
  const Plan& p = *u.infer;
  if (p.loss_buffer < 0) return "    return NAN;  // compiled without a loss\n";
  return "    if (!begin(batch)) return NAN;\n    inference_.forward();\n    inference_.loss();\n" +
         terms_text("inference_", p) +
         fmt::format("    finish(inference_.failed, {{{}}});\n", outputs_text("inference_", p)) +
         fmt::format("    return inference_.failed ? NAN : number(inference_.{});\n", tensor_of(p, p.loss_buffer));
}

std::string train_step_text(const Unit& u) {
  if (!u.train) return "    return NAN;  // compiled for inference only\n";
  return "    if (!training_ || !can_run(batch)) return NAN;\n    m_.lr = lr;\n    m_.seed = seed;\n    m_.step = "
         "step;\n    prepared_ = false;\n"
         "    train_.failed = false;\n    train_.set_batch(batch);\n    train_.forward();\n    train_.backward();\n    "
         "train_.update();\n" +
         terms_text("train_", *u.train) +
         fmt::format("    finish(train_.failed, {{{}}});\n    return train_.failed ? NAN : number(train_.{});\n",
                     outputs_text("train_", *u.train), tensor_of(*u.train, u.train->loss_buffer));
}

/// "16, 4": bytes of one sample of each port.
std::string bytes_text(const std::vector<Port>& ports) {
  std::string s;
  for (const Port& p : ports) s += fmt::format("{}{}", s.empty() ? "" : ", ", p.stored.bytes());
  return s;
}

}  // namespace

std::string driver_source(const Unit& u) {
  const Variables variables = variables_of(u);
  const bool trains = u.train != nullptr;
  const std::string id = prefix_of(u);
  const size_t weights =
      static_cast<size_t>(std::count_if(variables.rows.begin(), variables.rows.end(),
                                        [](const VariableRow& r) { return r.variable->role != ir::Role::slot; }));
  std::string tables = info_tables(u) + "\n";
  if (variables.rows.empty()) tables = "constexpr rt::VarInfo kVariables[1] = {};\n" + tables;
  std::string offsets;
  for (size_t i = 0; i < variables.rows.size(); ++i)
    offsets += fmt::format("{}{}", i % 16 == 0 ? (i ? ",\n    " : "\n    ") : ", ", variables.rows[i].offset);
  tables += fmt::format("/// Of each variable in its block, bytes.\nconstexpr int64_t kOffsets[] = {{{}}};\n",
                        offsets.empty() ? "0" : offsets);
  if (trains) tables += constant_tables(u, *u.train);
  tables += constant_tables(u, *u.infer);

  const std::vector<Port> inputs = inputs_of(u), labels = labels_of(u);
  const size_t terms = u.infer->term_buffers.size();
  auto with_labels = [&](const char* text) {
    return labels.empty() ? std::string() : fill(text, {{"n", std::to_string(labels.size())}});
  };
  const std::string training_check = trains ? "    training_ = options.training;\n"
                                            : fmt::format(
                                                  "    if (options.training) {{\n      error = \"{} was compiled for "
                                                  "inference only\";\n      return false;\n    }}\n",
                                                  id);
  const std::string declarations = (trains ? kernel_declarations(u, *u.train) : "") + kernel_declarations(u, *u.infer);

  std::string source = u.model->source_path;
  std::replace_if(source.begin(), source.end(), [](unsigned char c) { return c < 32; }, ' ');
  constexpr const char* reconnect = "    {0}.context = context;\n    {0}.describe();\n    {0}.set_batch(1);\n";
  const std::vector<std::pair<std::string, std::string>> values = {
      {"declarations", declarations},
      {"tables", tables},
      {"training_check", training_check},
      {"arena",
       trains
           ? "training_ ? std::max(train_.plan(max_batch_), inference_.plan(max_batch_)) : inference_.plan(max_batch_)"
           : "inference_.plan(max_batch_)"},
      {"allocate_slots", trains ? "    if (training_) {\n      slots_ = rt::allocate_aligned(kInfo.memory.slots);\n    "
                                  "  enough = enough && slots_;\n    }\n"
                                : ""},
      {"connect", (trains ? fmt::format(reconnect, "train_") : "") + fmt::format(reconnect, "inference_")},
      {"ingest", ingest_text(u)},
      {"infer_outputs", outputs_text("inference_", *u.infer)},
      {"evaluate", evaluate_text(u)},
      {"train_step", train_step_text(u)},
      {"run_kernel", run_kernel_text(u)},
      {"place", std::string(trains ? "    train_.place(m_);\n" : "") + "    inference_.place(m_);\n"},
      {"place_data", std::string(trains ? "    train_.place_data(m_);\n" : "") + "    inference_.place_data(m_);\n"},
      {"plans", std::string(trains ? "  Training train_;\n" : "") + "  Inference inference_;\n"},
      {"inputs", std::to_string(inputs.size())},
      {"outputs", std::to_string(u.infer->output_buffers.size())},
      {"sample_bytes", bytes_text(inputs)},
      {"label_bytes",
       labels.empty() ? "" : fmt::format("  static constexpr size_t kLabelBytes[] = {{{}}};\n", bytes_text(labels))},
      {"memory_labels", with_labels("  const void* labels[$n$] = {};\n")},
      {"allocate_labels", with_labels("    for (size_t i = 0; i < $n$; ++i) {\n      labels_[i] = "
                                      "rt::allocate_aligned(kLabelBytes[i] * static_cast<size_t>(max_batch_));\n"
                                      "      enough = enough && labels_[i];\n    }\n")},
      {"labels_of_port", labels.empty() ? "nullptr" : with_labels("port < $n$ ? labels_[port].get() : nullptr")},
      {"use_labels", with_labels("    for (size_t i = 0; i < $n$; ++i) m_.labels[i] = i < labels.size() && labels[i] ? "
                                 "labels[i] : labels_[i].get();\n")},
      {"own_labels", with_labels(", labels_[$n$]")},
      {"loss_of", terms == 0 ? "NAN" : fmt::format("term < {} ? terms_[term] : NAN", terms)},
      {"own_terms", terms == 0 ? "" : fmt::format("  float terms_[{}] = {{}};\n", terms)},
      {"number", u.infer->loss_buffer < 0 ? ""
                                          : "  static float number(const rt::Tensor& scalar) { return "
                                            "reinterpret_cast<const float*>(scalar.host)[0]; }\n"},
      {"variables", std::to_string(variables.rows.size())},
      {"variable_slots", std::to_string(std::max<size_t>(1, variables.rows.size()))},
      {"weights", std::to_string(weights)},
      {"weights_inside",
       u.weights.empty() ? ""
                         : fmt::format("extern const char {}_weights[];  // a safetensors file\n", identifier(u.name))},
      {"max_batch", std::to_string(u.infer->max_batch)},
      {"version", u.version},
      {"source", source},
      {"net", u.model->net},
      {"id", id},
  };
  std::string s = fill(kHead, values) + (trains ? plan_code(u, *u.train, variables) + "\n" : "") +
                  plan_code(u, *u.infer, variables) + fill(kClass, values);
  if (u.with_main && u.variant.empty())
    s += fill("\nint main(int argc, char** argv) { return rt::program_main(argc, argv, kInfo, $id$_create); }\n",
              values);
  return s;
}

std::string chooser_source(const Unit& u) {
  constexpr const char* kText = R"code(// $net$ for several processors: written by netc $version$.
#include <iterator>

#include "runtime/core/processor.h"
#include "runtime/model.h"

namespace rt = netc::rt;

$declarations$
namespace {

struct Variant { const rt::ModelInfo& (*info)(); rt::CreateFn create; };
constexpr Variant kVariants[] = {$variants$};

/// The first that this processor can run; where it can run none, the last, which asks for least.
const Variant& chosen() {
  static const Variant* const variant = [] {
    for (const Variant& v : kVariants)
      if (rt::cannot_run(v.info().target).empty()) return &v;
    return std::end(kVariants) - 1;
  }();
  return *variant;
}

}  // namespace

const rt::ModelInfo& $id$_info() { return chosen().info(); }
std::unique_ptr<rt::Model> $id$_create(const rt::CreateOptions& options, std::string& error) { return chosen().create(options, error); }
)code";
  std::string declarations, variants;
  for (const Unit* v : all_of(u)) {
    const std::string id = prefix_of(*v);
    declarations += fmt::format(
        "const rt::ModelInfo& {0}_info();\n"
        "std::unique_ptr<rt::Model> {0}_create(const rt::CreateOptions& options, std::string& error);\n",
        id);
    variants += fmt::format("{0}{{&{1}_info, &{1}_create}}", variants.empty() ? "" : ", ", id);
  }
  const std::vector<std::pair<std::string, std::string>> values = {{"net", u.model->net},
                                                                   {"version", u.version},
                                                                   {"id", identifier(u.name)},
                                                                   {"declarations", declarations},
                                                                   {"variants", variants}};
  const std::string main = fill(
      "\nint main(int argc, char** argv) { return rt::program_main(argc, argv, $id$_info(), $id$_create); }\n", values);
  return fill(kText, values) + (u.with_main ? main : "");
}

}  // namespace netc::emit
