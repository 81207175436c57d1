// NumPy arrays: .npy files, and .npz archives of them.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <tl/expected.hpp>

namespace netc::rt {

enum class NpyType : uint8_t { f4, u1, i4, i8 };

/// A C-ordered array in little-endian order: a view of a file's bytes.
struct NpyArray {
  NpyType type = NpyType::f4;
  std::vector<int64_t> dims;
  const uint8_t* data = nullptr;
  size_t elements() const;
};
size_t size_of(NpyType);

/// Checks the header against the bytes that are there. `name` begins the error.
tl::expected<NpyArray, std::string> parse_npy(std::span<const uint8_t> bytes, const std::string& name);

/// The files of a ZIP archive by name, stored or deflated, their checksums compared. Sizes are checked before memory is
/// taken.
tl::expected<std::map<std::string, std::vector<uint8_t>>, std::string> read_zip(std::span<const uint8_t> bytes,
                                                                                const std::string& name);

}  // namespace netc::rt
