// What a weight file remembers of the data it was trained on.
#pragma once
#include <map>
#include <optional>
#include <string>

#include "runtime/core/safetensors.h"
#include "runtime/data/source.h"

namespace netc::rt {

/// The classes and a table's columns, as metadata for save_weights.
std::map<std::string, std::string> data_metadata(const Source& trained_on);

/// The columns of the table that the file's net was trained on; none: it was no table, or the file does not say.
std::optional<TableColumns> columns_of(const WeightsFile& file);

}  // namespace netc::rt
