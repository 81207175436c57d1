#include "runtime/counted.h"
#include "runtime/data/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <system_error>
#include <thread>
#include <utility>

#include "runtime/cores.h"
#include "runtime/data/augment.h"
#include "runtime/data/ports.h"
#include "runtime/kernel_support.h"

namespace netc::rt {
namespace {

using Result = tl::expected<void, std::string>;
constexpr size_t kListed = 10;
constexpr size_t kProbed = 10;

struct Failure {
  int place;
  std::string why;
};

/// One batch of the ring. While it is filled, each place belongs to one worker; ready and pending are guarded by the
/// loader's mutex.
struct Slot {
  std::vector<AlignedMemory> memory;  // of the inputs, then the labels
  std::vector<const void*> data;      // the same
  std::vector<size_t> indices;        // by place; the good ones first once it is ready
  std::vector<uint8_t> good;          // by place
  std::vector<Failure> failures;
  uint64_t number = 0;
  int places = 0, n = 0, pending = 0;
  bool ready = false;
};

class RingLoader final : public Loader {
 public:
  RingLoader(const Source& source, const Model& model, const LoaderOptions& options, Augmenter augmenter)
      : source_(source),
        model_(model),
        options_(options),
        augmenter_(std::move(augmenter)) {
    for (const PortInfo& p : model.info().ingested) bytes_.push_back(p.bytes());
    for (const PortInfo& p : model.info().labels) bytes_.push_back(p.bytes());
  }
  ~RingLoader() override { stop(); }

  Result start();
  void start_epoch(uint64_t epoch, uint64_t first_batch) override;
  bool next(Batch& batch) override;
  size_t batches() const override { return (source_.size() + batch_size() - 1) / batch_size(); }
  size_t samples() const override { return source_.size(); }
  const Source& source() const override { return source_; }
  size_t skipped() const override { return skipped_; }
  std::vector<std::string> skipped_names() const override { return skipped_names_; }

 private:
  size_t batch_size() const { return static_cast<size_t>(options_.batch); }
  size_t inputs() const { return model_.info().inputs.size(); }
  /// Where `place` of a port begins; ports are the inputs, then the labels.
  uint8_t* at(const Slot& slot, size_t port, size_t place) const {
    return static_cast<uint8_t*>(slot.memory[port].get()) + place * bytes_[port];
  }
  bool make_room(Slot& slot) const;
  bool work_waits() const { return issued_ < end_ && issued_ < released_ + slots_.size(); }
  void stop();
  void work();
  void augment(Sample& sample, size_t index, Augmenter& augmenter) const;
  void fill(Slot& slot, int first, int last, Sample& sample, Augmenter& augmenter);
  Result fill_place(Slot& slot, int place, Sample& sample, Augmenter& augmenter);
  void finish(Slot& slot);
  void note(const Slot& slot);

  const Source& source_;
  const Model& model_;
  const LoaderOptions options_;
  const Augmenter augmenter_;
  std::vector<size_t> bytes_;  // of one sample of each port
  int chunk_ = 1;              // places that a worker takes at a time
  std::vector<Slot> slots_;
  std::vector<std::thread> threads_;

  // The epoch: changed only while no worker is active.
  std::vector<size_t> order_;  // empty: the source's own
  uint64_t epoch_ = 0;

  std::mutex mutex_;  // guards what follows
  std::condition_variable work_, ready_, idle_;
  // batches: given to workers (the one being given not counted), done with by the consumer, of the epoch
  uint64_t issued_ = 0, released_ = 0, end_ = 0;
  int next_place_ = 0;  // of batch issued_
  int active_ = 0;      // workers at work
  bool stopping_ = false;

  // The consumer's own.
  bool holds_ = false;  // the batch `released_` is in the consumer's hands
  size_t skipped_ = 0;
  std::vector<bool> seen_;  // skipped samples, by index
  std::vector<std::string> skipped_names_;
};

Result RingLoader::start() try {
  const int cores = available_cores();
  const int wanted = std::clamp(options_.threads > 0 ? options_.threads : cores, 1, 256);
  chunk_ = source_.in_memory() ? options_.batch : std::clamp(options_.batch / (2 * wanted), 1, 8);
  const int chunks = (options_.batch + chunk_ - 1) / chunk_;
  const int ring = source_.in_memory() ? 4 : std::clamp((2 * wanted + chunks - 1) / chunks, 4, 16);
  slots_.resize(static_cast<size_t>(ring));
  for (Slot& slot : slots_) {
    if (!make_room(slot)) {
      const size_t sample = std::accumulate(bytes_.begin(), bytes_.end(), size_t{0});
      return tl::make_unexpected(fmt::format("no memory for {} of {} of {}; take a smaller --batch",
                                             counted(ring, "batch"), counted(options_.batch, "sample"),
                                             counted(sample, "byte")));
    }
    slot.indices.resize(batch_size());
    slot.good.resize(batch_size());
  }
  seen_.resize(source_.size());
  if (options_.shuffle) order_.resize(source_.size());
  for (int i = 0; i < std::min(wanted, ring * chunks); ++i) threads_.emplace_back([this] { work(); });
  return {};
} catch (const std::bad_alloc&) {
  stop();
  return tl::make_unexpected("no memory for the loader; take a smaller --batch");
} catch (const std::system_error& e) {
  stop();
  return tl::make_unexpected(fmt::format("cannot start the loader's threads: {}; take fewer --threads", e.what()));
}

bool RingLoader::make_room(Slot& slot) const {
  for (const size_t sample : bytes_) {
    size_t bytes = 0;
    if (__builtin_mul_overflow(sample, batch_size(), &bytes) || bytes > (size_t{1} << 42)) return false;
    slot.memory.push_back(allocate_aligned(bytes));
    slot.data.push_back(slot.memory.back().get());
    if (!slot.data.back()) return false;
  }
  return true;
}

void RingLoader::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& t : threads_) t.join();
  threads_.clear();
}

void RingLoader::start_epoch(uint64_t epoch, uint64_t first_batch) {
  std::unique_lock lock(mutex_);
  end_ = issued_;  // nothing new is begun
  idle_.wait(lock, [this] { return active_ == 0; });
  epoch_ = epoch;
  if (options_.shuffle) {
    std::iota(order_.begin(), order_.end(), size_t{0});
    CounterRandom random(options_.seed, epoch, ~uint64_t{0});
    for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);
  }
  for (Slot& slot : slots_) slot.ready = false;
  holds_ = false;
  next_place_ = 0;
  end_ = batches();
  issued_ = released_ = std::min<uint64_t>(first_batch, end_);
  lock.unlock();
  work_.notify_all();
}

bool RingLoader::next(Batch& batch) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (holds_) {
      slots_[released_ % slots_.size()].ready = false;
      ++released_;
      holds_ = false;
      if (chunk_ == options_.batch) work_.notify_one();
      else work_.notify_all();
    }
    if (released_ >= end_) return false;
    Slot& slot = slots_[released_ % slots_.size()];
    ready_.wait(lock, [&] { return slot.ready; });
    holds_ = true;
    note(slot);
    if (slot.n == 0) continue;
    const std::span<const void* const> data(slot.data);
    batch = {data.first(inputs()), data.subspan(inputs()), slot.n,
             std::span<const size_t>(slot.indices.data(), static_cast<size_t>(slot.n)), slot.number};
    return true;
  }
}

/// Counts and lists the samples that the batch left out, each once.
void RingLoader::note(const Slot& slot) {
  for (const Failure& f : slot.failures) {
    const size_t position = slot.number * batch_size() + static_cast<size_t>(f.place);
    const size_t index = order_.empty() ? position : order_[position];
    if (seen_[index]) continue;
    seen_[index] = true;
    ++skipped_;
    if (skipped_names_.size() < kListed) skipped_names_.push_back(f.why);
  }
}

void RingLoader::work() {
  Sample sample;
  Augmenter augmenter = augmenter_;
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return stopping_ || work_waits(); });
    if (stopping_) return;
    Slot& slot = slots_[issued_ % slots_.size()];
    if (next_place_ == 0) {
      slot.number = issued_;
      slot.places = static_cast<int>(std::min(batch_size(), source_.size() - issued_ * batch_size()));
      slot.pending = slot.places;
      slot.failures.clear();
    }
    const int first = next_place_, last = std::min(first + chunk_, slot.places);
    next_place_ = last;
    if (last == slot.places) {
      next_place_ = 0;
      ++issued_;
    }
    ++active_;
    lock.unlock();
    fill(slot, first, last, sample, augmenter);
    lock.lock();
    slot.pending -= last - first;
    if (slot.pending == 0) {
      lock.unlock();
      finish(slot);
      lock.lock();
      slot.ready = true;
      ready_.notify_one();
    }
    if (--active_ == 0) idle_.notify_one();
  }
}

void RingLoader::fill(Slot& slot, int first, int last, Sample& sample, Augmenter& augmenter) {
  for (int place = first; place < last; ++place) {
    const Result r = fill_place(slot, place, sample, augmenter);
    slot.good[static_cast<size_t>(place)] = r.has_value();
    if (r) continue;
    const std::lock_guard lock(mutex_);
    slot.failures.push_back({place, r.error()});
  }
}

/// Images each by themselves, masks like the first image.
void RingLoader::augment(Sample& sample, size_t index, Augmenter& augmenter) const {
  for (size_t i = 0; i < sample.inputs.size(); ++i)
    if (sample.inputs[i].image())
      augmenter.apply(sample.inputs[i], CounterRandom(options_.seed, epoch_, index + 1 + (uint64_t{i} << 48)));
  for (Field& label : sample.labels)
    if (label.image()) augmenter.follow(label, CounterRandom(options_.seed, epoch_, index + 1));
}

Result RingLoader::fill_place(Slot& slot, int place, Sample& sample, Augmenter& augmenter) try {
  const size_t at = static_cast<size_t>(place), position = slot.number * batch_size() + at;
  const size_t index = order_.empty() ? position : order_[position];
  slot.indices[at] = index;
  if (Result r = source_.read(index, sample); !r) return r;
  if (!augmenter.empty()) augment(sample, index, augmenter);
  for (size_t i = 0; i < inputs(); ++i)
    if (Result r = ingest_field(model_, i, sample.inputs[i], sample.path, this->at(slot, i, at)); !r) return r;
  for (size_t i = 0; i < sample.labels.size(); ++i)
    if (Result r = put_label(model_.info(), i, sample.labels[i], sample.path, this->at(slot, inputs() + i, at)); !r)
      return r;
  return {};
} catch (const std::exception& e) { return tl::make_unexpected(fmt::format("sample {}: {}", place, e.what())); }

/// Closes the gaps that skipped samples left.
void RingLoader::finish(Slot& slot) {
  slot.n = slot.places;
  if (slot.failures.empty()) return;
  std::sort(slot.failures.begin(), slot.failures.end(),
            [](const Failure& a, const Failure& b) { return a.place < b.place; });
  size_t n = 0;
  for (size_t i = 0; i < static_cast<size_t>(slot.places); ++i) {
    if (!slot.good[i]) continue;
    if (n != i) {
      for (size_t port = 0; port < bytes_.size(); ++port)
        std::copy_n(at(slot, port, i), bytes_[port], at(slot, port, n));
      slot.indices[n] = slot.indices[i];
    }
    ++n;
  }
  slot.n = static_cast<int>(n);
}

/// More classes than outputs would send labels out of bounds. A source's classes are those of the first label that is a
/// class.
Result check_classes(const Source& source, const ModelInfo& info) {
  for (size_t i = 0; i < info.labels.size(); ++i) {
    if (!is_class(info.labels[i])) continue;
    const int64_t classes = classes_at(info, i);
    if (classes == 0 || source.classes().size() <= static_cast<size_t>(classes)) return {};
    return tl::make_unexpected(
        fmt::format("{}, but the net tells {} apart; make its last layer as wide as there are classes",
                    source.describe(), classes));
  }
  return {};
}

/// Puts one sample through: samples that do not fit are better told before the first step.
Result probe(const Source& source, const Model& model) {
  const ModelInfo& info = model.info();
  size_t most = 64;
  for (const auto& ports : {info.ingested, info.labels})
    for (const PortInfo& p : ports) most = std::max(most, p.bytes());
  const AlignedMemory out = allocate_aligned(most);
  if (!out) return tl::make_unexpected("no memory for one sample");
  std::string first;
  for (size_t i = 0; i < std::min(source.size(), kProbed); ++i) {
    Sample sample;
    const Result read = source.read(i, sample);
    if (!read && first.empty()) first = read.error();
    if (!read) continue;
    const std::string name = sample.path.empty() ? source.name(i) : sample.path;
    if (sample.inputs.size() != info.inputs.size() || sample.labels.size() != info.labels.size()) {
      return tl::make_unexpected(fmt::format("{}: is not of this net's ports", name));
    }
    for (size_t k = 0; k < sample.inputs.size(); ++k)
      if (Result r = ingest_field(model, k, sample.inputs[k], name, out.get()); !r) return r;
    for (size_t k = 0; k < sample.labels.size(); ++k)
      if (Result r = put_label(info, k, sample.labels[k], name, out.get()); !r) return r;
    return {};
  }
  return tl::make_unexpected(
      fmt::format("{}: none of the first samples can be read; the first one: {}", source.describe(), first));
}

}  // namespace

tl::expected<std::unique_ptr<Loader>, std::string> Loader::create(const Source& source, const Model& model,
                                                                  const LoaderOptions& options) try {
  if (source.size() == 0) return tl::make_unexpected(fmt::format("{}: there are no samples", source.describe()));
  if (options.batch < 1)
    return tl::make_unexpected(
        fmt::format("a batch of {} cannot be; take --batch 1 or more", counted(options.batch, "sample")));
  if (Result r = check_classes(source, model.info()); !r) return tl::make_unexpected(r.error());
  if (Result r = probe(source, model); !r) return tl::make_unexpected(r.error());
  auto augmenter = Augmenter::create(options.augment ? model.info().augment : std::span<const AugmentInfo>());
  if (!augmenter) return tl::make_unexpected(augmenter.error());
  if (source.places() && augmenter->moves()) {
    return tl::make_unexpected(fmt::format(
        "{}: a label is a place in the image, which augmentation would move; augment by contrast and brightness only",
        source.describe()));
  }
  auto loader = std::make_unique<RingLoader>(source, model, options, std::move(*augmenter));
  if (Result r = loader->start(); !r) return tl::make_unexpected(r.error());
  return loader;
} catch (const std::exception& e) { return tl::make_unexpected(fmt::format("cannot make the loader: {}", e.what())); }

}  // namespace netc::rt
