// Pairs of another source's images, of one class or of two: pairs:SPEC, for nets that compare.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/data/augment.h"
#include "runtime/data/ports.h"

namespace netc::rt {
namespace {

using Result = tl::expected<void, std::string>;

class Pairs final : public Source {
 public:
  size_t size() const override { return inner_->size(); }
  const std::vector<std::string>& classes() const override { return classes_; }
  int class_of(size_t i) const override { return same(i) ? 1 : 0; }
  std::string name(size_t i) const override {
    return fmt::format("{} and {}", inner_->name(i), inner_->name(partner(i)));
  }
  std::string describe() const override { return fmt::format("pairs of {}", inner_->describe()); }
  bool in_memory() const override { return inner_->in_memory(); }
  Result read(size_t i, Sample& out) const override {
    thread_local Sample one;
    out.inputs.resize(2);
    out.labels.resize(labels_.size());
    out.path.clear();
    for (size_t k = 0; k < 2; ++k) {
      if (Result r = inner_->read(k == 0 ? i : partner(i), one); !r) return r;
      std::swap(out.inputs[k], one.inputs[0]);
    }
    for (size_t k = 0; k < labels_.size(); ++k) {
      if (labels_[k] == DType::f32) *out.labels[k].values<float>(1) = same(i) ? 1.f : 0.f;
      else *out.labels[k].values<int32_t>(1) = same(i) ? 1 : 0;
    }
    return {};
  }

  Result open(const std::string& spec, Split split, const ModelInfo& info);

 private:
  /// Every second image has a partner of its own class, where there is one.
  bool same(size_t i) const { return i % 2 == 0 && of_class_[static_cast<size_t>(inner_->class_of(i))].size() > 1; }

  /// The other image of pair i, drawn by counter.
  size_t partner(size_t i) const {
    CounterRandom random(20260120, i);
    const auto own = static_cast<size_t>(inner_->class_of(i));
    if (same(i)) {
      const std::vector<size_t>& list = of_class_[own];
      const size_t at = static_cast<size_t>(std::lower_bound(list.begin(), list.end(), i) - list.begin());
      const size_t other = random.below(list.size() - 1);
      return list[other < at ? other : other + 1];
    }
    size_t skip = random.below(inner_->size() - of_class_[own].size());  // among the images of the other classes
    for (size_t c = 0;; ++c) {
      if (c == own) continue;
      if (skip < of_class_[c].size()) return of_class_[c][skip];
      skip -= of_class_[c].size();
    }
  }

  std::unique_ptr<Source> inner_;
  std::vector<std::vector<size_t>> of_class_;  // the images of each class, ascending
  std::vector<DType> labels_;
  std::vector<std::string> classes_{"different", "same"};
};

Result Pairs::open(const std::string& spec, Split split, const ModelInfo& info) {
  const auto failed = [&](const std::string& why) {
    return tl::make_unexpected(fmt::format("pairs:{}: {}", spec, why));
  };
  const auto alike = [](const PortInfo& a, const PortInfo& b) {
    return a.dtype == b.dtype && a.rank == b.rank && std::equal(a.dims, a.dims + a.rank, b.dims);
  };
  if (info.inputs.size() != 2 || !alike(info.inputs[0], info.inputs[1])) {
    return failed(fmt::format(
        "gives two images, but the net takes {}",
        info.inputs.size() == 2 ? "two inputs of different types" : fmt::format("{} inputs", info.inputs.size())));
  }
  for (const PortInfo& label : info.labels) {
    if (label.elements() != 1 || !label.sized() || (label.dtype != DType::i32 && label.dtype != DType::f32)) {
      return failed(fmt::format("tells whether the two are of one class (1) or not (0), but the net's label {} is {}",
                                label.name, type_text(label)));
    }
    labels_.push_back(label.dtype);
  }
  const PortInfo class_label{"class", DType::i32, 0, {}};
  ModelInfo one = info;
  one.inputs = info.inputs.first(1);
  one.labels = {&class_label, 1};
  one.losses = {};
  one.classes = {};
  auto inner = open_source(spec, split, one);
  if (!inner) return tl::make_unexpected(inner.error());
  inner_ = std::move(*inner);
  for (size_t i = 0; i < inner_->size(); ++i) {
    const int c = inner_->class_of(i);
    if (c < 0) return failed("its samples have no classes to compare");
    if (static_cast<size_t>(c) >= of_class_.size()) of_class_.resize(static_cast<size_t>(c) + 1);
    of_class_[static_cast<size_t>(c)].push_back(i);
  }
  const auto filled = std::count_if(of_class_.begin(), of_class_.end(), [](const auto& list) { return !list.empty(); });
  if (filled < 2) return failed("needs images of at least two classes");
  const auto map = match_classes(classes_, true, "pairs:" + spec, info);
  if (!map) return tl::make_unexpected(map.error());
  classes_ = map->names;
  return {};
}

}  // namespace

Opened open_pairs(const std::string& path, Split split, const ModelInfo& info) {
  auto pairs = std::make_unique<Pairs>();
  if (Result r = pairs->open(path, split, info); !r) return tl::make_unexpected(r.error());
  return pairs;
}

}  // namespace netc::rt
