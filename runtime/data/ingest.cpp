// One sample into the model's input.
#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "runtime/data/loader.h"

namespace netc::rt {
namespace {

std::string shape_text(const PortInfo& port) {
  std::string s;
  for (int i = 0; i < port.rank; ++i) s += (i ? " x " : "") + (port.dims[i] < 0 ? std::string("any") : fmt::format("{}", port.dims[i]));
  return s;
}

bool fits(const PortInfo& port, const Sample& s) {
  const int64_t dims[3] = {s.height, s.width, s.channels};
  if (port.rank == 1) return port.dims[0] < 0 || port.dims[0] == dims[0] * dims[1] * dims[2];
  if (port.rank != 3 && !(port.rank == 2 && s.channels == 1)) return false;
  for (int i = 0; i < port.rank; ++i)
    if (port.dims[i] >= 0 && port.dims[i] != dims[i]) return false;
  return true;
}

/// What to write in the .net file so that the sample fits.
std::string remedy(const PortInfo& port, const Sample& s) {
  if (port.rank == 3 && port.dims[2] >= 0 && port.dims[2] != s.channels) return fmt::format("declare the input as u8[*, *, {}]", s.channels);
  const std::string size = port.rank >= 2 && port.dims[0] > 0 && port.dims[1] > 0 ? fmt::format("{}, {}", port.dims[0], port.dims[1]) : "28, 28";
  return fmt::format("declare the input as u8[*, *, {}] and begin the net with Resize({}), or give images of that size", s.channels, size);
}

}  // namespace

size_t ingested_bytes(const ModelInfo& info) {
  size_t bytes = size_of(info.ingested.dtype);
  for (int i = 0; i < info.ingested.rank; ++i) bytes *= static_cast<size_t>(std::max<int64_t>(info.ingested.dims[i], 0));
  return bytes;
}

tl::expected<void, std::string> ingest_sample(const Model& model, const Sample& sample, void* out) try {
  const PortInfo& port = model.info().input;
  if (!fits(port, sample)) {
    return tl::make_unexpected(fmt::format("{}{} x {} x {} does not fit the net's input {}, which is {}: {}", sample.path.empty() ? "" : sample.path + ": ",
                                           sample.height, sample.width, sample.channels, port.name ? port.name : "", shape_text(port), remedy(port, sample)));
  }
  if (port.dtype == DType::u8) {
    model.ingest(sample.pixels.data(), sample.height, sample.width, sample.channels, out);
    return {};
  }
  if (port.dtype != DType::f32) return tl::make_unexpected("the net's input takes neither u8 nor f32, and images have no other form");
  thread_local std::vector<float> floats;   // 0 to 255, as Keras gives images to a net
  floats.assign(sample.pixels.begin(), sample.pixels.end());
  model.ingest(floats.data(), sample.height, sample.width, sample.channels, out);
  return {};
} catch (const std::bad_alloc&) {
  return tl::make_unexpected(fmt::format("{}: no memory for the image", sample.path));
}

}  // namespace netc::rt
