// What --diagnostics json prints is what docs/diagnostics-schema.json says.
#include <doctest/doctest.h>

#include <filesystem>

#include <nlohmann/json.hpp>

#include "tests/frontend/support.h"

using namespace netc;
using namespace netc::frontend;
using nlohmann::json;

namespace {

/// The words of JSON Schema that ours uses; "" or the first violation.
std::string violation(const json& value, const json& schema, const std::string& at) {
  const std::string type = schema.value("type", "");
  if ((type == "array" && !value.is_array()) || (type == "object" && !value.is_object()) ||
      (type == "string" && !value.is_string()) || (type == "integer" && !value.is_number_integer()))
    return at + " is no " + type;
  if (schema.contains("enum") && std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
    return at + " is none of its values";
  if (schema.contains("minimum") && value < schema["minimum"]) return at + " is too small";
  if (schema.contains("items"))
    for (size_t i = 0; i < value.size(); ++i)
      if (std::string v = violation(value[i], schema["items"], at + "[" + std::to_string(i) + "]"); !v.empty())
        return v;
  if (schema.contains("required"))
    for (const auto& key : schema["required"])
      if (!value.contains(key.get<std::string>())) return at + " lacks " + key.get<std::string>();
  if (schema.contains("properties"))
    for (const auto& [key, inner] : value.items()) {
      if (!schema["properties"].contains(key)) return at + " has the unknown key " + key;
      if (std::string v = violation(inner, schema["properties"][key], at + "." + key); !v.empty()) return v;
    }
  return "";
}

}  // namespace

TEST_CASE("diagnostics as JSON keep to their schema") {
  const std::string root = NETC_SOURCE_DIR;
  const json schema = json::parse(read(root + "/docs/diagnostics-schema.json"));
  REQUIRE(violation(json::array({{{"id", 3}}}), schema, "all") != "");
  size_t seen = 0, notes = 0;
  for (const auto& e : std::filesystem::directory_iterator(root + "/tests/frontend/golden")) {
    if (e.path().extension() != ".net") continue;
    INFO(e.path().filename().string());
    const json all = json::parse(analyse_file(e.path().string()).json);
    CHECK(violation(all, schema, "all") == "");
    for (const json& d : all) {
      ++seen;
      notes += d["notes"].size();
      CHECK((d["end_line"] > d["line"] || d["end_column"] >= d["column"]));
    }
  }
  CHECK(seen > 60);
  CHECK(notes > 0);
  CHECK(json::parse(analyse_text("net A { input x: f32[4] output y = x -> Dense(2) }").json) == json::array());
}
