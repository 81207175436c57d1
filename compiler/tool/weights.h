// netc --weights: a weights file that goes inside the product.
#pragma once
#include <memory>
#include <string>

#include "compiler/emit/unit.h"
#include "runtime/core/safetensors.h"

namespace netc::tool {

/// Reads `path` into unit.weights, which lie in `file`. False where it is no weights file, or of another network:
/// `error` says which tensors do not fit.
bool put_inside(const std::string& path, emit::Unit& unit, std::shared_ptr<rt::WeightsFile>& file, std::string& error);

}  // namespace netc::tool
