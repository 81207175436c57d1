// What a misspelt word may have meant: for the compiler's messages and those of programs.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace netc::rt {

/// The name in `known` nearest to `name` by edit distance, or "" when none is near enough to suggest.
inline std::string nearest(const std::string& name, const std::vector<std::string>& known) {
  constexpr size_t kLongest = 64;
  if (name.empty() || name.size() > kLongest) return "";
  std::string best;
  size_t best_distance = std::max<size_t>(1, name.size() / 3) + 1;
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  std::array<std::array<uint8_t, kLongest + 1>, kLongest + 1> d;
  for (const std::string& other : known) {
    if (other == name || other.size() > kLongest) continue;
    const bool begins = name.starts_with(other) || other.starts_with(name);
    if (name.size() < 3 && other.size() != name.size() && !begins) continue;  // In is not Min
    if (std::max(name.size(), other.size()) - std::min(name.size(), other.size()) >= best_distance) continue;
    for (size_t i = 0; i <= name.size(); ++i) d[i][0] = static_cast<uint8_t>(i);
    for (size_t j = 0; j <= other.size(); ++j) d[0][j] = static_cast<uint8_t>(j);
    for (size_t i = 1; i <= name.size(); ++i)
      for (size_t j = 1; j <= other.size(); ++j) {
        const bool same = lower(name[i - 1]) == lower(other[j - 1]);
        int least = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (same ? 0 : 1)});
        if (i > 1 && j > 1 && lower(name[i - 1]) == lower(other[j - 2]) && lower(name[i - 2]) == lower(other[j - 1]))
          least = std::min(least, d[i - 2][j - 2] + 1);
        d[i][j] = static_cast<uint8_t>(least);
      }
    if (d[name.size()][other.size()] < best_distance) best_distance = d[name.size()][other.size()], best = other;
  }
  // A word that begins like another: "kernel_size" for kernel, "Flat" for Flatten.
  for (const std::string& other : known)
    if (best.empty() && std::min(name.size(), other.size()) >= 3 &&
        (name.rfind(other, 0) == 0 || other.rfind(name, 0) == 0) && other != name)
      best = other;
  return best;
}

}  // namespace netc::rt
