#include "runtime/core/embedded.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <exception>

#include "runtime/core/processor.h"
#include "runtime/core/weights.h"

namespace netc::rt {

std::unique_ptr<Embedded> Embedded::open(const ModelInfo& info, CreateFn create, int threads, int max_batch,
                                         bool training, std::string& error) noexcept {
  try {
    if (threads < 0 || max_batch < 0) {
      error = "threads and max_batch must not be negative; 0 chooses";
      return nullptr;
    }
    if (error = cannot_run(info.target); !error.empty()) return nullptr;
    auto e = std::unique_ptr<Embedded>(new Embedded);
    e->model_ =
        create({.threads = threads, .max_batch = max_batch, .training = training, .own_weights = training}, error);
    if (!e->model_) return nullptr;
    e->max_batch_ = max_batch > 0 ? max_batch : e->info().max_batch;
    e->training_ = training;
    e->ready_ = !info.has_weights();
    e->seed_ = static_cast<uint32_t>(e->info().seed);
    if (!info.weights.empty() && e->take(open_weights(info, "")) != Status::ok) {
      error = e->error_;
      return nullptr;
    }
    return e;
  } catch (const std::exception& x) {
    try {
      error = x.what();
    } catch (...) {}
    return nullptr;
  }
}

Status Embedded::fail(Status status, const char* format, ...) noexcept {
  va_list args;
  va_start(args, format);
  std::vsnprintf(error_, sizeof error_, format, args);
  va_end(args);
  return status;
}

Status Embedded::take(const tl::expected<std::shared_ptr<WeightsFile>, std::string>& file) {
  if (!file) return fail(Status::file, "%s", file.error().c_str());
  const auto classes = classes_of(info(), **file);
  if (!classes) return fail(Status::file, "%s", classes.error().c_str());
  if (!in_order(info(), *classes)) {
    return fail(
        Status::file,
        "%s: the classes of these weights are in another order than the library's; compile it with -D 'classes=%s'",
        (*file)->path().c_str(), classes_metadata(*classes).c_str());
  }
  if (auto loaded = load_weights(*model_, **file, !training_); !loaded)
    return fail(Status::file, "%s", loaded.error().c_str());
  of_data_.clear();
  for (const char* key : {"classes", "columns"})
    if (const auto at = (*file)->metadata().find(key); at != (*file)->metadata().end()) of_data_[key] = at->second;
  file_ = training_ ? nullptr : *file;
  ready_ = true;
  return Status::ok;
}

Status Embedded::load(const char* path) noexcept {
  if (!path) return fail(Status::argument, "no path was given");
  try {
    return take(WeightsFile::open(path));
  } catch (const std::exception& x) { return fail(Status::memory, "%s: %s", path, x.what()); }
}

Status Embedded::save(const char* path) noexcept {
  if (!path) return fail(Status::argument, "no path was given");
  if (!ready_) return fail(Status::state, "there are no weights to save: load or initialise them first");
  for (size_t i = 0; i < info().variables.size(); ++i)
    if (const float* v = model_->variable(i);
        v && info().variables[i].role != VarRole::slot && not_finite(v, info().variables[i].elements()) > 0)
      return fail(Status::state,
                  "%s: not written: the weights of '%s' are not finite, as a training that diverges makes them", path,
                  info().variables[i].name);
  try {
    if (auto saved = save_weights(*model_, path, of_data_); !saved && file_ && file_->changed()) return not_run();
    else if (!saved) return fail(Status::file, "%s", saved.error().c_str());
    return Status::ok;
  } catch (const std::exception& x) { return fail(Status::memory, "%s: %s", path, x.what()); }
}

Status Embedded::initialise(uint64_t seed) noexcept {
  if (!training_)
    return fail(Status::state, "fresh weights are for training: create the instance with training on, or load weights");
  ready_ = false;
  try {
    rt::initialise(*model_, seed);
    if (auto loaded = load_initial_weights(*model_); !loaded) return fail(Status::file, "%s", loaded.error().c_str());
  } catch (const std::exception& x) { return fail(Status::memory, "initialising the weights: %s", x.what()); }
  seed_ = static_cast<uint32_t>(seed);
  step_ = 0;
  ready_ = true;
  return Status::ok;
}

Status Embedded::set_sample(size_t port, int index, const void* sample, int height, int width) noexcept {
  if (!sample) return fail(Status::argument, "no sample was given");
  if (index < 0 || index >= max_batch_)
    return fail(Status::argument, "there is no place %d in a batch of %d", index, max_batch_);
  const PortInfo& in = info().inputs[port];
  int extents[2] = {height, width};
  if (in.rank == 3) {
    for (int d = 0; d < 2; ++d) {
      if (extents[d] < 1 || extents[d] > 1 << 16)
        return fail(Status::argument, "an image of %d x %d cannot be", height, width);
      if (in.dims[d] >= 0 && in.dims[d] != extents[d])
        return fail(Status::argument, "the image is %d x %d, the network takes %d x %d", height, width,
                    static_cast<int>(in.dims[0]), static_cast<int>(in.dims[1]));
    }
  }
  if (const size_t bad = in.sized() ? first_outside(sample, in.elements(), in.below) : 0;
      in.sized() && bad < in.elements()) {
    return fail(Status::argument, "number %d of the sample, at place %zu, is not one of 0 to %lld",
                static_cast<const int32_t*>(sample)[bad], bad, static_cast<long long>(in.below - 1));
  }
  if (in.dtype == DType::f32 &&
      not_finite(sample, static_cast<size_t>(in.rank == 3 ? int64_t{height} * width * in.dims[2]
                                                          : static_cast<int64_t>(in.elements()))) > 0)
    return fail(Status::argument, "the sample has numbers that are not finite");
  char* to = static_cast<char*>(model_->input(port)) + info().ingested[port].bytes() * static_cast<size_t>(index);
  model_->ingest(port, sample, height, width, in.rank == 3 ? static_cast<int>(in.dims[2]) : 0, to);
  return Status::ok;
}

Status Embedded::set_label(size_t port, int index, int label) noexcept {
  if (index < 0 || index >= max_batch_)
    return fail(Status::argument, "there is no place %d in a batch of %d", index, max_batch_);
  const int64_t classes = classes_at(info(), port);
  if (label < 0 || (classes > 0 && label >= classes))
    return fail(Status::argument, "label %d is not one of the %d classes", label, static_cast<int>(classes));
  static_cast<int32_t*>(model_->labels(port))[index] = label;
  return Status::ok;
}

Status Embedded::set_target(size_t port, int index, const void* values) noexcept {
  if (!values) return fail(Status::argument, "no target was given");
  if (index < 0 || index >= max_batch_)
    return fail(Status::argument, "there is no place %d in a batch of %d", index, max_batch_);
  const size_t bytes = info().labels[port].bytes(), n = info().labels[port].elements();
  const int64_t below = indices_below(info(), port);
  if (const size_t bad = first_outside(values, n, below); bad < n) {
    return fail(Status::argument, "class %d of the target, at place %zu, is not one of the %lld classes",
                static_cast<const int32_t*>(values)[bad], bad, static_cast<long long>(below));
  }
  if (info().labels[port].dtype == DType::f32 && not_finite(values, n) > 0)
    return fail(Status::argument, "the target has numbers that are not finite");
  if (const size_t bad = first_beyond(info().labels[port], values, n); bad < n)
    return fail(Status::argument, "%g of the target, at place %zu, is not a value that its loss takes (from %g to %g)",
                static_cast<double>(static_cast<const float*>(values)[bad]), bad, info().labels[port].least,
                std::min<double>(info().labels[port].most, INFINITY));
  std::memcpy(static_cast<char*>(model_->labels(port)) + bytes * static_cast<size_t>(index), values, bytes);
  return Status::ok;
}

Status Embedded::not_run() noexcept {
  if (file_ && file_->changed())
    return fail(Status::file, "%s was changed while it was in use: load it again", file_->path().c_str());
  return fail(Status::failed, "a kernel failed");
}

Status Embedded::infer(int count, const float** out) noexcept {
  if (!out) return fail(Status::argument, "no place for the result was given");
  *out = nullptr;
  if (!in_range(count)) return fail(Status::argument, "%d samples do not fit: 1 to %d", count, max_batch_);
  if (!ready_) return fail(Status::state, "there are no weights: load them first");
  const float* result = model_->infer(count);
  if (!result) return not_run();
  for (size_t p = 0; p < info().outputs.size(); ++p)
    if (not_finite(model_->output(p), info().outputs[p].elements() * static_cast<size_t>(count)) > 0)
      return fail(Status::failed,
                  "the net's answer is not finite numbers: its weights are broken, or the sample's values far outside "
                  "those it was trained on");
  *out = result;
  return Status::ok;
}

Status Embedded::evaluate(int count, float* loss) noexcept {
  if (!loss) return fail(Status::argument, "no place for the loss was given");
  *loss = NAN;
  if (!in_range(count)) return fail(Status::argument, "%d samples do not fit: 1 to %d", count, max_batch_);
  if (!info().has_training) return fail(Status::state, "the network was compiled without a loss");
  if (!ready_) return fail(Status::state, "there are no weights: load them first");
  *loss = model_->evaluate(count);
  return model_->output() ? Status::ok : not_run();
}

Status Embedded::train_step(int count, float lr, float* loss) noexcept {
  if (loss) *loss = NAN;
  if (!in_range(count)) return fail(Status::argument, "%d samples do not fit: 1 to %d", count, max_batch_);
  if (!training_) return fail(Status::state, "the instance was created without training");
  if (!ready_) return fail(Status::state, "there are no weights: load or initialise them first");
  if (!std::isfinite(lr))
    return fail(Status::argument, "a learning rate of %g cannot be; 0 takes the one of the net",
                static_cast<double>(lr));
  const float value = model_->train_step(count, lr > 0 ? lr : static_cast<float>(info().lr), seed_, ++step_);
  if (loss) *loss = value;
  return model_->output() ? Status::ok : fail(Status::failed, "a kernel failed");
}

}  // namespace netc::rt
