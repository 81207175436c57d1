#include "compiler/tool/graph.h"

#include <filesystem>

#include <fmt/format.h>

#include "compiler/ops/ops.h"
#include "compiler/passes/pipeline.h"
#include "compiler/picture/picture.h"
#include "compiler/schedule/make_plan.h"
#include "compiler/tool/outputs.h"

namespace netc::tool {

int graph(const std::string& path, const std::string& out, const FileOptions& options) {
  const std::string extension = std::filesystem::path(out).extension().string();
  if (!extension.empty() && extension != ".svg") {
    print_error(fmt::format("netc graph writes SVG, not {}; name the picture .svg and convert it", extension));
    return kUsage;
  }
  const auto model = load_model(path, options);
  if (!model) return kFailed;
  std::vector<Read> reads = {{path, "the source"}};
  for (const std::string& file : model->imported_files) reads.push_back({file, "an imported file"});
  if (const std::string error = out.empty() || out == "-" ? "" : cannot_write(out, reads, true); !error.empty())
    return print_error(error), kFailed;
  const passes::Program program = passes::run_pipeline(*model, ops::registry());
  const plan::Plan plan = schedule::make_plan(program.inference, host_machine(), 1);
  return write_text(out, picture::draw(*model, plan));
}

}  // namespace netc::tool
