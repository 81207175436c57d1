#include "compiler/emit/unit.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/emit/text.h"

namespace netc::emit {
namespace {

int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

const ir::Graph& variables_graph(const Unit& u) { return *(u.train ? u.train : u.infer)->graph; }

}  // namespace

int Variables::find(const std::string& name) const {
  for (size_t i = 0; i < rows.size(); ++i)
    if (rows[i].variable->name == name) return static_cast<int>(i);
  return -1;
}

std::vector<const Unit*> all_of(const Unit& u) {
  std::vector<const Unit*> all = {&u};
  for (const Unit& v : u.also) all.push_back(&v);
  return all;
}

std::string prefix_of(const Unit& u) { return identifier(u.variant.empty() ? u.name : u.name + "_" + u.variant); }

Variables variables_of(const Unit& u) {
  Variables v;
  const ir::Graph& g = variables_graph(u);
  auto take = [&](bool slots, int64_t& bytes) {
    for (const ir::Variable& variable : g.variables) {
      const bool wanted = slots ? variable.role == ir::Role::slot
                                : variable.role == ir::Role::weight || variable.role == ir::Role::state;
      if (!wanted) continue;
      v.rows.push_back({&variable, g.type(variable.value), bytes});
      bytes += aligned(g.type(variable.value).bytes());
    }
  };
  take(false, v.weight_bytes);
  take(true, v.slot_bytes);
  return v;
}

std::vector<LayerRow> layers_of(const sema::Model& m) {
  std::vector<LayerRow> rows;
  const ir::Graph& g = m.graph;
  for (size_t i = 0; i < g.layers.size(); ++i) {
    const ir::Layer& layer = g.layers[i];
    LayerRow r;
    r.name = layer.name;
    r.kind = layer.kind;
    r.text = i < m.sources.size() ? m.sources[i].call : layer.text;
    r.line = layer.line;
    if (layer.output != ir::kNone) {
      r.output_shape = shape_for_user(g.type(layer.output));
      if (!g.type(layer.output).has_any_extent()) r.output_bytes = g.type(layer.output).bytes();
    }
    for (const std::string& name : layer.variables) {
      const int32_t i = g.find_variable(name);
      if (i == ir::kNone) continue;
      (g.variables[i].role == ir::Role::weight && g.variables[i].trainable ? r.trainable : r.fixed) +=
          g.type(g.variables[i].value).elements();
    }
    rows.push_back(r);
  }
  for (const ir::Node& n : g.nodes)
    if (n.layer != ir::kNone && n.op->cost)
      rows[static_cast<size_t>(n.layer)].macs += static_cast<int64_t>(n.op->cost(n, g).macs);
  return rows;
}

double macs_of(const sema::Model& m) {
  double macs = 0;
  for (const ir::Node& n : m.graph.nodes)
    if (n.op->cost) macs += n.op->cost(n, m.graph).macs;
  return macs;
}

namespace {

bool is_read(const plan::Plan& p, int32_t variable) {
  return std::any_of(p.kernels.begin(), p.kernels.end(), [&](const plan::Kernel& k) {
    return std::any_of(k.inputs.begin(), k.inputs.end(),
                       [&](int b) { return p.buffers[static_cast<size_t>(b)].variable == variable; });
  });
}

}  // namespace

std::vector<Port> inputs_of(const Unit& u) {
  std::vector<Port> ports;
  for (const plan::InputPort& in : u.infer->inputs) {
    const ir::Variable& v = u.infer->graph->variables[in.variable];
    const ir::Type type = u.infer->graph->type(v.value);
    ir::Type stored = type;
    if (in.ingests.empty() && type.has_any_extent() && !is_read(*u.infer, in.variable)) {
      stored = {type.dtype, true, {1}};  // nobody looks: room for a sample of some size
    } else if (!in.ingests.empty()) {
      const plan::Buffer& first = u.infer->buffers[static_cast<size_t>(in.ingests[0].buffer)];
      stored = first.sample_stride > 0 ? ir::Type{first.type.dtype, true, {first.sample_stride}} : first.type;
    }
    ports.push_back({v.name, type, stored});
  }
  return ports;
}

std::vector<Port> outputs_of(const Unit& u) {
  std::vector<Port> ports;
  for (size_t i = 0; i < u.infer->output_buffers.size(); ++i) {
    const ir::Type& type = u.infer->buffers[static_cast<size_t>(u.infer->output_buffers[i])].type;
    ports.push_back({u.model->graph.outputs[i].name, type, type});
  }
  return ports;
}

std::vector<Port> labels_of(const Unit& u) {
  std::vector<Port> ports;
  if (!u.train) return ports;
  for (const ir::Variable& v : u.train->graph->variables)
    if (v.role == ir::Role::label)
      ports.push_back({v.name, u.train->graph->type(v.value), u.train->graph->type(v.value)});
  return ports;
}

int index_of(const std::vector<Port>& ports, const plan::Plan& p, int32_t variable) {
  for (size_t i = 0; i < ports.size(); ++i)
    if (ports[i].name == p.graph->variables[variable].name) return static_cast<int>(i);
  return -1;
}

Memory memory_of(const Unit& u, int64_t scratch) {
  const Variables v = variables_of(u);
  Memory m;
  m.weights = v.weight_bytes;
  m.slots = v.slot_bytes;
  m.train_arena = u.train ? u.train->arena_bytes : 0;
  m.infer_arena = u.infer->arena_bytes;
  for (const std::vector<Port>& ports : {inputs_of(u), labels_of(u)})
    for (const Port& p : ports) m.data += aligned(p.stored.bytes() * u.infer->max_batch);
  m.scratch_per_thread = scratch;
  return m;
}

int64_t training_bytes(const Memory& m, int threads) {
  return m.weights + m.slots + std::max(m.train_arena, m.infer_arena) + m.data + m.scratch_per_thread * threads;
}
int64_t inference_bytes(const Memory& m, int threads) {
  return m.weights + m.infer_arena + m.data + m.scratch_per_thread * threads;
}

namespace {

/// The two plans' ports must be the same bytes: data is loaded once for both.
bool loads_alike(const plan::Plan& a, const plan::Plan& b) {
  if (a.inputs.size() != b.inputs.size()) return false;
  for (size_t i = 0; i < a.inputs.size(); ++i) {
    const auto &x = a.inputs[i].ingests, &y = b.inputs[i].ingests;
    if (a.graph->variables[a.inputs[i].variable].name != b.graph->variables[b.inputs[i].variable].name ||
        x.size() != y.size())
      return false;
    for (size_t k = 0; k < x.size(); ++k) {
      const plan::Kernel &p = a.kernels[static_cast<size_t>(x[k].kernel)],
                         &q = b.kernels[static_cast<size_t>(y[k].kernel)];
      if (!a.buffers[static_cast<size_t>(x[k].buffer)].stored_as(b.buffers[static_cast<size_t>(y[k].buffer)]))
        return false;
      if (plan::content_of(a, p) != plan::content_of(b, q)) return false;
    }
  }
  return true;
}

}  // namespace

std::string unsupported(const Unit& u) {
  if (u.infer->inputs.empty()) return fmt::format("net {} has no input", u.model->net);
  if (u.infer->output_buffers.empty()) return fmt::format("net {} has no output", u.model->net);
  const std::vector<Port> inputs = inputs_of(u);
  for (const Port& out : outputs_of(u)) {
    if (out.type.batched && !out.type.has_any_extent() && out.type.dtype == ir::DType::f32) continue;
    return fmt::format(
        "the output {} of net {} is {}{}; a compiled network's output is f32 of a known shape, for each sample",
        out.name, u.model->net, shape_for_user(out.type), out.type.batched ? "" : " for the whole batch");
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].stored.has_any_extent()) {
      return fmt::format("net {} takes {} {} but does not resize it; begin with Resize(height, width)", u.model->net,
                         inputs[i].name, shape_for_user(inputs[i].type));
    }
  }
  if (u.train && !loads_alike(*u.train, *u.infer))
    return "the training and the inference form of the net load data differently";
  return "";
}

}  // namespace netc::emit
