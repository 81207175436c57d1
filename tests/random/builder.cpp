#include "tests/random/builder.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/ops/ops.h"

namespace netc::random {

using namespace ir;

namespace {

/// Layers that take a tensor of such a type, as trials show.
struct Fitting {
  std::vector<const LayerDef*> all, weightless;
};

const Fitting& fitting(const Type& type) {
  static std::map<std::string, Fitting> known;
  Type t = type;
  const std::vector<int64_t> extents = {3, 6, 6, 4};
  for (int i = 0; i < t.rank(); ++i)
    if (t.dims[i] != kAnyExtent) t.dims[i] = extents[static_cast<size_t>(i) + 4 - t.rank()];
  const std::string key = shape_for_user(t);
  const auto [it, added] = known.try_emplace(key);
  if (!added) return it->second;
  Rng rng(hash_of(key));  // the same whatever was drawn before
  for (const LayerDef* l : ops::registry().layers)
    for (int attempt = 0; attempt < 8; ++attempt) {
      Site site{rng, t.dims};
      const std::string operand = l->tensor_inputs == 1 ? "" : "x", list = l->build_many ? "[0]" : "";
      const std::string given = arguments(l->args, site, !operand.empty(), operand);
      const auto model =
          analyse(fmt::format("net A {{ input x: {} output y = (x -> {}{}){} }}", key, l->name, given, list));
      if (!model) continue;
      it->second.all.push_back(l);
      const bool weights = std::any_of(model->graph.variables.begin(), model->graph.variables.end(),
                                       [](const Variable& v) { return v.role == Role::weight; });
      if (!weights) it->second.weightless.push_back(l);
      break;
    }
  return it->second;
}

/// The nodes and weights that a value is computed of.
void count_operands(const Graph& g, ValueId of, Tensor& t) {
  std::vector<bool> reached(g.values.size(), false);
  reached[of] = true;
  for (size_t i = g.nodes.size(); i-- > 0;) {
    const Node& n = g.nodes[i];
    if (std::none_of(n.results.begin(), n.results.end(), [&](ValueId v) { return reached[v]; })) continue;
    ++t.nodes;
    for (const ValueId v : n.inputs) reached[v] = true;
  }
  for (const Variable& v : g.variables) t.weights += reached[v.value] && v.role == Role::weight;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

}  // namespace

bool mentions(const std::string& text, const std::string& name) {
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
    const bool begins = at == 0 || !is_word(text[at - 1]),
               ends = at + name.size() >= text.size() || !is_word(text[at + name.size()]);
    if (begins && ends) return true;
  }
  return false;
}

std::string Builder::Chain::text() const { return fmt::format("{}", fmt::join(layers, " -> ")); }

bool Builder::accept(Draft next, const std::vector<std::string>& names) {
  Draft probe = next;
  for (size_t i = 0; i < names.size(); ++i) probe.outputs.push_back(fmt::format("output probe{} = {}", i, names[i]));
  for (size_t i = 0; names.empty() && i < tensors_.size(); ++i)
    probe.outputs.push_back(fmt::format("output probe{} = {}", i, tensors_[i].name));
  const std::optional<sema::Model> model = analyse(probe.text());
  if (!model || !evaluation_.extend(model->graph)) return false;
  std::vector<Tensor> added;
  for (size_t i = 0; i < names.size(); ++i) {
    const ValueId v = model->graph.outputs[next.outputs.size() + i].value;
    const std::vector<double>& data = evaluation_.value(v).data;
    const auto [low, high] = std::minmax_element(data.begin(), data.end());
    Tensor t{names[i], model->graph.type(v), !(*high - *low > 1e-4)};
    count_operands(model->graph, v, t);
    // A tensor of one value says little of what follows; one whose values are tiny, neither.
    if (t.constant && data.size() > 1 && !rng_.chance(10)) return false;
    added.push_back(std::move(t));
  }
  draft_ = std::move(next);
  tensors_.insert(tensors_.end(), added.begin(), added.end());
  return true;
}

std::optional<Type> Builder::type_of(const Draft& d, const std::string& expression) const {
  Draft probe = d;
  probe.outputs = {"output probe = " + expression};
  const std::optional<sema::Model> model = analyse(probe.text());
  if (!model) return std::nullopt;
  const Type t = model->graph.type(model->graph.outputs[0].value);
  return t.has_any_extent() || t.elements() <= Evaluation::kMostElements ? std::optional(t) : std::nullopt;
}

std::vector<int64_t> Builder::shape(int rank) {
  std::vector<int64_t> dims;
  const bool small = rng_.chance(15);
  for (int i = 0; i + 1 < rank; ++i)
    dims.push_back(rank == 4 ? rng_.between(1, 4) : small ? rng_.between(1, 3) : extent(rng_));
  if (rank == 3 && rng_.chance(50)) dims[1] = dims[0];
  if (rank == 3)
    for (int i = 0; i < 2; ++i) dims[static_cast<size_t>(i)] = std::min<int64_t>(dims[static_cast<size_t>(i)], 14);
  if (rank > 0) dims.push_back(rank == 3 && rng_.chance(40) ? 3 : channels(rng_));
  return dims;
}

/// Kinds of inputs: images, of bytes, sequences, flat, tokens, of four dimensions, numbers by themselves.
bool Builder::input(int kind) {
  Draft next = draft_;
  const std::string name = next.fresh("in");
  const auto typed = [&](const char* dtype, const std::vector<int64_t>& dims) {
    return fmt::format("{}[{}]", dtype, fmt::join(dims, ", "));
  };
  std::string type;
  switch (kind) {
    case 0: type = typed("f32", shape(3)); break;
    case 1: type = typed("u8", shape(3)); break;
    case 2: type = typed("f32", shape(2)); break;
    case 3: type = typed("f32", shape(1)); break;
    case 4:
      type = rng_.chance(80) ? typed("i32", {extent(rng_)}) : typed("i32", {rng_.between(1, 4), rng_.between(1, 5)});
      break;
    case 5: type = typed("f32", shape(4)); break;
    default: type = rng_.chance(50) ? "f32[]" : "i32[]"; break;
  }
  next.inputs.push_back(fmt::format("input {}: {}", name, type));
  return accept(std::move(next), {name});
}

/// An image of any size, whose size one layer makes known at once: it works while data is loaded, and is to be the only
/// one.
bool Builder::any_size_input() {
  for (int attempt = 0; attempt < 10; ++attempt) {
    Draft next = draft_;
    const std::string name = next.fresh("in"), result = next.fresh("t");
    const Type type{rng_.chance(80) ? DType::u8 : DType::f32,
                    true,
                    {kAnyExtent, kAnyExtent, rng_.chance(70) ? 3 : channels(rng_)}};
    const std::string declared = fmt::format("input {}: {}", name, shape_for_user(type));
    next.inputs.push_back(declared);
    const auto c = chain(next, name, type, static_cast<int>(rng_.between(1, 2)));
    if (!c || c->type.has_any_extent()) continue;
    if (rng_.chance(25)) {
      const std::string net = next.fresh("Net");
      // It sees only its own parameters.
      if (std::any_of(next.parameters.begin(), next.parameters.end(),
                      [&](const Parameter& p) { return mentions(c->text(), p.name); }))
        continue;
      next.declarations.push_back(
          fmt::format("net {} {{ input a: {}  output p = a -> {} }}", net, shape_for_user(type), c->text()));
      next.body.push_back(fmt::format("let {} = {} -> {}", result, name, net));
    } else {
      next.body.push_back(fmt::format("let {} = {} -> {}", result, name, c->text()));
    }
    if (accept(std::move(next), {result})) return true;
  }
  return false;
}

const Tensor& Builder::tensor() {
  std::vector<int> weights;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const bool raw = tensors_[i].type.dtype != DType::f32, last = i + 1 == tensors_.size();
    bool read = false;
    for (const std::string& s : draft_.body)
      read = read || (mentions(s, tensors_[i].name) && s.find("let " + tensors_[i].name + " ") == std::string::npos);
    weights.push_back((read ? raw ? 1 : 3 : 8) * (last ? 2 : 1) * (tensors_[i].constant ? 1 : 4));
  }
  return tensors_[rng_.weighted(weights)];
}

const Tensor& Builder::result() {
  std::vector<int> weights;
  for (const Tensor& t : tensors_) {
    const bool fits = t.type.dtype == DType::f32 && !t.type.has_any_extent();
    const int size = 1 + std::min(t.nodes, 30) / 3 + 4 * std::min(t.weights, 8);
    weights.push_back(!fits ? 0 : t.nodes == 0 ? 1 : (t.constant ? 1 : 5) * size * size);
  }
  return tensors_[rng_.weighted(weights)];
}

std::string Builder::partner(const Tensor& t) {
  std::vector<int> weights;
  for (const Tensor& o : tensors_) {
    bool broadcasts = o.type.rank() == t.type.rank();
    for (int i = 0; broadcasts && i < t.type.rank(); ++i)
      broadcasts = o.type.dims[i] == t.type.dims[i] || o.type.dims[i] == 1 || t.type.dims[i] == 1;
    const bool self = o.name == t.name;
    weights.push_back(o.type.dtype != t.type.dtype     ? 0
                      : self                           ? 2
                      : o.type == t.type               ? 40
                      : broadcasts                     ? 20
                      : o.type.rank() == t.type.rank() ? 5
                                                       : 1);
  }
  return tensors_[rng_.weighted(weights)].name;
}

const LayerDef& Builder::layer_for(const Type& type) {
  const Fitting& fit = fitting(type);
  const std::vector<const LayerDef*>& fits = weightless_ ? fit.weightless : fit.all;
  const std::vector<const LayerDef*>& from = fits.empty() ? ops::registry().layers : fits;
  // A section first: there are many activations.
  std::vector<std::string> sections;
  std::vector<int> weights;
  for (const LayerDef* l : from) {
    const size_t at = static_cast<size_t>(std::find(sections.begin(), sections.end(), l->section) - sections.begin());
    if (at == sections.size()) sections.push_back(l->section), weights.push_back(2);
    // layers with weights are what nets are made of
    if (std::find(fit.weightless.begin(), fit.weightless.end(), l) == fit.weightless.end()) weights[at] = 5;
  }
  const std::string section = sections[rng_.weighted(weights)];
  std::vector<const LayerDef*> layers;
  for (const LayerDef* l : from)
    if (l->section == section) layers.push_back(l);
  return *rng_.pick(layers);
}

std::string Builder::applied(const LayerDef& def, Site& site, const std::vector<std::string>& operands) {
  std::string list = fmt::format("{}", fmt::join(operands, ", "));
  if (operands.size() > 1 && rng_.chance(25)) list = "[" + list + "]";
  std::string text = def.name + arguments(def.args, site, !operands.empty() || def.tensor_inputs != 1, list);
  if (text == def.name && rng_.chance(10)) text += "()";
  return frozen_ ? text + " frozen" : text;
}

std::optional<Builder::Chain> Builder::chain(Draft& d, const std::string& from, const Type& type, int length,
                                             std::vector<Parameter>* own, const std::vector<std::string>& operands) {
  Chain c{{}, type};
  for (int k = 0; k < length; ++k) {
    bool found = false;
    const LayerDef* candidate = nullptr;
    for (int attempt = 0; attempt < 15 && !found; ++attempt) {
      Draft next = d;
      std::vector<Parameter> mine = own ? *own : std::vector<Parameter>{};
      if (attempt % 3 == 0) candidate = &layer_for(c.type);  // other arguments first, then another layer
      const LayerDef& def = *candidate;
      const int64_t least = def.tensor_inputs > 0 ? def.tensor_inputs - 1 : -def.tensor_inputs - 1;
      if (def.build_many || (least > 0 && operands.empty())) continue;
      std::vector<std::string> others;
      for (int64_t i = least + (def.tensor_inputs < 0 && !operands.empty() ? rng_.below(2) : 0); i > 0; --i)
        others.push_back(rng_.pick(operands));
      Site site{rng_, c.type.dims, own ? &mine : &next.parameters, &next};
      Chain longer = c;
      longer.layers.push_back(applied(def, site, others));
      Draft probe = next;
      probe.parameters.insert(probe.parameters.end(), mine.begin(), mine.end());
      const std::optional<Type> t = type_of(probe, from + " -> " + longer.text());
      if (!t) continue;
      longer.type = *t;
      c = std::move(longer), d = std::move(next), found = true;
      if (own) *own = std::move(mine);
    }
    if (!found) break;
  }
  return c.layers.empty() ? std::nullopt : std::optional(c);
}

}  // namespace netc::random
