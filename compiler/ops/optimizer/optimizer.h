// What the optimisers' updates share: operands {w, g, slots..., scalars...}, results the new {w, slots...} in place.
#pragma once
#include "compiler/ops/support.h"

namespace netc::ops {

/// `slots` slots after w and g, then lr f32[] and, with `step`, step u32[]. scalar, reference and cost are the
/// caller's.
inline OpDef update_op(const char* name, const char* doc, int slots, bool step) {
  OpDef d;
  d.name = name;
  d.doc = doc;
  d.inputs = 3 + slots + (step ? 1 : 0);
  d.results = 1 + slots;
  d.no_gradient = "an update is not part of the loss";
  d.in_place = true;
  d.updates_in_place = {{0, 0}};
  for (int i = 0; i < slots; ++i) d.updates_in_place.push_back({1 + i, 2 + i});
  const std::string me = name;
  d.shape = [me, slots, step](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    bool ok = in[0].dtype == DType::f32 && !in[0].batched && in[2 + slots] == f32({}, false);
    for (int i = 1; i < 2 + slots; ++i) ok = ok && in[i] == in[0];
    if (step) ok = ok && in[3 + slots] == Type{DType::u32, false, {}};
    if (!ok) {
      error = fmt::format("{} needs {} tensors of the weight's type, f32[]{}, not {}", me, 2 + slots,
                          step ? " and u32[]" : "", list_types(in));
      return false;
    }
    out.assign(static_cast<size_t>(1 + slots), in[0]);
    return true;
  };
  return d;
}

inline double number(const ArgValue& v) {
  if (const double* d = std::get_if<double>(&v)) return *d;
  if (const int64_t* i = std::get_if<int64_t>(&v)) return static_cast<double>(*i);
  return 0;
}
inline bool truth(const ArgValue& v) {
  const bool* b = std::get_if<bool>(&v);
  return b != nullptr && *b;
}

}  // namespace netc::ops
