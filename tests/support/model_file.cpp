#include "tests/support/model_file.h"

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "compiler/ops/ops.h"
#include "compiler/parse/parse.h"

namespace netc::test {

sema::Model model_file(const std::string& file, const std::vector<std::pair<std::string, std::string>>& defines,
                       const std::string& net) {
  const std::string path = std::string(NETC_SOURCE_DIR) + "/models/" + file;
  std::ifstream in(path, std::ios::binary);
  const SourceFile source(path, {std::istreambuf_iterator<char>(in), {}});
  Diagnostics diagnostics(source);
  std::optional<sema::Model> model;
  if (auto tree = load(source, {}, diagnostics))
    model = sema::analyse(*tree, {net, defines}, ops::registry(), diagnostics);
  if (!model) throw std::runtime_error(diagnostics.render(false));
  return std::move(*model);
}

}  // namespace netc::test
