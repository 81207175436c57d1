#include "runtime/data/ports.h"

#include <fmt/format.h>

#include <vector>

namespace netc::rt {
namespace {

bool is_box(const PortInfo& p) { return p.dtype == DType::f32 && p.rank == 1 && p.dims[0] == 4; }
bool is_mask(const PortInfo& p) {
  return p.dtype == DType::i32 && p.sized() && (p.rank == 2 || (p.rank == 3 && p.dims[2] == 1));
}

std::string gives_text(const ImageGives& g) {
  std::vector<const char*> parts;
  if (g.label) parts.push_back("a class (i32[])");
  if (g.box) parts.push_back("a box (f32[4])");
  if (g.mask) parts.push_back("a mask (i32[height, width])");
  std::string s;
  for (size_t i = 0; i < parts.size(); ++i)
    s += fmt::format("{}{}", i == 0 ? "" : i + 1 == parts.size() ? " and " : ", ", parts[i]);
  return s;
}

}  // namespace

std::string type_text(const PortInfo& p) {
  constexpr const char* kTypes[] = {"f32", "u8", "i32", "u32"};
  std::string s;
  for (int i = 0; i < p.rank; ++i)
    s += (i ? ", " : "") + (p.dims[i] < 0 ? std::string("*") : fmt::format("{}", p.dims[i]));
  return fmt::format("{}[{}]", kTypes[static_cast<int>(p.dtype)], s);
}

int image_channels(const PortInfo& p) {
  if (p.dtype != DType::u8 && p.dtype != DType::f32) return 0;
  if (p.rank == 1 || p.rank == 2) return 1;
  if (p.rank != 3) return 0;
  const int64_t c = p.dims[2];
  return c == -1 ? 3 : c == 1 || c == 3 ? static_cast<int>(c) : 0;
}

tl::expected<ImagePorts, std::string> image_ports(const std::string& spec, const ModelInfo& info, ImageGives gives) {
  const auto failed = [&](const std::string& why) { return tl::make_unexpected(fmt::format("{}: {}", spec, why)); };
  ImagePorts ports;
  if (info.inputs.size() != 1) {
    const bool two = info.inputs.size() == 2 && info.inputs[0].rank >= 2 && image_channels(info.inputs[0]) > 0 &&
                     image_channels(info.inputs[1]) > 0;
    return failed(fmt::format("gives one image a sample, but the net takes {} inputs{}", info.inputs.size(),
                              two ? fmt::format("; pairs:{} makes pairs of them", spec) : ""));
  }
  ports.channels = image_channels(info.inputs[0]);
  if (ports.channels == 0)
    return failed(
        "holds images, but the net's input has neither 1 nor 3 channels; declare it as u8[*, *, 3] or u8[*, *, 1]");
  ports.labels = info.labels.size();
  for (size_t i = 0; i < info.labels.size(); ++i) {
    const PortInfo& p = info.labels[i];
    int* place = gives.label && is_class(p) ? &ports.label
                 : gives.box && is_box(p)   ? &ports.box
                 : gives.mask && is_mask(p) ? &ports.mask
                                            : nullptr;
    if (!place || *place >= 0) {
      return failed(fmt::format(
          "gives {} to each image, but not the net's label {}, {}{}", gives_text(gives), p.name, type_text(p),
          place ? fmt::format(": {} has it already", info.labels[static_cast<size_t>(*place)].name) : ""));
    }
    *place = static_cast<int>(i);
  }
  return ports;
}

}  // namespace netc::rt
