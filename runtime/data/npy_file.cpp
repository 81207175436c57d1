#include "runtime/counted.h"
#include "runtime/data/npy_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>
#include <string_view>

namespace netc::rt {
namespace {

using Bytes = std::span<const uint8_t>;
tl::unexpected<std::string> failed(const std::string& name, const std::string& why) {
  return tl::make_unexpected(fmt::format("{}: {}", name, why));
}

/// Little-endian numbers out of bytes; what lies outside is 0 and makes `ok` false.
struct Reader {
  Bytes bytes;
  bool ok = true;
  template <class T>
  T get(uint64_t at) {
    T v{};
    if (at > bytes.size() || bytes.size() - at < sizeof(T)) ok = false;
    else std::memcpy(&v, bytes.data() + at, sizeof(T));
    return v;
  }
};

/// What follows 'key': in the header's dictionary.
std::string_view entry(std::string_view header, std::string_view key) {
  const size_t at = header.find(key);
  if (at == std::string_view::npos) return {};
  std::string_view rest = header.substr(at + key.size());
  const size_t colon = rest.find(':');
  if (colon == std::string_view::npos) return {};
  rest.remove_prefix(colon + 1);
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  return rest;
}

bool parse_shape(std::string_view text, std::vector<int64_t>& dims) {
  if (text.empty() || text.front() != '(') return false;
  text.remove_prefix(1);
  while (!text.empty() && text.front() != ')') {
    const char c = text.front();
    if (c == ' ' || c == ',') {
      text.remove_prefix(1);
      continue;
    }
    int64_t v = 0;
    size_t digits = 0;
    for (; digits < text.size() && std::isdigit(static_cast<unsigned char>(text[digits])); ++digits) {
      if (digits >= 18) return false;
      v = 10 * v + (text[digits] - '0');
    }
    if (digits == 0 || dims.size() == 8) return false;
    dims.push_back(v);
    text.remove_prefix(digits);
  }
  return !text.empty();
}

std::optional<NpyType> type_of(std::string_view descr) {
  for (const auto& [text, type] :
       {std::pair{"'<f4'", NpyType::f4}, {"'|u1'", NpyType::u1}, {"'<i4'", NpyType::i4}, {"'<i8'", NpyType::i8}})
    if (descr.rfind(text, 0) == 0) return type;
  return std::nullopt;
}

/// One entry of an archive's directory.
struct Entry {
  std::string name;
  uint16_t method = 0;
  uint32_t crc = 0;
  uint64_t packed = 0, size = 0, header = 0;
};

/// The 64-bit sizes that stand in the extra field where the 32-bit ones are all ones.
void take_zip64(Reader& r, uint64_t at, uint64_t end, Entry& e) {
  while (end - at >= 4 && at < end && r.ok) {
    const auto id = r.get<uint16_t>(at), size = r.get<uint16_t>(at + 2);
    if (id == 1) {
      uint64_t field = at + 4;
      for (uint64_t* value : {&e.size, &e.packed, &e.header}) {
        if (*value != 0xffffffffu) continue;
        *value = r.get<uint64_t>(field);
        field += 8;
      }
      return;
    }
    at += 4 + uint64_t{size};
  }
}

tl::expected<std::vector<Entry>, std::string> directory(Bytes bytes, const std::string& name) {
  Reader r{bytes};
  uint64_t end = bytes.size() < 22 ? 0 : bytes.size() - 22;
  const uint64_t least = end > 65535 ? end - 65535 : 0;
  while (end > least && r.get<uint32_t>(end) != 0x06054b50u) --end;
  if (bytes.size() < 22 || r.get<uint32_t>(end) != 0x06054b50u)
    return failed(name, "is no .npz archive, or is cut off");
  uint64_t count = r.get<uint16_t>(end + 10), at = r.get<uint32_t>(end + 16);
  if ((count == 0xffff || at == 0xffffffffu) && end >= 20 && r.get<uint32_t>(end - 20) == 0x07064b50u) {
    const auto record = r.get<uint64_t>(end - 12);
    if (r.get<uint32_t>(record) != 0x06064b50u)
      return failed(name, "is damaged: its directory is not where it should be");
    count = r.get<uint64_t>(record + 32);
    at = r.get<uint64_t>(record + 48);
  }
  std::vector<Entry> entries;
  for (uint64_t i = 0; i < count && r.ok; ++i) {
    if (r.get<uint32_t>(at) != 0x02014b50u) return failed(name, "is damaged: its directory is not where it should be");
    Entry e;
    const auto flags = r.get<uint16_t>(at + 8);
    e.method = r.get<uint16_t>(at + 10);
    e.crc = r.get<uint32_t>(at + 16);
    e.packed = r.get<uint32_t>(at + 20);
    e.size = r.get<uint32_t>(at + 24);
    e.header = r.get<uint32_t>(at + 42);
    const uint64_t name_size = r.get<uint16_t>(at + 28), extra = r.get<uint16_t>(at + 30),
                   comment = r.get<uint16_t>(at + 32);
    if (at + 46 + name_size + extra > bytes.size()) return failed(name, "is damaged: its directory is cut off");
    e.name.assign(reinterpret_cast<const char*>(bytes.data()) + at + 46, name_size);
    take_zip64(r, at + 46 + name_size, at + 46 + name_size + extra, e);
    if (flags & 1) return failed(name, fmt::format("{} is encrypted", e.name));
    entries.push_back(std::move(e));
    at += 46 + name_size + extra + comment;
  }
  if (!r.ok) return failed(name, "is damaged: its directory is cut off");
  return entries;
}

bool inflate_raw(Bytes packed, std::vector<uint8_t>& out) {
  z_stream z{};
  if (inflateInit2(&z, -15) != Z_OK) return false;
  size_t in = 0, done = 0;
  int code = Z_OK;
  while (code == Z_OK) {
    const size_t give = std::min(packed.size() - in, size_t{1} << 30),
                 room = std::min(out.size() - done, size_t{1} << 30);
    z.next_in = const_cast<uint8_t*>(packed.data() + in);
    z.avail_in = static_cast<unsigned>(give);
    z.next_out = out.data() + done;
    z.avail_out = static_cast<unsigned>(room);
    code = inflate(&z, Z_NO_FLUSH);
    in += give - z.avail_in;
    done += room - z.avail_out;
    if (code == Z_OK && (give == z.avail_in && room == z.avail_out)) code = Z_BUF_ERROR;  // no progress
  }
  inflateEnd(&z);
  return code == Z_STREAM_END && done == out.size();
}

}  // namespace

size_t size_of(NpyType t) { return t == NpyType::u1 ? 1 : t == NpyType::i8 ? 8 : 4; }

size_t NpyArray::elements() const {
  size_t n = 1;
  for (const int64_t d : dims) n *= static_cast<size_t>(d);
  return n;
}

tl::expected<NpyArray, std::string> parse_npy(Bytes bytes, const std::string& name) {
  Reader r{bytes};
  if (bytes.size() < 10 || std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0) return failed(name, "is no .npy file");
  const bool wide = bytes[6] >= 2;
  if (bytes[6] < 1 || bytes[6] > 3)
    return failed(name, fmt::format("is of version {} of the .npy format; 1 to 3 are read", bytes[6]));
  const uint64_t size = wide ? r.get<uint32_t>(8) : r.get<uint16_t>(8), begin = wide ? 12 : 10;
  if (!r.ok || size > bytes.size() - begin) return failed(name, "is damaged: its header is cut off");
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + begin, size);
  const std::string_view descr = entry(header, "'descr'"), order = entry(header, "'fortran_order'");
  NpyArray a;
  const auto type = type_of(descr);
  if (!type)
    return failed(
        name,
        fmt::format("has elements of type {}; float32, uint8, int32 and int64 are read: convert with .astype(...)",
                    descr.substr(0, descr.find(','))));
  a.type = *type;
  if (order.rfind("False", 0) != 0)
    return failed(name, "is in Fortran order; save it with numpy.ascontiguousarray(...)");
  if (!parse_shape(entry(header, "'shape'"), a.dims)) return failed(name, "is damaged: its header has no shape");
  uint64_t need = size_of(a.type);
  for (const int64_t d : a.dims)
    if (__builtin_mul_overflow(need, static_cast<uint64_t>(d), &need))
      return failed(name, "is damaged: its shape is too large");
  const uint64_t have = bytes.size() - begin - size;
  if (need != have)
    return failed(name,
                  fmt::format("is damaged or cut off: its shape takes {}, {} there", counted(need, "byte"), are(have)));
  a.data = bytes.data() + begin + size;
  return a;
}

tl::expected<std::map<std::string, std::vector<uint8_t>>, std::string> read_zip(Bytes bytes, const std::string& name) {
  const auto entries = directory(bytes, name);
  if (!entries) return tl::make_unexpected(entries.error());
  std::map<std::string, std::vector<uint8_t>> files;
  uint64_t total = 0;
  for (const Entry& e : *entries) {
    Reader r{bytes};
    const auto wrong = [&](const char* why) { return failed(name, fmt::format("is damaged: {} {}", e.name, why)); };
    if (r.get<uint32_t>(e.header) != 0x04034b50u) return wrong("is not where the directory says");
    const uint64_t at = e.header + 30 + uint64_t{r.get<uint16_t>(e.header + 26)} + r.get<uint16_t>(e.header + 28);
    if (!r.ok || at > bytes.size() || e.packed > bytes.size() - at) return wrong("is cut off");
    if (e.method != 0 && e.method != 8)
      return wrong("is packed in a way that is not read; use numpy.savez or savez_compressed");
    // Deflate cannot shrink by more than 1032 times; entries that share bytes are a bomb.
    if (e.method == 0 ? e.size != e.packed : e.size / 1032 > e.packed) return wrong("announces a size that cannot be");
    total += e.packed;
    if (total > bytes.size()) return wrong("shares its bytes with another entry");
    std::vector<uint8_t> out(e.size);
    const Bytes packed = bytes.subspan(at, e.packed);
    if (e.method == 0) std::copy(packed.begin(), packed.end(), out.begin());
    else if (!inflate_raw(packed, out)) return wrong("does not decompress");
    if (crc32_z(crc32_z(0, nullptr, 0), out.data(), out.size()) != e.crc)
      return wrong("has another checksum than it should");
    files[e.name] = std::move(out);
  }
  return files;
}

}  // namespace netc::rt
