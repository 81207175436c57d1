// CIFAR-10 and CIFAR-100 as their binary versions have them, or as a folder with train/ and test/.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "runtime/core/files.h"
#include "runtime/counted.h"
#include "runtime/data/image.h"
#include "runtime/data/ports.h"

namespace netc::rt {
namespace {

namespace fs = std::filesystem;
using Result = tl::expected<void, std::string>;

constexpr size_t kSide = 32, kPixels = kSide * kSide;
constexpr size_t kMostBytes = size_t{1} << 30;  // of one file

/// A version: its files, the bytes before the pixels of a record, of which the last is the label, and where the
/// classes' names stand.
struct Version {
  std::vector<const char*> train, test;
  size_t labels;
  const char* names;
  size_t classes;
};
const Version kVersions[] = {
    {{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
     {"test_batch.bin"},
     1,
     "batches.meta.txt",
     10},
    {{"train.bin"}, {"test.bin"}, 2, "fine_label_names.txt", 100},
};

class Cifar final : public Source {
 public:
  size_t size() const override { return labels_.size(); }
  const std::vector<std::string>& classes() const override { return classes_; }
  int class_of(size_t i) const override { return labels_[i]; }
  std::string name(size_t i) const override { return fmt::format("cifar:{} {} {}", root_, half_, i); }
  std::string describe() const override {
    return fmt::format("cifar:{} ({}): {} of 32 x 32, {}", root_, half_, counted(size(), "image"),
                       counted(classes_.size(), "class"));
  }
  bool in_memory() const override { return true; }
  Result read(size_t i, Sample& out) const override {
    Field& image = ports_.prepare(out, labels_[i]);
    const uint8_t* rgb = pixels_.data() + i * 3 * kPixels;
    image.data.resize(static_cast<size_t>(ports_.channels) * kPixels);
    for (size_t p = 0; p < kPixels; ++p) {  // the file has planes
      const uint8_t pixel[3] = {rgb[p], rgb[kPixels + p], rgb[2 * kPixels + p]};
      if (ports_.channels == 1) image.data[p] = luma(pixel);
      else std::memcpy(image.data.data() + 3 * p, pixel, 3);
    }
    image.height = image.width = kSide;
    image.channels = ports_.channels;
    out.path.clear();
    return {};
  }

  Result open(const std::string& root, const Version& version, Split split, const ModelInfo& info);

 private:
  Result add(const std::string& path, const Version& version);

  std::string root_;
  const char* half_ = "";
  ImagePorts ports_;
  std::vector<uint8_t> pixels_;
  std::vector<int> labels_;
  std::vector<std::string> classes_;
};

Result Cifar::add(const std::string& path, const Version& version) {
  const auto file = read_file(path, kMostBytes);
  if (!file) return tl::make_unexpected(file.error());
  const size_t record = version.labels + 3 * kPixels;
  if (file->empty() || file->size() % record != 0) {
    return tl::make_unexpected(fmt::format("{}: is damaged or cut off: {} are no whole number of images of {}", path,
                                           counted(file->size(), "byte"), counted(record, "byte")));
  }
  for (size_t at = 0; at < file->size(); at += record) {
    const auto label = static_cast<uint8_t>((*file)[at + version.labels - 1]);
    if (label >= version.classes)
      return tl::make_unexpected(fmt::format("{}: is damaged: image {} has the label {}", path, at / record, label));
    labels_.push_back(label);
    const auto* pixels = reinterpret_cast<const uint8_t*>(file->data()) + at + version.labels;
    pixels_.insert(pixels_.end(), pixels, pixels + 3 * kPixels);
  }
  return {};
}

Result Cifar::open(const std::string& root, const Version& version, Split split, const ModelInfo& info) {
  root_ = root;
  half_ = trains(split) ? "train" : "test";
  const auto ports = image_ports("cifar:" + root, info, {});
  if (!ports) return tl::make_unexpected(ports.error());
  ports_ = *ports;
  for (const char* file : trains(split) ? version.train : version.test)
    if (Result r = add(root + "/" + file, version); !r) return r;
  std::vector<std::string> own;
  if (const auto names = read_file(root + "/" + version.names)) {
    for (size_t at = 0; at < names->size();) {
      const size_t end = std::min(names->find_first_of("\r\n", at), names->size());
      if (end > at) own.push_back(names->substr(at, end - at));
      at = end + 1;
    }
  }
  for (size_t i = own.size() == version.classes ? version.classes : (own.clear(), 0); i < version.classes; ++i)
    own.push_back(fmt::format("{}", i));
  const auto map = match_classes(own, true, "cifar:" + root, info);
  if (!map) return tl::make_unexpected(map.error());
  classes_ = map->names;
  for (int& label : labels_) label = map->labels[static_cast<size_t>(label)];
  return {};
}

}  // namespace

Opened open_cifar(const std::string& path, Split split, const ModelInfo& info) {
  std::error_code none;
  std::string root = path.empty() ? "." : path;
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  if (fs::is_directory(root + "/train", none) && fs::is_directory(root + "/test", none)) {
    return open_folder(root + (trains(split) ? "/train" : "/test"), split, info);
  }
  for (const char* inner : {"", "/cifar-10-batches-bin", "/cifar-100-binary"}) {
    for (const Version& v : kVersions) {
      if (!fs::exists(fmt::format("{}{}/{}", root, inner, v.train[0]), none) &&
          !fs::exists(fmt::format("{}{}/{}", root, inner, v.test[0]), none))
        continue;
      auto cifar = std::make_unique<Cifar>();
      if (Result r = cifar->open(root + inner, v, split, info); !r) return tl::make_unexpected(r.error());
      return cifar;
    }
  }
  return tl::make_unexpected(
      fmt::format("cifar:{}: there is no data_batch_1.bin, train.bin or train/; give the folder with the binary "
                  "version's files, or one with "
                  "train/ and test/, each with a subfolder of images per class",
                  root));
}

}  // namespace netc::rt
