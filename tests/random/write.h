// A random network with data for it, as files: for what is tried as a program.
#pragma once
#include <cstdint>
#include <filesystem>

namespace netc::random {

/// FOLDER/SEED.net, and FOLDER/SEED/PORT.npy for each input and label, of two batches and a part of one. False where a
/// port has no fixed shape: arrays have one.
bool write_network(uint64_t seed, const std::filesystem::path& folder);

}  // namespace netc::random
