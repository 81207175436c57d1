#include "runtime/core/safetensors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <new>
#include <nlohmann/json.hpp>
#include <set>

#include "runtime/core/files.h"
#include "runtime/counted.h"
#include "runtime/kernel_support.h"

namespace netc::rt {
namespace {

constexpr uint64_t kMaxHeader = 100u << 20;
constexpr size_t kMaxRank = 16;
constexpr const char* kChanged = "was changed while it was read; try again";
constexpr size_t kPage = 4096;
constexpr int64_t kTick = 20000000;  // nanoseconds, more than a tick of any system's clock for files

struct Entry {
  std::string name, dtype;
  std::vector<uint64_t> shape, offsets;
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

/// Reads the header's JSON as it comes, so that nothing but the expected structure is ever stored.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;
  std::string error;

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_float(double, const string_t&) override { return unexpected("a fraction or too large a number"); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool number_integer(int64_t v) override {
    return v < 0 ? fail("a negative number") : number_unsigned(static_cast<uint64_t>(v));
  }

  bool number_unsigned(uint64_t v) override {
    if (list_ == nullptr) return unexpected("a number");
    if (list_->size() >= kMaxRank) return fail("has a list of more than 16 numbers");
    list_->push_back(v);
    return true;
  }

  bool string(string_t& s) override {
    if (depth_ == 2 && in_metadata_) metadata[key_] = s;
    else if (depth_ == 2 && list_ == nullptr && key_ == "dtype") entries.back().dtype = s;
    else return unexpected("a string");
    return true;
  }

  bool key(string_t& k) override {
    key_ = k;
    if (depth_ == 1) {
      if (!names_.insert(k).second) return fail_plain(fmt::format("two tensors are named '{}'", k));
      in_metadata_ = k == "__metadata__";
      if (!in_metadata_) entries.emplace_back().name = k;
      return true;
    }
    if (in_metadata_) return metadata.count(k) == 0 || fail("names a key twice");
    Entry& e = entries.back();
    bool* seen = k == "dtype"          ? &e.has_dtype
                 : k == "shape"        ? &e.has_shape
                 : k == "data_offsets" ? &e.has_offsets
                                       : nullptr;
    if (seen == nullptr) return fail(fmt::format("has an unknown key '{}'", k));
    if (*seen) return fail(fmt::format("has '{}' twice", k));
    *seen = true;
    return true;
  }

  bool start_object(std::size_t) override {
    if (depth_ >= 2 || list_ != nullptr) return unexpected("an object");
    ++depth_;
    return true;
  }
  bool end_object() override {
    --depth_;
    in_metadata_ = in_metadata_ && depth_ == 2;
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || list_ != nullptr) return unexpected("a list");
    if (key_ == "shape") list_ = &entries.back().shape;
    else if (key_ == "data_offsets") list_ = &entries.back().offsets;
    else return unexpected("a list");
    return true;
  }
  bool end_array() override {
    list_ = nullptr;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return fail_plain(fmt::format("the header is not valid JSON at byte {}", position));
  }

 private:
  bool fail_plain(std::string what) {
    if (error.empty()) error = std::move(what);
    return false;
  }
  bool fail(std::string_view what) {
    if (depth_ == 0 || names_.empty()) return fail_plain(fmt::format("the header {}", what));
    return fail_plain(
        fmt::format("'{}' {}", in_metadata_ || entries.empty() ? "__metadata__" : entries.back().name, what));
  }
  bool unexpected(std::string_view what) { return fail(fmt::format("has {} where none belongs", what)); }

  int depth_ = 0;
  bool in_metadata_ = false;
  std::string key_;
  std::vector<uint64_t>* list_ = nullptr;
  std::set<std::string> names_;
};

/// The bytes of an element; 0: a type that nobody knows here.
uint64_t size_of(std::string_view dtype) {
  for (const auto& [size, names] :
       {std::pair{8, "F64 I64 U64"}, {4, "F32 I32 U32"}, {2, "F16 BF16 I16 U16"}, {1, "I8 U8 BOOL F8_E4M3 F8_E5M2"}})
    for (std::string_view rest = names; !rest.empty();
         rest.remove_prefix(std::min(rest.size(), rest.find(' ') == rest.npos ? rest.size() : rest.find(' ') + 1)))
      if (rest.substr(0, rest.find(' ')) == dtype) return static_cast<uint64_t>(size);
  return 0;
}

bool readable(std::string_view dtype) { return dtype == "F32" || dtype == "F16" || dtype == "BF16" || dtype == "F64"; }

float from_f16(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h >> 15) << 31, exponent = h >> 10 & 31, fraction = h & 1023;
  if (exponent == 0) return (sign ? -1.f : 1.f) * static_cast<float>(fraction) * 0x1p-24f;
  return std::bit_cast<float>(sign | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13);
}

/// `n` elements of `dtype`, wherever they lie, as float32.
void convert(std::string_view dtype, const char* from, size_t n, float* to) {
  if (dtype == "F32") std::memcpy(to, from, n * sizeof *to);
  for (size_t i = 0; i < n && dtype != "F32"; ++i) {
    uint16_t half = 0;
    double wide = 0;
    if (dtype == "F64") std::memcpy(&wide, from + 8 * i, 8), to[i] = static_cast<float>(wide);
    else
      std::memcpy(&half, from + 2 * i, 2),
          to[i] = dtype == "F16" ? from_f16(half) : std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
  }
}

/// Checks each entry by itself, and that together they cover [0, bytes) without gap or overlap. "" when all is well.
/// Sorts by offset.
std::string check(std::vector<Entry>& entries, uint64_t bytes) {
  for (const Entry& e : entries) {
    if (!e.has_dtype || !e.has_shape || !e.has_offsets)
      return fmt::format("'{}' lacks a dtype, a shape or data_offsets", e.name);
    if (e.offsets.size() != 2 || e.offsets[0] > e.offsets[1])
      return fmt::format("'{}' has data_offsets that are no range", e.name);
    if (e.offsets[1] > bytes)
      return fmt::format("'{}' ends at byte {} of {}: the file is cut short", e.name, e.offsets[1], bytes);
    uint64_t need = size_of(e.dtype);
    if (need == 0) continue;
    bool overflow = false;
    for (const uint64_t d : e.shape) overflow |= d > INT64_MAX || __builtin_mul_overflow(need, d, &need);
    if (overflow || need != e.offsets[1] - e.offsets[0]) {
      return fmt::format("'{}' has shape [{}], which does not fit its {}", e.name, fmt::join(e.shape, ", "),
                         counted(e.offsets[1] - e.offsets[0], "byte"));
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.offsets < b.offsets; });
  uint64_t at = 0;
  for (const Entry& e : entries) {
    if (e.offsets[0] < at) return fmt::format("'{}' overlaps another tensor's data", e.name);
    if (e.offsets[0] > at)
      return fmt::format("bytes {} to {} before '{}' belong to no tensor", at, e.offsets[0], e.name);
    at = e.offsets[1];
  }
  if (at != bytes) return fmt::format("{} at the end belong to no tensor", counted(bytes - at, "byte"));
  return "";
}

int64_t nanoseconds(const timespec& t) { return t.tv_sec * int64_t{1000000000} + t.tv_nsec; }

}  // namespace

std::string shape_text(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

WeightsFile::~WeightsFile() {
  if (map_ != nullptr) ::munmap(map_, map_bytes_);
  if (file_ >= 0) ::close(file_);
}

std::optional<WeightsFile::Stamp> WeightsFile::stamp_now() const {
  struct stat info;
  if (::fstat(file_, &info) != 0) return std::nullopt;
  return Stamp{info.st_size, nanoseconds(info.st_mtim)};  // not st_ctim: another file in its place changes that, too
}

bool WeightsFile::read_range(size_t begin, size_t end) {
  for (size_t at = begin; at < end;) {
    const ssize_t n = ::pread(file_, map_ + at, std::min(end - at, size_t{1} << 30), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += static_cast<size_t>(n);
  }
  return true;
}

std::string WeightsFile::read_part(size_t begin, size_t end) {
  errno = 0;
  if (read_range(begin, end)) return "";
  return errno != 0 ? fmt::format("cannot read: {}", std::strerror(errno)) : kChanged;
}

std::string WeightsFile::read_header() {
  // Two writes within a tick of the system's clock have the same time: a file that was written just now is read when
  // the tick is over.
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  auto stamp = stamp_now();
  if (const int64_t age = stamp ? nanoseconds(now) - stamp->modified : kTick; age >= 0 && age < kTick) {
    const timespec rest{0, static_cast<long>(kTick - age)};
    ::nanosleep(&rest, nullptr);
    stamp = stamp_now();
  }
  if (!stamp || static_cast<size_t>(stamp->bytes) != map_bytes_) return kChanged;
  stamp_ = *stamp;
  void* map = ::mmap(nullptr, map_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) return fmt::format("not enough memory to read it ({})", counted(map_bytes_, "byte"));
  map_ = static_cast<char*>(map);
  ::madvise(map_, map_bytes_, MADV_HUGEPAGE);
  if (const std::string wrong = read_part(0, 8); !wrong.empty()) return wrong;
  uint64_t header = 0;
  for (int i = 7; i >= 0; --i) header = header << 8 | static_cast<unsigned char>(map_[i]);
  return read_part(8, 8 + std::min({header, kMaxHeader, static_cast<uint64_t>(map_bytes_ - 8)}));
}

std::string WeightsFile::read_data(size_t start) {
  if (map_ == nullptr) return "";
  if (const std::string wrong = read_part(start, map_bytes_); !wrong.empty()) return wrong;
  if (stamp_now() != stamp_) return kChanged;
  dropped_.resize((map_bytes_ + kPage - 1) / kPage);
  return "";
}

void WeightsFile::drop(const float* data, size_t bytes) {
  if (map_ == nullptr) return drop_pages(data, bytes);  // pages of the executable, which nobody writes
  const size_t begin = static_cast<size_t>(reinterpret_cast<const char*>(data) - map_);
  for (size_t page = (begin + kPage - 1) / kPage; (page + 1) * kPage <= begin + bytes; ++page) dropped_[page] = true;
  drop_pages(data, bytes);
}

bool WeightsFile::restore(const float* data, size_t bytes) {
  if (map_ == nullptr) return true;
  const size_t begin = static_cast<size_t>(reinterpret_cast<const char*>(data) - map_);
  bool any = false;
  for (size_t page = begin / kPage; page * kPage < begin + bytes; ++page) {
    if (!dropped_[page]) continue;
    if (!any && stamp_now() != stamp_) return !(changed_ = true);
    any = true;
    if (!read_range(page * kPage, std::min((page + 1) * kPage, map_bytes_))) return !(changed_ = true);
  }
  if (any && stamp_now() != stamp_) return !(changed_ = true);
  for (size_t page = begin / kPage; any && page * kPage < begin + bytes; ++page) dropped_[page] = false;
  return true;
}

const TensorView* WeightsFile::find(std::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

tl::expected<std::shared_ptr<WeightsFile>, std::string> WeightsFile::open(const std::string& path) try {
  const auto failed = [&](std::string_view why) { return tl::make_unexpected(fmt::format("{}: {}", path, why)); };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return failed(fmt::format("cannot open: {}", std::strerror(errno)));
  struct stat info;
  const bool regular = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  std::shared_ptr<WeightsFile> file(new WeightsFile);
  file->file_ = fd;
  if (!regular || info.st_size < 8) return failed(regular ? "is too short for a safetensors file" : "is not a file");
  file->path_ = path;
  file->map_bytes_ = static_cast<size_t>(info.st_size);
  if (const std::string wrong = file->read_header(); !wrong.empty()) return failed(wrong);
  return parse(file, file->map_);
} catch (const std::bad_alloc&) { return tl::make_unexpected(fmt::format("{}: not enough memory to read it", path)); }

tl::expected<std::shared_ptr<WeightsFile>, std::string> WeightsFile::of_memory(std::span<const char> bytes,
                                                                               const std::string& name) {
  std::shared_ptr<WeightsFile> file(new WeightsFile);
  file->path_ = name;
  file->map_bytes_ = bytes.size();
  return parse(std::move(file), bytes.data());
}

tl::expected<std::shared_ptr<WeightsFile>, std::string> WeightsFile::parse(std::shared_ptr<WeightsFile> file,
                                                                           const char* bytes) try {
  const auto failed = [&](std::string_view why) {
    return tl::make_unexpected(fmt::format("{}: {}", file->path_, why));
  };
  uint64_t header = 0;
  for (int i = 7; i >= 0; --i) header = header << 8 | static_cast<unsigned char>(bytes[i]);
  if (header > kMaxHeader) return failed("is not a safetensors file (its header would be longer than 100 MB)");
  if (header > file->map_bytes_ - 8) return failed("is cut short: its header is not whole");
  if (header < 2 || bytes[8] != '{') return failed("is not a safetensors file (its header is not a JSON object)");
  HeaderReader reader;
  if (!nlohmann::json::sax_parse(bytes + 8, bytes + 8 + header, &reader))
    return failed(reader.error.empty() ? "the header is not valid JSON" : reader.error);
  const uint64_t start = 8 + header, data_bytes = file->map_bytes_ - start;
  if (const std::string wrong = check(reader.entries, data_bytes); !wrong.empty()) return failed(wrong);
  if (const std::string wrong = file->read_data(start); !wrong.empty()) return failed(wrong);
  const char* data = bytes + start;
  file->metadata_ = std::move(reader.metadata);
  file->tensors_.reserve(reader.entries.size());
  for (Entry& e : reader.entries) {
    TensorView view;
    view.name = std::move(e.name);
    view.shape.assign(e.shape.begin(), e.shape.end());
    view.dtype = std::move(e.dtype);
    if (readable(view.dtype)) {
      view.elements = (e.offsets[1] - e.offsets[0]) / size_of(view.dtype);
      view.data = reinterpret_cast<const float*>(data + e.offsets[0]);
      view.restorable = view.dtype == "F32" && reinterpret_cast<uintptr_t>(data + e.offsets[0]) % alignof(float) == 0;
      if (!view.restorable) {
        file->copies_.push_back(std::make_unique<float[]>(view.elements));
        convert(view.dtype, data + e.offsets[0], view.elements, file->copies_.back().get());
        view.data = file->copies_.back().get();
      }
    }
    file->tensors_.push_back(std::move(view));
  }
  for (size_t i = 0; i < file->tensors_.size(); ++i) file->index_.emplace(file->tensors_[i].name, i);
  return file;
} catch (const std::bad_alloc&) {
  return tl::make_unexpected(fmt::format("{}: not enough memory to read it", file->path_));
}

tl::expected<void, std::string> write_safetensors(const std::string& path, std::vector<TensorView> tensors,
                                                  std::map<std::string, std::string> metadata, bool durable) {
  const auto failed = [&](std::string_view why) { return tl::make_unexpected(fmt::format("{}: {}", path, why)); };
  std::stable_partition(tensors.begin(), tensors.end(), [](const TensorView& t) { return t.elements % 16 == 0; });
  const auto quoted = [](const std::string& s) {
    return nlohmann::json(s).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  std::string header = "{";
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata)
      header += fmt::format("{}{}:{}", header.back() == '{' ? "" : ",", quoted(key), quoted(value));
    header += "}";
  }
  std::set<std::string_view> names{"__metadata__"};
  size_t at = 0;
  std::vector<std::string_view> parts(2);
  for (const TensorView& t : tensors) {
    size_t elements = 1;
    for (const int64_t d : t.shape) elements *= static_cast<size_t>(d);
    if (elements != t.elements || (t.data == nullptr && elements > 0))
      return failed(fmt::format("'{}' does not have the data its shape says", t.name));
    if (!names.insert(t.name).second) return failed(fmt::format("two tensors are named '{}'", t.name));
    const size_t end = at + t.elements * sizeof(float);
    header += fmt::format("{}{}:{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                          header.size() == 1 ? "" : ",", quoted(t.name), fmt::join(t.shape, ","), at, end);
    at = end;
    parts.emplace_back(reinterpret_cast<const char*>(t.data), t.elements * sizeof(float));
  }
  header += "}";
  while ((8 + header.size()) % 64 != 0) header += ' ';
  if (header.size() > kMaxHeader) return failed("has too many tensors for a safetensors file");
  char size[8];
  for (int i = 0; i < 8; ++i) size[i] = static_cast<char>(static_cast<uint64_t>(header.size()) >> (8 * i) & 255);
  parts[0] = std::string_view(size, 8);
  parts[1] = header;
  return write_atomically(path, parts, durable);
}

}  // namespace netc::rt
