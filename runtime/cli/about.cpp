// summary and info: what the program knows about itself.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/cli/commands.h"
#include "runtime/cores.h"
#include "runtime/counted.h"
#include "runtime/data/ports.h"
#include "runtime/train/progress.h"

namespace netc::rt {
namespace {

/// "photo f32[28, 28, 1], ..."; a single port's type alone.
std::string list_of(std::span<const PortInfo> ports) {
  if (ports.size() == 1) return type_text(ports[0]);
  std::string s;
  for (const PortInfo& p : ports) s += fmt::format("{}{} {}", s.empty() ? "" : ", ", p.name, type_text(p));
  return s;
}

nlohmann::json types_of(std::span<const PortInfo> ports) {
  nlohmann::json j = nlohmann::json::object();
  for (const PortInfo& p : ports) j[p.name] = type_text(p);
  return j;
}

void print_json(const nlohmann::json& j) {
  fmt::print("{}\n", j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace

int run_summary(const ModelInfo& info, bool json) {
  int64_t trainable = 0, fixed = 0;
  for (const VarInfo& v : info.variables)
    if (v.role != VarRole::slot) (v.trainable ? trainable : fixed) += static_cast<int64_t>(v.elements());
  if (json) {
    nlohmann::json j = {{"name", info.name},
                        {"net", info.net},
                        {"input", type_text(info.input())},
                        {"output", type_text(info.output())},
                        {"parameters", trainable + fixed},
                        {"trainable", trainable},
                        {"macs", info.macs}};
    j.update(
        {{"inputs", types_of(info.inputs)}, {"outputs", types_of(info.outputs)}, {"labels", types_of(info.labels)}});
    for (const LayerInfo& l : info.layers)
      j["layers"].push_back({{"name", l.name},
                             {"layer", l.text},
                             {"output", l.output_shape},
                             {"parameters", l.params},
                             {"macs", l.macs},
                             {"line", l.line}});
    return print_json(j), 0;
  }
  size_t name = 5, text = 5, shape = 12;
  for (const LayerInfo& l : info.layers)
    name = std::max(name, std::string_view(l.name).size()),
    text = std::max(text, std::min<size_t>(44, std::string_view(l.text).size())),
    shape = std::max(shape, std::string_view(l.output_shape).size());
  fmt::print("{} ({})\n{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>14}\n", info.net, list_of(info.inputs), "name", name, "layer",
             text, "output", shape, "parameters", "MACs");
  for (const LayerInfo& l : info.layers)
    fmt::print("{:<{}}  {:<{}.44}  {:<{}}  {:>12}  {:>14}\n", l.name, name, l.text, text, l.output_shape, shape,
               grouped(l.params), grouped(l.macs));
  fmt::print("Total params: {} ({:.2f} MB)\nTrainable params: {}\nNon-trainable params: {}\nMACs of one sample: {}\n",
             grouped(trainable + fixed), static_cast<double>(trainable + fixed) * 4 / (1 << 20), grouped(trainable),
             grouped(fixed), grouped(static_cast<int64_t>(info.macs)));
  return 0;
}

int run_info(const ModelInfo& info, bool json) {
  const MemoryInfo& m = info.memory;
  const auto threads = static_cast<size_t>(available_cores());
  const size_t infer = m.weights + m.infer_arena + m.data_buffers + m.scratch_per_thread * threads;
  const size_t train =
      m.weights + m.slots + std::max(m.train_arena, m.infer_arena) + m.data_buffers + m.scratch_per_thread * threads;
  nlohmann::json j = {{"name", info.name},
                      {"net", info.net},
                      {"source", info.source_path},
                      {"source_hash", info.source_hash},
                      {"compiler", info.compiler_version},
                      {"target", info.target},
                      {"precision", info.precision},
                      {"max_batch", info.max_batch},
                      {"training", info.has_training},
                      {"threads", threads}};
  if (!info.weights.empty()) j["weights_inside"] = info.weights.size();
  for (const KeyValue& h : info.hyperparameters) j["hyperparameters"][h.key] = h.value;
  if (info.has_training)
    j.update({{"loss", info.loss},
              {"optimizer", info.optimizer},
              {"lr", info.lr},
              {"batch", info.batch},
              {"epochs", info.epochs},
              {"seed", info.seed}});
  j["memory"] = {{"weights", m.weights},         {"slots", m.slots},       {"train_arena", m.train_arena},
                 {"infer_arena", m.infer_arena}, {"data", m.data_buffers}, {"scratch_per_thread", m.scratch_per_thread},
                 {"inference", infer},           {"training", train}};
  for (const KernelInfo& k : info.kernels)
    j["kernels"].push_back({{"name", k.name}, {"phase", k.phase}, {"strategy", k.strategy}});
  if (json) return print_json(j), 0;
  fmt::print("{}: the net {} of {} (source {})\ncompiled by netc {} for {}, products of {}\n", info.name, info.net,
             info.source_path, info.source_hash, info.compiler_version, info.target, info.precision);
  if (!info.hyperparameters.empty()) fmt::print("hyperparameters:");
  for (const KeyValue& h : info.hyperparameters) fmt::print(" {}={}", h.key, h.value);
  if (!info.hyperparameters.empty()) fmt::print("\n");
  fmt::print("inputs: {}; outputs: {}{}\n", list_of(info.inputs), list_of(info.outputs),
             info.labels.empty() ? "" : "; labels: " + list_of(info.labels));
  if (info.has_training)
    fmt::print("training: {}, {} at {:g}, batch {}, {}, seed {}\n", info.loss, info.optimizer, info.lr, info.batch,
               counted(info.epochs, "epoch"), info.seed);
  if (!info.weights.empty())
    fmt::print("weights are inside: {} bytes\n", grouped(static_cast<int64_t>(info.weights.size())));
  fmt::print("memory at batch {} and {}: inference {} bytes{}\n", info.max_batch,
             counted(static_cast<int64_t>(threads), "thread"), grouped(static_cast<int64_t>(infer)),
             info.has_training ? fmt::format(", training {} bytes", grouped(static_cast<int64_t>(train))) : "");
  fmt::print("  weights {}, optimiser {}, arena {} (inference {}), data {}, scratch {} a thread\n",
             grouped(static_cast<int64_t>(m.weights)), grouped(static_cast<int64_t>(m.slots)),
             grouped(static_cast<int64_t>(std::max(m.train_arena, m.infer_arena))),
             grouped(static_cast<int64_t>(m.infer_arena)), grouped(static_cast<int64_t>(m.data_buffers)),
             grouped(static_cast<int64_t>(m.scratch_per_thread)));
  fmt::print("{}:\n", counted(static_cast<int64_t>(info.kernels.size()), "kernel"));
  for (const KernelInfo& k : info.kernels) fmt::print("  {:<9} {}  [{}]\n", k.phase, k.name, k.strategy);
  return 0;
}

}  // namespace netc::rt
