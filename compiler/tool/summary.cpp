#include "compiler/tool/summary.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "compiler/emit/text.h"
#include "compiler/emit/unit.h"

namespace netc::tool {
namespace {

using emit::grouped;
using emit::LayerRow;

constexpr size_t kWidestLayer = 46;

/// "240.78 MB", "24.10 KB".
std::string size_text(double bytes) {
  const char* units[] = {"B", "KB", "MB", "GB", "TB"};
  int u = 0;
  for (; bytes >= 1024 && u < 4; ++u) bytes /= 1024;
  return u == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.2f} {}", bytes, units[u]);
}

struct Totals { int64_t trainable = 0, fixed = 0, activations = 0; double macs = 0; };

void print_json(const sema::Model& m, const std::vector<LayerRow>& rows, const Totals& t) {
  nlohmann::json j = {{"net", m.net}, {"parameters", t.trainable + t.fixed}, {"trainable", t.trainable}, {"non_trainable", t.fixed}, {"macs", t.macs},
                      {"parameter_bytes", (t.trainable + t.fixed) * 4}, {"output_bytes", t.activations}, {"layers", nlohmann::json::array()}};
  for (const LayerRow& r : rows) {
    j["layers"].push_back({{"name", r.name}, {"kind", r.kind}, {"layer", r.text}, {"output", r.output_shape}, {"parameters", r.trainable + r.fixed}, {"trainable", r.trainable},
                           {"macs", r.macs}, {"output_bytes", r.output_bytes}, {"line", r.line}});
  }
  fmt::print("{}\n", j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print_table(const sema::Model& m, const std::vector<LayerRow>& rows, const Totals& t) {
  size_t name = 4, text = 5, shape = 6;
  for (const LayerRow& r : rows) {
    name = std::max(name, r.name.size());
    text = std::max(text, std::min(r.text.size(), kWidestLayer));
    shape = std::max(shape, r.output_shape.size());
  }
  fmt::print("net {}{}\n\n", m.net, m.doc.empty() ? "" : ": " + m.doc);
  const std::string head = fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>15}  {:>10}", "name", name, "layer", text, "output", shape, "parameters", "MACs", "memory");
  fmt::print("{}\n{}\n", head, std::string(head.size(), '-'));
  for (const LayerRow& r : rows) {
    const std::string layer = r.text.size() > kWidestLayer ? r.text.substr(0, kWidestLayer - 3) + "..." : r.text;
    fmt::print("{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>15}  {:>10}\n", r.name, name, layer, text, r.output_shape, shape, grouped(r.trainable + r.fixed), grouped(r.macs),
               r.output_bytes > 0 ? size_text(static_cast<double>(r.output_bytes)) : "");
  }
  fmt::print("{}\n", std::string(head.size(), '-'));
  fmt::print("Total params: {} ({})\n", grouped(t.trainable + t.fixed), size_text(static_cast<double>(t.trainable + t.fixed) * 4));
  fmt::print("Trainable params: {} ({})\n", grouped(t.trainable), size_text(static_cast<double>(t.trainable) * 4));
  fmt::print("Non-trainable params: {} ({})\n", grouped(t.fixed), size_text(static_cast<double>(t.fixed) * 4));
  fmt::print("MACs of one sample: {}; its layers' outputs: {}\n", grouped(static_cast<int64_t>(t.macs)), size_text(static_cast<double>(t.activations)));
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
  for (const LayerRow& r : rows) t.activations += r.output_bytes;
  t.macs = emit::macs_of(*model);
  if (json) print_json(*model, rows, t);
  else print_table(*model, rows, t);
  return kDone;
}

}  // namespace netc::tool
