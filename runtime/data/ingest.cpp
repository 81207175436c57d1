// One sample into the model's inputs and labels.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "runtime/counted.h"
#include "runtime/data/loader.h"

namespace netc::rt {
namespace {

using Result = tl::expected<void, std::string>;

std::string shape_text(const PortInfo& port) {
  std::string s;
  for (int i = 0; i < port.rank; ++i)
    s += (i ? " x " : "") + (port.dims[i] < 0 ? std::string("any") : fmt::format("{}", port.dims[i]));
  return s;
}

bool fits(const PortInfo& port, const Field& s) {
  const int64_t dims[3] = {s.height, s.width, s.channels};
  if (port.rank == 1) return port.dims[0] < 0 || port.dims[0] == dims[0] * dims[1] * dims[2];
  if (port.rank != 3 && !(port.rank == 2 && s.channels == 1)) return false;
  for (int i = 0; i < port.rank; ++i)
    if (port.dims[i] >= 0 && port.dims[i] != dims[i]) return false;
  return true;
}

/// What to write in the .net file so that the sample fits.
std::string remedy(const PortInfo& port, const Field& s) {
  if (port.rank == 3 && port.dims[2] >= 0 && port.dims[2] != s.channels)
    return fmt::format("declare the input as u8[*, *, {}]", s.channels);
  const std::string size = port.rank >= 2 && port.dims[0] > 0 && port.dims[1] > 0
                               ? fmt::format("{}, {}", port.dims[0], port.dims[1])
                               : "28, 28";
  return fmt::format("declare the input as u8[*, *, {}] and begin the net with Resize({}), or give images of that size",
                     s.channels, size);
}

std::string prefix(const std::string& name) { return name.empty() ? "" : name + ": "; }

/// The field's own elements, as many as the port has.
Result copy(const PortInfo& port, const char* what, const Field& field, const std::string& name, void* out) {
  if (!port.sized() || field.data.size() != port.bytes()) {
    return tl::make_unexpected(fmt::format("{}{} do not fit the net's {} {}, which is {}", prefix(name),
                                           counted(field.data.size(), "byte"), what, port.name, shape_text(port)));
  }
  std::memcpy(out, field.data.data(), field.data.size());
  return {};
}

template <class T>
void nearest(const PortInfo& port, const Field& image, T* out) {
  const int64_t h = port.dims[0], w = port.dims[1], c = image.channels;
  for (int64_t y = 0; y < h; ++y) {
    const uint8_t* row = image.data.data() + (2 * y + 1) * image.height / (2 * h) * image.width * c;
    for (int64_t x = 0; x < w; ++x) {
      const uint8_t* pixel = row + (2 * x + 1) * image.width / (2 * w) * c;
      for (int64_t k = 0; k < c; ++k) *out++ = static_cast<T>(pixel[k]);
    }
  }
}

/// Numbers of tokens or classes that the net does not have would be taken as other ones.
Result check_range(const PortInfo& port, const char* what, const void* values, int64_t below, const std::string& name) {
  const size_t bad = first_outside(values, port.elements(), below);
  if (bad == port.elements() || below == 0) return {};
  return tl::make_unexpected(fmt::format("{}{} at place {} of the net's {} {} is not one of 0 to {}", prefix(name),
                                         static_cast<const int32_t*>(values)[bad], bad, what, port.name, below - 1));
}

/// A label's numbers are what its losses are made for.
Result check_label(const ModelInfo& info, size_t index, const void* values, const std::string& name) {
  const PortInfo& port = info.labels[index];
  if (const size_t bad = first_beyond(port, values, port.elements()); bad < port.elements()) {
    const float v = static_cast<const float*>(values)[bad];
    return tl::make_unexpected(fmt::format("{}{} at place {} of the net's label {} is not {}, as its loss needs",
                                           prefix(name), v, bad, port.name,
                                           port.most < 1e300 ? fmt::format("from {} to {}", port.least, port.most)
                                                             : fmt::format("{} or more", port.least)));
  }
  return check_range(port, "label", values, indices_below(info, index), name);
}

}  // namespace

Result ingest_field(const Model& model, size_t index, const Field& field, const std::string& name, void* out) try {
  const PortInfo& port = model.info().inputs[index];
  if (!field.image() && !field.floats) {
    Result copied = copy(port, "input", field, name, out);
    return copied ? check_range(port, "input", out, port.below, name) : copied;
  }
  if (!fits(port, field)) {
    return tl::make_unexpected(fmt::format("{}{} x {} x {} does not fit the net's input {}, which is {}: {}",
                                           prefix(name), field.height, field.width, field.channels,
                                           port.name ? port.name : "", shape_text(port), remedy(port, field)));
  }
  if (port.dtype == DType::u8 || (port.dtype == DType::f32 && field.floats)) {
    model.ingest(index, field.data.data(), field.height, field.width, field.channels, out);
    return {};
  }
  if (port.dtype != DType::f32 || field.floats)
    return tl::make_unexpected("the net's input takes neither u8 nor f32, and images have no other form");
  thread_local std::vector<float> floats;  // 0 to 255, as Keras gives images to a net
  floats.assign(field.data.begin(), field.data.end());
  model.ingest(index, floats.data(), field.height, field.width, field.channels, out);
  return {};
} catch (const std::bad_alloc&) { return tl::make_unexpected(fmt::format("{}: no memory for the image", name)); }

Result put_label(const ModelInfo& info, size_t index, const Field& field, const std::string& name, void* out) {
  const PortInfo& port = info.labels[index];
  if (!field.image()) {
    Result copied = copy(port, "label", field, name, out);
    return copied ? check_label(info, index, out, name) : copied;
  }
  const bool planes =
      port.sized() && (port.rank == 2 ? field.channels == 1 : port.rank == 3 && port.dims[2] == field.channels);
  if (!planes) {
    return tl::make_unexpected(fmt::format("{}an image of {} channels does not fit the net's label {}, which is {}",
                                           prefix(name), field.channels, port.name, shape_text(port)));
  }
  switch (port.dtype) {
    case DType::u8: nearest(port, field, static_cast<uint8_t*>(out)); break;
    case DType::f32: nearest(port, field, static_cast<float*>(out)); break;
    default: nearest(port, field, static_cast<int32_t*>(out)); break;
  }
  return check_label(info, index, out, name);
}

}  // namespace netc::rt
