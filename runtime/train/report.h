// report.html: one run as a page that needs nothing else.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "runtime/data/source.h"
#include "runtime/model.h"
#include "runtime/train/run_record.h"
#include "runtime/train/trainer.h"

namespace netc::rt {

/// What the model answered for one sample of a source.
struct Answered {
  size_t index;
  int label, answer;
  float probability; /* of the answer */
};
/// Of two classes: how sure the model was of the second, and whether the sample is of it.
struct Scored {
  float score;
  bool second;
};

/// A pass over a split that keeps more than the counts; where nothing is classified, the counts alone.
struct Review {
  static constexpr size_t kShown = 12, kMostScores = size_t{1} << 20;
  explicit Review(const ModelInfo& info) : result(info) {}
  EvalResult result;
  std::vector<Scored> scores;          // of two classes only; at most kMostScores
  std::vector<Answered> right, wrong;  // up to kShown each: some of the right ones, the surest of the wrong ones
};

/// Runs every batch of `loader` through the model. Nothing is counted after `stop` becomes true.
Review review(Model& model, Loader& loader, const std::function<bool()>& stop = {});

struct ReportInput {
  const ModelInfo& info;
  const RunArgs& args;
  const std::vector<EpochRow>& history;
  const Review& review;
  const Source& train;
  const Source& reviewed;                  // what review() went over
  bool validation;                         // it is the validation data, not the training data
  int64_t epoch;                           // the reviewed weights are of this epoch
  size_t skipped;                          // training samples that could not be read,
  std::vector<std::string> skipped_names;  // and the first of them
};

/// Writes the page. Errors: the file cannot be written.
tl::expected<void, std::string> write_report(const ReportInput& in, const std::string& path);

}  // namespace netc::rt
