// Generated data, the same for ever: handwritten-like digits and coloured shapes. For tests, examples and trying things
// without files.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <numeric>
#include <thread>

#include "runtime/cores.h"
#include "runtime/counted.h"
#include "runtime/data/draw.h"
#include "runtime/data/ports.h"
#include "runtime/data/source.h"

namespace netc::rt {
namespace {

constexpr size_t kTrain = 10000, kMost = 1000000;
constexpr size_t kTestPart = 5;                  // a fifth as many test images
constexpr size_t kInMemory = size_t{256} << 20;  // more than that is drawn when it is read
constexpr int kLargest = 1024;

struct Kind {
  const char* name;
  int size;
  std::span<const char* const> classes;
  Draw draw;
};
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
    std::string s = fmt::format("{} ({}): {} of {} x {}, {}", spec_, split_name(), counted(count_, "image"), height_,
                                width_, counted(drawn_.size(), "class"));
    if (renamed_) s += ", drawn as";
    for (size_t i = 0; renamed_ && i < drawn_.size(); ++i)
      s += fmt::format("{} {}", i ? "," : "", kind_->classes[static_cast<size_t>(drawn_[i])]);
    return s;
  }
  bool in_memory() const override { return !pixels_.empty(); }
  bool places() const override { return ports_.box >= 0; }
  int class_of(size_t i) const override { return labels_[i % labels_.size()]; }
  Result read(size_t i, Sample& out) const override {
    Field& image = ports_.prepare(out, class_of(i));
    image.data.resize(bytes());
    if (ports_.box >= 0 || ports_.mask >= 0) draw_with_place(i, out);
    else if (pixels_.empty()) draw(i, image.data.data());
    else std::memcpy(image.data.data(), pixels_.data() + i * bytes(), bytes());
    image.height = height_;
    image.width = width_;
    image.channels = ports_.channels;
    out.path.clear();
    return {};
  }

  /// KIND or KIND:N: how many training samples.
  Result parse(const std::string& path);
  bool draws() const { return kind_ != nullptr; }
  Result open(const ModelInfo& info) {
    if (Result r = set_shape(info); !r) return r;
    if (Result r = set_classes(info); !r) return r;
    if (ports_.box < 0 && ports_.mask < 0 && count_ <= kInMemory / bytes()) generate();
    return {};
  }

 private:
  tl::unexpected<std::string> failed(const std::string& why) const {
    return tl::make_unexpected(fmt::format("{}: {}", spec_, why));
  }
  const char* split_name() const { return trains(split_) ? "train" : "test"; }
  size_t bytes() const {
    return static_cast<size_t>(height_) * static_cast<size_t>(width_) * static_cast<size_t>(ports_.channels);
  }
  void draw(size_t i, uint8_t* out, uint8_t* mask = nullptr) const {
    kind_->draw(drawn_[i % drawn_.size()], CounterRandom(20260117, trains(split_) ? 1 : 2, i), height_, width_,
                ports_.channels, out, mask);
  }
  void draw_with_place(size_t i, Sample& out) const;
  Result set_shape(const ModelInfo& info);
  Result set_classes(const ModelInfo& info);
  void generate();

  Split split_;
  std::string spec_;
  const Kind* kind_ = nullptr;
  size_t count_ = kTrain;
  int height_ = 0, width_ = 0;
  ImagePorts ports_;
  int64_t mask_classes_ = 0;  // that the net tells apart in each pixel
  std::vector<std::string> classes_;
  std::vector<int> drawn_, labels_;  // sample i shows the kind's class drawn_[i % n], and has the label labels_[i % n]
  bool renamed_ = false;             // the net's class names are not what is drawn
  std::vector<uint8_t> pixels_;      // all samples; empty: drawn when they are read
};

Result Synthetic::parse(const std::string& path) {
  spec_ = "synthetic:" + path;
  const size_t colon = path.find(':');
  const std::string kind = path.substr(0, colon);
  for (const Kind& k : kKinds)
    if (kind == k.name) kind_ = &k;
  if (!kind_ && kind != "xor" && kind != "series")
    return failed(fmt::format(
        "there is no '{}'; there are synthetic:digits and synthetic:shapes, synthetic:xor and synthetic:series", kind));
  if (colon != std::string::npos) {
    const std::string number = path.substr(colon + 1);
    const char* last = number.data() + number.size();
    const auto [end, error] = std::from_chars(number.data(), last, count_);
    if (error != std::errc() || end != last || count_ < 1 || count_ > kMost) {
      return failed(
          fmt::format("'{}' is not a number of training samples from 1 to {}; write for example synthetic:{}:{}",
                      number, kMost, kind, kTrain));
    }
  }
  if (kind_ && !trains(split_)) count_ = std::max(count_ / kTestPart, size_t{1});
  return {};
}

/// The net's size where it has one, else the kind's own.
Result Synthetic::set_shape(const ModelInfo& info) {
  const auto ports = image_ports(spec_, info, {.label = true, .box = true, .mask = true});
  if (!ports) return tl::make_unexpected(ports.error());
  ports_ = *ports;
  if (ports_.mask >= 0) mask_classes_ = classes_at(info, static_cast<size_t>(ports_.mask));
  const PortInfo& in = info.inputs[0];
  const bool sized = in.rank == 2 || in.rank == 3;
  // f32[784]: the rows of a square
  const int64_t root = in.rank == 1 && in.dims[0] > 0 ? std::llround(std::sqrt(static_cast<double>(in.dims[0]))) : 0;
  const int64_t own = root > 0 && root * root == in.dims[0] ? root : kind_->size;
  const int64_t high = sized && in.dims[0] != -1 ? in.dims[0] : own;
  const int64_t wide = sized && in.dims[1] != -1 ? in.dims[1] : own;
  if (std::min(high, wide) < 8 || std::max(high, wide) > kLargest) {
    return failed(fmt::format("the net takes images of {} x {}; from 8 x 8 to {} x {} can be drawn", high, wide,
                              kLargest, kLargest));
  }
  height_ = static_cast<int>(high);
  width_ = static_cast<int>(wide);
  return {};
}

/// The net's classes by name where they are the kind's; else as many of the first ones as the net has, under its names.
Result Synthetic::set_classes(const ModelInfo& info) {
  const std::vector<std::string> own(kind_->classes.begin(), kind_->classes.end());
  const int64_t outputs = ports_.label >= 0 ? classes_at(info, static_cast<size_t>(ports_.label)) : 0;
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

/// The box is the smallest around the thing: left, top, width, height as shares of the image. Pixels of the mask are
/// the class and one, 0 outside; just 1 for a net that tells two apart.
void Synthetic::draw_with_place(size_t i, Sample& out) const {
  thread_local std::vector<uint8_t> mask;
  mask.resize(static_cast<size_t>(height_) * static_cast<size_t>(width_));
  draw(i, out.inputs[0].data.data(), mask.data());
  if (ports_.box >= 0) {
    int left = width_, right = 0, top = height_, bottom = 0;
    for (int y = 0; y < height_; ++y)
      for (int x = 0; x < width_; ++x)
        if (mask[static_cast<size_t>(y * width_ + x)])
          left = std::min(left, x), right = std::max(right, x + 1), top = std::min(top, y),
          bottom = std::max(bottom, y + 1);
    if (right == 0) left = top = 0;  // nothing was covered
    float* box = out.labels[static_cast<size_t>(ports_.box)].values<float>(4);
    box[0] = static_cast<float>(left) / static_cast<float>(width_);
    box[1] = static_cast<float>(top) / static_cast<float>(height_);
    box[2] = static_cast<float>(right - left) / static_cast<float>(width_);
    box[3] = static_cast<float>(bottom - top) / static_cast<float>(height_);
  }
  if (ports_.mask < 0) return;
  Field& field = out.labels[static_cast<size_t>(ports_.mask)];
  field.data = mask;
  field.height = height_, field.width = width_, field.channels = 1;
  if (mask_classes_ == 2) return;
  const auto inside = static_cast<uint8_t>(1 + class_of(i));
  for (uint8_t& p : field.data) p = p ? inside : uint8_t{0};
}

void Synthetic::generate() {
  pixels_.resize(count_ * bytes());
  const size_t threads =
      std::clamp<size_t>(std::min(static_cast<size_t>(available_cores()), pixels_.size() >> 20), 1, 16);
  const auto part = [&](size_t t) {
    for (size_t i = t * count_ / threads; i < (t + 1) * count_ / threads; ++i) draw(i, pixels_.data() + i * bytes());
  };
  std::vector<std::jthread> others;
  for (size_t t = 1; t < threads; ++t) others.emplace_back(part, t);
  part(0);
}

}  // namespace

Opened open_synthetic(const std::string& path, Split split, const ModelInfo& info) {
  auto synthetic = std::make_unique<Synthetic>(split);
  if (Result r = synthetic->parse(path); !r) return tl::make_unexpected(r.error());
  if (!synthetic->draws()) return open_synthetic_values(path.substr(0, path.find(':')), synthetic->size(), split, info);
  if (Result r = synthetic->open(info); !r) return tl::make_unexpected(r.error());
  return synthetic;
}

}  // namespace netc::rt
