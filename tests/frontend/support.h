// What the front end makes of a text, for its tests.
#pragma once
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "compiler/ops/ops.h"
#include "compiler/parse/parse.h"
#include "compiler/sema/model.h"

namespace netc::frontend {

struct Result {
  std::optional<sema::Model> model;
  std::string text, json;
};

inline std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

inline Result analyse_text(const std::string& text, const std::string& path = "test.net", const std::string& net = "",
                           std::vector<std::pair<std::string, std::string>> defines = {}) {
  const SourceFile source(path, text);
  Diagnostics diagnostics(source);
  Result r;
  if (const std::optional<ast::File> file = load(source, {}, diagnostics))
    r.model = sema::analyse(*file, {net, std::move(defines)}, ops::registry(), diagnostics);
  r.text = diagnostics.render(false);
  r.json = diagnostics.render_json();
  return r;
}

inline Result analyse_file(const std::string& path, const std::string& net = "",
                           std::vector<std::pair<std::string, std::string>> defines = {}) {
  return analyse_text(read(path), path.substr(path.rfind('/') + 1), net, std::move(defines));
}

}  // namespace netc::frontend
