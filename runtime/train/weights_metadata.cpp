#include "runtime/train/weights_metadata.h"

#include <nlohmann/json.hpp>

#include "runtime/core/weights.h"

namespace netc::rt {
namespace {

using nlohmann::json;

template <class T>
bool take(const json& j, const char* key, std::vector<T>& out) {
  if (!j.contains(key) || !j[key].is_array()) return false;
  for (const json& v : j[key]) {
    if constexpr (std::is_same_v<T, double>) {
      if (!v.is_number()) return false;
    } else if (!v.is_string()) {
      return false;
    }
    out.push_back(v.get<T>());
  }
  return true;
}

}  // namespace

std::map<std::string, std::string> data_metadata(const Source& trained_on) {
  std::map<std::string, std::string> all = {{"classes", classes_metadata(trained_on.classes())}};
  if (const TableColumns* c = trained_on.columns()) {
    const json j = {{"inputs", c->inputs}, {"labels", c->labels}, {"others", c->others}, {"fills", c->fills}};
    all["columns"] = j.dump(-1, ' ', false, json::error_handler_t::replace);
  }
  return all;
}

std::optional<TableColumns> columns_of(const WeightsFile& file) {
  const auto at = file.metadata().find("columns");
  if (at == file.metadata().end()) return std::nullopt;
  const json j = json::parse(at->second, nullptr, false);
  TableColumns c;
  const bool whole = j.is_object() && take(j, "inputs", c.inputs) && take(j, "labels", c.labels) &&
                     take(j, "others", c.others) && take(j, "fills", c.fills) &&
                     (c.fills.empty() || c.fills.size() == c.inputs.size());
  return whole ? std::optional(std::move(c)) : std::nullopt;
}

}  // namespace netc::rt
