#include "compiler/tool/summary.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "compiler/emit/text.h"
#include "compiler/emit/unit.h"
#include "compiler/ops/ops.h"
#include "compiler/passes/pipeline.h"
#include "compiler/schedule/limit.h"
#include "compiler/schedule/make_plan.h"

namespace netc::tool {
namespace {

using emit::grouped;
using emit::LayerRow;

constexpr size_t kWidestLayer = 46;
constexpr int kDefaultBatch = 32;  // of a product without a train section

/// "240.78 MB", "24.10 KB".
std::string size_text(double bytes) {
  const char* units[] = {"B", "KB", "MB", "GB", "TB"};
  int u = 0;
  for (; bytes >= 1024 && u < 4; ++u) bytes /= 1024;
  return u == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.2f} {}", bytes, units[u]);
}

struct InputRow {
  std::string name, type;
};

struct Totals {
  std::vector<InputRow> inputs;
  int64_t trainable = 0, fixed = 0, activations = 0;
  double macs = 0;
  int batch = 1;
  bool trains = false;
  emit::Memory memory;  // without the kernels' scratch, which is known when they are compiled
};

/// What an instance holds at this batch, from the plans.
void plan_memory(const sema::Model& m, Totals& t) {
  const passes::Program program = passes::run_pipeline(m, ops::registry());
  const Machine machine = host_machine();
  t.trains = !m.train.losses.empty() && m.train.optimizer;
  t.batch = m.train.present ? static_cast<int>(m.train.batch) : kDefaultBatch;
  plan::Plan train;
  if (t.trains) train = schedule::plan_sparing(program.training, machine, t.batch);
  const plan::Plan infer = schedule::make_plan(t.trains ? program.evaluation : program.inference, machine, t.batch);
  emit::Unit unit;
  unit.model = &m, unit.machine = &machine, unit.infer = &infer, unit.train = t.trains ? &train : nullptr;
  t.memory = emit::memory_of(unit, 0);
}

nlohmann::json json_of(const sema::Model& m, const std::vector<LayerRow>& rows, const Totals& t) {
  nlohmann::json j = {{"net", m.net},
                      {"parameters", t.trainable + t.fixed},
                      {"trainable", t.trainable},
                      {"non_trainable", t.fixed},
                      {"macs", t.macs},
                      {"parameter_bytes", (t.trainable + t.fixed) * 4},
                      {"output_bytes", t.activations},
                      {"inputs", nlohmann::json::array()},
                      {"layers", nlohmann::json::array()}};
  j["memory"] = {{"batch", t.batch},
                 {"weights", t.memory.weights},
                 {"optimiser", t.memory.slots},
                 {"data", t.memory.data},
                 {"inference_arena", t.memory.infer_arena},
                 {"training_arena", t.trains ? std::max(t.memory.train_arena, t.memory.infer_arena) : 0},
                 {"inference_total", emit::inference_bytes(t.memory, 0)},
                 {"training_total", t.trains ? emit::training_bytes(t.memory, 0) : 0}};
  for (const InputRow& i : t.inputs) j["inputs"].push_back({{"name", i.name}, {"type", i.type}});
  for (const LayerRow& r : rows) {
    j["layers"].push_back({{"name", r.name},
                           {"kind", r.kind},
                           {"layer", r.text},
                           {"output", r.output_shape},
                           {"parameters", r.trainable + r.fixed},
                           {"trainable", r.trainable},
                           {"macs", r.macs},
                           {"output_bytes", r.output_bytes},
                           {"line", r.line}});
  }
  return j;
}

void print_table(const sema::Model& m, const std::vector<LayerRow>& rows, const Totals& t) {
  size_t name = 4, text = 5, shape = 6;
  const auto widen = [&](size_t& column, const std::string& s) {
    column = std::max(column, std::min(s.size(), kWidestLayer));
  };
  for (const InputRow& i : t.inputs) widen(name, i.name), widen(shape, i.type);
  for (const LayerRow& r : rows) widen(name, r.name), widen(text, r.text), widen(shape, r.output_shape);
  fmt::print("net {}{}\n\n", m.net, m.doc.empty() ? "" : ": " + m.doc);
  const std::string head = fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>15}  {:>10}", "name", name, "layer", text,
                                       "output", shape, "parameters", "MACs", "memory");
  const std::string rule(head.size(), '-');
  fmt::print("{}\n{}\n", head, rule);
  for (const InputRow& i : t.inputs) fmt::print("{:<{}}  {:<{}}  {}\n", i.name, name, "input", text, i.type);
  for (const LayerRow& r : rows) {
    const std::string layer = r.text.size() > kWidestLayer ? r.text.substr(0, kWidestLayer - 3) + "..." : r.text;
    fmt::print("{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>15}  {:>10}\n", r.name, name, layer, text, r.output_shape, shape,
               grouped(r.trainable + r.fixed), grouped(r.macs),
               r.output_bytes > 0 ? size_text(static_cast<double>(r.output_bytes)) : "");
  }
  const auto bytes = [](int64_t n) { return size_text(static_cast<double>(n)); };
  fmt::print("{}\n", rule);
  fmt::print("Total params: {} ({})\n", grouped(t.trainable + t.fixed), bytes((t.trainable + t.fixed) * 4));
  fmt::print("Trainable params: {} ({})\n", grouped(t.trainable), bytes(t.trainable * 4));
  fmt::print("Non-trainable params: {} ({})\n", grouped(t.fixed), bytes(t.fixed * 4));
  fmt::print("Total MACs of one sample: {}; its layers' outputs: {}\n", grouped(static_cast<int64_t>(t.macs)),
             bytes(t.activations));
  const emit::Memory& b = t.memory;
  fmt::print("Memory of inference, batch {}: {} (weights {}, arena {}, data {})\n", t.batch,
             bytes(emit::inference_bytes(b, 0)), bytes(b.weights), bytes(b.infer_arena), bytes(b.data));
  if (!t.trains) return;
  fmt::print("Memory of training, batch {}: {} (weights {}, optimiser {}, arena {}, data {})\n", t.batch,
             bytes(emit::training_bytes(b, 0)), bytes(b.weights), bytes(b.slots),
             bytes(std::max(b.train_arena, b.infer_arena)), bytes(b.data));
}

}  // namespace

int summary(const std::string& path, const FileOptions& options, bool json) {
  const auto model = load_model(path, options);
  if (!model) return kFailed;
  const std::vector<LayerRow> rows = emit::layers_of(*model);
  Totals t;
  for (const ir::Variable& v : model->graph.variables) {  // shared weights count once
    if (v.role != ir::Role::weight && v.role != ir::Role::state) continue;
    (v.role == ir::Role::weight && v.trainable ? t.trainable : t.fixed) += model->graph.type(v.value).elements();
  }
  for (const ir::Variable& v : model->graph.variables)
    if (v.role == ir::Role::input) t.inputs.push_back({v.name, shape_for_user(model->graph.type(v.value))});
  for (const LayerRow& r : rows) t.activations += r.output_bytes;
  t.macs = emit::macs_of(*model);
  plan_memory(*model, t);
  if (json) fmt::print("{}\n", json_of(*model, rows, t).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  else print_table(*model, rows, t);
  return kDone;
}

}  // namespace netc::tool
