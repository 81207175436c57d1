// report.html: one run as a page that needs nothing else.
#pragma once
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "runtime/data/source.h"
#include "runtime/model.h"
#include "runtime/train/run_folder.h"
#include "runtime/train/trainer.h"

namespace netc::rt {

struct ReportInput {
  const ModelInfo& info;
  const RunArgs& args;
  const std::vector<EpochRow>& history;
  const EvalResult& evaluation;            // of the last epoch, on the validation data when there is any
  const Source* train;
  const Source* shown;                     // where sample predictions are taken from
  Model* model;
  std::vector<std::string> skipped_names;
  size_t skipped;
};

tl::expected<void, std::string> write_report(const ReportInput&, const std::string& path);

}  // namespace netc::rt
