// Files of a cache: anything else than a regular file of the user counts as absent.
#pragma once
#include <cstdint>
#include <string>

namespace netc {

/// The whole of `path`; false when it is no regular file that this user owns (a link, a folder, a pipe, a device), has
/// more than `limit` bytes, or cannot be read.
bool read_own_file(const std::string& path, uint64_t limit, std::string& contents);

}  // namespace netc
