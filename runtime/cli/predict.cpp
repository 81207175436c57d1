#include <algorithm>
#include <filesystem>
#include <iostream>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "runtime/cli/commands.h"
#include "runtime/counted.h"
#include "runtime/data/image.h"
#include "runtime/data/loader.h"
#include "runtime/data/ports.h"
#include "runtime/data/source.h"
#include "runtime/train/trainer.h"

namespace netc::rt {
namespace {

constexpr int kMostTogether = 16;  // samples of one batch
constexpr const char* kPiped = "standard input";

struct Answer {
  int index;
  float probability;
};

/// The `top` most likely classes of one row; a single output stands for two classes.
std::vector<Answer> best_of(const Metrics& metrics, const float* row, int classes, int top) {
  std::vector<Answer> all;
  for (int i = 0; i < classes; ++i) all.push_back({i, metrics.probability(row, i)});
  const size_t n = std::min<size_t>(static_cast<size_t>(top), all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n), all.end(),
                    [](const Answer& a, const Answer& b) { return a.probability > b.probability; });
  all.resize(n);
  return all;
}

/// The output that classes are read from: the one that is compared with them; of a net that was compiled without its
/// losses the first row that answers with them.
int class_output(const ModelInfo& info) {
  const auto c = classified(info);
  if (c) return static_cast<int>(c->output);
  for (size_t o = 0; o < info.outputs.size() && info.losses.empty(); ++o)
    if (info.outputs[o].classes && info.outputs[o].rank == 1) return static_cast<int>(o);
  return -1;
}

/// Collects samples into batches, runs them, and says what the net answered.
class Predictions {
 public:
  Predictions(const ModelInfo& info, const PredictOptions& o, Loaded& loaded, int batch)
      : info_(info),
        o_(o),
        l_(loaded),
        batch_(batch),
        class_output_(class_output(info)) {
    if (const OutputMetrics all(info); all.classes()) reading_ = *all.classes();
    else if (class_output_ >= 0)
      reading_ = Metrics(info.outputs[static_cast<size_t>(class_output_)], {"label", DType::i32, 0, {}}, {});
    const int outputs =
        class_output_ < 0 ? 0 : static_cast<int>(info.outputs[static_cast<size_t>(class_output_)].elements());
    for (int k = 0; k < (outputs ? classes_of(outputs) : 0); ++k) names_.push_back(class_name(info, l_.classes, k));
  }

  /// The error of a sample that does not fit; the others go on. False in `ran`: the net could not be run.
  tl::expected<void, std::string> add(const std::string& name, const std::vector<Field>& inputs, bool& ran) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      void* place = static_cast<char*>(l_.model->input(i)) + taken_.size() * info_.ingested[i].bytes();
      if (auto r = ingest_field(*l_.model, i, inputs[i], name, place); !r) return r;
    }
    taken_.push_back(name);
    ran = static_cast<int>(taken_.size()) < batch_ || run();
    return {};
  }

  /// Runs what is left of a batch.
  bool run() {
    if (taken_.empty()) return true;
    if (l_.model->infer(static_cast<int>(taken_.size())) == nullptr) return false;
    for (size_t i = 0; i < taken_.size(); ++i) {
      if (finite_answer(*l_.model, i)) say(i);
      else
        good_ = false, fail(info_, fmt::format("{}: the net's answer is not finite numbers: its weights are broken, or "
                                               "the values far outside those it was trained on",
                                               taken_[i]));
    }
    taken_.clear();
    return true;
  }
  bool good() const { return good_; }
  void finish() const {
    if (o_.json) fmt::print("{}\n", results_.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  }

 private:
  std::span<const float> row(size_t output, size_t i) const {
    const size_t n = info_.outputs[output].elements();
    return {l_.model->output(output) + i * n, n};
  }

  void say(size_t i) {
    const bool whole = info_.outputs.size() > 1 || class_output_ < 0;  // not just classes
    nlohmann::json j = {{"file", taken_[i]}};
    if (class_output_ >= 0) {
      const std::span<const float> values = row(static_cast<size_t>(class_output_), i);
      const std::vector<Answer> answers =
          best_of(reading_, values.data(), static_cast<int>(names_.size()), std::max(1, o_.top));
      nlohmann::json top = nlohmann::json::array();
      for (const Answer& a : answers)
        top.push_back(
            {{"class", names_[static_cast<size_t>(a.index)]}, {"index", a.index}, {"probability", a.probability}});
      j.update({{"class", top[0]["class"]}, {"probability", top[0]["probability"]}, {"top", std::move(top)}});
      if (!o_.json) print_classes(taken_[i], answers);
    } else if (!o_.json) {
      fmt::print("{}:{}", taken_[i], info_.outputs.size() > 1 ? "\n" : "");
    }
    for (size_t k = 0; k < info_.outputs.size() && whole; ++k) {
      const std::span<const float> values = row(k, i);
      j["outputs"][info_.outputs[k].name] = std::vector<float>(values.begin(), values.end());
      if (!o_.json && static_cast<int>(k) != class_output_) print_values(info_.outputs[k].name, values);
    }
    if (o_.json) results_.push_back(std::move(j));
  }

  void print_classes(const std::string& file, const std::vector<Answer>& answers) const {
    if (o_.top <= 1) {
      fmt::print("{}: {} {:.4f}\n", file, names_[static_cast<size_t>(answers[0].index)], answers[0].probability);
      return;
    }
    fmt::print("{}\n", file);
    for (const Answer& a : answers) fmt::print("  {:.4f}  {}\n", a.probability, names_[static_cast<size_t>(a.index)]);
  }

  void print_values(const char* name, std::span<const float> values) const {
    constexpr size_t kShown = 16;
    const std::string more =
        values.size() > kShown ? fmt::format(" ... ({}; all with --json)", counted(values.size(), "number")) : "";
    const std::string text =
        fmt::format("{:.5g}{}", fmt::join(values.first(std::min(values.size(), kShown)), " "), more);
    if (info_.outputs.size() > 1) fmt::print("  {}: {}\n", name, text);
    else fmt::print(" {}\n", text);
  }

  const ModelInfo& info_;
  const PredictOptions& o_;
  Loaded& l_;
  int batch_, class_output_;
  bool good_ = true;  // each sample had an answer
  Metrics reading_;   // how a row of the class output is read
  std::vector<std::string> names_, taken_;
  nlohmann::json results_ = nlohmann::json::array();
};

/// What `argument` names as a source of data: a SPEC, or a file of rows; "" when it is a path of images, or - for a
/// list.
std::string spec_of(const std::string& argument) {
  std::error_code none;
  const bool rows = !kind_of_file(argument).empty(),
             colon = argument.find(':') != std::string::npos && argument.find(':') > 0;
  return rows || (colon && !std::filesystem::exists(argument, none)) ? argument : "";
}

/// What a list on standard input begins with an image's first bytes instead of: the image itself, piped. Else the
/// list's lines.
struct Piped {
  std::vector<uint8_t> image;
  std::vector<std::string> lines;
};
Piped read_piped() {
  Piped p;
  std::string all;
  char buffer[65536];
  while (all.size() <= kMaxImageFile && (std::cin.read(buffer, sizeof buffer) || std::cin.gcount() > 0))
    all.append(buffer, static_cast<size_t>(std::cin.gcount()));
  if (!image_format({reinterpret_cast<const uint8_t*>(all.data()), all.size()}).empty()) {
    p.image.assign(all.begin(), all.end());
    return p;
  }
  std::error_code none;
  for (size_t at = 0; at < all.size();) {
    const size_t end = std::min(all.find('\n', at), all.size());
    std::string line = all.substr(at, end - at);
    if (line.ends_with('\r') && !std::filesystem::exists(line, none)) line.pop_back();  // a list made on Windows
    if (!line.empty()) p.lines.push_back(std::move(line));
    at = end + 1;
  }
  return p;
}

/// The images that the arguments stand for; each argument that stands for none is reported.
std::vector<std::string> files_of(const ModelInfo& info, const std::vector<std::string>& arguments,
                                  std::vector<uint8_t>& piped, bool& all_good) {
  std::vector<std::string> files;
  auto add = [&](const std::string& path) {
    auto found = list_images(path);
    if (found) files.insert(files.end(), found->begin(), found->end());
    else all_good = false, fail(info, found.error());
  };
  for (const std::string& a : arguments) {
    if (!spec_of(a).empty()) continue;
    if (a != "-") {
      add(a);
      continue;
    }
    Piped input = read_piped();
    if (!input.image.empty()) files.push_back(kPiped), piped = std::move(input.image);
    for (const std::string& line : input.lines) add(line);
  }
  return files;
}

/// The data that the arguments name, without labels: classes are those of the weights.
bool open_sources(const ModelInfo& info, const Loaded& l, const std::vector<std::string>& arguments,
                  std::vector<std::unique_ptr<Source>>& out) {
  ModelInfo bare = info;
  bare.labels = {}, bare.losses = {};
  const NamedInfo named(bare, l.classes, l.columns ? &*l.columns : nullptr);
  for (const std::string& a : arguments) {
    const std::string spec = spec_of(a);
    if (spec.empty()) continue;
    auto source = open_source(spec, Split::test, named.info());
    if (!source) return fail(info, source.error()), false;
    out.push_back(std::move(*source));
  }
  return true;
}

bool takes_images(const PortInfo& p) { return image_channels(p) > 0 && p.rank >= 2; }

/// Why image files are no input of the net, and what is.
std::string no_images_text(const ModelInfo& info) {
  for (const PortInfo& p : info.inputs) {
    if (takes_images(p)) continue;
    if (p.rank == 3 && (p.dims[0] == 1 || p.dims[0] == 3) && (p.dtype == DType::u8 || p.dtype == DType::f32))
      return fmt::format(
          "the input {} is {}, and images come with their channels last: declare it as {}[{}, {}, {}], or give arrays "
          "(npy:FILE)",
          p.name, type_text(p), p.dtype == DType::u8 ? "u8" : "f32", p.dims[1] < 0 ? "*" : fmt::format("{}", p.dims[1]),
          p.dims[2] < 0 ? "*" : fmt::format("{}", p.dims[2]), p.dims[0]);
  }
  const bool some = std::any_of(info.inputs.begin(), info.inputs.end(), takes_images);
  if (!some) return "the net takes no images; give a table (FILE.csv) or other data (KIND:...)";
  const PortInfo& other = *std::find_if_not(info.inputs.begin(), info.inputs.end(), takes_images);
  return fmt::format(
      "the net takes more than images: its input {} is {}; give an array of each input in one file (npy:FILE.npz)",
      other.name, type_text(other));
}

}  // namespace

int run_predict(const ModelInfo& info, CreateFn create, const PredictOptions& o) {
  const size_t ports = info.inputs.size();
  bool all_good = true;
  std::vector<uint8_t> piped;
  const bool images = std::all_of(info.inputs.begin(), info.inputs.end(), takes_images);
  const auto is_spec = [](const std::string& a) { return !spec_of(a).empty(); };
  if (!images && !std::all_of(o.images.begin(), o.images.end(), is_spec)) return fail(info, no_images_text(info));
  const std::vector<std::string> files = files_of(info, o.images, piped, all_good);
  const bool specs = std::any_of(o.images.begin(), o.images.end(), is_spec);
  if (files.empty() && !specs) return all_good ? fail(info, "no images given") : 1;
  if (files.size() % ports != 0)
    return fail(info,
                fmt::format("the net takes {} at a time, but {} given", counted(ports, "image"), are(files.size())));
  const size_t most = specs ? kMostTogether : files.size() / ports;
  const int batch =
      std::min<int>({kMostTogether, info.max_batch, static_cast<int>(std::min<size_t>(most, kMostTogether))});
  Loaded l;
  if (!load_for_inference(info, create, o.weights, batch, o.threads, l)) return 1;
  std::vector<std::unique_ptr<Source>> sources;
  if (!open_sources(info, l, o.images, sources)) return 1;
  Predictions predictions(info, o, l, batch);
  bool ran = true;
  Sample sample;
  auto offer = [&](const std::string& name, const tl::expected<void, std::string>& read) {
    const auto good = read ? predictions.add(name, sample.inputs, ran) : read;
    if (!good) all_good = false, fail(info, good.error());
  };
  for (size_t at = 0; at < files.size() && ran; at += ports) {
    sample.inputs.resize(ports);
    tl::expected<void, std::string> read;
    for (size_t i = 0; i < ports && read; ++i) {
      const int channels = image_channels(info.inputs[i]);
      read = files[at + i] == kPiped && !piped.empty() ? decode_image(piped, channels, kPiped, sample.inputs[i])
                                                       : read_image(files[at + i], channels, sample.inputs[i]);
    }
    offer(fmt::format("{}", fmt::join(files.begin() + static_cast<std::ptrdiff_t>(at),
                                      files.begin() + static_cast<std::ptrdiff_t>(at + ports), ", ")),
          read);
  }
  for (const auto& source : sources)
    for (size_t i = 0; i < source->size() && ran; ++i) offer(source->name(i), source->read(i, sample));
  if (!ran || !predictions.run()) return fail(info, "the network could not be run");
  predictions.finish();
  return all_good && predictions.good() ? 0 : 1;
}

}  // namespace netc::rt
