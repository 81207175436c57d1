#include "runtime/core/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "runtime/cores.h"
#include "runtime/core/unicode.h"
#include "runtime/counted.h"

namespace netc::rt {
namespace {

/// SplitMix64's finaliser: a bijection that mixes every bit of x into every bit of the result.
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

uint64_t hash(std::string_view text) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const unsigned char c : text) h = (h ^ c) * 0x100000001b3u;
  return h;
}

double unit(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }  // [0, 1)

/// A standard normal; redrawn beyond 2 sigma when truncated.
double normal(uint64_t key, bool truncated) {
  for (uint64_t attempt = 0;; ++attempt) {
    const uint64_t first = mix(key + attempt), second = mix(first);
    const double z = std::sqrt(-2 * std::log(1 - unit(first))) * std::cos(2 * std::numbers::pi * unit(second));
    if (!truncated || std::abs(z) <= 2) return z;
  }
}

/// An initialiser with everything but the index worked out.
struct Generator {
  enum class Kind { constant, between, uniform, normal } kind = Kind::constant;
  double a = 0, b = 0;  // the constant; 1 from element a to b; [a, b); mean and deviation
  bool truncated = false;
  double gain = 0;  // of orthogonal: what is drawn is made orthogonal afterwards
  uint64_t key = 0;

  Generator(const VarInfo& v, uint64_t seed) : key(mix(mix(seed) ^ hash(v.name))) {
    const std::string_view kind_name = v.init.kind == nullptr ? "zeros" : v.init.kind;
    const double in = std::max<double>(1, static_cast<double>(v.init.fan_in)),
                 out = std::max<double>(1, static_cast<double>(v.init.fan_out));
    const auto uniform = [&](double limit) { kind = Kind::uniform, a = -limit, b = limit; };
    // Keras widens the truncated normal so that what remains has the variance asked for.
    const auto scaled = [&](double variance) {
      kind = Kind::normal, truncated = true, b = std::sqrt(variance) / 0.87962566103423978;
    };
    if (kind_name == "ones") a = 1;
    else if (kind_name == "constant") a = v.init.a;
    else if (kind_name == "ones_between") kind = Kind::between, a = v.init.a, b = v.init.b;
    else if (kind_name == "uniform") kind = Kind::uniform, a = v.init.a, b = v.init.b;
    else if (kind_name == "normal") kind = Kind::normal, a = v.init.a, b = v.init.b;
    else if (kind_name == "truncated") kind = Kind::normal, truncated = true, a = v.init.a, b = v.init.b;
    else if (kind_name == "orthogonal") kind = Kind::normal, b = 1, gain = v.init.a;
    else if (kind_name == "glorot_uniform") uniform(std::sqrt(6 / (in + out)));
    else if (kind_name == "he_uniform") uniform(std::sqrt(6 / in));
    else if (kind_name == "glorot_normal") scaled(2 / (in + out));
    else if (kind_name == "he_normal") scaled(2 / in);
    else if (kind_name == "lecun_normal") scaled(1 / in);
  }

  float operator()(uint64_t index) const {
    if (kind == Kind::constant) return static_cast<float>(a);
    if (kind == Kind::between) return index >= a && index < b ? 1.f : 0.f;
    const uint64_t bits = mix(key ^ mix(index));
    if (kind == Kind::uniform) return static_cast<float>(a + (b - a) * unit(bits));
    return static_cast<float>(a + b * normal(bits, truncated));
  }
};

/// Gram and Schmidt's orthogonal vectors of length `gain` in place of what was drawn: the columns, of which the last
/// dim has the number, or the rows where those are fewer.
void orthogonalise(const VarInfo& v, double gain, float* out) {
  const size_t count = v.elements(),
               columns = v.rank == 0 ? 1 : static_cast<size_t>(std::max<int64_t>(v.dims[v.rank - 1], 1)),
               rows = count / columns;
  const bool tall = rows >= columns;
  const size_t vectors = tall ? columns : rows, length = tall ? rows : columns;
  const auto at = [&](size_t vector, size_t i) { return tall ? i * columns + vector : vector * columns + i; };
  std::vector<double> q(vectors * length);
  for (size_t k = 0; k < vectors; ++k)
    for (size_t i = 0; i < length; ++i) q[k * length + i] = out[at(k, i)];
  const auto dot = [&](const double* a, const double* b) {
    double sum = 0;
    for (size_t i = 0; i < length; ++i) sum += a[i] * b[i];
    return sum;
  };
  for (size_t k = 0; k < vectors; ++k) {
    double* x = &q[k * length];
    for (int twice = 0; twice < 2; ++twice)  // the second time takes away what rounding left
      for (size_t j = 0; j < k; ++j) {
        const double* y = &q[j * length];
        const double along = dot(x, y);
        for (size_t i = 0; i < length; ++i) x[i] -= along * y[i];
      }
    const double norm = std::sqrt(dot(x, x));
    for (size_t i = 0; i < length; ++i) x[i] /= norm;
  }
  for (size_t k = 0; k < vectors; ++k)
    for (size_t i = 0; i < length; ++i) out[at(k, i)] = static_cast<float>(gain * q[k * length + i]);
}

void fill(const Generator& generator, float* out, size_t count) {
  const auto part = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) out[i] = generator(i);
  };
  constexpr size_t kLeast = size_t{1} << 18;
  const size_t parts = std::clamp<size_t>(count / kLeast, 1, static_cast<size_t>(std::min(available_cores(), 16)));
  if (parts == 1 || generator.kind == Generator::Kind::constant) return part(0, count);
  std::vector<std::thread> threads;
  size_t done = 0;
  for (size_t p = 0; p + 1 < parts; ++p) {
    const size_t end = count / parts * (p + 1);
    try {
      threads.emplace_back(part, done, end);
    } catch (const std::system_error&) {
      break;  // no more threads to be had: the rest is filled here
    }
    done = end;
  }
  part(done, count);
  for (std::thread& t : threads) t.join();
}

std::vector<int64_t> shape_of(const VarInfo& v) { return {v.dims, v.dims + v.rank}; }

/// A weight or state, and the tensor of a file that it is to become.
struct Match {
  size_t variable;
  const TensorView* tensor;
};

/// "base." is the layer base.
std::string layer_of(std::string_view prefix) { return std::string(prefix.substr(0, prefix.size() - 1)); }

std::string json_text(const nlohmann::json& j) {
  return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// "-D width=64 -D depth=18": what the file's program was compiled with and this one not; "" when nothing differs, or
/// the file does not say.
std::string other_hyperparameters(const ModelInfo& info, const WeightsFile& file) {
  const auto at = file.metadata().find("hyperparameters");
  const nlohmann::json theirs =
      at == file.metadata().end() ? nlohmann::json() : nlohmann::json::parse(at->second, nullptr, false);
  std::string s;
  for (const KeyValue& h : info.hyperparameters) {
    if (!theirs.is_object() || !theirs.contains(h.key) || !theirs[h.key].is_string()) continue;
    const auto value = theirs[h.key].get<std::string>();
    const bool quote = value.find_first_of(" [\"'") != std::string::npos;
    if (value != h.value)
      s += fmt::format("{}-D {}{}={}{}", s.empty() ? "" : " ", quote ? "'" : "", h.key, value, quote ? "'" : "");
  }
  return s;
}

/// Every weight and state whose name begins with `prefix` with the tensor of the rest of its name; where there is
/// no such, with that of the whole name.
tl::expected<std::vector<Match>, std::string> match(const ModelInfo& info, const WeightsFile& file,
                                                    std::string_view prefix) {
  std::vector<Match> matches;
  std::vector<std::string> broken;
  std::string problems;
  size_t wrong = 0, named = 0;
  const auto problem = [&](std::string text) {
    if (++wrong <= 5) problems += fmt::format("\n  {}", text);
  };
  const auto taken = [&](const VarInfo& v) {
    return v.role != VarRole::slot && std::string_view(v.name).starts_with(prefix);
  };
  const auto has = [&](size_t skip) {
    return std::any_of(info.variables.begin(), info.variables.end(),
                       [&](const VarInfo& v) { return taken(v) && file.find(v.name + skip) != nullptr; });
  };
  const size_t skip = !has(prefix.size()) && has(0) ? 0 : prefix.size();
  for (size_t i = 0; i < info.variables.size(); ++i) {
    const VarInfo& v = info.variables[i];
    if (!taken(v)) continue;
    const char* wanted = v.name + skip;
    const TensorView* t = file.find(wanted);
    named += t != nullptr;
    if (t == nullptr) problem(fmt::format("{} {} is missing", wanted, shape_text(shape_of(v))));
    else if (t->shape != shape_of(v))
      problem(fmt::format("{} is {}, the network needs {}", wanted, shape_text(t->shape), shape_text(shape_of(v))));
    else if (t->data == nullptr)
      problem(fmt::format("{} is of {}, and of F32, F16, BF16 and F64 only numbers are read", wanted, t->dtype));
    else if (const size_t n = not_finite(t->data, t->elements))
      broken.push_back(
          fmt::format("{} has {} of {}{}", wanted, n, t->elements, t->dtype == "F64" ? " as float32" : ""));
    else matches.push_back({i, t});
  }
  if (wrong == 0 && broken.empty()) return matches;
  if (wrong == 0) {
    return tl::make_unexpected(
        fmt::format("{}: holds values that are not finite, as a training that diverged leaves them ({}{}); take "
                    "weights of an earlier epoch",
                    file.path(),
                    fmt::join(broken.begin(),
                              broken.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(broken.size(), 5)), ", "),
                    broken.size() > 5 ? fmt::format(", and {} more tensors", broken.size() - 5) : ""));
  }
  if (wrong > 5) problems += fmt::format("\n  and {} more", wrong - 5);
  const std::string whose = prefix.empty() ? info.net : layer_of(prefix);
  const std::string compiled = other_hyperparameters(info, file);
  const std::string remedy =
      !compiled.empty() ? "they were trained in a program compiled with " + compiled
      : prefix.empty()
          ? matches.empty()
                ? "the file is of another network"
                : "the weights are of another version of the network: train again, or compile the version they are of"
      : named == 0
          ? "the file is of another network: its tensors are not called as in " + whose
          : "the file is of another version of " + whose + ": train that again, or compile with the version it is of";
  return tl::make_unexpected(fmt::format("{}: {} of {}'s {} do not fit ({}):{}", file.path(), grouped(wrong), whose,
                                         counted(matches.size() + broken.size() + wrong, "tensor"), remedy, problems));
}

void copy(Model& model, const Match& m) {
  float* data = model.variable(m.variable);
  if (data != nullptr && m.tensor->elements > 0) std::memcpy(data, m.tensor->data, m.tensor->elements * sizeof(float));
}

}  // namespace

float initial_value(const VarInfo& variable, uint64_t seed, uint64_t index) {
  const Generator generator(variable, seed);
  if (generator.gain == 0) return generator(index);
  std::vector<float> all(variable.elements());
  fill(generator, all.data(), all.size());
  orthogonalise(variable, generator.gain, all.data());
  return all[index];
}

void initialise(Model& model, uint64_t seed) {
  const auto variables = model.info().variables;
  for (size_t i = 0; i < variables.size(); ++i) {
    float* data = model.variable(i);
    if (data == nullptr) continue;
    const Generator generator(variables[i], seed);
    fill(generator, data, variables[i].elements());
    if (generator.gain != 0) orthogonalise(variables[i], generator.gain, data);
  }
}

tl::expected<void, std::string> load_weights(Model& model, WeightsFile& file, bool bind) {
  const auto matches = match(model.info(), file, "");
  if (!matches) return tl::make_unexpected(matches.error());
  for (const Match& m : *matches) {
    if (bind) model.bind_variable(m.variable, m.tensor->data, m.tensor->restorable ? &file : nullptr);
    else copy(model, m);
  }
  return {};
}

tl::expected<std::shared_ptr<WeightsFile>, std::string> open_weights(const ModelInfo& info, const std::string& path) {
  return path.empty() ? WeightsFile::of_memory(info.weights, fmt::format("the weights inside {}", info.name))
                      : WeightsFile::open(path);
}

tl::expected<void, std::string> check_weights(const ModelInfo& info, const WeightsFile& file) {
  if (const auto matches = match(info, file, ""); !matches) return tl::make_unexpected(matches.error());
  return {};
}

tl::expected<std::vector<std::string>, std::string> load_initial_weights(Model& model) {
  std::vector<std::string> paths;
  std::vector<std::shared_ptr<WeightsFile>> files;
  std::vector<Match> all;
  for (const InitialWeights& w : model.info().initial_weights) {  // all are checked before any is copied
    std::error_code ec;
    const bool beside = std::filesystem::exists(w.path, ec);
    if (!beside && !std::filesystem::exists(w.written, ec)) {
      const std::string also = std::string_view(w.path) == w.written
                                   ? ""
                                   : fmt::format(", or as {} where the program was started", w.written);
      return tl::make_unexpected(
          fmt::format("{}: there is no such file, and {} starts from it; put it there{}, or give all of {}'s weights "
                      "(--weights FILE)",
                      w.path, layer_of(w.prefix), also, model.info().net));
    }
    const auto file = WeightsFile::open(beside ? w.path : w.written);
    if (!file)
      return tl::make_unexpected(fmt::format("{}; {} starts from this file", file.error(), layer_of(w.prefix)));
    const auto matches = match(model.info(), **file, w.prefix);
    if (!matches) return tl::make_unexpected(matches.error());
    all.insert(all.end(), matches->begin(), matches->end());
    files.push_back(*file);
    paths.push_back((*file)->path());
  }
  for (const Match& m : all) copy(model, m);
  return paths;
}

std::string classes_metadata(const std::vector<std::string>& classes) { return json_text(classes); }

std::vector<std::string> classes_from_metadata(const std::string& text) {
  std::vector<std::string> classes;
  const nlohmann::json j = nlohmann::json::parse(text, nullptr, false);
  if (!j.is_array()) return {};
  for (const nlohmann::json& name : j) {
    if (!name.is_string()) return {};
    classes.push_back(name.get<std::string>());
  }
  return classes;
}

tl::expected<std::vector<std::string>, std::string> classes_of(const ModelInfo& info, const WeightsFile& file) {
  const auto at = file.metadata().find("classes");
  std::vector<std::string> classes =
      at == file.metadata().end() ? std::vector<std::string>{} : classes_from_metadata(at->second);
  if (classes.empty() || info.classes.empty()) return classes;
  const auto sorted = [](auto list) {
    std::vector<std::string> names;
    for (const auto& name : list) names.push_back(nfc(name));
    std::sort(names.begin(), names.end());
    return names;
  };
  if (sorted(info.classes) == sorted(classes)) return classes;
  return tl::make_unexpected(
      fmt::format("{}: these weights tell the classes [{}] apart, but the program was compiled for [{}]; compile it "
                  "with -D 'classes=[{}]', or give "
                  "weights of its own classes",
                  file.path(), fmt::join(classes, ", "), fmt::join(info.classes, ", "), fmt::join(classes, ", ")));
}

bool in_order(const ModelInfo& info, const std::vector<std::string>& classes) {
  for (size_t i = 0; i < std::min(classes.size(), info.classes.size()); ++i)
    if (nfc(classes[i]) != nfc(info.classes[i])) return false;
  return true;
}

// It is run over whole files, so it is for vectors.
__attribute__((optimize("O3"))) size_t not_finite(const void* values, size_t count) {
  const auto* bits = static_cast<const uint32_t*>(values);
  size_t total = 0;
  for (size_t at = 0; at < count; at += 1 << 20) {
    const size_t end = std::min(count, at + (1 << 20));
    uint32_t n = 0;
    for (size_t i = at; i < end; ++i) n += (bits[i] & 0x7f800000u) == 0x7f800000u;
    total += n;
  }
  return total;
}

tl::expected<void, std::string> save_weights(Model& model, const std::string& path,
                                             const std::map<std::string, std::string>& more, bool durable) {
  const ModelInfo& info = model.info();
  std::vector<TensorView> tensors;
  for (size_t i = 0; i < info.variables.size(); ++i) {
    const VarInfo& v = info.variables[i];
    if (v.role == VarRole::slot) continue;
    const float* data = model.variable(i);
    if (data == nullptr) return tl::make_unexpected(fmt::format("{}: '{}' is not held by this instance", path, v.name));
    tensors.push_back({v.name, shape_of(v), data, v.elements()});
  }
  const auto text = [](const char* s) { return std::string(s == nullptr ? "" : s); };
  std::map<std::string, std::string> metadata = {{"net", text(info.net)},
                                                 {"program", text(info.name)},
                                                 {"source_hash", text(info.source_hash)}};
  nlohmann::json hyperparameters = nlohmann::json::object(), outputs = nlohmann::json::array();
  for (const KeyValue& h : info.hyperparameters) hyperparameters[text(h.key)] = text(h.value);
  for (const PortInfo& p : info.outputs) outputs.push_back(text(p.name));
  metadata["hyperparameters"] = json_text(hyperparameters);
  metadata["outputs"] = json_text(outputs);
  if (!info.classes.empty()) metadata["classes"] = classes_metadata({info.classes.begin(), info.classes.end()});
  for (const auto& [key, value] : more) metadata[key] = value;
  return write_safetensors(path, std::move(tensors), std::move(metadata), durable);
}

}  // namespace netc::rt
