// What a source of data gives, against the inputs and labels of a net.
#pragma once
#include <string>

#include <tl/expected.hpp>

#include "runtime/data/source.h"
#include "runtime/model.h"

namespace netc::rt {

/// "f32[28, 28, 1]", "u8[*, *, 3]", "i32[]".
std::string type_text(const PortInfo& port);

/// The channels that an input wants images in: 1 or 3; 0 when it takes no images (neither 1 nor 3 channels, or other
/// elements than u8 and f32).
int image_channels(const PortInfo& port);

/// A class index.
inline bool is_class(const PortInfo& label) { return label.dtype == DType::i32 && label.rank == 0; }

/// The ports that a source of images fills: one input, and labels by their type. -1: the net has none.
struct ImagePorts {
  int channels = 0;   // of the input
  size_t labels = 0;  // how many the net has
  int label = -1;     // i32[]: the class
  int box = -1;       // f32[4]: where the thing is
  int mask = -1;      // i32[height, width]: the class of each pixel
  /// The sample's image, with room for its labels made and the class put in.
  Field& prepare(Sample& out, int class_index) const {
    out.inputs.resize(1);
    out.labels.resize(labels);
    if (label >= 0) *out.labels[static_cast<size_t>(label)].values<int32_t>(1) = class_index;
    return out.inputs[0];
  }
};
/// What such a source knows beside the image. A net without labels is given the images alone.
struct ImageGives {
  bool label = true, box = false, mask = false;
};
/// Errors: the net takes something else or more than the source gives. `spec` names the source.
tl::expected<ImagePorts, std::string> image_ports(const std::string& spec, const ModelInfo& info, ImageGives gives);

}  // namespace netc::rt
