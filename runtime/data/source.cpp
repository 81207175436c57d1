#include "runtime/data/source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "runtime/data/augment.h"
#include "runtime/data/csv_table.h"
#include "runtime/core/unicode.h"
#include "runtime/kinds/kinds.h"
#include "runtime/nearest.h"

namespace netc::rt {
namespace {

struct Opener {
  std::string_view name;
  Opened (*open)(const std::string&, Split, const ModelInfo&);
};
constexpr Opener kOpeners[] = {
#define NETC_DATA(kind, word, argument, parted, spec) {#kind, open_##kind},
#include "runtime/kinds/data.def"
#undef NETC_DATA
};

std::string nearest_kind(const std::string& kind) {
  std::vector<std::string> known;
  for (const kinds::Data& k : kinds::kData) known.emplace_back(k.kind);
  return nearest(kind, known);
}

/// What a SPEC is: "csv" and "t.csv" of "csv:t.csv". A path is a folder, or the kind that its file's ending tells.
struct Named {
  std::string kind, rest;
};
Named named(const std::string& spec) {
  std::error_code none;
  const std::string path = table_path(spec);
  if (std::filesystem::exists(path, none)) {
    const std::string kind = std::filesystem::is_directory(path, none) ? "" : kind_of_file(path);
    return {kind.empty() ? "folder" : kind, spec};
  }
  const size_t colon = spec.find(':');
  const bool word = colon != std::string::npos && colon > 0 &&
                    std::all_of(spec.begin(), spec.begin() + static_cast<std::ptrdiff_t>(colon),
                                [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
  return word ? Named{spec.substr(0, colon), spec.substr(colon + 1)} : Named{"folder", spec};
}

}  // namespace

tl::expected<std::unique_ptr<Source>, std::string> open_source(const std::string& spec, Split split,
                                                               const ModelInfo& info) try {
  if (spec.empty())
    return tl::make_unexpected(fmt::format("no data is given: write --data with {}", kinds::data_kinds_text()));
  const auto [kind, rest] = named(spec);
  if (const Opener* opener = kinds::find(kOpeners, kind)) return opener->open(rest, split, info);
  const std::string near = nearest_kind(kind);
  return tl::make_unexpected(fmt::format("{}: there is no data kind '{}'{}; it is {}", spec, kind,
                                         near.empty() ? "" : fmt::format(", did you mean {}:?", near),
                                         kinds::data_kinds_text()));
} catch (const std::exception& e) {  // bad_alloc, and what the standard library's file system throws
  return tl::make_unexpected(fmt::format("{}: cannot open: {}", spec, e.what()));
}

std::string kind_of_file(const std::string& path) {
  const std::string ending = std::filesystem::path(table_path(path)).extension().string();
  return ending == ".csv" || ending == ".tsv" ? "csv" : ending == ".npz" ? "npy" : ending == ".txt" ? "text" : "";
}

bool holds_out(const std::string& spec) {
  const auto [kind, rest] = named(spec);
  if (kind == "pairs") return holds_out(rest);
  for (const kinds::Data& k : kinds::kData)
    if (kind == k.kind) return k.parted;
  return false;
}

Common in_common(const std::string& a, const std::string& b) {
  if (!holds_out(a)) return Common::nothing;
  const auto [kind, x] = named(a);
  const auto [other, y] = named(b);
  if (kind != other) return Common::nothing;
  if (kind == "pairs") return in_common(x, y);
  const std::string p = kind == "csv" ? table_path(x) : x, q = kind == "csv" ? table_path(y) : y;
  std::error_code none;
  if (p != q && !std::filesystem::equivalent(p, q, none)) return Common::nothing;
  return x.substr(p.size()) == y.substr(q.size()) ? Common::all : Common::file;
}

std::vector<size_t> part_of(size_t n, Split split) {
  std::vector<size_t> all(n);
  std::iota(all.begin(), all.end(), size_t{0});
  if (split == Split::train || split == Split::test || n < 2) return all;
  std::vector<size_t> shuffled = all;
  std::vector<uint64_t> key(n);
  for (size_t i = 0; i < n; ++i) key[i] = CounterRandom(20260118, i).bits();
  std::sort(shuffled.begin(), shuffled.end(), [&](size_t a, size_t b) { return key[a] < key[b]; });
  const auto held = static_cast<std::ptrdiff_t>(std::max<size_t>(1, n / 5));
  std::vector<size_t> part(split == Split::held_out ? shuffled.begin() : shuffled.begin() + held,
                           split == Split::held_out ? shuffled.begin() + held : shuffled.end());
  std::sort(part.begin(), part.end());
  return part;
}

bool same_class(const std::string& a, const std::string& b) { return a == b || nfc(a) == nfc(b); }

bool names_classes(const ModelInfo& info) {
  return !info.classes.empty() &&
         std::any_of(info.hyperparameters.begin(), info.hyperparameters.end(),
                     [](const KeyValue& h) { return std::string_view(h.key) == "classes" && h.value[0] == '['; });
}

tl::expected<ClassMap, std::string> match_classes(const std::vector<std::string>& own, bool by_position,
                                                  const std::string& spec, const ModelInfo& info) {
  ClassMap map;
  map.labels.resize(own.size());
  std::iota(map.labels.begin(), map.labels.end(), 0);
  map.names.assign(info.classes.begin(), info.classes.end());
  std::vector<std::string> names;
  for (const std::string& name : own) {
    if (std::string normal = nfc(name); std::find(names.begin(), names.end(), normal) == names.end())
      names.push_back(std::move(normal));
    else
      return tl::make_unexpected(
          fmt::format("{}: has the class {} twice, written with other bytes for the same characters; rename one, or "
                      "put them together",
                      spec, normal));
  }
  if (map.names.empty()) {
    map.names = std::move(names);
    return map;
  }
  std::vector<std::string> foreign;
  for (size_t i = 0; i < own.size(); ++i) {
    const auto at =
        std::find_if(map.names.begin(), map.names.end(), [&](const std::string& n) { return same_class(n, names[i]); });
    if (at == map.names.end()) foreign.push_back(names[i]);
    else map.labels[i] = static_cast<int>(at - map.names.begin());
  }
  if (foreign.empty()) return map;
  if (by_position && own.size() == map.names.size()) {
    std::iota(map.labels.begin(), map.labels.end(), 0);
    return map;
  }
  if (names_classes(info)) {
    return tl::make_unexpected(
        fmt::format("{}: the net's classes are [{}], but the data has [{}]; compile with -D 'classes=[{}]' for these, "
                    "or give other data",
                    spec, fmt::join(map.names, ", "), fmt::join(names, ", "), fmt::join(names, ", ")));
  }
  return tl::make_unexpected(
      fmt::format("{}: the net's classes are [{}], but the data has [{}], and the net was trained without {}; leave {} "
                  "out, or train on data that has all",
                  spec, fmt::join(map.names, ", "), fmt::join(names, ", "), fmt::join(foreign, ", "),
                  foreign.size() == 1 ? "it" : "them"));
}

}  // namespace netc::rt
