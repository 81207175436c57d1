// Images whose every pixel has a class: masks:DIR with images/ and masks/, a PNG of the same name for each image.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "runtime/counted.h"
#include "runtime/data/image.h"
#include "runtime/data/ports.h"

namespace netc::rt {
namespace {

namespace fs = std::filesystem;
using Result = tl::expected<void, std::string>;

class Masks final : public Source {
 public:
  size_t size() const override { return files_.size(); }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::string name(size_t i) const override { return files_[i].image; }
  std::string describe() const override {
    return fmt::format("masks:{}: {} with masks", root_, counted(files_.size(), "image"));
  }
  Result read(size_t i, Sample& out) const override {
    out.path = files_[i].image;
    if (Result r = read_image(out.path, ports_.channels, ports_.prepare(out, 0)); !r) return r;
    if (ports_.mask < 0) return {};
    Field& mask = out.labels[static_cast<size_t>(ports_.mask)];
    if (Result r = read_indices(files_[i].mask, mask); !r) return r;
    const Field& image = out.inputs[0];
    const auto failed = [&](const std::string& why) {
      return tl::make_unexpected(fmt::format("{}: {}", files_[i].mask, why));
    };
    if (mask.height != image.height || mask.width != image.width) {
      return failed(fmt::format("is {} x {}, its image {} x {}", mask.height, mask.width, image.height, image.width));
    }
    const uint8_t most = *std::max_element(mask.data.begin(), mask.data.end());
    if (count_ > 0 && most >= count_)
      return failed(fmt::format("has a pixel of class {}, but the net tells {} apart", most, count_));
    return {};
  }

  Result open(const std::string& path, Split split, const ModelInfo& info);

 private:
  struct File {
    std::string image, mask;
  };
  std::string root_;
  std::vector<File> files_;
  ImagePorts ports_;
  int64_t count_ = 0;  // classes of a pixel
  std::vector<std::string> classes_;
};

Result Masks::open(const std::string& path, Split split, const ModelInfo& info) {
  root_ = path;
  while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
  const auto ports = image_ports("masks:" + root_, info, {.label = false, .mask = true});
  if (!ports) return tl::make_unexpected(ports.error());
  ports_ = *ports;
  if (ports_.mask >= 0 && !info.inputs[0].stretched) {
    return tl::make_unexpected(
        fmt::format("masks:{}: the net cuts its images or puts bars beside them, and masks would no longer lie over "
                    "them; write Resize(…) without fit",
                    root_));
  }
  if (ports_.mask >= 0) count_ = classes_at(info, static_cast<size_t>(ports_.mask));
  classes_.assign(info.classes.begin(), info.classes.end());
  std::error_code none;
  for (const char* folder : {"/images", "/masks"})
    if (!fs::is_directory(root_ + folder, none))
      return tl::make_unexpected(
          fmt::format("masks:{0}: there is no folder {0}{1}; it needs images/ and masks/", root_, folder));
  const auto images = list_images(root_ + "/images");
  if (!images) return tl::make_unexpected(images.error());
  for (size_t i : part_of(images->size(), split)) {
    const fs::path image = (*images)[i],
                   mask = (fs::path(root_) / "masks" / image.lexically_relative(root_ + "/images"))
                              .replace_extension(".png");
    if (!fs::exists(mask, none))
      return tl::make_unexpected(fmt::format("{}: has no mask {}", image.string(), mask.string()));
    files_.push_back({image.string(), mask.string()});
  }
  return {};
}

}  // namespace

Opened open_masks(const std::string& path, Split split, const ModelInfo& info) {
  auto masks = std::make_unique<Masks>();
  if (Result r = masks->open(path, split, info); !r) return tl::make_unexpected(r.error());
  return masks;
}

}  // namespace netc::rt
