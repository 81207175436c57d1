// What must occur in a net.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/ops/ops.h"
#include "tests/random/builder.h"

namespace netc::random {

using namespace ir;

namespace {

/// More inputs, when nothing that is there suits.
constexpr int kAttempts = 240, kAnotherInput = 24;

}  // namespace

bool Builder::want_layer(const LayerDef& def) {
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    if (attempt % kAnotherInput == 0) input(static_cast<int>(rng_.weighted({30, 14, 20, 20, 12, 3, 1})));
    Draft next = draft_;
    const Tensor t = attempt % kAnotherInput < 8
                         ? tensors_.back()
                         : tensors_[static_cast<size_t>(rng_.below(static_cast<int64_t>(tensors_.size())))];
    Site site{rng_, t.type.dims, &next.parameters, &next};
    std::vector<std::string> others;
    for (int i = def.tensor_inputs > 0 ? def.tensor_inputs - 1 : -def.tensor_inputs - 1; i > 0; --i)
      others.push_back(partner(t));
    const std::string text = fmt::format("{} -> {}", t.name, applied(def, site, others)),
                      name = next.fresh(def.build_many ? "list" : "t");
    next.body.push_back(fmt::format("let {} = {}", name, text));
    if (!def.build_many && accept(std::move(next), {name})) return true;
    if (def.build_many && accept(std::move(next), {name + "[0]", name + "[-1]"})) return lists_.push_back(name), true;
  }
  return false;
}

bool Builder::want_function(const std::string& function) {
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    if (attempt % kAnotherInput == 0) input(static_cast<int>(rng_.weighted({30, 0, 20, 20})));
    Draft next = draft_;
    const Tensor& t = tensor();
    if (t.type.dtype != DType::f32) continue;
    FormulaSite site{rng_, {t.name}, {}, t.type.rank(), function};
    for (const Tensor& o : tensors_)
      if (o.type == t.type && o.name != t.name) site.tensors.push_back(o.name);
    const std::string name = next.fresh("t");
    next.body.push_back(fmt::format("let {} = {}", name, formula(site, static_cast<int>(rng_.between(1, 3)))));
    if (accept(std::move(next), {name})) return true;
  }
  return false;
}

bool Builder::want_setting(const SettingDef& setting) {
  std::vector<const LayerDef*> takers;
  for (const LayerDef* l : ops::registry().layers)
    if (std::any_of(l->args.begin(), l->args.end(), [&](const ArgDef& a) { return a.type == setting.type; }))
      takers.push_back(l);
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    if (attempt % kAnotherInput == 0) input(static_cast<int>(rng_.weighted({30, 0, 20, 20})));
    Draft next = draft_;
    const Tensor& t = tensor();
    const LayerDef& def = *rng_.pick(takers);
    Site site{rng_, t.type.dims, &next.parameters, &next, &setting};
    const std::string name = next.fresh("t");
    next.body.push_back(fmt::format("let {} = {} -> {}", name, t.name, applied(def, site, {})));
    if (accept(std::move(next), {name})) return true;
  }
  return false;
}

}  // namespace netc::random
