// Statements of one line.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/ops/ops.h"
#include "tests/random/builder.h"

namespace netc::random {

using namespace ir;

bool Builder::statement() {
  switch (rng_.weighted({30, 14, 10, 16, 8, 4, 4, 4, 8, 5, 5, 5, 4, 4, 4})) {
    case 0: return plain();
    case 1: return merge();
    case 2: return residual();
    case 3: return expression();
    case 4: return shared();
    case 5: return parts();
    case 6: return branches();
    case 7: return defaults();
    case 8: return user_op();
    case 9: return block();
    case 10: return ported_block();
    case 11: return inner_net();
    case 12: return loop();
    case 13: return choice();
    default: return twice();
  }
}

/// Two chains of one tensor.
bool Builder::twice() {
  Draft next = draft_;
  const Tensor t = tensor();
  std::vector<std::string> names;
  for (int i = 0; i < 2; ++i) {
    const auto c = chain(next, t.name, t.type, static_cast<int>(rng_.between(1, 2)));
    if (!c) return false;
    names.push_back(next.fresh("t"));
    next.body.push_back(fmt::format("let {} = {} -> {}", names.back(), t.name, c->text()));
  }
  return accept(std::move(next), names);
}

bool Builder::plain() {
  Draft next = draft_;
  const Tensor t = tensor();
  const auto c = chain(next, t.name, t.type, static_cast<int>(rng_.between(1, 3)));
  if (!c) return false;
  const std::string name = next.fresh("t");
  const bool frozen = !frozen_ && rng_.chance(6);
  const std::string layers = !frozen                 ? c->text()
                             : c->layers.size() == 1 ? c->text() + " frozen"
                                                     : "(" + c->text() + ") frozen";
  next.body.push_back(fmt::format("let {} = {} -> {}", name, t.name, layers));
  return accept(std::move(next), {name});
}

bool Builder::merge() {
  std::vector<const LayerDef*> merging;
  for (const LayerDef* l : ops::registry().layers)
    if (l->tensor_inputs != 1) merging.push_back(l);
  Tensor t;
  const LayerDef* candidate = nullptr;
  for (int attempt = 0; attempt < 15; ++attempt) {
    Draft next = draft_;
    if (attempt % 3 == 0) t = tensor(), candidate = rng_.pick(merging);  // other operands and arguments first
    const LayerDef& def = *candidate;
    Site site{rng_, t.type.dims, &next.parameters, &next};
    std::vector<std::string> others;
    const int64_t more =
        def.tensor_inputs > 0 ? def.tensor_inputs - 1 : std::max<int64_t>(-def.tensor_inputs - 1, rng_.between(0, 3));
    for (int64_t i = 0; i < more; ++i) others.push_back(partner(t));
    if (def.tensor_inputs == 2 && rng_.chance(25)) others = {t.name};  // a product with itself turned
    if (!others.empty() && rng_.chance(20))                            // an operand made on the spot
      if (const auto c = chain(next, t.name, t.type, 1)) others[0] = fmt::format("{} -> {}", t.name, c->text());
    if (!lists_.empty() && rng_.chance(20)) others = {rng_.pick(lists_)};
    const std::string name = next.fresh("t");
    if (rng_.chance(25) && def.tensor_inputs != 1) {
      others.insert(others.begin(), t.name);
      next.body.push_back(fmt::format("let {} = [{}] -> {}", name, fmt::join(others, ", "), applied(def, site, {})));
    } else {
      next.body.push_back(fmt::format("let {} = {} -> {}", name, t.name, applied(def, site, others)));
    }
    if (accept(std::move(next), {name})) return true;
  }
  return false;
}

const LayerDef& Builder::adder() {
  std::vector<const LayerDef*> merging;
  for (const LayerDef* l : ops::registry().layers)
    if (l->tensor_inputs != 1 && l->args.empty()) merging.push_back(l);
  return rng_.chance(60) ? *merging.front() : *rng_.pick(merging);
}

bool Builder::residual() {
  for (int attempt = 0; attempt < 6; ++attempt) {
    Draft next = draft_;
    const Tensor t = tensor();
    const auto c = chain(next, t.name, t.type, static_cast<int>(rng_.between(1, 2)));
    if (!c || c->type != t.type) continue;
    const std::string name = next.fresh("t");
    next.body.push_back(fmt::format("let {} = {} -> {} -> {}({})", name, t.name, c->text(), adder().name, t.name));
    if (accept(std::move(next), {name})) return true;
  }
  return false;
}

bool Builder::expression() {
  for (int attempt = 0; attempt < 8; ++attempt) {
    Draft next = draft_;
    const Tensor t = tensor();
    if (t.type.dtype != DType::f32 || t.type.has_any_extent()) continue;
    FormulaSite site{rng_, {t.name}, {}, t.type.rank(), ""};
    for (const Tensor& o : tensors_)
      if (o.type == t.type && o.name != t.name) site.tensors.push_back(o.name);
    if (rng_.chance(20)) site.tensors.push_back(partner(t));
    if (rng_.chance(10))
      if (const auto c = chain(next, t.name, t.type, 1))
        site.tensors.push_back(fmt::format("({} -> {})", t.name, c->text()));
    for (const Parameter& p : next.parameters) site.numbers.push_back(p.name);
    const std::string name = next.fresh("t");
    std::string text = formula(site, static_cast<int>(rng_.between(1, 4)));
    if (attempt >= 4) text = squashed(rng_, text);
    next.body.push_back(fmt::format("let {} = {}", name, text));
    if (accept(std::move(next), {name})) return true;
  }
  return false;
}

/// A layer, or a chain, with a name, applied several times: the weights are the same.
bool Builder::shared() {
  Draft next = draft_;
  const Tensor t = tensor();
  const auto c = chain(next, t.name, t.type, rng_.chance(60) ? 1 : 2);
  if (!c) return false;
  const std::string layer = next.fresh("layer");
  std::string text = c->text();
  if (!frozen_ && rng_.chance(15)) text = "(" + text + ") frozen";
  next.body.push_back(fmt::format("let {} = {}", layer, text));
  std::vector<std::string> names;
  std::string from = t.name;
  bool taken = false;
  for (int64_t k = rng_.between(2, 3); k > 0; --k) {
    names.push_back(next.fresh("t"));
    next.body.push_back(fmt::format("let {} = {} -> {}", names.back(), from, layer));
    const Tensor other = tensors_[static_cast<size_t>(rng_.below(static_cast<int64_t>(tensors_.size())))];
    from = c->type == t.type && rng_.chance(50) ? names.back() : other.name;
    if (type_of(next, from + " -> " + layer)) continue;
    from = t.name;  // the same twice, of one tensor
    if (taken) break;
    taken = true;
  }
  return accept(std::move(next), names);
}

/// What a layer of several results gives.
bool Builder::parts() {
  std::vector<const LayerDef*> several;
  for (const LayerDef* l : ops::registry().layers)
    if (l->build_many) several.push_back(l);
  if (several.empty()) return false;
  for (int attempt = 0; attempt < 12; ++attempt) {
    Draft next = draft_;
    const Tensor t = tensor();
    const LayerDef& def = *rng_.pick(several);
    Site site{rng_, t.type.dims, &next.parameters, &next};
    const std::string text = fmt::format("{} -> {}", t.name, applied(def, site, {}));
    if (rng_.chance(40)) {
      const std::string a = next.fresh("t"), b = rng_.chance(15) ? "_" : next.fresh("t");
      next.body.push_back(fmt::format("let ({}, {}) = {}", a, b, text));
      if (accept(std::move(next), b == "_" ? std::vector<std::string>{a} : std::vector<std::string>{a, b})) return true;
      continue;
    }
    const std::string list = next.fresh("list");
    next.body.push_back(fmt::format("let {} = {}", list, text));
    if (accept(std::move(next), {list + "[0]", list + "[-1]"})) return lists_.push_back(list), true;
  }
  return false;
}

/// A list of branches by a comprehension, merged.
bool Builder::branches() {
  for (int attempt = 0; attempt < 6; ++attempt) {
    Draft next = draft_;
    const Tensor t = tensor();
    std::vector<Parameter> own;
    const auto c = chain(next, t.name, t.type, static_cast<int>(rng_.between(1, 2)), &own);
    if (!c) continue;
    const std::string list = next.fresh("list"), name = next.fresh("t");
    // One of its numbers differs from branch to branch, where it has one.
    const std::string over = own.empty() ? next.fresh("i") : own[0].name;
    std::string values =
        own.empty() ? fmt::format("0..{}", rng_.between(2, 3))
                    : fmt::format("[{}, {}]", own[0].value, std::max<int64_t>(1, own[0].value + rng_.between(-2, 2)));
    for (size_t i = 1; i < own.size(); ++i) next.parameters.push_back(own[i]);
    next.body.push_back(fmt::format("let {} = [{} -> {} for {} in {}]", list, t.name, c->text(), over, values));
    std::vector<const LayerDef*> merging;
    for (const LayerDef* l : ops::registry().layers)
      if (l->tensor_inputs < 0) merging.push_back(l);
    Site site{rng_, c->type.dims, &next.parameters, &next};
    next.body.push_back(fmt::format("let {} = {} -> {}", name, list, applied(*rng_.pick(merging), site, {})));
    if (accept(std::move(next), {name})) return lists_.push_back(list), true;
  }
  return false;
}

/// Arguments that later layers of a kind have, and such a layer.
bool Builder::defaults() {
  for (int attempt = 0; attempt < 8; ++attempt) {
    Draft next = draft_;
    const Tensor t = tensor();
    const LayerDef& def = layer_for(t.type);
    std::vector<ArgDef> optional, needed;
    for (const ArgDef& a : def.args) (a.fallback ? optional : needed).push_back(a);
    Site site{rng_, t.type.dims, &next.parameters, &next};
    const std::string text = arguments(optional, site, true);
    if (text.empty() || def.tensor_inputs != 1 || def.build_many) continue;
    next.body.push_back(fmt::format("default {}{}", def.name, text));
    const std::string name = next.fresh("t");
    next.body.push_back(fmt::format("let {} = {} -> {}{}", name, t.name, def.name,
                                    arguments(rng_.chance(50) ? needed : def.args, site)));
    if (accept(std::move(next), {name})) return true;
  }
  return false;
}

}  // namespace netc::random
