#include "runtime/train/trainer.h"

#include <algorithm>
#include <cmath>

namespace netc::rt {

bool finite_answer(const Model& model, size_t sample) {
  const ModelInfo& info = model.info();
  for (size_t k = 0; k < info.outputs.size(); ++k) {
    const size_t n = info.outputs[k].elements();
    const float* row = model.output(k) + sample * n;
    if (!std::all_of(row, row + n, [](float v) { return std::isfinite(v); })) return false;
  }
  return true;
}

EvalResult evaluate(Model& model, Loader& loader, const std::function<bool()>& stop) {
  EvalResult result(model.info());
  loader.start_epoch(0);
  for (Batch batch; !(stop && stop()) && loader.next(batch);) {
    model.use_buffers(batch.inputs, batch.labels);
    const float loss = model.evaluate(batch.n);
    if (model.output() == nullptr) break;
    result.metrics.add(model, batch, loss);
    for (size_t i = 0; i < static_cast<size_t>(batch.n); ++i) result.not_finite += !finite_answer(model, i);
  }
  model.use_buffers({}, {});
  result.loss = result.metrics.loss();
  result.n = result.metrics.count();
  return result;
}

std::string validation_spec(const ModelInfo& info, const std::string& data, bool data_given, const std::string& valid) {
  if (!valid.empty()) return valid;
  if (!data_given) {
    for (const char* own : {info.data_valid, info.data_test})
      if (own && *own) return own;
  }
  const std::string of = data.compare(0, 6, "pairs:") == 0 ? data.substr(6) : data;
  for (const char* kind : {"mnist:", "cifar:", "synthetic:"})
    if (of.compare(0, std::string(kind).size(), kind) == 0) return data;  // its test split
  return holds_out(data) ? data : "";
}

NamedInfo::NamedInfo(const ModelInfo& info, const std::vector<std::string>& classes, const TableColumns* columns)
    : info_(info) {
  info_.columns = columns;
  bool fits = info.labels.empty();  // of one label at least the net tells so many apart
  for (size_t i = 0; i < info.labels.size(); ++i) fits |= classes_at(info, i) >= static_cast<int64_t>(classes.size());
  if (classes.empty() || !fits) return;
  names_ = classes;
  for (const std::string& name : names_) pointers_.push_back(name.c_str());
  info_.classes = pointers_;
}

}  // namespace netc::rt
