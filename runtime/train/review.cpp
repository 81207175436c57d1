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
  const auto of = classified(info);
  const int outputs = of ? static_cast<int>(info.outputs[of->output].elements()) : 0;
  Review out(info);
  loader.start_epoch(0);
  for (Batch batch; !(stop && stop()) && loader.next(batch);) {
    model.use_buffers(batch.inputs, batch.labels);
    const float loss = model.evaluate(batch.n);
    if (model.output() == nullptr) break;
    out.result.metrics.add(model, batch, loss);
    if (!of) continue;
    const Metrics& metrics = *out.result.metrics.classes();
    const float* rows = model.output(of->output);
    const auto* labels = static_cast<const int32_t*>(batch.labels[of->label]);
    for (int i = 0; i < batch.n; ++i) {
      const float* row = rows + static_cast<size_t>(i) * static_cast<size_t>(outputs);
      const int answer = metrics.answer(row);
      const Answered a{batch.indices[static_cast<size_t>(i)], labels[i], answer, metrics.probability(row, answer)};
      if (outputs <= 2 && out.scores.size() < Review::kMostScores)
        out.scores.push_back({metrics.probability(row, 1), a.label == 1});
      if (a.answer == a.label)
        offer(out.right, a, Review::kShown,
              [](const Answered& x, const Answered& y) { return scatter(x.index) < scatter(y.index); });
      else
        offer(out.wrong, a, Review::kShown,
              [](const Answered& x, const Answered& y) { return x.probability > y.probability; });
    }
  }
  model.use_buffers({}, {});
  out.result.loss = out.result.metrics.loss();
  out.result.n = out.result.metrics.count();
  return out;
}

}  // namespace netc::rt
