// The metrics that the language offers, and which outputs and labels each can be counted from. runtime/train/metrics.h
// counts them.
#include "compiler/ops/support.h"

namespace netc::ops {
namespace {

/// How many classes the label is one of: of f32[..., C] with i32[...]; one output tells two. 0: the label is no class
/// index.
int64_t classes(const Type& output, const Type& label) {
  if (label.dtype != DType::i32 || output.rank() != label.rank() + 1) return 0;
  return output.dims.back() == 1 ? 2 : output.dims.back();
}
bool values(const Type& output, const Type& label) { return label.dtype == DType::f32 && label == output; }
/// Answers yes or no: one output for a class index, or targets of the output's own type.
bool questions(const Type& output, const Type& label) {
  return values(output, label) || (classes(output, label) == 2 && output.dims.back() == 1);
}

struct Case {
  const Type &output, &label;
  const std::vector<ArgValue>& args;
};
using Fits = bool (*)(const Case&);

MetricDef metric(const char* name, const char* doc, Fits fits, const char* needs) {
  MetricDef m;
  m.name = name;
  m.doc = doc;
  m.check = [name, fits, needs](const Type& output, const Type& label, const std::vector<ArgValue>& args,
                                std::string& error, std::string&) {
    if (fits({output, label, args})) return true;
    error = fmt::format("{} needs {}, but the output is {} and its label {}", name, needs, shape_for_user(output),
                        shape_for_user(label));
    return false;
  };
  return m;
}

bool of_classes(const Case& c) { return classes(c.output, c.label) > 0; }
bool of_values(const Case& c) { return values(c.output, c.label); }
const char* const kClassIndex = "a label that is a class index";

/// Of answers yes or no from a threshold on.
MetricDef thresholded(const char* name, const char* doc, Fits fits, const char* needs) {
  MetricDef m = metric(name, doc, fits, needs);
  m.args = {{"threshold",
             ArgType::number,
             ArgValue{0.5},
             0,
             1,
             {},
             "the probability above which the answer is yes; read where an output is one of yes and no"}};
  m.text = [name](const std::vector<ArgValue>& a) {
    const double t = std::get<double>(a[0]);
    return t == 0.5 ? std::string(name) : fmt::format("{}@{:g}", name, t);
  };
  return m;
}

std::vector<MetricDef> metrics() {
  const auto either = [](const Case& c) { return of_classes(c) || of_values(c); };
  const auto two = [](const Case& c) { return of_values(c) || classes(c.output, c.label) == 2; };
  const auto many = [](const Case& c) { return classes(c.output, c.label) > 0 && c.output.dims.back() > 1; };
  const char* const any = "a label that is a class index or has the output's type";
  std::vector<MetricDef> all = {metric("accuracy",
                                       "The share of rows whose largest output is the label's; of one output f32[1], "
                                       "that is above 1/2 for class 1, else not.",
                                       of_classes, kClassIndex)};
  MetricDef top =
      metric("top", "The share of rows whose label is among the k largest outputs.", of_classes, kClassIndex);
  top.args = {{"k", ArgType::integer, std::nullopt, 1, 1000, {}, "how many of the most probable classes count"}};
  top.text = [](const std::vector<ArgValue>& a) { return fmt::format("top{}", std::get<int64_t>(a[0])); };
  all.push_back(std::move(top));
  all.push_back(thresholded(
      "binary_accuracy", "The share of answers, yes above the threshold, that are the target's.",
      [](const Case& c) { return questions(c.output, c.label); }, "answers of yes and no"));
  all.push_back(thresholded(
      "precision", "Of the answers yes, the share that is right. Of several classes: the mean over those that occur.",
      either, any));
  all.push_back(thresholded(
      "recall", "Of the targets yes, the share that was found. Of several classes: the mean over those that occur.",
      either, any));
  all.push_back(thresholded(
      "f1", "2 * precision * recall / (precision + recall). Of several classes: the mean over those that occur.",
      either, any));
  all.push_back(metric("auc", "Area under the ROC curve of 200 thresholds, evenly spaced.", two,
                       "two classes, or targets of yes and no"));
  all.push_back(metric(
      "auc_pr",
      "Area under the curve of precision over recall, of 200 thresholds, interpolated as Davis and Goadrich (2006) do.",
      two, "two classes, or targets of yes and no"));
  all.push_back(metric("confusion_matrix",
                       "How often each class was answered for each. Shown by eval and in the report.", of_classes,
                       kClassIndex));
  all.push_back(metric("perplexity",
                       "exp of the mean of -log(p[label]): among how many classes the answer was as good as drawn.",
                       many, "a label that is one of several classes"));
  const char* const same = "a label of the output's type";
  all.push_back(metric("mae", "Mean of |y - label|.", of_values, same));
  all.push_back(metric("mse", "Mean of (y - label)^2.", of_values, same));
  all.push_back(metric("rmse", "Square root of mse.", of_values, same));
  all.push_back(metric("r2", "1 - sum (y - label)^2 / sum (label - mean label)^2, over all values.", of_values, same));
  return all;
}

}  // namespace

void add_metrics(Registry& r) {
  static const std::vector<MetricDef> all = metrics();
  for (const MetricDef& m : all) r.metrics.push_back(&m);
}

}  // namespace netc::ops
