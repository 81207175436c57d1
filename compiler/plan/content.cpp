#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/plan/plan.h"

namespace netc::plan {

std::string attr_text(const ir::Attr& a) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::vector<int64_t>>) return fmt::format("[{}]", fmt::join(v, ","));
        else if constexpr (std::is_same_v<T, double>) return fmt::format("{:a}", v);
        else return fmt::format("{}", v);
      },
      a);
}

std::string content_of(const Plan& p, const Kernel& k) {
  const ir::Graph& g = *p.graph;
  std::string text;
  std::map<ir::ValueId, int> number;
  auto name = [&](ir::ValueId v) { return number.try_emplace(v, static_cast<int>(number.size())).first->second; };
  auto buffer = [&](const char* what, int b, ir::ValueId v) {
    const Buffer& f = p.buffers[b];
    const std::string pairs = f.pair_dim < 0 ? "" : fmt::format(" in pairs {}", f.pair_dim);
    text += fmt::format("{} %{} {} {} {}/{}{}{} {}\n", what, name(v), to_string(f.type), f.planar, f.block_dim, f.block,
                        pairs, f.sample_stride > 0 ? fmt::format(" every {}", f.sample_stride) : "",
                        f.storage == Storage::arena);
  };
  for (size_t i = 0; i < k.inputs.size(); ++i) buffer("in", k.inputs[i], k.input_values[i]);
  for (ir::NodeId n : k.nodes) {
    const ir::Node& node = g.nodes[n];
    text += node.op->name;
    for (ir::ValueId v : node.inputs) text += fmt::format(" %{}", name(v));
    for (auto& [key, value] : node.attrs) text += fmt::format(" {}={}", key, attr_text(value));
    for (ir::ValueId v : node.results) text += fmt::format(" -> %{} {}", name(v), to_string(g.type(v)));
    text += '\n';
  }
  for (size_t i = 0; i < k.outputs.size(); ++i) buffer("out", k.outputs[i], k.output_values[i]);
  return text;
}

}  // namespace netc::plan
