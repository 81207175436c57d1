// Greedy: of the tensors that lie idle at the fullest moment of a step, waiting for the backward pass, the one that
// frees most bytes for the time of computing it again is dropped, and the step is planned anew. What makes another
// moment fuller than the fullest was is put back, and at the end what need not be dropped. Where nothing idle is left,
// forms of operators that take memory of their own at that moment are given up, and the search begins again. Without a
// limit the same search drops what costs next to no time.
#include "compiler/schedule/limit.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "compiler/passes/passes.h"
#include "compiler/schedule/forms.h"

namespace netc::schedule {
namespace {

using ir::Graph;
using ir::kNone;
using ir::ValueId;
using passes::Fate;

constexpr double kSparedTime = 0.01;   // of a step's time, for computing again without a limit
constexpr double kSparedBytes = 0.01;  // of what a step takes: less is not worth a kernel

/// When the bytes of a tensor are in use: kernels of a plan.
struct Life {
  int64_t bytes = 0;
  int first = 1 << 30, last = -1;        // all of it, inclusive
  int forward = -1, backward = 1 << 30;  // the last use up to the loss, the first after it
};

ValueId root_of(const Graph& g, ValueId v) {
  while (g.values[v].def != kNone && g.nodes[g.values[v].def].op->kind == ir::Kind::view)
    v = g.nodes[g.values[v].def].inputs[0];
  return v;
}

/// How full the arena is at each kernel, and what fills it.
struct Occupancy {
  std::map<ValueId, Life> lives;  // by the value whose bytes they are
  int64_t fullest = 0;            // bytes, at kernel `at`
  int at = 0;

  explicit Occupancy(const Plan& p) {
    const int kernels = static_cast<int>(p.kernels.size());
    int loss = 0;
    for (int k = 0; k < kernels; ++k)
      for (const int b : p.kernels[static_cast<size_t>(k)].outputs) loss = b == p.loss_buffer ? k : loss;
    for (int k = 0; k < kernels; ++k)
      for (const auto* buffers :
           {&p.kernels[static_cast<size_t>(k)].inputs, &p.kernels[static_cast<size_t>(k)].outputs})
        for (const int b : *buffers) use(p, p.buffers[static_cast<size_t>(b)], k, loss);
    std::vector<int64_t> change(static_cast<size_t>(kernels) + 1, 0);
    for (const auto& [v, life] : lives) {
      change[static_cast<size_t>(life.first)] += life.bytes;
      change[static_cast<size_t>(life.last) + 1] -= life.bytes;
    }
    int64_t full = 0;
    for (int k = 0; k < kernels; ++k) {
      full += change[static_cast<size_t>(k)];
      if (full > fullest) fullest = full, at = k;
    }
  }

 private:
  void use(const Plan& p, const Buffer& b, int kernel, int loss) {
    if (b.storage != Storage::arena) return;
    Life& life = lives[root_of(*p.graph, b.value)];
    life.bytes = std::max(life.bytes, b.type.bytes() * (b.type.batched ? p.max_batch : 1));
    life.first = std::min(life.first, kernel);
    life.last = std::max(life.last, kernel);
    if (kernel <= loss) life.forward = std::max(life.forward, kernel);
    else life.backward = std::min(life.backward, kernel);
  }
};

/// The search, with one choice of forms.
class Limiter {
 public:
  Limiter(Graph g, const Machine& m, int max_batch, const Tuning* tuning, int64_t most)
      : g_(std::move(g)),
        m_(m),
        batch_(max_batch),
        tuning_(tuning),
        most_(most) {}

  /// Down to the bytes it was made for, in at most `share` of the step's time more; drops nothing smaller than `least`
  /// of what the step takes.
  Plan run(double share = 1e9, double least = 0) {
    Plan now = plan_chosen({g_}, m_, batch_, tuning_), best = now;
    find_fates(now);
    for (const Kernel& k : now.kernels) left_us_ += share * k.strategy.cost_us;
    while (now.arena_bytes > most_) {
      const Occupancy full(now);
      const std::optional<Candidate> c =
          choose(now, full, static_cast<int64_t>(least * static_cast<double>(full.fullest)));
      if (!c) break;
      for (const ValueId v : c->values) fates_[v] = Fate::dropped;
      Plan next = planned();
      if (Occupancy(next).fullest > full.fullest) {
        refused_.insert(c->values.front());
        for (const ValueId v : c->values) fates_[v] = Fate::kept;
        continue;
      }
      now = std::move(next);
      for (const ValueId v : c->values) dropped_.push_back({v, c->us});
      left_us_ -= c->us;
      if (now.arena_bytes < best.arena_bytes) best = now;
    }
    if (best.arena_bytes <= most_) put_back(best);
    return best;
  }

  std::vector<ValueId> dropped() const {
    std::vector<ValueId> values;
    for (ValueId v = 0; v < static_cast<ValueId>(fates_.size()); ++v)
      if (fates_[v] == Fate::dropped) values.push_back(v);
    return values;
  }

 private:
  void find_fates(const Plan& p) {
    const size_t n = g_.values.size();
    fates_.assign(n, Fate::inlined);
    droppable_.assign(n, false);
    std::vector<bool> of_weights(n, false);
    for (const ir::Variable& v : g_.variables) {
      fates_[v.value] = Fate::kept;
      of_weights[v.value] = v.role == ir::Role::weight || v.role == ir::Role::state || v.role == ir::Role::constant;
    }
    for (const ir::Node& node : g_.nodes) {
      bool all = true;
      for (const ValueId v : node.inputs) all = all && of_weights[v];
      for (const ValueId v : node.results) of_weights[v] = all;
    }
    for (const Buffer& b : p.buffers) {
      if (root_of(g_, b.value) != b.value) continue;
      fates_[b.value] = Fate::kept;
      // Of a batch, or what readers want weights as. Statistics of a batch are computed once: updates read them.
      droppable_[b.value] = b.storage == Storage::arena && (b.type.batched || of_weights[b.value]);
    }
    for (const ir::Output& o : g_.outputs) droppable_[root_of(g_, o.value)] = false;  // they are read after the step
  }

  Plan planned() const { return plan_chosen({passes::recompute(g_, fates_)}, m_, batch_, tuning_); }

  /// A value to drop, and what must be dropped with it since it no longer lives when it would be read again.
  struct Candidate {
    std::vector<ValueId> values;
    int64_t bytes = 0;
    double us = 0;
  };

  bool may_drop(ValueId v) const {
    return v < static_cast<ValueId>(fates_.size()) && droppable_[v] && fates_[v] == Fate::kept;
  }

  void add(ValueId v, const Plan& p, const Occupancy& full, const std::map<ValueId, const Kernel*>& makers,
           Candidate& c) const {
    if (std::find(c.values.begin(), c.values.end(), v) != c.values.end()) return;
    c.values.push_back(v);
    const Kernel& k = *makers.at(v);
    c.us += k.strategy.cost_us;
    for (const int b : k.inputs) {
      const ValueId root = root_of(*p.graph, p.buffers[static_cast<size_t>(b)].value);
      if (const auto life = full.lives.find(root);
          life != full.lives.end() && life->second.last < full.at && may_drop(root))
        add(root, p, full, makers, c);
    }
  }

  std::optional<Candidate> choose(const Plan& p, const Occupancy& full, int64_t least) const {
    std::map<ValueId, const Kernel*> makers;
    for (const Kernel& k : p.kernels)
      for (const ValueId v : k.output_values) makers[v] = &k;
    std::optional<Candidate> best;
    for (const auto& [v, life] : full.lives) {
      const bool idle =
          life.forward >= 0 && life.forward < full.at && life.backward > full.at && life.backward <= life.last;
      if (!idle || !may_drop(v) || refused_.count(v) || life.bytes < least) continue;
      Candidate c{{}, life.bytes, 1};
      add(v, p, full, makers, c);
      if (c.us > left_us_) continue;
      if (!best || static_cast<double>(c.bytes) * best->us > static_cast<double>(best->bytes) * c.us)
        best = std::move(c);
    }
    return best;
  }

  /// Keeps again what the limit leaves room for, the most expensive first.
  void put_back(Plan& best) {
    std::stable_sort(dropped_.begin(), dropped_.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    for (const auto& [v, us] : dropped_) {
      fates_[v] = Fate::kept;
      if (Plan p = planned(); p.arena_bytes <= most_) best = std::move(p);
      else fates_[v] = Fate::dropped;
    }
  }

  const Graph g_;  // in the forms that were chosen
  const Machine& m_;
  const int batch_;
  const Tuning* tuning_;
  const int64_t most_;
  double left_us_ = 0;       // what may still be spent on computing again
  std::vector<Fate> fates_;  // by value of g_
  std::vector<bool> droppable_;
  std::set<ValueId> refused_;
  std::vector<std::pair<ValueId, double>> dropped_;  // with the time that it takes to have it again
};

/// The node of a graph of `values` values whose form made v on the way to its result: that result, or kNone.
ValueId served_by(const Graph& g, ValueId v, ValueId values) {
  for (ir::NodeId n = 0; v >= values && n < static_cast<ir::NodeId>(g.nodes.size()); ++n)
    if (std::count(g.nodes[n].inputs.begin(), g.nodes[n].inputs.end(), v)) v = g.nodes[n].results.front();
  return v < values ? v : kNone;
}

}  // namespace

Plan plan_sparing(const Graph& g, const Machine& m, int max_batch, const Tuning* tuning) {
  return Limiter(choose_forms(g, m, {max_batch, tuning, {}}).graph, m, max_batch, tuning, 0)
      .run(kSparedTime, kSparedBytes);
}

LimitedPlan plan_within(const Graph& g, const Machine& m, int max_batch, int64_t arena_bytes, const Tuning* tuning) {
  const ValueId values = static_cast<ValueId>(g.values.size());
  std::set<ValueId> as_they_are;
  LimitedPlan best;
  for (;;) {
    const Graph chosen = choose_forms(g, m, {max_batch, tuning, as_they_are}).graph;
    const ValueId of_forms = static_cast<ValueId>(chosen.values.size());
    Limiter limiter(chosen, m, max_batch, tuning, arena_bytes);
    LimitedPlan now{limiter.run(), {}, {as_they_are.begin(), as_they_are.end()}};
    for (const ValueId v : limiter.dropped())
      if (v < values) now.recomputed.push_back(v);
    if (best.plan.kernels.empty() || now.plan.arena_bytes < best.plan.arena_bytes) best = now;
    if (now.plan.arena_bytes <= arena_bytes) return now;
    const Occupancy full(now.plan);
    const size_t before = as_they_are.size();
    for (const auto& [v, life] : full.lives)
      if (v >= values && v < of_forms && chosen.type(v).batched && life.first <= full.at && full.at <= life.last)
        if (const ValueId node = served_by(chosen, v, values); node != kNone) as_they_are.insert(node);
    if (as_they_are.size() == before) return best;
  }
}

}  // namespace netc::schedule
