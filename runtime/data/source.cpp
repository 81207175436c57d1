#include "runtime/data/source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "runtime/data/augment.h"
#include "runtime/data/csv_table.h"
#include "runtime/core/unicode.h"

namespace netc::rt {
namespace {

constexpr const char* kAll =
    "a folder, mnist:DIR, cifar:DIR, csv:FILE, npy:FILE, text:FILE, masks:DIR, pairs:SPEC or synthetic:digits";

struct KindInfo {
  const char* name;
  Opened (*open)(const std::string&, Split, const ModelInfo&);
  bool parted = false; /* see holds_out */
};
constexpr KindInfo kKinds[] = {
    {"folder", open_folder},   {"mnist", open_mnist},       {"synthetic", open_synthetic},
    {"cifar", open_cifar},     {"csv", open_csv, true},     {"npy", open_npy, true},
    {"text", open_text, true}, {"masks", open_masks, true}, {"pairs", open_pairs},
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
  if (spec.empty()) return tl::make_unexpected(fmt::format("no data is given: write --data with {}", kAll));
  const auto [kind, rest] = named(spec);
  for (const KindInfo& k : kKinds)
    if (kind == k.name) return k.open(rest, split, info);
  const std::string near = nearest_kind(kind);
  return tl::make_unexpected(fmt::format("{}: there is no data kind '{}'{}; it is {}", spec, kind,
                                         near.empty() ? "" : fmt::format(", did you mean {}:?", near), kAll));
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
  return std::any_of(std::begin(kKinds), std::end(kKinds),
                     [&kind = kind](const KindInfo& k) { return k.parted && kind == k.name; });
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
