#include "runtime/train/trainer.h"

namespace netc::rt {

EvalResult evaluate(Model& model, Loader& loader, const std::function<bool()>& stop) {
  const ModelInfo& info = model.info();
  EvalResult result;
  result.metrics = Metrics(info.output, info.label, info.metrics);
  loader.start_epoch(0);
  for (Batch batch; !(stop && stop()) && loader.next(batch);) {
    model.use_buffers(batch.input, batch.labels);
    const float loss = model.evaluate(batch.n);
    if (model.output() == nullptr) break;
    result.metrics.add(model.output(), batch.labels, batch.n, loss);
  }
  model.use_buffers(nullptr, nullptr);
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
  for (const char* kind : {"mnist:", "cifar:", "synthetic:"})
    if (data.compare(0, std::string(kind).size(), kind) == 0) return data;  // its test split
  return "";
}

NamedInfo::NamedInfo(const ModelInfo& info, const std::vector<std::string>& classes) : info_(info) {
  if (!info.classes.empty() || classes.empty() || classes.size() > static_cast<size_t>(classes_of(info.output, info.label))) return;
  names_ = classes;
  for (const std::string& name : names_) pointers_.push_back(name.c_str());
  info_.classes = pointers_;
}

}  // namespace netc::rt
