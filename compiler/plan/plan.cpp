#include "compiler/plan/plan.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace netc::plan {

const char* to_string(Phase p) {
  constexpr const char* names[] = {"ingest", "prepare", "forward", "loss", "backward", "update"};
  return names[static_cast<int>(p)];
}

std::string Strategy::text() const {
  std::string s = fmt::format("{} vector={}", name, vector);
  for (auto& [k, v] : numbers) s += fmt::format(" {}={}", k, v);
  return s;
}

int64_t Strategy::get(const std::string& number, int64_t fallback) const {
  for (const auto& [k, v] : numbers)
    if (k == number) return v;
  return fallback;
}

std::vector<StoredDim> stored_dims(const Buffer& b) {
  const auto& d = b.type.dims;
  if (b.planar)
    return {{d[2], d[0] * d[1]},
            {d[1], 1},
            {d[0], d[1]},
            {1, b.sample_stride > 0 ? b.sample_stride : d[0] * d[1] * d[2]}};
  std::vector<StoredDim> s;
  int64_t stride = 1;
  const auto add = [&](int64_t extent) {
    s.push_back({extent, stride});
    stride *= extent;
  };
  if (b.pair_dim >= 0) add(2);
  if (b.block > 0) add(b.block);
  for (int dim = 0; dim < b.type.rank(); ++dim) {
    if (b.block > 0 && dim == b.block_dim) continue;
    const int64_t extent = d[static_cast<size_t>(b.type.rank() - 1 - dim)];
    add(dim == b.pair_dim ? extent / 2 : extent);
  }
  if (b.block > 0) add(d[static_cast<size_t>(b.type.rank() - 1 - b.block_dim)] / b.block);
  if (b.type.batched) s.push_back({1, b.sample_stride > 0 ? b.sample_stride : stride});
  return s;
}

std::optional<Strategy> strategy_of(const std::string& text) {
  Strategy s;
  std::string_view rest = text;
  bool first = true, vector = false;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    if (first) {
      s.name = word;
      first = false;
      continue;
    }
    const size_t equals = word.find('=');
    int64_t v = 0;
    if (equals == std::string_view::npos || equals == 0) return std::nullopt;
    const auto [end, failed] = std::from_chars(word.data() + equals + 1, word.data() + word.size(), v);
    if (failed != std::errc() || end != word.data() + word.size() || v < 0 || v > 1 << 30) return std::nullopt;
    if (!vector && word.substr(0, equals) == "vector") s.vector = static_cast<int>(v), vector = true;
    else s.numbers.push_back({std::string(word.substr(0, equals)), v});
  }
  if (s.name.empty() || !vector) return std::nullopt;
  return s;
}

bool overwrites_operand(const Plan& p, const Kernel& k) {
  for (int o : k.outputs)
    for (int i : k.inputs) {
      const Buffer &out = p.buffers[static_cast<size_t>(o)], &in = p.buffers[static_cast<size_t>(i)];
      if (out.storage == in.storage &&
          (out.storage == Storage::arena ? out.arena_block == in.arena_block
                                         : out.storage == Storage::variable && out.variable == in.variable))
        return true;
    }
  return false;
}

size_t operand_index(const Plan& p, const Kernel& k, size_t operand) {
  return static_cast<size_t>(
      std::find(k.input_values.begin(), k.input_values.end(), p.graph->nodes[k.anchor].inputs[operand]) -
      k.input_values.begin());
}

int64_t weights_block(const Plan& p, const Kernel& k) {
  const size_t at = operand_index(p, k, 1);
  return at < k.inputs.size() ? p.buffers[k.inputs[at]].block : 0;
}

bool weights_in_pairs(const Plan& p, const Kernel& k) {
  const size_t at = operand_index(p, k, 1);
  return at < k.inputs.size() && p.buffers[k.inputs[at]].pair_dim >= 0;
}

}  // namespace netc::plan
