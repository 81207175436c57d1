// The static tables of a driver: what the program knows about its net.
#include <fmt/format.h>

#include "compiler/emit/driver.h"
#include "compiler/emit/text.h"

namespace netc::emit {
namespace {

std::string dims_text(const ir::Type& t) {
  std::string s;
  for (int64_t d : t.dims) s += fmt::format("{}{}", s.empty() ? "" : ", ", d);
  return "{" + s + "}";
}

std::string port(const std::string& name, const ir::Type& t) {
  return fmt::format("{{{}, {}, {}, {}}}", quoted(name), dtype_literal(t.dtype), t.rank(), dims_text(t));
}

/// `constexpr TYPE NAME[] = {...}`, or an empty span's initialiser: C++ has no arrays of nothing.
class Table {
 public:
  Table(std::string type, std::string name) : type_(std::move(type)), name_(std::move(name)) {}
  void row(const std::string& text) { rows_ += "    " + text + ",\n"; }
  std::string definition() const { return rows_.empty() ? "" : fmt::format("constexpr {} {}[] = {{\n{}}};\n", type_, name_, rows_); }
  std::string use() const { return rows_.empty() ? "{}" : name_; }

 private:
  std::string type_, name_, rows_;
};

std::string variable_row(const VariableRow& r) {
  const ir::Variable& v = *r.variable;
  const char* role = v.role == ir::Role::slot ? "slot" : v.role == ir::Role::state ? "state" : "weight";
  return fmt::format("{{{}, rt::VarRole::{}, {}, {}, {}, {{{}, {}, {}, {}, {}}}, {}, {}}}", quoted(v.name), role, v.trainable, r.type.rank(), dims_text(r.type),
                     quoted(v.init.kind), literal(v.init.a), literal(v.init.b), v.init.fan_in, v.init.fan_out, literal(v.l1), literal(v.l2));
}

void kernel_rows(Table& t, const schedule::Plan& p, bool train) {
  for (const schedule::Kernel& k : p.kernels) {
    const char* phase = !train && k.phase == schedule::Phase::forward ? "infer" : to_string(k.phase);
    t.row(fmt::format("{{{}, {}, {}, {}, {}, {}, {}}}", quoted(k.name), quoted(phase), literal(k.flops), literal(k.bytes), quoted(k.strategy.text()),
                      literal(k.fixed_flops), literal(k.fixed_bytes)));
  }
}

std::string augment_row(const sema::Augment& a) {
  std::string args;
  for (size_t i = 0; i < 4; ++i) args += (i ? ", " : "") + literal(i < a.args.size() ? a.args[i] : 0.0);
  return fmt::format("{{{}, {}, {{{}}}}}", quoted(a.kind), quoted(a.mode), args);
}

}  // namespace

std::string info_tables(const Unit& u) {
  const sema::Model& m = *u.model;
  const Variables variables = variables_of(u);
  const Memory memory = memory_of(u, 0);
  Table vars("rt::VarInfo", "kVariables"), layers("rt::LayerInfo", "kLayers"), kernels("rt::KernelInfo", "kKernels"), hypers("rt::KeyValue", "kHyperparameters"),
      classes("const char*", "kClasses"), metrics("const char*", "kMetrics"), callbacks("rt::CallbackInfo", "kCallbacks"), augment("rt::AugmentInfo", "kAugment");
  for (const VariableRow& r : variables.rows) vars.row(variable_row(r));
  for (const LayerRow& l : layers_of(m)) {
    layers.row(fmt::format("{{{}, {}, {}, {}, {}, {}}}", quoted(l.name), quoted(l.text), quoted(l.output_shape), l.trainable + l.fixed, l.macs, l.line));
  }
  if (u.train) kernel_rows(kernels, *u.train, true);
  kernel_rows(kernels, *u.infer, false);
  for (const sema::Hyperparameter& h : m.hyperparameters) hypers.row(fmt::format("{{{}, {}}}", quoted(h.name), quoted(h.value)));
  for (const std::string& c : m.classes) classes.row(quoted(c));
  for (const std::string& s : m.train.metrics) metrics.row(quoted(s));
  for (const sema::Callback& c : m.train.callbacks) {
    callbacks.row(fmt::format("{{{}, {}, {}, {}, {}}}", quoted(c.kind), quoted(c.monitor), literal(c.value), c.patience, quoted(c.path)));
  }
  for (const sema::Augment& a : m.data.augment) augment.row(augment_row(a));

  std::string s;
  for (const Table* t : {&vars, &layers, &kernels, &hypers, &classes, &metrics, &callbacks, &augment}) s += t->definition();
  std::string input_name = "input", label_name = u.train ? "label" : "";
  for (const ir::Variable& v : m.graph.variables)
    if (v.role == ir::Role::input) input_name = v.name;
  const ir::Type output = u.infer->buffers[static_cast<size_t>(u.infer->output_buffer)].type;
  const bool trains = u.train != nullptr;
  auto field = [&](const char* name, const std::string& value) { s += fmt::format("    .{} = {},\n", name, value); };
  s += "const rt::ModelInfo kInfo{\n";
  field("name", quoted(u.name));
  field("net", quoted(m.net));
  field("doc", quoted(m.doc));
  field("source_path", quoted(m.source_path));
  field("source_hash", quoted(m.source_hash));
  field("target", quoted(u.machine->halide_target));
  field("compiler_version", quoted(u.version));
  field("hyperparameters", hypers.use());
  field("classes", classes.use());
  field("input", port(input_name, input_type(u)));
  field("ingested", port(input_name, ingested_type(u)));
  field("output", port(m.graph.outputs.empty() ? "output" : m.graph.outputs[0].name, output));
  field("label", port(label_name, label_type(u)));
  field("variables", vars.use());
  field("layers", layers.use());
  field("kernels", kernels.use());
  field("memory", fmt::format("{{.weights = {}, .slots = {}, .train_arena = {}, .infer_arena = {}, .data_buffers = {}, .scratch_per_thread = {}_scratch_bytes}}",
                              memory.weights, memory.slots, memory.train_arena, memory.infer_arena, memory.data, identifier(u.name)));
  field("max_batch", std::to_string(u.infer->max_batch));
  field("has_training", trains ? "true" : "false");
  field("loss", quoted(trains && m.train.loss ? m.train.loss->name : ""));
  field("optimizer", quoted(trains && m.train.optimizer ? m.train.optimizer->name : ""));
  field("lr", literal(m.train.lr));
  field("batch", std::to_string(m.train.batch));
  field("epochs", std::to_string(m.train.epochs));
  field("seed", std::to_string(m.train.seed));
  field("data_train", quoted(m.data.train));
  field("data_valid", quoted(m.data.valid));
  field("data_test", quoted(m.data.test));
  field("metrics", metrics.use());
  field("callbacks", callbacks.use());
  field("augment", augment.use());
  field("macs", literal(macs_of(m)));
  return s + "};\n";
}

}  // namespace netc::emit
