#include "tests/random/write.h"

#include <fstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/ops/ops.h"
#include "compiler/passes/pipeline.h"
#include "compiler/verify/contents.h"
#include "compiler/verify/elements.h"
#include "tests/random/check.h"
#include "tests/random/generate.h"

namespace netc::random {
namespace {

/// NumPy's format, version 1.0: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
void write_array(const std::filesystem::path& path, const ir::RefTensor& t, ir::DType type) {
  const char* descr = type == ir::DType::u8    ? "|u1"
                      : type == ir::DType::i32 ? "<i4"
                      : type == ir::DType::u32 ? "<u4"
                                               : "<f4";
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({},), }}", descr, fmt::join(t.dims, ", "));
  header.resize((header.size() + 1 + 10 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  std::string bytes(t.data.size() * static_cast<size_t>(size_of(type)), '\0');
  verify::write_elements(type, t, bytes.data());
  std::ofstream f(path, std::ios::binary);
  f << std::string("\x93NUMPY\x01\x00", 8) << static_cast<char>(header.size() & 0xff)
    << static_cast<char>(header.size() >> 8) << header << bytes;
}

}  // namespace

bool write_network(uint64_t seed, const std::filesystem::path& folder) {
  const std::string text = generate(seed).text;
  const auto model = model_of(text);
  if (!model) return false;
  const passes::Program program = passes::run_pipeline(*model, ops::registry());
  const ir::Graph& g = program.training.nodes.empty() ? program.inference : program.training;
  for (const ir::Variable& v : g.variables)
    if (g.type(v.value).has_any_extent()) return false;
  const int samples = 2 * static_cast<int>(model->train.batch) + 1;
  const auto contents = verify::contents(g, samples, 0);
  std::filesystem::create_directories(folder / std::to_string(seed));
  for (const ir::Variable& v : g.variables)
    if (v.role == ir::Role::input || v.role == ir::Role::label)
      write_array(folder / std::to_string(seed) / (v.name + ".npy"), contents.at(v.name), g.type(v.value).dtype);
  std::ofstream(folder / fmt::format("{}.net", seed)) << text;
  return true;
}

}  // namespace netc::random
