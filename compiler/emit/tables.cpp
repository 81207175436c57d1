// The static tables of a driver: what the program knows about its net.
#include <algorithm>
#include <filesystem>
#include <map>

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

/// `more`: rt::PortInfo's further fields, ", .below = 10".
std::string port(const std::string& name, const ir::Type& t, const std::string& more = "") {
  return fmt::format("{{.name = {}, .dtype = {}, .rank = {}, .dims = {}{}}}", quoted(name), dtype_literal(t.dtype),
                     t.rank(), dims_text(t), more);
}

/// What integers of `v` must stay below where they choose rows of weights, so that all these have the row; 0: they do
/// nothing of the kind.
int64_t below_of(const ir::Graph& g, ir::ValueId v) {
  int64_t least = 0;
  for (const ir::Node& n : g.nodes) {
    if (n.inputs.empty() || n.inputs[0] != v || g.type(v).dtype != ir::DType::i32) continue;
    const bool view = n.op->kind == ir::Kind::view,
               rows = n.op->kind == ir::Kind::gather && n.inputs.size() == 2 && !g.type(n.inputs[1]).batched &&
                      g.values[n.inputs[1]].def == ir::kNone && g.type(n.inputs[1]).rank() == 2;
    const int64_t below = view ? below_of(g, n.results[0]) : rows ? g.type(n.inputs[1]).dims[0] : 0;
    if (below > 0 && (least == 0 || below < least)) least = below;
  }
  return least;
}
int64_t below_of(const ir::Graph& g, const std::string& input) {
  for (const ir::Variable& v : g.variables)
    if (v.role == ir::Role::input && v.name == input) return below_of(g, v.value);
  return 0;
}

/// Whether what fits an input's images to the net keeps all of them, and nothing else: `aspect` of such an operator
/// says how, without one it stretches.
bool stretched(const ir::Graph& g, const std::string& input) {
  for (const ir::Node& n : g.nodes) {
    if (!n.attrs.has("aspect") || n.attrs.s("aspect") == "stretch") continue;
    ir::ValueId v = n.inputs[0];
    while (g.values[v].def != ir::kNone) v = g.nodes[g.values[v].def].inputs[0];
    if (g.variables[g.values[v].variable].name == input) return false;
  }
  return true;
}

/// `constexpr TYPE NAME[] = {...}`, or an empty span's initialiser: C++ has no arrays of nothing.
class Table {
 public:
  Table(std::string type, std::string name) : type_(std::move(type)), name_(std::move(name)) {}
  void row(const std::string& text) { rows_ += "    " + text + ",\n"; }
  std::string definition() const {
    return rows_.empty() ? "" : fmt::format("constexpr {} {}[] = {{\n{}}};\n", type_, name_, rows_);
  }
  std::string use() const { return rows_.empty() ? "{}" : name_; }

 private:
  std::string type_, name_, rows_;
};

/// The share of each running average's value that a training step keeps, over all places where it is renewed, by its
/// name.
std::map<std::string, double> momentums(const ir::Graph& g) {
  std::map<std::string, double> all;
  for (const ir::Update& u : g.updates) {
    const ir::Variable& renewed = g.variables[static_cast<size_t>(u.variable)];
    if (renewed.role != ir::Role::state) continue;
    double kept = 1;
    for (ir::ValueId at = u.value; at != renewed.value && g.values[at].def != ir::kNone && kept > 0;) {
      const ir::Node& n = g.nodes[g.values[at].def];
      kept *= n.attrs.has("momentum") ? n.attrs.f("momentum") : 0;
      if (kept > 0) at = n.inputs[0];
    }
    all[renewed.name] = kept;
  }
  return all;
}

std::string variable_row(const VariableRow& r, const std::map<std::string, double>& momentums) {
  const ir::Variable& v = *r.variable;
  const char* role = v.role == ir::Role::slot ? "slot" : v.role == ir::Role::state ? "state" : "weight";
  const auto known = momentums.find(v.name);
  const double momentum = known == momentums.end() ? 0 : known->second;
  return fmt::format("{{{}, rt::VarRole::{}, {}, {}, {}, {{{}, {}, {}, {}, {}}}, {}, {}{}}}", quoted(v.name), role,
                     v.trainable, r.type.rank(), dims_text(r.type), quoted(v.init.kind), literal(v.init.a),
                     literal(v.init.b), v.init.fan_in, v.init.fan_out, literal(v.l1), literal(v.l2),
                     momentum > 0 ? ", " + literal(momentum) : "");
}

/// The program is run from anywhere: the path is absolute.
std::string initial_row(const sema::InitialWeights& w) {
  std::error_code ec;
  const std::filesystem::path absolute = std::filesystem::absolute(w.path, ec);
  return fmt::format("{{{}, {}, {}}}", quoted(w.prefix), quoted(ec ? w.path : absolute.string()), quoted(w.written));
}

void kernel_rows(Table& t, const plan::Plan& p, bool train) {
  for (const plan::Kernel& k : p.kernels) {
    const char* phase = !train && k.phase == plan::Phase::forward ? "infer" : to_string(k.phase);
    t.row(fmt::format("{{{}, {}, {}, {}, {}, {}, {}}}", quoted(k.name), quoted(phase), literal(k.flops),
                      literal(k.bytes), quoted(k.strategy.text()), literal(k.fixed_flops), literal(k.fixed_bytes)));
  }
}

std::string augment_row(const sema::Augment& a) {
  std::string args;
  for (size_t i = 0; i < 4; ++i) args += (i ? ", " : "") + literal(i < a.args.size() ? a.args[i] : 0.0);
  return fmt::format("{{{}, {}, {{{}}}}}", quoted(a.kind), quoted(a.mode), args);
}

int place_of(const std::vector<Port>& ports, const std::string& name) {
  const auto at = std::find_if(ports.begin(), ports.end(), [&](const Port& p) { return p.name == name; });
  return at == ports.end() ? -1 : static_cast<int>(at - ports.begin());
}

std::string loss_row(const Unit& u, const sema::LossTerm& t) {
  const int input = place_of(inputs_of(u), t.label), output = place_of(outputs_of(u), t.label);
  const char* kind = input >= 0 ? "input" : output >= 0 ? "output" : "label";
  return fmt::format("{{{}, {}, {}, rt::TargetKind::{}, {}}}", quoted(t.loss->name), literal(t.weight),
                     place_of(outputs_of(u), t.output), kind,
                     input >= 0    ? input
                     : output >= 0 ? output
                                   : place_of(labels_of(u), t.label));
}

/// The loss for people: a single term's name, or the sum as the source has it.
std::string loss_text(const sema::Model& m) {
  if (m.train.losses.size() == 1) return m.train.losses[0].loss->name;
  std::string s;
  for (const sema::LossTerm& t : m.train.losses)
    s += fmt::format("{}{}{}({}, {})", s.empty() ? "" : " + ", t.weight == 1 ? "" : fmt::format("{:g} * ", t.weight),
                     t.loss->name, t.output, t.label);
  return s;
}

}  // namespace

std::string input_row(const ir::Graph& g, const Port& p) {
  const int64_t below = below_of(g, p.name);
  return port(
      p.name, p.type,
      (below > 0 ? fmt::format(", .below = {}", below) : "") + (stretched(g, p.name) ? "" : ", .stretched = false"));
}

/// What all terms that take the label want of its values.
std::string label_row(const sema::TrainConfig& train, const Port& p) {
  double least = -ir::kUnbounded, most = ir::kUnbounded;
  for (const sema::LossTerm& t : train.losses)
    if (t.label == p.name) least = std::max(least, t.loss->least), most = std::min(most, t.loss->most);
  return port(p.name, p.type,
              (least > -ir::kUnbounded ? fmt::format(", .least = {}", literal(least)) : "") +
                  (most < ir::kUnbounded ? fmt::format(", .most = {}", literal(most)) : ""));
}

/// Of an output, as the loss that takes it has it; where none does, as the operator that made it.
std::string output_row(const sema::Model& m, const Port& p) {
  using ir::Meaning;
  Meaning means = Meaning::any;
  bool compared = false, classes = false;
  for (const sema::LossTerm& t : m.train.losses) {
    if (t.output != p.name || !t.loss->expects) continue;
    means = t.loss->expects(t.args), compared = true;
    classes |= t.loss->label_type(p.type).dtype == ir::DType::i32;
  }
  for (const ir::Output& o : m.graph.outputs) {
    if (o.name != p.name || compared) continue;
    const auto made_by = [&](ir::ValueId v) {
      return v == ir::kNone || m.graph.values[v].def == ir::kNone ? nullptr : &m.graph.nodes[m.graph.values[v].def];
    };
    const ir::Node* n = made_by(o.value);
    while (n && n->op->kind == ir::Kind::view) n = made_by(n->inputs[0]);
    if (n) means = n->op->meaning;
    classes = means == Meaning::distribution || (means == Meaning::probability && p.type.elements() == 1);
  }
  const bool scores = means == Meaning::scores,
             probabilities = means == Meaning::distribution || means == Meaning::probability;
  return port(p.name, p.type,
              std::string(scores          ? ", .means = rt::Means::scores"
                          : probabilities ? ", .means = rt::Means::probabilities"
                                          : "") +
                  (classes ? ", .classes = true" : ""));
}

std::string info_tables(const Unit& u) {
  const sema::Model& m = *u.model;
  const Variables variables = variables_of(u);
  const Memory memory = memory_of(u, 0);
  Table inputs("rt::PortInfo", "kInputs"), ingested("rt::PortInfo", "kIngested"), outputs("rt::PortInfo", "kOutputs"),
      labels("rt::PortInfo", "kLabels"), losses("rt::LossInfo", "kLosses"), vars("rt::VarInfo", "kVariables"),
      layers("rt::LayerInfo", "kLayers"), kernels("rt::KernelInfo", "kKernels"),
      hypers("rt::KeyValue", "kHyperparameters"), classes("const char*", "kClasses"),
      metrics("const char*", "kMetrics"), callbacks("rt::CallbackInfo", "kCallbacks"),
      augment("rt::AugmentInfo", "kAugment"), initial("rt::InitialWeights", "kInitialWeights");
  const bool trains = u.train != nullptr;
  for (const Port& p : inputs_of(u)) inputs.row(input_row(m.graph, p)), ingested.row(port(p.name, p.stored));
  for (const Port& p : outputs_of(u)) outputs.row(output_row(m, p));
  for (const Port& p : labels_of(u)) labels.row(label_row(m.train, p));
  if (trains)
    for (const sema::LossTerm& t : m.train.losses) losses.row(loss_row(u, t));
  const std::map<std::string, double> kept = momentums(m.graph);
  for (const VariableRow& r : variables.rows) vars.row(variable_row(r, kept));
  for (const sema::InitialWeights& w : m.initial_weights) initial.row(initial_row(w));
  for (const LayerRow& l : layers_of(m)) {
    layers.row(fmt::format("{{{}, {}, {}, {}, {}, {}}}", quoted(l.name), quoted(l.text), quoted(l.output_shape),
                           l.trainable + l.fixed, l.macs, l.line));
  }
  if (u.train) kernel_rows(kernels, *u.train, true);
  kernel_rows(kernels, *u.infer, false);
  for (const sema::Hyperparameter& h : m.hyperparameters)
    hypers.row(fmt::format("{{{}, {}}}", quoted(h.name), quoted(h.value)));
  for (const std::string& c : m.classes) classes.row(quoted(c));
  for (const std::string& s : m.train.metrics) metrics.row(quoted(s));
  for (const sema::Callback& c : m.train.callbacks) {
    callbacks.row(fmt::format("{{{}, {}, {}, {}, {}}}", quoted(c.kind), quoted(c.monitor), literal(c.value), c.patience,
                              quoted(c.path)));
  }
  for (const sema::Augment& a : m.data.augment) augment.row(augment_row(a));

  std::string s;
  for (const Table* t : {&inputs, &ingested, &outputs, &labels, &losses, &vars, &initial, &layers, &kernels, &hypers,
                         &classes, &metrics, &callbacks, &augment})
    s += t->definition();
  auto field = [&](const char* name, const std::string& value) { s += fmt::format("    .{} = {},\n", name, value); };
  s += "const rt::ModelInfo kInfo{\n";
  field("name", quoted(u.name));
  field("net", quoted(m.net));
  field("doc", quoted(m.doc));
  field("source_path", quoted(m.source_path));
  field("source_hash", quoted(m.source_hash));
  field("target", quoted(u.machine->halide_target));
  field("compiler_version", quoted(u.version));
  if (u.bf16) field("precision", quoted("bf16"));
  field("hyperparameters", hypers.use());
  field("classes", classes.use());
  field("inputs", inputs.use());
  field("ingested", ingested.use());
  field("outputs", outputs.use());
  field("labels", labels.use());
  field("losses", losses.use());
  field("variables", vars.use());
  field("initial_weights", initial.use());
  if (!u.weights.empty()) field("weights", fmt::format("{{{}_weights, {}}}", identifier(u.name), u.weights.size()));
  field("layers", layers.use());
  field("kernels", kernels.use());
  field("memory",
        fmt::format("{{.weights = {}, .slots = {}, .train_arena = {}, .infer_arena = {}, .data_buffers = {}, "
                    ".scratch_per_thread = {}_scratch_bytes}}",
                    memory.weights, memory.slots, memory.train_arena, memory.infer_arena, memory.data, prefix_of(u)));
  field("max_batch", std::to_string(u.infer->max_batch));
  field("has_training", trains ? "true" : "false");
  field("loss", quoted(trains ? loss_text(m) : ""));
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
