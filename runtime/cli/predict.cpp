#include <algorithm>
#include <iostream>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/cli/commands.h"
#include "runtime/data/image.h"
#include "runtime/data/loader.h"
#include "runtime/data/source.h"
#include "runtime/train/metrics.h"

namespace netc::rt {
namespace {

constexpr int kMostTogether = 16;   // images of one batch

struct Answer { int index; float probability; };

/// The `top` most likely classes of one row; a single output stands for two classes.
std::vector<Answer> best_of(const Metrics& metrics, const float* row, int classes, int top) {
  std::vector<Answer> all;
  for (int i = 0; i < classes; ++i) all.push_back({i, metrics.classifies_samples() ? metrics.probability(row, i) : row[i]});
  const size_t n = std::min<size_t>(static_cast<size_t>(top), all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n), all.end(),
                    [](const Answer& a, const Answer& b) { return a.probability > b.probability; });
  all.resize(n);
  return all;
}

/// The images that the arguments stand for; each argument that stands for none is reported.
std::vector<std::string> files_of(const ModelInfo& info, const std::vector<std::string>& arguments, bool& all_good) {
  std::vector<std::string> files;
  auto add = [&](const std::string& path) {
    auto found = list_images(path);
    if (found) files.insert(files.end(), found->begin(), found->end());
    else all_good = false, fail(info, found.error());
  };
  for (const std::string& a : arguments) {
    if (a != "-") add(a);
    else
      for (std::string line; std::getline(std::cin, line);)
        if (!line.empty()) add(line);
  }
  return files;
}

void print_answer(const std::string& file, const std::vector<Answer>& answers, const std::vector<std::string>& names, bool alone) {
  if (alone) {
    fmt::print("{}: {} {:.4f}\n", file, names[static_cast<size_t>(answers[0].index)], answers[0].probability);
    return;
  }
  fmt::print("{}\n", file);
  for (const Answer& a : answers) fmt::print("  {:.4f}  {}\n", a.probability, names[static_cast<size_t>(a.index)]);
}

}  // namespace

int run_predict(const ModelInfo& info, CreateFn create, const PredictOptions& o) {
  const int channels = image_channels(info);
  if (channels == 0) return fail(info, "the net takes no images, so there is nothing to predict from files");
  bool all_good = true;
  const std::vector<std::string> files = files_of(info, o.images, all_good);
  if (files.empty()) return all_good ? fail(info, "no images given") : 1;
  const int batch = std::min<int>({kMostTogether, info.max_batch, static_cast<int>(std::min<size_t>(files.size(), 1u << 20))});
  Loaded l;
  if (!load_for_inference(info, create, o.weights, batch, o.threads, l)) return 1;
  const int outputs = outputs_of(info), classes = classes_of(outputs);
  const Metrics metrics(info.output, info.label, info.metrics);   // how a row is read
  std::vector<std::string> names;
  for (int k = 0; k < classes; ++k) names.push_back(class_name(info, l.classes, k));
  const size_t stride = ingested_bytes(info);
  nlohmann::json results = nlohmann::json::array();
  Sample sample;
  for (size_t at = 0; at < files.size();) {
    std::vector<std::string> taken;
    for (; at < files.size() && static_cast<int>(taken.size()) < batch; ++at) {
      auto good = read_image(files[at], channels, sample);
      if (good) good = ingest_sample(*l.model, sample, static_cast<char*>(l.model->input()) + taken.size() * stride);
      if (good) taken.push_back(files[at]);
      else all_good = false, fail(info, good.error());
    }
    if (taken.empty()) continue;
    const float* rows = l.model->infer(static_cast<int>(taken.size()));
    if (rows == nullptr) return fail(info, "the network could not be run");
    for (size_t i = 0; i < taken.size(); ++i) {
      const std::vector<Answer> answers = best_of(metrics, rows + i * static_cast<size_t>(outputs), classes, std::max(1, o.top));
      if (!o.json) {
        print_answer(taken[i], answers, names, o.top <= 1);
        continue;
      }
      nlohmann::json top = nlohmann::json::array();
      for (const Answer& a : answers) top.push_back({{"class", names[static_cast<size_t>(a.index)]}, {"index", a.index}, {"probability", a.probability}});
      results.push_back({{"file", taken[i]}, {"class", top[0]["class"]}, {"probability", top[0]["probability"]}, {"top", std::move(top)}});
    }
  }
  if (o.json) fmt::print("{}\n", results.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  return all_good ? 0 : 1;
}

}  // namespace netc::rt
