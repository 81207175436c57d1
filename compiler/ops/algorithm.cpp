#include "compiler/ops/algorithm.h"

namespace netc::ops {

std::vector<Var> vars_of(const Type& t) {
  static const char* const names[] = {"c", "x", "y", "z", "v"};
  std::vector<Var> v;
  for (int i = 0; i < t.rank(); ++i) v.push_back(i < 5 ? Var(names[i]) : Var("d" + std::to_string(i)));
  if (t.batched) v.push_back(Var("n"));
  return v;
}

Exprs exprs(const std::vector<Var>& vars) { return {vars.begin(), vars.end()}; }

std::vector<Halide::Range> ranges_of(const Type& t, const Expr& batch, int first) {
  std::vector<Halide::Range> r;
  for (int i = first; i < t.rank(); ++i) r.emplace_back(0, static_cast<int>(t.dims[t.rank() - 1 - i]));
  if (t.batched) r.emplace_back(0, batch);
  return r;
}

}  // namespace netc::ops
