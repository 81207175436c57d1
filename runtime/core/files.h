// Files written atomically: readers see the old contents or the new, never a part.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace netc::rt {

/// Writes the parts one after another to a temporary file beside `path`, syncs it, renames it over `path` and syncs the
/// folder. Errors name the file and the system's reason; the temporary file is removed. Not `durable`: nothing is
/// synced, the file outlives the process alone.
tl::expected<void, std::string> write_atomically(const std::string& path, std::span<const std::string_view> parts,
                                                 bool durable = true);
tl::expected<void, std::string> write_atomically(const std::string& path, std::string_view contents,
                                                 bool durable = true);

/// Makes `path` another name of the file `target`, in one step; false where links cannot be had.
bool link_atomically(const std::string& target, const std::string& path);

/// Adds to the end of a file that is there.
tl::expected<void, std::string> append_to_file(const std::string& path, std::string_view text, bool durable = true);

/// What was written to a file, or made in a folder, without being synced reaches the disk.
tl::expected<void, std::string> sync_file(const std::string& path);

/// The file that the temporary file `name` was to become; "" when it is no such file.
std::string_view meant_by(std::string_view name);
/// Removes the temporary files that killed processes left in `folder` for a file called `name`; "": for any. Nobody may
/// be writing there.
void sweep_leftovers(const std::string& folder, const std::string& name = "");

/// The whole file; an error when it is longer than `limit` bytes, or no regular file.
tl::expected<std::string, std::string> read_file(const std::string& path, size_t limit = size_t{64} << 20);

}  // namespace netc::rt
