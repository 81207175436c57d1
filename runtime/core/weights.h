// A model's weights: fresh from a seed, from a file, to a file.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "runtime/core/safetensors.h"
#include "runtime/model.h"

namespace netc::rt {

/// Fills every variable the instance holds from VarInfo::init. The same seed gives the same bits whatever the order,
/// the machine's cores or the other variables: element i of a variable depends on (seed, its name, i) alone, and on its
/// shape for orthogonal ones.
void initialise(Model& model, uint64_t seed);

/// Element `index` of a variable; what initialise() writes. Of an orthogonal one it costs as much as the whole.
float initial_value(const VarInfo& variable, uint64_t seed, uint64_t index);

/// Takes every weight and state from `file` by name: copied, or with `bind` read in place (inference only; `file` must
/// outlive the model). The error names the tensors that are missing or of another shape; the model is then unchanged.
/// Tensors the model does not know are ignored.
tl::expected<void, std::string> load_weights(Model& model, WeightsFile& file, bool bind);

/// The weights of `path`, or where that is empty those inside the product.
tl::expected<std::shared_ptr<WeightsFile>, std::string> open_weights(const ModelInfo&, const std::string& path);

/// Whether load_weights would take the file.
tl::expected<void, std::string> check_weights(const ModelInfo&, const WeightsFile&);

/// Takes what info().initial_weights says from its files. Gives the paths of those, in that order. The error names the
/// file, and the tensors that are missing or of another shape; the model is then unchanged.
tl::expected<std::vector<std::string>, std::string> load_initial_weights(Model& model);

/// The classes' names as weight files carry them ("classes" of their metadata), and back; anything damaged: none.
std::string classes_metadata(const std::vector<std::string>& classes);
std::vector<std::string> classes_from_metadata(const std::string& text);

/// The classes that `file` was trained on, in its order, which its outputs have; none: it does not say. An error where
/// the net names other ones.
tl::expected<std::vector<std::string>, std::string> classes_of(const ModelInfo& info, const WeightsFile& file);
/// Whether each class has the place that the net gives it, where both name them.
bool in_order(const ModelInfo& info, const std::vector<std::string>& classes);

/// How many of `count` floats are infinite or no numbers.
size_t not_finite(const void* values, size_t count);

/// Writes every weight and state, not the optimiser's slots. Metadata: the net, the program, the source's hash,
/// hyperparameters, classes, outputs, and `more`.
tl::expected<void, std::string> save_weights(Model& model, const std::string& path,
                                             const std::map<std::string, std::string>& more = {}, bool durable = true);

}  // namespace netc::rt
