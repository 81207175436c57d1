// NumPy arrays: npy:FILE.npz, or npy:FOLDER with a file PORT.npy for each port. The first dimension counts the samples.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "runtime/core/files.h"
#include "runtime/counted.h"
#include "runtime/data/npy_file.h"
#include "runtime/data/ports.h"
#include "runtime/data/rows.h"

namespace netc::rt {
namespace {

namespace fs = std::filesystem;
using Result = tl::expected<void, std::string>;

constexpr size_t kMostBytes = size_t{64} << 30;
constexpr int64_t kMostClasses = 1000000;

class Reader {
 public:
  Reader(const std::string& path, const ModelInfo& info) : path_(path), info_(info) {}

  Opened run(Split split) {
    std::error_code none;
    if (Result r = fs::is_directory(path_, none) ? read_folder() : read_archive(); !r)
      return tl::make_unexpected(r.error());
    auto rows = std::make_unique<Rows>();
    rows->spec = "npy:" + path_;
    for (size_t i = 0; i < info_.inputs.size(); ++i)
      if (Result r = add(info_.inputs[i], info_.inputs.size() == 1 ? "x" : "", rows->inputs.emplace_back(), true); !r)
        return tl::make_unexpected(r.error());
    for (size_t i = 0; i < info_.labels.size(); ++i) {
      if (Result r = add(info_.labels[i], info_.labels.size() == 1 ? "y" : "", rows->labels.emplace_back(), false); !r)
        return tl::make_unexpected(r.error());
      if (!is_class(info_.labels[i])) continue;
      if (Result r = rows->class_indices.empty() ? classify(*rows, i) : check_classes(rows->labels[i], i); !r)
        return tl::make_unexpected(r.error());
    }
    rows->rows = part_of(static_cast<size_t>(samples_), split);
    rows->about = fmt::format("{} of {}", counted(rows->rows.size(), "sample"),
                              counted(info_.inputs.size() + info_.labels.size(), "array"));
    std::vector<std::string> left;
    for (const auto& [name, bytes] : files_)
      if (!used_.contains(name)) left.push_back(name);
    if (!left.empty()) rows->about += fmt::format(", {} not used ({})", left.size(), fmt::join(left, ", "));
    return rows;
  }

 private:
  tl::unexpected<std::string> failed(const std::string& why) const {
    return tl::make_unexpected(fmt::format("npy:{}: {}", path_, why));
  }

  Result read_archive() {
    const auto file = read_file(path_, kMostBytes);
    if (!file) return tl::make_unexpected(file.error());
    auto files = read_zip({reinterpret_cast<const uint8_t*>(file->data()), file->size()}, path_);
    if (!files) return tl::make_unexpected(files.error());
    for (auto& [name, bytes] : *files)
      if (name.size() > 4 && name.compare(name.size() - 4, 4, ".npy") == 0)
        files_[name.substr(0, name.size() - 4)] = std::move(bytes);
    return {};
  }

  Result read_folder() {
    std::error_code error;
    for (fs::directory_iterator it(path_, error); !error && it != fs::directory_iterator(); it.increment(error)) {
      if (it->path().extension() != ".npy") continue;
      const std::string name = it->path().stem().string();
      if (!wanted(name)) continue;
      const auto file = read_file(it->path().string(), kMostBytes);
      if (!file) return tl::make_unexpected(file.error());
      files_[name].assign(file->begin(), file->end());
    }
    if (error) return failed(fmt::format("cannot list: {}", error.message()));
    return {};
  }

  bool wanted(const std::string& name) const {
    if (name == "x" || name == "y") return true;
    for (const auto& ports : {info_.inputs, info_.labels})
      for (const PortInfo& p : ports)
        if (name == p.name) return true;
    return false;
  }

  /// The array of a port's name, or `other`'s.
  Result add(const PortInfo& port, const char* other, Column& out, bool input) {
    auto file = files_.find(port.name);
    if (file == files_.end()) file = files_.find(other);
    if (file == files_.end()) {
      std::vector<std::string> names;
      for (const auto& [name, bytes] : files_) names.push_back(name);
      return failed(fmt::format("has no array {}{}; it has {}", port.name,
                                *other && port.name != std::string_view(other) ? fmt::format(", nor {}", other) : "",
                                names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
    }
    used_.insert(file->first);
    const std::string name = fmt::format("{} {}", path_, file->first);
    const auto array = parse_npy(file->second, name);
    if (!array) return tl::make_unexpected(array.error());
    if (array->dims.empty() || array->dims[0] < 1)
      return tl::make_unexpected(fmt::format("{}: has no samples; the first dimension counts them", name));
    if (samples_ >= 0 && array->dims[0] != samples_)
      return tl::make_unexpected(fmt::format("{}: has {}, the arrays before it {}", name,
                                             counted(array->dims[0], "sample"), grouped(samples_)));
    samples_ = array->dims[0];
    if (!input || !image(port, *array)) return take(port, *array, name, out);
    return take_image(*array, name, out);
  }

  /// [N, H, W] or [N, H, W, C] for an input that takes images: u1, which it may convert, or f4 of any size for one of
  /// f32.
  static bool image(const PortInfo& port, const NpyArray& a) {
    const size_t rank = a.dims.size();
    const bool taken = a.type == NpyType::u1 ? port.dtype == DType::u8 || port.dtype == DType::f32
                                             : a.type == NpyType::f4 && port.dtype == DType::f32 && !port.sized();
    if (!taken || port.rank != 3 || (rank != 3 && rank != 4)) return false;
    return a.dims[1] >= 1 && a.dims[2] >= 1 && a.dims[1] <= 1 << 16 && a.dims[2] <= 1 << 16 &&
           (rank == 3 || (a.dims[3] >= 1 && a.dims[3] <= 64));
  }

  static Result take_image(const NpyArray& a, const std::string& name, Column& out) {
    const size_t rank = a.dims.size(), each = a.elements() / static_cast<size_t>(a.dims[0]);
    out.floats = a.type == NpyType::f4;
    for (size_t i = 0; i < a.elements() && out.floats; ++i)
      if (float v; !put(DType::f32, a, i, reinterpret_cast<uint8_t*>(&v)))
        return tl::make_unexpected(fmt::format("{}: element {} is not finite", name, i));
    out.height = static_cast<int>(a.dims[1]), out.width = static_cast<int>(a.dims[2]),
    out.channels = rank == 4 ? static_cast<int>(a.dims[3]) : 1;
    out.bytes = each * (out.floats ? sizeof(float) : 1);
    out.data.assign(a.data, a.data + out.bytes * static_cast<size_t>(a.dims[0]));
    return {};
  }

  /// Extents but those of 1, by which two shapes of the same elements in the same order may differ.
  static std::vector<int64_t> longer(const int64_t* dims, size_t n) {
    std::vector<int64_t> all(dims, dims + n);
    std::erase(all, 1);
    return all;
  }

  Result take(const PortInfo& port, const NpyArray& a, const std::string& name, Column& out) const {
    const size_t each = a.elements() / static_cast<size_t>(a.dims[0]);
    std::vector<int64_t> sample = longer(a.dims.data() + 1, a.dims.size() - 1),
                         wanted = longer(port.dims, static_cast<size_t>(port.rank));
    if (!port.sized() || each != port.elements() || (sample != wanted && sample.size() > 1)) {
      const std::string shape =
          fmt::format("{}: a sample is {}[{}], but the net's {} is {}", name, type_name(a.type),
                      fmt::join(a.dims.begin() + 1, a.dims.end(), ", "), port.name, type_text(port));
      std::sort(sample.begin(), sample.end()), std::sort(wanted.begin(), wanted.end());
      return tl::make_unexpected(shape + (port.sized() && sample == wanted
                                              ? ": bring its dimensions in that order, as with .transpose(...)"
                                              : ""));
    }
    if (port.dtype != DType::f32 && a.type == NpyType::f4) {
      return tl::make_unexpected(fmt::format("{}: holds float32, but the net's {} is {}; convert with .astype(...)",
                                             name, port.name, type_text(port)));
    }
    out.bytes = port.bytes();
    out.data.resize(a.elements() * size_of(port.dtype));
    for (size_t i = 0; i < a.elements(); ++i) {
      if (!put(port.dtype, a, i, out.data.data() + i * size_of(port.dtype))) {
        return tl::make_unexpected(fmt::format(
            "{}: element {} is not {} the net's {}, which is {}", name, i,
            a.type == NpyType::f4 ? "finite, which it has to be for" : "in the range of", port.name, type_text(port)));
      }
    }
    return {};
  }

  static const char* type_name(NpyType t) {
    return t == NpyType::f4 ? "f32" : t == NpyType::u1 ? "u8" : t == NpyType::i4 ? "i32" : "i64";
  }

  static bool put(DType to, const NpyArray& a, size_t i, uint8_t* out) {
    int64_t v = 0;
    float f = 0;
    int32_t small = 0;
    switch (a.type) {
      case NpyType::f4: std::memcpy(&f, a.data + 4 * i, 4); return std::memcpy(out, &f, 4), std::isfinite(f);
      case NpyType::u1: v = a.data[i]; break;
      case NpyType::i4: std::memcpy(&small, a.data + 4 * i, 4), v = small; break;
      case NpyType::i8: std::memcpy(&v, a.data + 8 * i, 8); break;
    }
    if (to == DType::f32) return f = static_cast<float>(v), std::memcpy(out, &f, 4), true;
    const int64_t least = to == DType::i32 ? INT32_MIN : 0, most = to == DType::u8    ? 255
                                                                   : to == DType::i32 ? INT32_MAX
                                                                                      : UINT32_MAX;
    std::memcpy(out, &v, size_of(to));  // little-endian
    return v >= least && v <= most;
  }

  /// Indices of another label's classes, whose names nobody knows.
  Result check_classes(const Column& column, size_t label) const {
    const int64_t classes = classes_at(info_, label);
    for (size_t i = 0; i < static_cast<size_t>(samples_) && classes > 0; ++i) {
      int32_t v = 0;
      std::memcpy(&v, column.data.data() + i * sizeof v, sizeof v);
      if (v < 0 || v >= classes) {
        return failed(fmt::format("{} in {}, sample {}, is none of the {} that the net tells apart", v,
                                  info_.labels[label].name, i, counted(classes, "class")));
      }
    }
    return {};
  }

  Result classify(Rows& rows, size_t label) const {
    rows.class_indices.resize(static_cast<size_t>(samples_));
    std::memcpy(rows.class_indices.data(), rows.labels[label].data.data(), rows.labels[label].data.size());
    int64_t most = 0;
    for (const int c : rows.class_indices) {
      if (c < 0 || c >= kMostClasses)
        return failed(fmt::format("{} is no class index in {}", c, info_.labels[label].name));
      most = std::max<int64_t>(most, c);
    }
    std::vector<std::string> own;
    for (int64_t i = 0; i < std::max<int64_t>(most + 1, static_cast<int64_t>(info_.classes.size())); ++i)
      own.push_back(fmt::format("{}", i));
    const auto map = match_classes(own, true, rows.spec, info_);
    if (!map) return tl::make_unexpected(map.error());
    rows.class_names = map->names;
    for (int& c : rows.class_indices) c = map->labels[static_cast<size_t>(c)];
    std::memcpy(rows.labels[label].data.data(), rows.class_indices.data(), rows.labels[label].data.size());
    return {};
  }

  const std::string& path_;
  const ModelInfo& info_;
  std::map<std::string, std::vector<uint8_t>> files_;  // by array name
  std::set<std::string> used_;                         // of them
  int64_t samples_ = -1;
};

}  // namespace

Opened open_npy(const std::string& path, Split split, const ModelInfo& info) { return Reader(path, info).run(split); }

}  // namespace netc::rt
