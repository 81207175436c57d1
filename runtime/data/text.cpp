// Text to predict: text:FILE. A sample is a stretch of characters, the label what follows each of them, or what follows
// the last.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "runtime/core/files.h"
#include "runtime/counted.h"
#include "runtime/data/ports.h"

namespace netc::rt {
namespace {

using Result = tl::expected<void, std::string>;

constexpr size_t kMostBytes = size_t{1} << 30;
constexpr size_t kMostTokens = 65536;  // different ones
constexpr size_t kBytes = 256;

/// The bytes of the character at s[at]: of UTF-8, or one where the bytes are no UTF-8.
size_t character(const std::string& s, size_t at) {
  const auto lead = static_cast<uint8_t>(s[at]);
  const size_t n = lead >= 0xf0 && lead < 0xf8 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  if (lead >= 0xf8 || at + n > s.size()) return 1;
  for (size_t i = 1; i < n; ++i)
    if ((static_cast<uint8_t>(s[at + i]) & 0xc0) != 0x80) return 1;
  return n;
}

class Text final : public Source {
 public:
  size_t size() const override { return samples_; }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::string name(size_t i) const override { return fmt::format("text:{} token {}", path_, first_ + i * step_); }
  std::string describe() const override {
    return fmt::format("text:{}: {}, {} different{}, {} of {}", path_, counted(last_ - first_, "token"),
                       classes_.empty() ? kBytes : classes_.size(), classes_.empty() ? " (bytes)" : "",
                       counted(samples_, "sample"), length_);
  }
  bool in_memory() const override { return true; }
  Result read(size_t i, Sample& out) const override {
    const uint16_t* from = tokens_.data() + first_ + i * step_;
    out.inputs.resize(1);
    out.labels.resize(labels_);
    std::copy_n(from, length_, out.inputs[0].values<int32_t>(length_));
    for (Field& label : out.labels) std::copy_n(from + 1 + length_ - ahead_, ahead_, label.values<int32_t>(ahead_));
    out.path.clear();
    return {};
  }

  Result open(const std::string& path, Split split, const ModelInfo& info);

 private:
  tl::unexpected<std::string> failed(const std::string& why) const {
    return tl::make_unexpected(fmt::format("text:{}: {}", path_, why));
  }
  Result check_ports(const ModelInfo& info);
  Result tokenise(const std::string& text, const ModelInfo& info, size_t vocabulary);

  std::string path_;
  std::vector<uint16_t> tokens_;
  std::vector<std::string> classes_;                       // the characters; none: bytes
  size_t labels_ = 0, length_ = 0, ahead_ = 1, step_ = 1;  // ahead_: labels of a sample
  size_t first_ = 0, last_ = 0, samples_ = 0;
};

/// i32[T], and a label i32[T] or i32[].
Result Text::check_ports(const ModelInfo& info) {
  const PortInfo& in = info.inputs[0];
  if (info.inputs.size() != 1 || in.dtype != DType::i32 || in.rank != 1 || !in.sized()) {
    return failed(fmt::format("gives i32[T], the numbers of T characters, but the net takes {} {}{}", in.name,
                              type_text(in), info.inputs.size() > 1 ? " and more" : ""));
  }
  length_ = in.elements();
  labels_ = info.labels.size();
  if (labels_ > 1) return failed("has one label for a sample, what comes next, but the net wants more");
  if (labels_ == 1) {
    const PortInfo& label = info.labels[0];
    if (label.dtype != DType::i32 || label.rank > 1 || (label.elements() != 1 && label.elements() != length_)) {
      return failed(fmt::format(
          "has i32[{}], what follows each character, or i32[], what follows the last, but the net's label {} is {}",
          length_, label.name, type_text(label)));
    }
    ahead_ = label.elements();
  }
  step_ = ahead_ == length_ ? length_ : 1;
  return {};
}

/// Bytes where the net tells 256 apart; else characters: the net's classes, or those that occur, in their order.
Result Text::tokenise(const std::string& text, const ModelInfo& info, size_t vocabulary) {
  if (info.classes.empty() && vocabulary >= kBytes) {
    tokens_.resize(text.size());
    std::transform(text.begin(), text.end(), tokens_.begin(), [](char c) { return static_cast<uint8_t>(c); });
    return {};
  }
  std::map<std::string, uint16_t, std::less<>> numbers;
  if (info.classes.empty()) {
    std::set<std::string, std::less<>> seen;
    for (size_t at = 0; at < text.size();) {
      const size_t n = character(text, at);
      const std::string_view c(text.data() + at, n);
      if (seen.find(c) == seen.end()) seen.emplace(c);
      if (seen.size() > kMostTokens) return failed("has more than 65536 different characters");
      at += n;
    }
    classes_.assign(seen.begin(), seen.end());
  } else {
    classes_.assign(info.classes.begin(), info.classes.end());
    if (classes_.size() > kMostTokens) return failed("the net names more than 65536 characters");
  }
  if (vocabulary > 0 && classes_.size() > vocabulary) {
    return failed(
        fmt::format("has {} different characters, but the net tells {} apart; make its last layer as wide (256 takes "
                    "any text as bytes)",
                    classes_.size(), vocabulary));
  }
  for (size_t i = 0; i < classes_.size(); ++i) numbers[classes_[i]] = static_cast<uint16_t>(i);
  tokens_.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t n = character(text, at);
    const auto found = numbers.find(std::string_view(text.data() + at, n));
    if (found == numbers.end())
      return failed(
          fmt::format("the character '{}' at byte {} is none of those that the net knows", text.substr(at, n), at));
    tokens_.push_back(found->second);
    at += n;
  }
  return {};
}

Result Text::open(const std::string& path, Split split, const ModelInfo& info) {
  path_ = path;
  if (Result r = check_ports(info); !r) return r;
  const auto text = read_file(path, kMostBytes);
  if (!text) return tl::make_unexpected(text.error());
  const PortInfo& out = info.output();  // tells them apart where no loss says which one does
  const int64_t vocabulary = labels_ ? classes_at(info, 0) : out.rank > 0 ? out.dims[out.rank - 1] : 0;
  if (Result r = tokenise(*text, info, static_cast<size_t>(vocabulary)); !r) return r;
  last_ = tokens_.size();
  const size_t held = last_ / 10;  // the end of the text: what lies beside a stretch tells about it
  if (split == Split::held_in) last_ -= held;
  if (split == Split::held_out) first_ = last_ - held;
  const size_t need = length_ + 1, have = last_ - first_;
  if (have < need)
    return failed(fmt::format("has {} characters{}; the net takes {} and the one that follows", have,
                              split == Split::held_out ? " to validate on" : "", length_));
  samples_ = (have - need) / step_ + 1;
  return {};
}

}  // namespace

Opened open_text(const std::string& path, Split split, const ModelInfo& info) {
  auto text = std::make_unique<Text>();
  if (Result r = text->open(path, split, info); !r) return tl::make_unexpected(r.error());
  return text;
}

}  // namespace netc::rt
