// Generated data, the same for ever: handwritten-like digits and coloured shapes. For tests, examples and trying things without files.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <numeric>
#include <thread>

#include "runtime/data/draw.h"
#include "runtime/data/image.h"
#include "runtime/data/source.h"

namespace netc::rt {
namespace {

constexpr size_t kTrain = 10000, kMost = 1000000;
constexpr size_t kTestPart = 5;                   // a fifth as many test images
constexpr size_t kInMemory = size_t{256} << 20;   // more than that is drawn when it is read
constexpr int kLargest = 1024;

struct Kind { const char* name; int size; std::span<const char* const> classes; Draw draw; };
constexpr const char* kDigits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
constexpr const char* kShapes[] = {"circle", "square", "triangle", "star", "cross"};
constexpr Kind kKinds[] = {{"digits", 28, kDigits, draw_digit}, {"shapes", 32, kShapes, draw_shape}};

using Result = tl::expected<void, std::string>;

class Synthetic final : public Source {
 public:
  explicit Synthetic(Split split) : split_(split) {}
  size_t size() const override { return count_; }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::string name(size_t i) const override { return fmt::format("{} ({}) {}", spec_, split_name(), i); }
  std::string describe() const override {
    std::string s = fmt::format("{} ({}): {} images of {} x {}, {} classes", spec_, split_name(), count_, height_, width_, drawn_.size());
    if (renamed_) s += ", drawn as";
    for (size_t i = 0; renamed_ && i < drawn_.size(); ++i) s += fmt::format("{} {}", i ? "," : "", kind_->classes[static_cast<size_t>(drawn_[i])]);
    return s;
  }
  bool in_memory() const override { return !pixels_.empty(); }
  Result read(size_t i, Sample& out) const override {
    out.pixels.resize(bytes());
    if (pixels_.empty()) draw(i, out.pixels.data());
    else std::memcpy(out.pixels.data(), pixels_.data() + i * bytes(), bytes());
    out.height = height_;
    out.width = width_;
    out.channels = channels_;
    out.label = labels_[i % labels_.size()];
    out.path.clear();
    return {};
  }

  Result open(const std::string& path, const ModelInfo& info) {
    spec_ = "synthetic:" + path;
    if (Result r = parse(path); !r) return r;
    if (Result r = set_shape(info); !r) return r;
    if (Result r = set_classes(info); !r) return r;
    if (count_ <= kInMemory / bytes()) generate();
    return {};
  }

 private:
  tl::unexpected<std::string> failed(const std::string& why) const { return tl::make_unexpected(fmt::format("{}: {}", spec_, why)); }
  const char* split_name() const { return split_ == Split::train ? "train" : "test"; }
  size_t bytes() const { return static_cast<size_t>(height_) * static_cast<size_t>(width_) * static_cast<size_t>(channels_); }
  void draw(size_t i, uint8_t* out) const {
    kind_->draw(drawn_[i % drawn_.size()], CounterRandom(20260117, split_ == Split::train ? 1 : 2, i), height_, width_, channels_, out);
  }
  Result parse(const std::string& path);
  Result set_shape(const ModelInfo& info);
  Result set_classes(const ModelInfo& info);
  void generate();

  Split split_;
  std::string spec_;
  const Kind* kind_ = nullptr;
  size_t count_ = kTrain;
  int height_ = 0, width_ = 0, channels_ = 1;
  std::vector<std::string> classes_;
  std::vector<int> drawn_, labels_;  // sample i shows the kind's class drawn_[i % n], and has the label labels_[i % n]
  bool renamed_ = false;             // the net's class names are not what is drawn
  std::vector<uint8_t> pixels_;      // all samples; empty: drawn when they are read
};

/// KIND or KIND:N, N training images.
Result Synthetic::parse(const std::string& path) {
  const size_t colon = path.find(':');
  const std::string kind = path.substr(0, colon);
  for (const Kind& k : kKinds)
    if (kind == k.name) kind_ = &k;
  if (!kind_) return failed(fmt::format("there is no '{}'; there are synthetic:digits and synthetic:shapes", kind));
  if (colon != std::string::npos) {
    const std::string number = path.substr(colon + 1);
    const char* last = number.data() + number.size();
    const auto [end, error] = std::from_chars(number.data(), last, count_);
    if (error != std::errc() || end != last || count_ < 1 || count_ > kMost) {
      return failed(fmt::format("'{}' is not a number of training images from 1 to {}; write for example synthetic:{}:{}", number, kMost, kind, kTrain));
    }
  }
  if (split_ == Split::test) count_ = std::max(count_ / kTestPart, size_t{1});
  return {};
}

/// The net's size where it has one, else the kind's own.
Result Synthetic::set_shape(const ModelInfo& info) {
  channels_ = image_channels(info);
  if (channels_ == 0) return failed("holds images, but the net's input has neither 1 nor 3 channels; declare it as u8[*, *, 3] or u8[*, *, 1]");
  const bool sized = info.input.rank == 2 || info.input.rank == 3;
  const int64_t high = sized && info.input.dims[0] != -1 ? info.input.dims[0] : kind_->size;
  const int64_t wide = sized && info.input.dims[1] != -1 ? info.input.dims[1] : kind_->size;
  if (std::min(high, wide) < 8 || std::max(high, wide) > kLargest) {
    return failed(fmt::format("the net takes images of {} x {}; from 8 x 8 to {} x {} can be drawn", high, wide, kLargest, kLargest));
  }
  height_ = static_cast<int>(high);
  width_ = static_cast<int>(wide);
  return {};
}

/// The net's classes by name where they are the kind's; else as many of the first ones as the net has, under its names.
Result Synthetic::set_classes(const ModelInfo& info) {
  const std::vector<std::string> own(kind_->classes.begin(), kind_->classes.end());
  const auto outputs = info.output.rank >= 1 ? info.output.dims[info.output.rank - 1] : 0;
  const size_t named = info.classes.size();
  size_t n = own.size();
  if (named == 0 && outputs >= 2) n = std::min(n, static_cast<size_t>(outputs));
  if (named >= 2) n = std::min(n, named);
  drawn_.resize(n);
  std::iota(drawn_.begin(), drawn_.end(), 0);
  labels_ = drawn_;
  classes_.assign(own.begin(), own.begin() + static_cast<std::ptrdiff_t>(n));
  if (named == 0) return {};
  std::vector<int> by_name;
  for (const char* c : info.classes) {
    const auto at = std::find(own.begin(), own.end(), c);
    if (at != own.end()) by_name.push_back(static_cast<int>(at - own.begin()));
  }
  if (named <= own.size()) {
    if (named < 2) return failed("has at least two classes, the net one");
    classes_.assign(info.classes.begin(), info.classes.end());
    if (by_name.size() == named) drawn_ = by_name;
    else renamed_ = true;
    return {};
  }
  const auto map = match_classes(own, false, spec_, info);
  if (!map) return tl::make_unexpected(map.error());
  classes_ = map->names;
  labels_ = map->labels;
  return {};
}

void Synthetic::generate() {
  pixels_.resize(count_ * bytes());
  const size_t threads = std::clamp<size_t>(std::min<size_t>(std::thread::hardware_concurrency(), pixels_.size() >> 20), 1, 16);
  const auto part = [&](size_t t) {
    for (size_t i = t * count_ / threads; i < (t + 1) * count_ / threads; ++i) draw(i, pixels_.data() + i * bytes());
  };
  std::vector<std::jthread> others;
  for (size_t t = 1; t < threads; ++t) others.emplace_back(part, t);
  part(0);
}

}  // namespace

tl::expected<std::unique_ptr<Source>, std::string> open_synthetic(const std::string& path, Split split, const ModelInfo& info) {
  auto synthetic = std::make_unique<Synthetic>(split);
  if (Result r = synthetic->open(path, info); !r) return tl::make_unexpected(r.error());
  return synthetic;
}

}  // namespace netc::rt
