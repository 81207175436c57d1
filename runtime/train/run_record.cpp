#include "runtime/counted.h"
#include "runtime/train/run_record.h"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/core/files.h"

namespace netc::rt {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string text_of(const char* s) { return s == nullptr ? "" : s; }

class Digest {
 public:
  void add(std::string_view text) {
    crc_ = crc32_z(crc_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    crc_ = crc32_z(crc_, reinterpret_cast<const unsigned char*>("\n"), 1);
  }
  void add(const std::string& name, const fs::path& file) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    add(fmt::format("{} {}", name, error ? 0 : size));
  }
  std::string text() const { return fmt::format("{:08x}", crc_); }

 private:
  unsigned long crc_ = crc32_z(0, nullptr, 0);
};

/// The file or folder of "csv:t.csv", "pairs:mnist:DIR" or "faces"; "" when there is none.
std::string path_of(std::string_view spec) {
  std::error_code none;
  for (;;) {
    if (fs::exists(fs::path(spec), none)) return std::string(spec);
    const size_t colon = spec.find(':');
    if (colon == std::string_view::npos) return "";
    spec.remove_prefix(colon + 1);
  }
}

/// What may be another on purpose, with how it is read from the text of a Change.
template <class Number>
void take(const Change& c, const char* what, Number& out) {
  if (c.what == what) std::from_chars(c.now.data(), c.now.data() + c.now.size(), out);
}

json json_of(const RunRecord::Facts& facts) {
  json j = json::object();
  for (const auto& [key, value] : facts) j[key] = value;
  return j;
}

json json_of(const DataMark& mark) { return {{"samples", mark.samples}, {"digest", mark.digest}}; }

RunRecord::Facts facts_of(const json& j) {
  RunRecord::Facts facts;
  if (!j.is_object()) return facts;
  for (const auto& [key, value] : j.items())
    if (value.is_string()) facts.emplace_back(key, value.get<std::string>());
  return facts;
}

/// Missing or damaged: as in a record of an earlier version, nothing known.
const json& part(const json& j, const char* key) {
  static const json none;
  return j.is_object() && j.contains(key) ? j[key] : none;
}
std::string text_in(const json& j, const char* key) {
  return part(j, key).is_string() ? part(j, key).get<std::string>() : "";
}
uint64_t whole_in(const json& j, const char* key) {
  return part(j, key).is_number_unsigned() ? part(j, key).get<uint64_t>() : 0;
}
DataMark mark_in(const json& j) { return {whole_in(j, "samples"), text_in(j, "digest")}; }

/// Other values of `then` that `now` has too or lacks.
void compare(const RunRecord::Facts& then, const RunRecord::Facts& now, bool all, std::vector<Change>& out) {
  const auto find = [](const RunRecord::Facts& facts, const std::string& key) {
    return std::find_if(facts.begin(), facts.end(), [&](const auto& f) { return f.first == key; });
  };
  for (const auto& [key, value] : then) {
    const auto at = find(now, key);
    if (at == now.end() ? all : at->second != value)
      out.push_back({key, value, at == now.end() ? "not there" : at->second});
  }
  for (const auto& [key, value] : now)
    if (all && find(then, key) == then.end()) out.push_back({key, "not there", value});
}

}  // namespace

DataMark mark_of(const Source& source, const std::string& spec) {
  Digest digest;
  const std::string root = path_of(spec);
  std::error_code error;
  const auto below = [&](const std::string& path) { return path.starts_with(root) ? path.substr(root.size()) : path; };
  const std::string first = source.size() == 0 ? "" : source.name(0);
  if (root.empty()) {
    digest.add(spec);
  } else if (fs::is_regular_file(root, error)) {
    digest.add("", root);
  } else if (fs::is_regular_file(first, error)) {  // each sample has its file
    for (size_t i = 0; i < source.size(); ++i) digest.add(below(source.name(i)), source.name(i));
  } else {
    std::vector<std::string> files;
    for (auto it = fs::recursive_directory_iterator(root, error); !error && it != fs::recursive_directory_iterator();
         it.increment(error))
      if (it->is_regular_file(error) && !it->path().filename().native().starts_with('.'))
        files.push_back(it->path().string());
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) digest.add(below(file), file);
  }
  for (const std::string& name : source.classes()) digest.add(name);
  return {source.size(), digest.text()};
}

std::string difference_text(const DataMark& then, const DataMark& now, const std::string& spec_then,
                            const std::string& spec_now) {
  if (then.digest.empty() || (then.samples == now.samples && then.digest == now.digest)) return "";
  if (then.samples != now.samples)
    return fmt::format("{} had {}, and {} has {}", spec_then, counted(then.samples, "sample"), spec_now,
                       grouped(now.samples));
  return fmt::format("{} has as many samples as {} had, but of other names, sizes or classes", spec_now, spec_then);
}

RunArgs RunRecord::current() const {
  RunArgs a = args;
  for (const Resume& r : resumes)
    for (const Change& c : r.changes) {
      take(c, "epochs", a.epochs), take(c, "lr", a.lr), take(c, "threads", a.threads);
      if (c.what == "data") a.data = c.now;
      if (c.what == "valid") a.valid = c.now;
    }
  return a;
}

void describe_program(RunRecord& record, const ModelInfo& info) {
  record.program = {{"name", text_of(info.name)},
                    {"net", text_of(info.net)},
                    {"source_hash", text_of(info.source_hash)},
                    {"target", text_of(info.target)},
                    {"compiler_version", text_of(info.compiler_version)},
                    {"loss", text_of(info.loss)},
                    {"optimizer", text_of(info.optimizer)},
                    {"precision", text_of(info.precision)}};
  for (const KeyValue& h : info.hyperparameters) record.hyperparameters.emplace_back(text_of(h.key), text_of(h.value));
}

std::vector<Change> other_program(const RunRecord& then, const RunRecord& now) {
  std::vector<Change> changes;
  compare(then.program, now.program, false, changes);
  // Another name is the same program, and another machine or compiler gives the same but for the last bits.
  std::erase_if(changes,
                [](const Change& c) { return c.what == "name" || c.what == "target" || c.what == "compiler_version"; });
  for (Change& c : changes)
    if (c.what == "source_hash") c.what = "the source's hash";
  compare(then.hyperparameters, now.hyperparameters, true, changes);
  return changes;
}

std::vector<Change> changes_between(const RunArgs& before, const RunArgs& now) {
  std::vector<Change> changes;
  const auto compare_one = [&](const char* what, const auto& a, const auto& b) {
    if (a != b) changes.push_back({what, fmt::format("{}", a), fmt::format("{}", b)});
  };
  compare_one("data", before.data, now.data);
  compare_one("valid", before.valid, now.valid);
  compare_one("epochs", before.epochs, now.epochs);
  compare_one("lr", before.lr, now.lr);
  compare_one("threads", before.threads, now.threads);
  return changes;
}

std::string changes_text(const std::vector<Change>& changes) {
  std::string text;
  for (const Change& c : changes)
    text += fmt::format("{}{} was {} and is {}", text.empty() ? "" : "; ", c.what, c.before, c.now);
  return text;
}

tl::expected<void, std::string> write_record(const RunFolder& folder, const RunRecord& r) {
  const RunArgs& a = r.args;
  json j = {{"data", a.data},   {"valid", a.valid}, {"weights", a.weights}, {"epochs", a.epochs},
            {"batch", a.batch}, {"lr", a.lr},       {"seed", a.seed},       {"threads", a.threads}};
  j["program"] = json_of(r.program);
  j["program"]["hyperparameters"] = json_of(r.hyperparameters);
  j["samples"] = {{"data", json_of(r.data)}, {"valid", json_of(r.valid)}};
  j["resumes"] = json::array();
  for (const RunRecord::Resume& resume : r.resumes) {
    json changes = json::object();
    for (const Change& c : resume.changes) changes[c.what] = {c.before, c.now};
    j["resumes"].push_back(
        {{"time", resume.time}, {"epoch", resume.epoch}, {"step", resume.step}, {"changes", std::move(changes)}});
  }
  return write_atomically(folder.file("args.json"), j.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

tl::expected<RunRecord, std::string> read_record(const RunFolder& folder) {
  const std::string path = folder.file("args.json");
  const auto text = read_file(path);
  if (!text) return tl::make_unexpected(text.error());
  const json j = json::parse(*text, nullptr, false);
  const auto has = [&](const char* key, auto is) { return j.contains(key) && (j[key].*is)(); };
  for (const char* key : {"data", "valid", "weights"}) {
    if (!j.is_object() || !has(key, &json::is_string))
      return tl::make_unexpected(fmt::format("{}: '{}' is missing or no text", path, key));
  }
  for (const char* key : {"epochs", "batch", "seed", "threads"}) {
    if (!has(key, &json::is_number_integer))
      return tl::make_unexpected(fmt::format("{}: '{}' is missing or no whole number", path, key));
  }
  if (!has("lr", &json::is_number)) return tl::make_unexpected(fmt::format("{}: 'lr' is missing or no number", path));
  RunRecord r;
  r.args = {j["data"].get<std::string>(), j["valid"].get<std::string>(), j["weights"].get<std::string>(),
            j["epochs"].get<int64_t>(),   j["batch"].get<int64_t>(),     j["lr"].get<double>(),
            j["seed"].get<uint64_t>(),    j["threads"].get<int>()};
  r.program = facts_of(part(j, "program"));
  r.hyperparameters = facts_of(part(part(j, "program"), "hyperparameters"));
  r.data = mark_in(part(part(j, "samples"), "data"));
  r.valid = mark_in(part(part(j, "samples"), "valid"));
  for (const json& resume : part(j, "resumes")) {
    RunRecord::Resume& out = r.resumes.emplace_back();
    out.time = text_in(resume, "time"), out.epoch = whole_in(resume, "epoch"), out.step = whole_in(resume, "step");
    if (!part(resume, "changes").is_object()) continue;
    for (const auto& [what, values] : part(resume, "changes").items())
      if (values.is_array() && values.size() == 2 && values[0].is_string() && values[1].is_string())
        out.changes.push_back({what, values[0], values[1]});
  }
  return r;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts = {};
  char text[64] = "";
  if (gmtime_r(&now, &parts) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

}  // namespace netc::rt
