// Files written atomically: readers see the old contents or the new, never a part.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace netc::rt {

/// Writes the parts one after another to a temporary file beside `path`, syncs it, renames it over `path` and syncs the folder.
/// Errors name the file and the system's reason; the temporary file is removed.
tl::expected<void, std::string> write_atomically(const std::string& path, std::span<const std::string_view> parts);
tl::expected<void, std::string> write_atomically(const std::string& path, std::string_view contents);

/// The whole file; an error when it is longer than `limit` bytes.
tl::expected<std::string, std::string> read_file(const std::string& path, size_t limit = size_t{64} << 20);

}  // namespace netc::rt
