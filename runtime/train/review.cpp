#include <algorithm>

#include "runtime/train/report.h"

namespace netc::rt {
namespace {

/// A fixed scattering of the indices, to show samples of everywhere.
uint64_t scatter(uint64_t i) {
  i = (i + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
  return (i ^ i >> 29) * 0x94d049bb133111ebu;
}

/// Keeps the first `most` of all that are offered, in the order of `before`.
template <class Before>
void offer(std::vector<Answered>& kept, const Answered& a, size_t most, Before&& before) {
  if (kept.size() == most && !before(a, kept.back())) return;
  kept.insert(std::upper_bound(kept.begin(), kept.end(), a, before), a);
  if (kept.size() > most) kept.pop_back();
}

}  // namespace

Review review(Model& model, Loader& loader, const std::function<bool()>& stop) {
  const ModelInfo& info = model.info();
  const int outputs = outputs_of(info);
  Review out;
  Metrics& metrics = out.result.metrics;
  metrics = Metrics(info.output, info.label, info.metrics);
  loader.start_epoch(0);
  for (Batch batch; !(stop && stop()) && loader.next(batch);) {
    model.use_buffers(batch.input, batch.labels);
    const float loss = model.evaluate(batch.n);
    const float* rows = model.output();
    if (rows == nullptr) break;
    metrics.add(rows, batch.labels, batch.n, loss);
    if (!metrics.classifies_samples()) continue;
    for (int i = 0; i < batch.n; ++i) {
      const float* row = rows + static_cast<size_t>(i) * static_cast<size_t>(outputs);
      const int answer = metrics.answer(row);
      const Answered a{batch.indices[static_cast<size_t>(i)], batch.labels[i], answer, metrics.probability(row, answer)};
      if (outputs <= 2 && out.scores.size() < Review::kMostScores) out.scores.push_back({metrics.probability(row, 1), a.label == 1});
      if (a.answer == a.label) offer(out.right, a, Review::kShown, [](const Answered& x, const Answered& y) { return scatter(x.index) < scatter(y.index); });
      else offer(out.wrong, a, Review::kShown, [](const Answered& x, const Answered& y) { return x.probability > y.probability; });
    }
  }
  model.use_buffers(nullptr, nullptr);
  out.result.loss = metrics.loss();
  out.result.n = metrics.count();
  return out;
}

}  // namespace netc::rt
