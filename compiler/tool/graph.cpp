#include "compiler/tool/graph.h"

#include <filesystem>

#include <fmt/format.h>

#include "compiler/emit/process.h"
#include "compiler/ops/ops.h"
#include "compiler/passes/pipeline.h"
#include "compiler/picture/picture.h"
#include "compiler/schedule/plan.h"

namespace netc::tool {

int graph(const std::string& path, const std::string& out, const FileOptions& options) {
  const std::string extension = std::filesystem::path(out).extension().string();
  if (!extension.empty() && extension != ".svg") {
    print_error(fmt::format("netc graph writes SVG, not {}; name the picture .svg and convert it", extension));
    return kUsage;
  }
  const auto model = load_model(path, options);
  if (!model) return kFailed;
  const passes::Program program = passes::run_pipeline(*model, ops::registry());
  const schedule::Plan plan = schedule::make_plan(program.inference, schedule::host_machine(), 1);
  const std::string svg = picture::draw(*model, plan);
  if (out.empty() || out == "-") return fmt::print("{}", svg), kDone;
  std::string error;
  if (emit::replace_file(out, svg, error)) return kDone;
  print_error(error);
  return kFailed;
}

}  // namespace netc::tool
