#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/cli/commands.h"
#include "runtime/counted.h"
#include "runtime/data/loader.h"
#include "runtime/data/source.h"
#include "runtime/train/trainer.h"

namespace netc::rt {
namespace {

constexpr int kMostShown = 30;  // classes of a confusion matrix on a terminal

void print_confusion(const Confusion& c, const std::vector<std::string>& names) {
  size_t width = 7;
  for (const std::string& n : names) width = std::max(width, std::min<size_t>(n.size(), 14) + 2);
  auto cut = [](const std::string& s) { return s.size() > 14 ? s.substr(0, 13) + "." : s; };
  fmt::print("\nconfusion matrix (rows: true class, columns: predicted)\n{:>{}}", "", width);
  for (const std::string& n : names) fmt::print("{:>{}}", cut(n), width);
  fmt::print("\n");
  for (int t = 0; t < c.classes(); ++t) {
    fmt::print("{:>{}}", cut(names[static_cast<size_t>(t)]), width);
    for (int a = 0; a < c.classes(); ++a) fmt::print("{:>{}}", c.at(t, a), width);
    fmt::print("\n");
  }
}

void print_classes(const Confusion& c, const std::vector<std::string>& names) {
  size_t width = 5;
  for (const std::string& n : names) width = std::max(width, n.size());
  fmt::print("\n{:<{}}  precision  recall      f1  samples\n", "class", width);
  for (int k = 0; k < c.classes(); ++k) {
    fmt::print("{:<{}}  {:>9.4f}  {:>6.4f}  {:>6.4f}  {:>7}\n", names[static_cast<size_t>(k)], width, c.precision(k),
               c.recall(k), c.f1(k), c.of_class(k));
  }
}

nlohmann::json as_json(const EvalResult& r, const std::vector<std::string>& names, size_t skipped) {
  nlohmann::json j = {{"samples", r.n}, {"skipped", skipped}};
  for (const NamedValue& v : r.metrics.values()) j[v.name] = v.value;
  const Confusion& c = r.confusion();
  if (c.classes() == 0) return j;
  j["classes"] = names;
  j["majority_share"] = c.majority_share();
  for (int t = 0; t < c.classes(); ++t) {
    nlohmann::json row = nlohmann::json::array();
    for (int a = 0; a < c.classes(); ++a) row.push_back(c.at(t, a));
    j["confusion_matrix"].push_back(row);
    j["class_precision"].push_back(c.precision(t));
    j["class_recall"].push_back(c.recall(t));
  }
  return j;
}

}  // namespace

int run_eval(const ModelInfo& info, CreateFn create, const EvalOptions& o) {
  std::string spec = o.data;
  if (spec.empty() && info.data_test && *info.data_test) spec = info.data_test;
  if (spec.empty() && info.data_valid && *info.data_valid) spec = info.data_valid;
  Split split = Split::test;
  // its own test split
  if (spec.empty() && info.data_train) spec = validation_spec(info, info.data_train, true, ""), split = Split::held_out;
  if (spec.empty())
    return fail(info, "no data to evaluate on; name it: --data FOLDER, --data mnist:DIR or --data synthetic:digits");
  if (!info.has_training)
    return fail(info,
                "was compiled for inference only, without its loss; compile it without --inference-only to evaluate");
  Loaded l;
  const int batch = o.batch > 0 ? o.batch : info.max_batch;
  if (!load_for_inference(info, create, o.weights, batch, o.threads, l)) return 1;
  const NamedInfo named(info, l.classes, l.columns ? &*l.columns : nullptr);  // labels as in training
  auto source = open_source(spec, split, named.info());
  if (!source) return fail(info, source.error());
  auto loader = Loader::create(**source, *l.model,
                               {.batch = batch, .threads = o.threads, .seed = 0, .shuffle = false, .augment = false});
  if (!loader) return fail(info, loader.error());
  const EvalResult r = evaluate(*l.model, **loader);
  if (r.n == 0) return fail(info, fmt::format("none of the samples of {} could be read", spec));
  if (r.not_finite > 0)
    return fail(info, fmt::format("the net's answers to {} of {} are not finite numbers: its weights are broken, or "
                                  "the data's values are far "
                                  "outside those it was trained on",
                                  grouped(r.not_finite), counted(r.n, "sample")));
  std::vector<std::string> names;  // none where labels are no class indices
  for (int k = 0; k < r.confusion().classes(); ++k) names.push_back(class_name(info, (*source)->classes(), k));
  const size_t skipped = (*loader)->skipped();
  if (o.json) {
    fmt::print("{}\n", as_json(r, names, skipped).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return 0;
  }
  fmt::print("{}\n", (*source)->describe());
  if (skipped > 0) {
    fmt::print("{} could not be read and {} left out:\n", counted(skipped, "sample"), skipped == 1 ? "is" : "are");
    for (const std::string& name : (*loader)->skipped_names()) fmt::print("  {}\n", name);
  }
  for (const NamedValue& v : r.metrics.values()) fmt::print("{} {:.4f}\n", v.name, v.value);
  const Confusion& c = r.confusion();
  if (c.classes() == 0) return 0;
  fmt::print("always answering {} would be right for {:.4f}\n", names[static_cast<size_t>(c.majority())],
             c.majority_share());
  if (c.classes() <= kMostShown) print_confusion(c, names);
  print_classes(c, names);
  return 0;
}

}  // namespace netc::rt
