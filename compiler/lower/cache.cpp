#include "compiler/lower/cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include <fmt/format.h>
#include <llvm/ADT/ArrayRef.h>
#include <llvm/Support/SHA256.h>
#include <llvm/Support/xxhash.h>

#include "compiler/base/own_file.h"
#include "compiler/base/temporary.h"

namespace netc::lower {
namespace {

constexpr char kMagic[8] = {'n', 'e', 't', 'c', 'k', 'r', 'n', '3'};

constexpr size_t kKeyBytes = 32;
constexpr uint64_t kLargestEntry = uint64_t{1} << 30;

/// What an entry begins with; its object follows. No padding: the checksum is of all bytes of both, with itself as 0.
struct Header {
  char magic[8];
  char key[kKeyBytes];
  int64_t scratch, scratch_batch;
  uint64_t object_bytes, checksum;
};

uint64_t checksum_of(Header h, std::string_view object) {
  h.checksum =
      llvm::xxh3_64bits(llvm::ArrayRef<uint8_t>(reinterpret_cast<const uint8_t*>(object.data()), object.size()));
  return llvm::xxh3_64bits(llvm::ArrayRef<uint8_t>(reinterpret_cast<const uint8_t*>(&h), sizeof h));
}

// A changed compiler makes other code from the same kernel.
uint64_t hash_of_this_compiler() {
  static const uint64_t hash = [] {
    uint64_t h = 0;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat st{};
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0) {
      void* p = mmap(nullptr, static_cast<size_t>(st.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
      if (p != MAP_FAILED) {
        h = llvm::xxh3_64bits(llvm::ArrayRef<uint8_t>(static_cast<const uint8_t*>(p), static_cast<size_t>(st.st_size)));
        munmap(p, static_cast<size_t>(st.st_size));
      }
    }
    if (fd >= 0) close(fd);
    return h;
  }();
  return hash;
}

std::string path_of(const std::string& dir, const std::string& key) {
  return dir + "/kernels/" + key.substr(0, 2) + "/" + key;
}

}  // namespace

std::string content_key(const plan::Plan& p, const plan::Kernel& k, const Machine& m) {
  const std::string text =
      fmt::format("{:x}\n{}\n{}\n{}\n{}", hash_of_this_compiler(), m.halide_target, k.strategy.text(),
                  overwrites_operand(p, k) ? "overwrites" : "", content_of(p, k));
  auto digest = llvm::SHA256::hash(llvm::ArrayRef<uint8_t>(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  std::string key;
  for (int i = 0; i < 16; ++i) key += fmt::format("{:02x}", digest[i]);
  return key;
}

bool load_cached(const std::string& dir, const std::string& key, int max_batch, Object& out) {
  if (dir.empty()) return false;
  std::string bytes;
  Header h;
  if (!read_own_file(path_of(dir, key), kLargestEntry, bytes) || bytes.size() <= sizeof h) return false;
  std::memcpy(&h, bytes.data(), sizeof h);
  const std::string_view object = std::string_view(bytes).substr(sizeof h);
  if (std::memcmp(h.magic, kMagic, sizeof kMagic) != 0 || std::string_view(h.key, kKeyBytes) != key ||
      h.object_bytes != object.size())
    return false;
  if (checksum_of(h, object) != h.checksum || h.scratch < 0) return false;
  if (h.scratch_batch != 0 && h.scratch_batch != max_batch) return false;
  out.object = object;
  out.scratch = h.scratch;
  out.scratch_batch = static_cast<int>(h.scratch_batch);
  out.from_cache = true;
  return true;
}

void store_cached(const std::string& dir, const std::string& key, const Object& o) {
  if (dir.empty()) return;
  const std::string path = path_of(dir, key);
  std::error_code ec;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ec);
  if (ec) return;  // a cache that cannot be written is no error
  Header h{};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  std::memcpy(h.key, key.data(), std::min(key.size(), kKeyBytes));
  h.scratch = o.scratch;
  h.scratch_batch = o.scratch_batch;
  h.object_bytes = o.object.size();
  h.checksum = checksum_of(h, o.object);
  static std::atomic<int> serial{0};
  const Temporary temp(fmt::format("{}.{}.{}.tmp", path, getpid(), serial++));
  std::ofstream f(temp.path(), std::ios::binary);
  f.write(reinterpret_cast<const char*>(&h), sizeof h);
  f.write(o.object.data(), static_cast<std::streamsize>(o.object.size()));
  f.close();
  if (f) std::filesystem::rename(temp.path(), path, ec);
}

}  // namespace netc::lower
