// MNIST and its relatives: pairs of IDX files, plain or gzip.
#include <fmt/format.h>
#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "runtime/counted.h"
#include "runtime/data/ports.h"
#include "runtime/data/source.h"

namespace netc::rt {
namespace {

tl::unexpected<std::string> failed(const std::string& path, const std::string& why) {
  return tl::make_unexpected(fmt::format("{}: {}", path, why));
}

struct Idx {
  std::vector<uint32_t> dims;
  std::vector<uint8_t> data;
};

/// A plain or gzip file, read through zlib.
class Input {
 public:
  explicit Input(const std::string& path) : file_(gzopen(path.c_str(), "rb")) {
    if (file_) gzbuffer(file_, 1 << 17);
  }
  ~Input() {
    if (file_) gzclose_r(file_);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  bool open() const { return file_ != nullptr; }
  /// Bytes read, less than n at the end; -1 when the file is damaged.
  int64_t read(uint8_t* out, size_t n) {
    size_t have = 0;
    while (have < n) {
      const int got = gzread(file_, out + have, static_cast<unsigned>(std::min(n - have, size_t{1} << 26)));
      if (got < 0) return -1;
      if (got == 0) break;
      have += static_cast<size_t>(got);
    }
    int code = Z_OK;
    gzerror(file_, &code);
    return code == Z_OK || code == Z_STREAM_END ? static_cast<int64_t>(have) : -1;
  }

 private:
  gzFile file_;
};

/// Reads an IDX file of unsigned bytes with `rank` dimensions. The dimensions are checked against the file's length
/// before memory is taken.
tl::expected<Idx, std::string> read_idx(const std::string& path, size_t rank) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return failed(path, "is not a file");
  Input in(path);
  if (!in.open()) return failed(path, "cannot open");
  std::array<uint8_t, 16> head;
  const size_t header = 4 + 4 * rank;
  if (in.read(head.data(), header) != static_cast<int64_t>(header))
    return failed(path, "is damaged: its header is cut off");
  if (head[0] != 0 || head[1] != 0 || head[2] != 8 || head[3] != rank) {
    return failed(path,
                  fmt::format("is not an IDX file of {}: it starts with {:02x}{:02x}{:02x}{:02x}, not 000008{:02x}",
                              rank == 1 ? "labels" : "images", head[0], head[1], head[2], head[3], rank));
  }
  Idx idx;
  uint64_t bytes = 1;
  for (size_t i = 0; i < rank; ++i) {
    const uint8_t* p = head.data() + 4 + 4 * i;
    idx.dims.push_back(uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | p[3]);
    if (idx.dims[i] == 0 || (i > 0 && idx.dims[i] > 4096))
      return failed(path, fmt::format("is damaged: dimension {} is {}", i + 1, idx.dims[i]));
    bytes *= idx.dims[i];
  }
  // Deflate cannot shrink by more than 1032 times.
  if (bytes > static_cast<uint64_t>(info.st_size) * 1032) {
    return failed(path, fmt::format("is damaged or cut off: its header announces {}, the file has {}",
                                    counted(bytes, "byte"), grouped(info.st_size)));
  }
  idx.data.resize(bytes);
  const int64_t got = in.read(idx.data.data(), bytes);
  if (got < 0) return failed(path, "is damaged: it does not decompress");
  if (static_cast<uint64_t>(got) != bytes)
    return failed(path, fmt::format("is cut off: its header announces {}, {} there", counted(bytes, "byte"), are(got)));
  uint8_t more;
  const int64_t rest = in.read(&more, 1);  // checks gzip's checksum, too
  if (rest < 0) return failed(path, "is damaged: its checksum does not match");
  if (rest > 0) return failed(path, "is damaged: it is longer than its header says");
  return idx;
}

class Mnist final : public Source {
 public:
  size_t size() const override { return labels_.size(); }
  const std::vector<std::string>& classes() const override { return classes_; }
  std::string name(size_t i) const override {
    return fmt::format("{} {} {}", root_, trains(split_) ? "train" : "test", i);
  }
  std::string describe() const override {
    return fmt::format("{} ({}): {} of {} x {}, {}", root_, trains(split_) ? "train" : "test", counted(size(), "image"),
                       height_, width_, counted(classes_.size(), "class"));
  }
  bool in_memory() const override { return true; }
  tl::expected<void, std::string> read(size_t i, Sample& out) const override {
    const size_t bytes = static_cast<size_t>(height_) * static_cast<size_t>(width_);
    Field& image = ports_.prepare(out, labels_[i]);
    image.data.resize(bytes);
    std::memcpy(image.data.data(), pixels_.data() + i * bytes, bytes);
    image.height = height_;
    image.width = width_;
    image.channels = 1;
    out.path.clear();
    return {};
  }
  int class_of(size_t i) const override { return labels_[i]; }

  tl::expected<void, std::string> open(const std::string& path, Split split, const ModelInfo& info);

 private:
  tl::expected<std::string, std::string> find(const char* what, int rank) const;

  std::string root_;
  Split split_ = Split::train;
  ImagePorts ports_;
  int height_ = 0, width_ = 0;
  std::vector<uint8_t> pixels_;
  std::vector<int> labels_;
  std::vector<std::string> classes_;
};

tl::expected<std::string, std::string> Mnist::find(const char* what, int rank) const {
  const char* prefix = trains(split_) ? "train" : "t10k";
  for (const char joint : {'-', '.'}) {
    for (const char* suffix : {"", ".gz"}) {
      const std::string path = fmt::format("{}/{}-{}{}idx{}-ubyte{}", root_, prefix, what, joint, rank, suffix);
      struct stat info;
      if (::stat(path.c_str(), &info) == 0) return path;
    }
  }
  return failed(
      "mnist:" + root_,
      fmt::format(
          "there is no {}-{}-idx{}-ubyte or {}-{}-idx{}-ubyte.gz; give the folder that holds the four MNIST files",
          prefix, what, rank, prefix, what, rank));
}

tl::expected<void, std::string> Mnist::open(const std::string& path, Split split, const ModelInfo& info) {
  root_ = path.empty() ? "." : path;
  while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
  split_ = split;
  const auto ports = image_ports("mnist:" + root_, info, {});
  if (!ports) return tl::make_unexpected(ports.error());
  ports_ = *ports;
  const auto image_file = find("images", 3);
  if (!image_file) return tl::make_unexpected(image_file.error());
  const auto label_file = find("labels", 1);
  if (!label_file) return tl::make_unexpected(label_file.error());
  auto images = read_idx(*image_file, 3);
  if (!images) return tl::make_unexpected(images.error());
  const auto labels = read_idx(*label_file, 1);
  if (!labels) return tl::make_unexpected(labels.error());
  if (images->dims[0] != labels->dims[0]) {
    return failed(*label_file,
                  fmt::format("has {} for the {} of {}; the two do not belong together",
                              counted(labels->dims[0], "label"), counted(images->dims[0], "image"), *image_file));
  }
  height_ = static_cast<int>(images->dims[1]);
  width_ = static_cast<int>(images->dims[2]);
  pixels_ = std::move(images->data);
  const size_t found = size_t{*std::max_element(labels->data.begin(), labels->data.end())} + 1;
  // Ten digits, more where the labels say so; a net that names enough classes settles their number.
  const size_t count =
      !info.classes.empty() && info.classes.size() >= found ? info.classes.size() : std::max(found, size_t{10});
  std::vector<std::string> own;
  for (size_t i = 0; i < count; ++i) own.push_back(fmt::format("{}", i));
  const auto map = match_classes(own, true, "mnist:" + root_, info);
  if (!map) return tl::make_unexpected(map.error());
  classes_ = map->names;
  labels_.resize(labels->data.size());
  for (size_t i = 0; i < labels_.size(); ++i) labels_[i] = map->labels[labels->data[i]];
  return {};
}

}  // namespace

Opened open_mnist(const std::string& path, Split split, const ModelInfo& info) {
  auto mnist = std::make_unique<Mnist>();
  if (auto r = mnist->open(path, split, info); !r) return tl::make_unexpected(r.error());
  return mnist;
}

}  // namespace netc::rt
