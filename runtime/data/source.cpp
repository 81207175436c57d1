#include "runtime/data/source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <optional>

namespace netc::rt {
namespace {

using Opened = tl::expected<std::unique_ptr<Source>, std::string>;

struct KindInfo { const char* name; Opened (*open)(const std::string&, Split, const ModelInfo&); const char* instead; };
constexpr KindInfo kKinds[] = {
    {"folder", open_folder, ""},
    {"mnist", open_mnist, ""},
    {"synthetic", open_synthetic, ""},
    {"cifar", nullptr, "unpack it to a folder with one subfolder of images per class and give that folder"},
    {"csv", nullptr, "give a folder with one subfolder of images per class"},
    {"npy", nullptr, "give a folder with one subfolder of images per class"},
    {"tfrecord", nullptr, "give a folder with one subfolder of images per class"},
};

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t up = row[j];
      row[j] = std::min({up + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = up;
    }
  }
  return row[b.size()];
}

std::string nearest_kind(const std::string& kind) {
  std::string best;
  size_t distance = 3;
  for (const KindInfo& k : kKinds) {
    const size_t d = edit_distance(kind, k.name);
    if (d < distance && d < kind.size()) distance = d, best = k.name;
  }
  return best;
}

/// "kind" of "kind:rest"; nothing when the spec is a path.
std::optional<std::string> kind_of(const std::string& spec) {
  const size_t colon = spec.find(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  const bool word =
      std::all_of(spec.begin(), spec.begin() + static_cast<std::ptrdiff_t>(colon), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
  std::error_code none;
  if (!word || std::filesystem::exists(spec, none)) return std::nullopt;
  return spec.substr(0, colon);
}

}  // namespace

tl::expected<std::unique_ptr<Source>, std::string> open_source(const std::string& spec, Split split, const ModelInfo& info) try {
  if (spec.empty()) return tl::make_unexpected("no data is given: write --data with a folder, mnist:DIR, synthetic:digits or synthetic:shapes");
  const auto kind = kind_of(spec);
  if (!kind) return open_folder(spec, split, info);
  for (const KindInfo& k : kKinds) {
    if (*kind != k.name) continue;
    if (k.open) return k.open(spec.substr(kind->size() + 1), split, info);
    return tl::make_unexpected(fmt::format("{}: {}: data is not in this version yet; {}", spec, k.name, k.instead));
  }
  const std::string near = nearest_kind(*kind);
  return tl::make_unexpected(fmt::format("{}: there is no data kind '{}'{}; it is a folder, mnist:DIR, synthetic:digits or synthetic:shapes", spec, *kind,
                                         near.empty() ? "" : fmt::format(", did you mean {}:?", near)));
} catch (const std::exception& e) {   // bad_alloc, and what the standard library's file system throws
  return tl::make_unexpected(fmt::format("{}: cannot open: {}", spec, e.what()));
}

tl::expected<ClassMap, std::string> match_classes(const std::vector<std::string>& own, bool by_position, const std::string& spec, const ModelInfo& info) {
  ClassMap map;
  map.labels.resize(own.size());
  std::iota(map.labels.begin(), map.labels.end(), 0);
  map.names.assign(info.classes.begin(), info.classes.end());
  if (map.names.empty()) {
    map.names = own;
    return map;
  }
  std::vector<std::string> foreign;
  for (size_t i = 0; i < own.size(); ++i) {
    const auto at = std::find(map.names.begin(), map.names.end(), own[i]);
    if (at == map.names.end()) foreign.push_back(own[i]);
    else map.labels[i] = static_cast<int>(at - map.names.begin());
  }
  if (foreign.empty()) return map;
  if (by_position && own.size() == map.names.size()) {
    std::iota(map.labels.begin(), map.labels.end(), 0);
    return map;
  }
  return tl::make_unexpected(fmt::format("{}: the net's classes are [{}], but the data has [{}]; compile with -D classes=... for these, or give other data",
                                         spec, fmt::join(map.names, ", "), fmt::join(own, ", ")));
}

}  // namespace netc::rt
