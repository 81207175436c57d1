#include "compiler/schedule/in_step.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "compiler/nests/nest.h"

namespace netc::schedule {
namespace {

using ir::Kind;
using ir::kNone;
using ir::Type;
using ir::ValueId;

class Finder {
 public:
  Finder(const ir::Graph& g, Groups& groups, const Machine& m)
      : g_(g),
        root_(groups.root),
        kernels_(groups.kernels),
        m_(m) {
    for (auto& u : g.updates) overwritten_[u.value] = g.variables[u.variable].value;
  }

  void run() {
    for (size_t i = 1; i < kernels_.size(); ++i) {
      const ValueId w = overwritten(i);
      if (w == kNone || !multiplies(kernels_[i - 1], w) || reads_of(i, kernels_[i - 1])) continue;
      kernels_[i - 1].with_next = true;
      for (size_t fold = 0; fold + 1 < i; ++fold)
        if (folds(kernels_[fold], w)) {
          join(fold, i);
          break;
        }
    }
  }

 private:
  const Type& result(const Kernel& k) const { return g_.type(g_.nodes[k.anchor].results[0]); }
  bool contracts(const Kernel& k) const {
    return k.anchor != kNone && g_.nodes[k.anchor].op->kind == Kind::contraction;
  }

  // The large matrix of which kernel i makes the gradient and that it overwrites, or kNone.
  ValueId overwritten(size_t i) const {
    const Kernel& k = kernels_[i];
    if (!contracts(k) || result(k).batched || result(k).rank() != 2 || result(k).bytes() <= 2 * m_.l2) return kNone;
    const auto it = std::find_if(k.output_values.begin(), k.output_values.end(),
                                 [&](ValueId v) { return overwritten_.count(v) && g_.type(v).dims == result(k).dims; });
    return it == k.output_values.end() ? kNone : overwritten_.at(*it);
  }
  // A product with each row of `w`.
  bool multiplies(const Kernel& k, ValueId w) const {
    return contracts(k) && g_.nodes[k.anchor].op->dot && result(k).batched && result(k).rank() == 1 &&
           g_.nodes[k.anchor].inputs[1] == w;
  }
  bool folds(const Kernel& k, ValueId w) const {
    return k.anchor != kNone && g_.nodes[k.anchor].op->kind == Kind::reduction &&
           k.input_values == std::vector<ValueId>{w} && g_.type(k.output_values[0]).rank() == 0;
  }
  bool reads_of(size_t i, const Kernel& of) const {
    const auto& in = kernels_[i].input_values;
    return std::any_of(in.begin(), in.end(), [&](ValueId v) {
      return std::count(of.output_values.begin(), of.output_values.end(), root_[v]) > 0;
    });
  }

  // Kernel `fold` moves in front of kernel `last`, behind the product, and all that needs its result behind both,
  // unless that comes too late for something.
  void join(size_t fold, size_t last) {
    std::vector<size_t> later;
    std::set<ValueId> gone;  // overwritten until then
    for (size_t k = fold; k <= last; ++k) {
      const bool needs =
          k != fold && (reads_of(k, kernels_[fold]) ||
                        std::any_of(later.begin(), later.end(), [&](size_t l) { return reads_of(k, kernels_[l]); }));
      if (needs) later.push_back(k);
      for (ValueId v : kernels_[k].output_values)
        if (overwritten_.count(v)) gone.insert(overwritten_.at(v));
    }
    for (size_t k : later) {
      const auto& in = kernels_[k].input_values;
      if (k + 1 >= last || kernels_[k].with_next || kernels_[k - 1].with_next ||
          std::any_of(in.begin(), in.end(), [&](ValueId v) { return gone.count(root_[v]); }))
        return;
    }
    kernels_[fold].with_next = true;
    std::vector<Kernel> order, behind;
    for (size_t k = 0; k < kernels_.size(); ++k) {
      if (k == last) order.push_back(kernels_[fold]);
      if (std::count(later.begin(), later.end(), k)) behind.push_back(kernels_[k]);
      else if (k != fold) order.push_back(kernels_[k]);
      if (k == last) order.insert(order.end(), behind.begin(), behind.end());
    }
    kernels_ = std::move(order);
  }

  const ir::Graph& g_;
  const std::vector<ValueId>& root_;
  std::vector<Kernel>& kernels_;
  const Machine& m_;
  std::map<ValueId, ValueId> overwritten_;  // new contents -> the variable's value
};

}  // namespace

void find_in_step(const ir::Graph& g, Groups& groups, const Machine& m) { Finder(g, groups, m).run(); }

void share_tasks(Plan& p, const Machine& m) {
  const auto nest_of = [&](size_t k) { return nests::find(p.kernels[k].strategy.name); };
  for (size_t first = 0; first < p.kernels.size(); ++first) {
    size_t last = first;
    while (p.kernels[last].with_next) ++last;
    if (last == first) continue;
    const Type& w = p.graph->type(p.graph->nodes[p.kernels[last].anchor].results[0]);
    const int64_t rows = w.dims[0], bytes_of_row = w.dims[1] * 4;
    int64_t unit = 1;  // rows that all nests' tasks can take a multiple of; 0: one of them has no such tasks
    for (size_t k = first; k <= last; ++k) {
      const int64_t own = nest_of(k) ? nest_of(k)->in_step(p.kernels[k].strategy).unit : 0;
      unit = own > 0 ? std::lcm(unit, own) : 0;
    }
    int64_t panel = 0;  // rows of a task: an eighth of the second cache, beside what the optimiser keeps of them
    for (int64_t r = unit; unit > 0 && r <= rows && (panel == 0 || r * bytes_of_row <= m.l2 / 8); r += unit)
      if (rows % r == 0) panel = r;
    const bool fits = panel > 0 && panel * bytes_of_row <= m.l2 / 2;
    for (size_t k = first; k < last; ++k) p.kernels[k].with_next = fits;
    for (size_t k = first; fits && k <= last; ++k) nest_of(k)->set_step(p.kernels[k].strategy, rows, panel);
    first = last;
  }
}

}  // namespace netc::schedule
