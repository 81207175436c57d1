#include "compiler/emit/unit.h"

#include <algorithm>

#include <fmt/format.h>

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

Variables variables_of(const Unit& u) {
  Variables v;
  const ir::Graph& g = variables_graph(u);
  auto take = [&](bool slots, int64_t& bytes) {
    for (const ir::Variable& variable : g.variables) {
      const bool wanted = slots ? variable.role == ir::Role::slot : variable.role == ir::Role::weight || variable.role == ir::Role::state;
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
  for (const ir::Layer& layer : g.layers) {
    LayerRow r;
    r.name = layer.name;
    r.kind = layer.kind;
    r.text = layer.text;
    r.line = layer.line;
    if (layer.output != ir::kNone) {
      r.output_shape = shape_for_user(g.type(layer.output));
      if (!g.type(layer.output).has_any_extent()) r.output_bytes = g.type(layer.output).bytes();
    }
    for (const std::string& name : layer.variables) {
      const int32_t i = g.find_variable(name);
      if (i == ir::kNone) continue;
      (g.variables[i].role == ir::Role::weight && g.variables[i].trainable ? r.trainable : r.fixed) += g.type(g.variables[i].value).elements();
    }
    rows.push_back(r);
  }
  for (const ir::Node& n : g.nodes)
    if (n.layer != ir::kNone && n.op->cost) rows[static_cast<size_t>(n.layer)].macs += static_cast<int64_t>(n.op->cost(n, g).macs);
  return rows;
}

double macs_of(const sema::Model& m) {
  double macs = 0;
  for (const ir::Node& n : m.graph.nodes)
    if (n.op->cost) macs += n.op->cost(n, m.graph).macs;
  return macs;
}

ir::Type input_type(const Unit& u) {
  for (const ir::Variable& v : u.model->graph.variables)
    if (v.role == ir::Role::input) return u.model->graph.type(v.value);
  return {};
}

ir::Type ingested_type(const Unit& u) {
  return u.infer->ingest_kernel < 0 ? input_type(u) : u.infer->buffers[static_cast<size_t>(u.infer->ingested_buffer)].type;
}

ir::Type label_type(const Unit& u) {
  if (u.train)
    for (const ir::Variable& v : u.train->graph->variables)
      if (v.role == ir::Role::label) return u.train->graph->type(v.value);
  return {ir::DType::i32, true, {}};
}

Memory memory_of(const Unit& u, int64_t scratch) {
  const Variables v = variables_of(u);
  Memory m;
  m.weights = v.weight_bytes;
  m.slots = v.slot_bytes;
  m.train_arena = u.train ? u.train->arena_bytes : 0;
  m.infer_arena = u.infer->arena_bytes;
  m.data = aligned(ingested_type(u).bytes() * u.infer->max_batch) + aligned(label_type(u).bytes() * u.infer->max_batch);
  m.scratch_per_thread = scratch;
  return m;
}

int64_t training_bytes(const Memory& m, int threads) {
  return m.weights + m.slots + std::max(m.train_arena, m.infer_arena) + m.data + m.scratch_per_thread * threads;
}
int64_t inference_bytes(const Memory& m, int threads) { return m.weights + m.infer_arena + m.data + m.scratch_per_thread * threads; }

std::string unsupported(const Unit& u) {
  int inputs = 0;
  for (const ir::Variable& v : u.model->graph.variables) inputs += v.role == ir::Role::input;
  if (inputs != 1) return fmt::format("net {} has {} inputs; a compiled network takes exactly one", u.model->net, inputs);
  if (u.infer->output_buffer < 0) return fmt::format("net {} has no output", u.model->net);
  const schedule::Buffer& out = u.infer->buffers[static_cast<size_t>(u.infer->output_buffer)];
  if (!out.type.batched || out.type.has_any_extent() || out.type.dtype != ir::DType::f32) {
    return fmt::format("the output of net {} is {}; a compiled network's output is f32 of a known shape", u.model->net, shape_for_user(out.type));
  }
  if (input_type(u).has_any_extent() && u.infer->ingest_kernel < 0) {
    return fmt::format("net {} takes {} but does not resize it; begin with Resize(height, width)", u.model->net, shape_for_user(input_type(u)));
  }
  if (input_type(u).rank() > 7 || out.type.rank() > 7) return fmt::format("net {} uses more than seven dimensions", u.model->net);
  if (u.train && (u.train->ingest_kernel < 0) != (u.infer->ingest_kernel < 0)) return "the training and the inference form of the net load data differently";
  return "";
}

}  // namespace netc::emit
