// What other frameworks call things, for those who come from them.
#pragma once
#include <string>
#include <vector>

namespace netc::ops {

/// What `name` of Keras, PyTorch or Caffe is here: "MaxPooling2D is called MaxPool here", where `known` has that name,
/// or what to write in its stead; "" of any other.
std::string foreign_name(const std::string& name, const std::vector<std::string>& known);

}  // namespace netc::ops
