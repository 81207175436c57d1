// The shipped models as semantic analysis hands them on.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "compiler/sema/model.h"

namespace netc::test {

/// models/FILE with these hyperparameters; a test that asks for a model that does not compile ends with its
/// diagnostics.
sema::Model model_file(const std::string& file, const std::vector<std::pair<std::string, std::string>>& defines = {},
                       const std::string& net = "");

}  // namespace netc::test
