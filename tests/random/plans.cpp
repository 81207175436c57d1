#include "tests/random/plans.h"

#include "compiler/nests/nest.h"
#include "compiler/schedule/forms.h"
#include "compiler/schedule/limit.h"

namespace netc::random {

using plan::Plan;
using verify::Rng;

Machine any_machine(Rng& rng) {
  const Machine host = host_machine();
  Machine m = host;
  if (rng.chance(40)) machine_for("x86-64-avx2", m);  // every machine that runs the tests has it
  if (rng.chance(25)) return m;
  m.cores = static_cast<int>(rng.between(1, 12));
  m.l1 = int64_t{1024} << rng.between(3, 7);
  m.l2 = int64_t{1024} << rng.between(4, 11);
  m.l3 = int64_t{1024} << rng.between(6, 15);
  return m;
}

Plan any_plan(const ir::Graph& g, const Machine& m, int batch, Rng& rng) {
  if (g.trains() && rng.chance(15)) return schedule::plan_within(g, m, batch, 0).plan;
  if (g.trains() && rng.chance(30)) return schedule::plan_sparing(g, m, batch);
  schedule::FormRules rules;
  rules.max_batch = batch;
  const bool any = rng.chance(70);
  if (any) rules.pick = [&](size_t forms) { return static_cast<size_t>(rng.below(static_cast<int64_t>(forms))); };
  Plan p = schedule::plan_chosen(schedule::choose_forms(g, m, rules), m, batch);
  for (size_t k = 0; any && k < p.kernels.size(); ++k) {
    const bool in_step = p.kernels[k].with_next || (k > 0 && p.kernels[k - 1].with_next);  // whose tasks agree
    for (int64_t steps = in_step ? 0 : rng.below(4); steps > 0; --steps) {
      const auto others = nests::neighbours({p, p.kernels[k], m}, p.kernels[k].strategy, 4);
      if (!others.empty()) p.kernels[k].strategy = rng.pick(others);
    }
  }
  return p;
}

}  // namespace netc::random
