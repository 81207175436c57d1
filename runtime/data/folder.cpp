// A folder with one subfolder of images per class.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "runtime/utf8.h"
#include "runtime/counted.h"
#include "runtime/data/image.h"
#include "runtime/data/ports.h"
#include "runtime/data/source.h"

namespace netc::rt {
namespace {

namespace fs = std::filesystem;
using Result = tl::expected<void, std::string>;

tl::unexpected<std::string> failed(const std::string& path, const std::string& why) {
  return tl::make_unexpected(fmt::format("{}: {}", path, why));
}

bool hidden(const fs::path& path) { return path.filename().native().starts_with('.'); }

using Endings = std::map<std::string, size_t>;  // how many files

/// "12 .heic, 3 without an ending"; the most common ones.
std::string list_endings(const Endings& endings) {
  constexpr size_t kListed = 6;
  std::vector<std::pair<std::string, size_t>> most(endings.begin(), endings.end());
  std::stable_sort(most.begin(), most.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string s;
  for (size_t i = 0; i < std::min(most.size(), kListed); ++i)
    s += fmt::format("{}{} {}", i ? ", " : "", most[i].second,
                     most[i].first.empty() ? "without an ending" : most[i].first);
  return most.size() > kListed ? s + ", ..." : s;
}

std::string ending_of(const fs::path& path) {
  std::string e = path.extension().string();
  std::transform(e.begin(), e.end(), e.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return e;
}

/// All images below `folder`, relative to it, sorted; counts the other files. Hidden files and folders are not looked
/// at.
Result walk(const fs::path& folder, std::vector<std::string>& images, Endings& others) {
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (hidden(it->path())) {
      it.disable_recursion_pending();
      continue;
    }
    if (it->is_directory(ignored)) continue;
    if (is_image_name(it->path())) images.push_back(it->path().lexically_relative(folder).string());
    else ++others[ending_of(it->path())];
  }
  if (error) return failed(folder.string(), fmt::format("cannot list: {}", error.message()));
  std::sort(images.begin(), images.end());
  return {};
}

constexpr const char* kNoImages = "has no images (.jpg, .png, .webp, .bmp, .gif, .tif)";

class Folder final : public Source {
 public:
  size_t size() const override { return files_.size(); }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::string name(size_t i) const override { return path_of(files_[i]); }
  std::string describe() const override {
    const bool usual = std::all_of(kinds_.begin(), kinds_.end(), [](const auto& k) {
      return k.first == ".jpg" || k.first == ".jpeg" || k.first == ".png";
    });
    std::string s =
        fmt::format("{}: {}{}, {}", root_, counted(files_.size(), "image"),
                    usual ? "" : fmt::format(" ({})", list_endings(kinds_)), counted(classes_.size(), "class"));
    if (!without_.empty()) s += fmt::format(", none of {}", fmt::join(without_, ", "));
    size_t others = 0;
    bool images = false;
    for (const auto& [ending, n] : others_) others += n, images |= is_known_image_name("x" + ending);
    if (others > 0)
      s += fmt::format(
          ", {} other file{} ignored ({}{})", others, others == 1 ? "" : "s", list_endings(others_),
          images ? ": images among them are of formats that are not read; convert them to JPEG or PNG" : "");
    return s;
  }
  int class_of(size_t i) const override { return files_[i].label; }
  Result read(size_t i, Sample& out) const override {
    out.path = path_of(files_[i]);
    return read_image(out.path, ports_.channels, ports_.prepare(out, files_[i].label));
  }

  Result open(const std::string& path, Split split, const ModelInfo& info);

 private:
  struct File {
    int folder;
    int label;
    std::string name;
  };
  std::string path_of(const File& f) const {
    return fmt::format("{}/{}/{}", root_, folders_[static_cast<size_t>(f.folder)], f.name);
  }
  Result list_folders();
  Result add(size_t folder, int label);

  std::string root_;
  std::vector<std::string> folders_, classes_, without_;
  std::vector<File> files_;
  Endings kinds_, others_;  // files that are read, and that are not
  ImagePorts ports_;
};

Result Folder::list_folders() {
  std::error_code error;
  const fs::file_status status = fs::status(root_, error);
  if (!fs::exists(status))
    return failed(root_,
                  "there is no such folder; give one with a subfolder of images per class, or synthetic:digits to try "
                  "without files");
  if (!fs::is_directory(status)) return failed(root_, "is not a folder; give one with a subfolder of images per class");
  bool images = false;
  fs::directory_iterator it(root_, error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (hidden(it->path())) continue;
    if (it->is_directory(ignored)) folders_.push_back(it->path().filename().string());
    else ++others_[ending_of(it->path())], images |= is_image_name(it->path());
  }
  if (error) return failed(root_, fmt::format("cannot list: {}", error.message()));
  std::sort(folders_.begin(), folders_.end());
  for (const std::string& folder : folders_)
    if (first_not_utf8(folder) < folder.size())
      return failed(root_ + "/" + folder,
                    "its name, that of a class, is not text in UTF-8; rename it (convmv -f latin1 -t utf8)");
  if (folders_.empty() && images)
    return failed(root_,
                  "has images but no subfolders; put the images of each class in a subfolder with the class's name");
  if (folders_.empty()) return failed(root_, "is empty; it needs a subfolder of images per class");
  return {};
}

Result Folder::add(size_t folder, int label) {
  std::vector<std::string> images;
  if (Result r = walk(fs::path(root_) / folders_[folder], images, others_); !r) return r;
  if (images.empty()) {
    const std::string path = root_ + "/" + folders_[folder];
    Endings there;
    std::vector<std::string> none;
    if (Result r = walk(path, none, there); !r) return r;
    return failed(path, fmt::format("{}{}; add images of this class or remove the folder", kNoImages,
                                    there.empty() ? "" : fmt::format(", but {}", list_endings(there))));
  }
  for (const std::string& name : images) ++kinds_[ending_of(name)];
  for (std::string& name : images) files_.push_back({static_cast<int>(folder), label, std::move(name)});
  return {};
}

Result Folder::open(const std::string& path, Split split, const ModelInfo& info) {
  root_ = path;
  while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
  const auto ports = image_ports(root_, info, {});
  if (!ports) return tl::make_unexpected(ports.error());
  ports_ = *ports;
  if (Result r = list_folders(); !r) return r;
  const auto is_split = [](const std::string& s) {
    return s == "train" || s == "test" || s == "valid" || s == "val" || s == "validation";
  };
  const auto is_class = [&](const std::string& s) {
    return std::find(info.classes.begin(), info.classes.end(), s) != info.classes.end();
  };
  const auto part =
      std::find_if(folders_.begin(), folders_.end(), [&](const std::string& f) { return is_split(f) && !is_class(f); });
  if (part != folders_.end() && std::all_of(folders_.begin(), folders_.end(), is_split)) {
    return failed(root_, fmt::format("its subfolders are {}, not classes; give one of them, as {}/{}",
                                     fmt::join(folders_, ", "), root_, *part));
  }
  const auto map = match_classes(folders_, false, root_, info);
  if (!map) return tl::make_unexpected(map.error());
  if (folders_.size() == 1 && ports_.label >= 0 && (trains(split) || map->names.size() == 1)) {
    return failed(root_,
                  fmt::format("has images of one class only ({}); training needs a subfolder for each of at least two",
                              folders_[0]));
  }
  classes_ = map->names;
  // In the order of the labels, so that the sources of one net agree.
  for (size_t label = 0; label < classes_.size(); ++label) {
    const auto at = std::find(map->labels.begin(), map->labels.end(), static_cast<int>(label));
    if (at == map->labels.end()) without_.push_back(classes_[label]);
    else if (Result r = add(static_cast<size_t>(at - map->labels.begin()), static_cast<int>(label)); !r) return r;
  }
  return {};
}

}  // namespace

Opened open_folder(const std::string& path, Split split, const ModelInfo& info) {
  auto folder = std::make_unique<Folder>();
  if (Result r = folder->open(path, split, info); !r) return tl::make_unexpected(r.error());
  return folder;
}

tl::expected<std::vector<std::string>, std::string> list_images(const std::string& path) try {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) return failed(path, "there is no such file or folder");
  if (!fs::is_directory(status)) return std::vector<std::string>{path};
  std::vector<std::string> images;
  Endings others;
  if (Result r = walk(path, images, others); !r) return tl::make_unexpected(r.error());
  if (images.empty())
    return failed(path,
                  fmt::format("{}{}", kNoImages, others.empty() ? "" : fmt::format(", but {}", list_endings(others))));
  for (std::string& i : images) i = (fs::path(path) / i).string();
  return images;
} catch (const std::exception& e) { return failed(path, fmt::format("cannot list: {}", e.what())); }

}  // namespace netc::rt
